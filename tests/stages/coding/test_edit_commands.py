"""Every way in which an agent writes a file is seen; looking and experimenting is not taken for it."""

from __future__ import annotations

import re
from itertools import pairwise

import plain_masking as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.coding import edit_commands, shell
from contextrl_data.stages.coding.edit_commands import find_edits, first_edit, shell_texts
from contextrl_data.stages.coding.placeholders import EDIT, mask_edits
from contextrl_data.stages.coding.shell import commands

FILES = ["shop/cart.py"]
SECRET = "total_of_secret_answer"

SHELL_EDITS = {
    "cat heredoc": f"cat <<'EOF' > shop/cart.py\n{SECRET} = 1\nEOF",
    "cat heredoc, other order": f"cat > shop/cart.py << EOF\n{SECRET} = 1\nEOF",
    "append": f"cat >> /testbed/shop/cart.py <<-'END'\n\t{SECRET} = 1\n\tEND",
    "tee": f"tee shop/cart.py <<'EOF'\n{SECRET} = 1\nEOF",
    "piped tee": f"echo '{SECRET}' | tee -a shop/cart.py",
    "echo": f"echo '{SECRET} = 1' > shop/cart.py",
    "printf": f'printf "%s\\n" "{SECRET}" >> ./shop/cart.py',
    "sed -i": f"sed -i 's/a > b/{SECRET}/' shop/cart.py",
    "sed -i after a cd": f"cd /testbed && sed -i '3i\\    {SECRET}' shop/cart.py && git status",
    "sed -i over lines": f"sed -i \\\n  -e 's/x/{SECRET}/' \\\n  shop/cart.py",
    "sed -i after a continuation": f"cd x && \\\nsed -i 's/a/{SECRET}/' shop/cart.py",
    "sed -E -i.bak": f"sed -E -i.bak 's/x/{SECRET}/' shop/cart.py",
    "sed --in-place": f"sed --in-place=.bak 's/x/{SECRET}/' shop/cart.py",
    "perl": f"perl -0pi -e 's/x/{SECRET}/' shop/cart.py",
    "python heredoc": f"python3 - <<'PY'\np = 'shop/cart.py'\ns = open(p).read()\nopen(p, 'w').write(s.replace('x', '{SECRET}'))\nPY",
    "python from cat": f"cat <<'PY' | python -\nfrom pathlib import Path\nPath('shop/cart.py').write_text('{SECRET}')\nPY",
    "python -c": f"python -c \"import pathlib; pathlib.Path('shop/cart.py').write_text('{SECRET}')\"",
    "ed": f"ed -s shop/cart.py <<'EOF'\n3c\n{SECRET}\n.\nw\nEOF",
    "patch": f"patch -p1 <<'EOF'\n--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -1 +1 @@\n-x\n+{SECRET}\nEOF",
    "git apply": f"git apply - <<'EOF'\n--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -1 +1 @@\n-x\n+{SECRET}\nEOF",
    "script that edits": f"cat <<'EOF' > fix.py\nwith open('shop/cart.py', 'w') as f:\n    f.write('{SECRET}')\nEOF\npython fix.py",
    "diff in a file": f"cat > fix.diff <<'EOF'\n--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -1 +1 @@\n-x\n+{SECRET}\nEOF",
    "loop": f"for f in shop/cart.py; do sed -i 's/x/{SECRET}/' $f; done",
    "heredoc with a fence inside": f"cat <<'EOF' > shop/cart.py\n'''\n```\nexample\n```\n'''\n{SECRET} = 1\nEOF",
    "awk": f"awk -i inplace '{{gsub(/x/, \"{SECRET}\")}} 1' shop/cart.py",
}

TOOL_EDITS = {
    "str_replace_editor": f"<function=str_replace_editor>\n<parameter=command>str_replace</parameter>\n<parameter=path>/testbed/shop/cart.py</parameter>\n<parameter=old_str>x</parameter>\n<parameter=new_str>{SECRET}</parameter>\n</function>",
    "create": f"<function=create_file>\n<parameter=path>shop/cart.py</parameter>\n<parameter=file_text>{SECRET}</parameter>\n</function>",
    "edit_file": f"<function=edit_file>\n<parameter=file_path>shop/cart.py</parameter>\n<parameter=content>{SECRET}</parameter>\n</function>",
    "tool without an end": f"<function=edit_file>\n<parameter=file_path>shop/cart.py</parameter>\n<parameter=content>{SECRET}",
    "shell in a tool": f"<function=bash>\n<parameter=command>sed -i 's/x/{SECRET}/' shop/cart.py</parameter>\n</function>",
    "apply_patch": f"*** Begin Patch\n*** Update File: shop/cart.py\n-x\n+{SECRET}\n*** End Patch",
    "search and replace": f"<<<<<<< SEARCH\nx\n=======\n{SECRET}\n>>>>>>> REPLACE",
    "SWE-agent edit": f"```\nedit 5:5\n{SECRET}\nend_of_edit\n```",
    "quoted in passing": f"I ran `sed -i 's/x/{SECRET}/' shop/cart.py` before.",
}

