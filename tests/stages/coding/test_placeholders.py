"""Messages are taken apart as the plain pattern for fences has it, and quotations of the issue go from each."""

from __future__ import annotations

import plain_masking as plain
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.coding.placeholders import DIFF, EDIT, ISSUE, SUBMISSION, _spoken, parts_of


@given(
    st.lists(st.sampled_from(["```", "`", "\n", " ", "\t", "bash", "a = 1", "````", "\r"]), max_size=20).map("".join)
)
@settings(max_examples=300, deadline=None)
def test_prose_and_fenced_code_take_turns(content: str) -> None:
    kinds = (False, None, True, None)
    expected = [(part, kinds[place % 4]) for place, part in enumerate(plain.FENCE_LINE.split(content))]
    assert _spoken(content) == expected


def test_a_quotation_that_holds_a_bracket_is_looked_for_after_the_others() -> None:
    issue = "The sum of all the prices comes out wrong here.\n<ISSUE_MASKED> and then more text that follows"
    said = "The sum of all the prices comes out wrong here. and then more text that follows"
    messages = [{"role": role, "content": content} for role, content in [("user", "Mend."), ("assistant", said)]]
    assert parts_of(messages, issue, [])[1] == [(ISSUE, False)]


def test_only_what_follows_a_submission_at_the_end_is_one() -> None:
    messages = [
        {"role": "user", "content": "Mend it."},
        {"role": "assistant", "content": "```bash\nsed -i s/a/b/ x/y.py\n```"},
        {"role": "user", "content": "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"},
        {"role": "assistant", "content": "submit"},
        {"role": "user", "content": "done"},
    ]
    shown = ["".join(text for text, _ in parts) for parts in parts_of(messages, "", ["x/y.py"])]
    assert shown == [ISSUE, f"```bash\n{EDIT}\n```", f"{DIFF}\n", "submit", SUBMISSION]
    assert parts_of([*messages, *messages[1:3]], "", [])[4] == [("done", True)]
