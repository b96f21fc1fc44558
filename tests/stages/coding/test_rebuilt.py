"""Diffs from edit commands: each format gives git's own diff, and what cannot be repeated gives none."""

from __future__ import annotations

from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from coding_rows import BUGS, CLEAN, buggy, fix_patch, needs_real_runs, printed, real_rows, said, trajectory

from contextrl_data.pipeline.stage import Drop, Keep
from contextrl_data.stages.coding.locate import Locate, LocateConfig
from contextrl_data.stages.coding.patches import parse_patch
from contextrl_data.stages.coding.rebuilt import rebuilt_patch

GOOD, BAD = BUGS["quantity"]
TOOL = f"""<function=str_replace_editor>
<parameter=command>str_replace</parameter>
<parameter=path>/testbed/shop/cart.py</parameter>
<parameter=old_str>
{BAD}
</parameter>
<parameter=new_str>
{GOOD}
</parameter>
</function>"""
PYTHON = f"""python3 - <<'EOF'
from pathlib import Path
path = Path("shop/cart.py")
old = {BAD!r}
text = path.read_text().replace(old, {GOOD!r})
path.write_text(text)
EOF"""
OPENED = f"""python - <<'EOF'
with open('/testbed/shop/cart.py') as f:
    s = f.read()
s = s.replace('''{BAD}
''', '''{GOOD}
''')
with open('/testbed/shop/cart.py', 'w') as f:
    f.write(s)
EOF"""
FORMS = {
    "str_replace tool": {"role": "assistant", "content": f"I change it.\n\n{TOOL}"},
    "python replace": said("I change it.", PYTHON),
    "python open": said("I change it.", OPENED),
    "cat heredoc": said("I change it.", f"cat > shop/cart.py <<'EOF'\n{CLEAN}EOF"),
    "sed": said("I change it.", "sed -i 's/price + quantity/price * quantity/' shop/cart.py"),
    "sed with a line": said(
        "I change it.", "cd /testbed && sed -i '12s/price + quantity/price * quantity/' shop/cart.py"
    ),
}


def edited(*messages: dict[str, str]) -> list[dict[str, str]]:
    """The run up to its edit, then these messages."""
    return [*trajectory("quantity")["messages"][:8], *messages]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_diff_that_git_would_give(form: str, tmp_path: Path) -> None:
    patch = rebuilt_patch(edited(FORMS[form], printed("")))
    assert patch is not None
    (file,), (own,) = parse_patch(patch), parse_patch(fix_patch("quantity"))
    assert file.changes == own.changes
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/cart.py").write_text(buggy("quantity"))
    run(["git", "apply", "-"], cwd=tmp_path, input=patch, text=True, check=True)
    assert (tmp_path / "shop/cart.py").read_text() == CLEAN


@pytest.mark.parametrize(
    "messages",
    [
        [said("", "sed -i 's/price . quantity/x/' shop/cart.py")],
        [said("", "sed -i '12d' shop/cart.py")],
        [
            said(
                "",
                "python3 - <<'EOF'\nimport re\np='shop/cart.py'\nopen(p,'w').write(re.sub('a','b',open(p).read()))\nEOF",
            )
        ],
        [said("", "cat > shop/other.py <<'EOF'\nx = 1\nEOF")],
        [said("", "sed -i 's/never shown anywhere/x/' shop/cart.py")],
        [FORMS["sed"], printed(""), said("", "sed -i 's/price \\* quantity/price + quantity/' shop/cart.py")],
        [FORMS["sed"], printed("sed: no such file", 2)],
        [FORMS["sed"], printed(""), said("", "git checkout shop")],
        [{"role": "assistant", "content": "I could run `sed -i s/a/b/ shop/cart.py` now."}],
    ],
)
def test_edits_that_cannot_be_repeated_or_were_taken_back_give_none(messages: list[dict[str, str]]) -> None:
    assert rebuilt_patch(edited(*messages)) is None


@pytest.mark.parametrize("patch", [None, ""])
@pytest.mark.parametrize("form", FORMS)
def test_a_run_without_a_patch_is_located_by_its_commands(form: str, patch: str | None) -> None:
    row: dict[str, Any] = trajectory("quantity", patch=patch, messages=edited(FORMS[form], printed("")))
    outcome = Locate(LocateConfig()).process(row)
    assert isinstance(outcome, Keep)
    (edit,) = outcome.rows[0]["edits"]
    assert (edit["file"], edit["symbol"], edit["how"]) == ("shop/cart.py", "Cart.total", "command")
    assert (edit["removed"], edit["added"]) == ([BAD], [GOOD])
    unknown = {**row, "messages": edited(said("", "sed -i '12d' shop/cart.py"))}
    reason = "no patch, nor one from its edit commands" if patch is None else "patch is empty"
    assert Locate(LocateConfig()).process(unknown) == Drop(reason)


@needs_real_runs
def test_real_runs_give_what_they_submitted_or_none() -> None:
    """By the files that both name: a submission also holds scratch files that no one would call its answer."""
    found = same = 0
    for row in real_rows():
        patch = rebuilt_patch(row["messages"])
        if patch is None:
            continue
        found += 1
        own = {file.path: [(c.removed, c.added) for c in file.changes] for file in parse_patch(row["patch"])}
        got = {file.path: [(c.removed, c.added) for c in file.changes] for file in parse_patch(patch)}
        same += all(own.get(path) == changes for path, changes in got.items())
    assert found >= 10
    assert same >= 0.9 * found