NO_EDITS = [
    "```bash\ncat shop/cart.py\n```",
    "```bash\nsed -n '1,20p' shop/cart.py | grep total > /dev/null\n```",
    "```bash\nnl -ba shop/cart.py 2>&1 | head\n```",
    "```bash\ncat <<'EOF' > repro.py\nfrom shop.cart import Cart\nprint(Cart([]).total() > 3)\nEOF\npython repro.py\n```",
    "```bash\npython - <<'PY'\nimport shop.cart\nprint(open('shop/cart.py').read())\nPY\n```",
    "```bash\nsed -i 's/1/2/' repro.py\n```",
    "```bash\ngit diff > /tmp/out.txt; python -m pytest -q\n```",
    "<function=str_replace_editor>\n<parameter=command>view</parameter>\n<parameter=path>shop/cart.py</parameter>\n</function>",
    "I don't think it's wise to edit shop/cart.py yet.",
]


@pytest.mark.parametrize("name", SHELL_EDITS)
def test_a_shell_edit_is_masked_whole(name: str) -> None:
    masked = mask_edits(f"THOUGHT: it's time.\n\n```bash\n{SHELL_EDITS[name]}\n```\nthat's all", FILES)
    assert SECRET not in masked
    assert EDIT in masked
    assert masked.startswith("THOUGHT: it's time.")
    assert masked.endswith("\n```\nthat's all")


@pytest.mark.parametrize("name", TOOL_EDITS)
def test_a_tool_edit_is_masked_whole(name: str) -> None:
    masked = mask_edits(f"Now I edit.\n{TOOL_EDITS[name]}", FILES)
    assert SECRET not in masked
    assert EDIT in masked
    assert masked.startswith("Now I edit." if name != "quoted in passing" else "Now I edit.\nI ran")


@pytest.mark.parametrize("content", NO_EDITS)
def test_looking_and_experimenting_is_no_edit(content: str) -> None:
    assert not find_edits(content, FILES)
    assert mask_edits(content, FILES) == content


def test_commands_beside_an_edit_stay() -> None:
    masked = mask_edits("```bash\ncd /testbed && sed -i 's/a/b/' shop/cart.py && python -m pytest -q\n```", FILES)
    assert masked.startswith("```bash\ncd /testbed &&")
    assert masked.endswith("&& python -m pytest -q\n```")


def test_the_first_edit_is_the_first_of_a_source_file() -> None:
    messages = [
        {"role": "assistant", "content": NO_EDITS[3]},
        {"role": "user", "content": f"```bash\n{SHELL_EDITS['sed -i']}\n```"},
        {"role": "assistant", "content": f"```bash\n{SHELL_EDITS['sed -i']}\n```"},
    ]
    assert first_edit(messages, FILES) == 2
    assert first_edit(messages[:2], FILES) is None


_PIECES = ["cat <<EOF > shop/cart.py", "EOF", "sed -i 's/a/b/' shop/cart.py", "'", '"', "\\", "&&", ";", "\n", "```", "```bash",
           "python - <<'PY'", "PY", "<function=bash>", "<parameter=command>", "</parameter>", "</function>", "*** Begin Patch",
           "<<<", "<< ", "#", "`", "echo x > shop/cart.py", "é\x00", "edit 1:2\n", "\r\n"]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=30).map(" ".join))
@settings(max_examples=500, deadline=None)
def test_any_mixture_is_read_without_a_crash_and_spans_do_not_overlap(content: str) -> None:
    edits = find_edits(content, FILES)
    assert all(one.end <= other.start for one, other in pairwise(edits))
    assert all(0 <= edit.start < edit.end <= len(content) for edit in edits)
    mask_edits(content, FILES)
    for command in commands(content):
        assert content[command.start : command.end] == command.text


@given(st.lists(st.sampled_from([*_PIECES, "\n```\n", "``", "\t"]), max_size=20).map("".join))
@settings(max_examples=300, deadline=None)
def test_fenced_blocks_are_those_of_the_plain_pattern(content: str) -> None:
    fences = [(found.group(1), found.start(2), found.end(2)) for found in plain.FENCE.finditer(content)]
    assert list(edit_commands._fences(content)) == fences


@given(
    st.lists(
        st.sampled_from([*_PIECES, *(text.split("\n")[0] for text in SHELL_EDITS.values()), *NO_EDITS]), max_size=8
    ).map(" ".join)
)
@settings(max_examples=200, deadline=None)
def test_what_is_skipped_holds_no_edit(content: str) -> None:
    """Texts that cannot write anything are not read, and shell is read in leaps: nothing is lost by either."""
    quick = edit_commands._found_edits.__wrapped__(content, tuple(FILES))
    read = [commands.__wrapped__(text) for _, text in shell_texts(content)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(edit_commands, "_MAY_WRITE", re.compile(""))
        patched.setattr(shell, "_NEXT", re.compile(".", re.DOTALL))
        patched.setattr(edit_commands, "commands", commands.__wrapped__)
        assert edit_commands._found_edits.__wrapped__(content, tuple(FILES)) == quick
        assert [commands.__wrapped__(text) for _, text in shell_texts(content)] == read
