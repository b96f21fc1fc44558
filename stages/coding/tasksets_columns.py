"""The columns of SWE-style task sets, and one of their rows turned into a task."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson

from contextrl_data.pipeline.stage import Drop, Keep, Outcome, Row
from contextrl_data.stages.coding.patches import is_test_path, parse_patch
from contextrl_data.stages.coding.suite import END, START

if TYPE_CHECKING:
    from contextrl_data.stages.coding.tasksets import TaskSetConfig

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("instance_id", "id"),
    "repo": ("repo", "repo_name", "repository"),
    "commit": ("base_commit", "commit", "base_sha"),
    "image": ("image", "image_name", "docker_image", "image_uri"),
    "problem_statement": ("problem_statement", "issue", "problem"),
    "patch": ("patch", "gold_patch", "fix_patch"),
    "setup_patch": ("setup_patch", "bug_patch"),
    "test_patch": ("test_patch",),
    "fail_to_pass": ("FAIL_TO_PASS", "fail_to_pass", "F2P"),
    "pass_to_pass": ("PASS_TO_PASS", "pass_to_pass", "P2P"),
    "eval_script": ("eval_script",),
    "log_parser": ("log_parser",),
    "install_config": ("install_config",),
    "licence": ("license_name", "license", "licence"),
    "symbol": ("symbol",),
    "strategy": ("strategy",),
}
"""A task's field -> the columns that hold it in the sets known, the likeliest first."""

REQUIRED = ("id", "problem_statement", "patch", "fail_to_pass")

_SMITH_ID = re.compile(r"(?P<owner>.+?)__(?P<name>.+)\.(?P<commit>[0-9a-f]{8})\.(?P<bug>.+)__\w+")
_HUNK = re.compile(r"@@ -(?P<before>\d+(?:,(?P<old>\d+))?) \+(?P<after>\d+(?:,(?P<new>\d+))?) @@")
_ACTIVATE = "test -f /opt/miniconda3/bin/activate && source /opt/miniconda3/bin/activate && conda activate testbed"


def columns_of(raw: Row, override: Mapping[str, str]) -> dict[str, str]:
    """Which column of this set holds which field."""
    found = {}
    for field, names in COLUMNS.items():
        wanted = (override[field],) if field in override else names
        column = next((name for name in wanted if name in raw), None)
        if column is not None:
            found[field] = column
    return found


def task_of(raw: Row, columns: Mapping[str, str], config: TaskSetConfig) -> Outcome:
    """One row as a task, or why it is none."""

    def value(field: str) -> Any:
        return raw.get(columns[field]) if field in columns else None

    identity, patch, test_patch = _text(value("id")), _text(value("patch")), _text(value("test_patch"))
    if not identity:
        return Drop("no id")
    files = parse_patch(patch)
    if not files:
        return Drop("gold patch does not parse")
    failing, passing = tests_of(value("fail_to_pass")), tests_of(value("pass_to_pass"))
    if failing is None or passing is None:
        return Drop("tests are no list")
    if not failing:
        return Drop("no failing tests")
    smith = _SMITH_ID.fullmatch(identity)
    setup = _text(value("setup_patch"))
    # SWE-smith's `patch` makes the bug, and its rows have no commit of their own to tell a fix from.
    if smith and not setup and not _text(value("commit")):
        setup, patch = patch, reverse(patch)
        files = parse_patch(patch)
    image = _text(value("image")) or _image(config.image, identity)
    if not image:
        return Drop("no image")
    recipe = _mapping(value("install_config"))
    script = _text(value("eval_script")) or _script(config, recipe, failing, passing, test_patch)
    if not script:
        return Drop("no test files to run")
    return Keep(
        [
            {
                "id": identity,
                "repo": _repo(_text(value("repo")), identity, smith),
                "commit": _text(value("commit")) or (smith["commit"] if smith else ""),
                "image": image,
                "workdir": config.workdir,
                "setup_patch": setup,
                "problem_statement": _text(value("problem_statement")),
                "patch": patch,
                "test_patch": test_patch,
                "fail_to_pass": failing,
                "pass_to_pass": passing,
                "eval_script": script,
                "log_parser": _text(value("log_parser")) or _text(recipe.get("log_parser")) or config.log_parser,
                "file": next((file.path for file in files if not is_test_path(file.path)), files[0].path),
                "symbol": _text(value("symbol")),
                "strategy": _text(value("strategy")) or (smith["bug"] if smith else ""),
                "source": config.path,
                "licence": _text(value("licence")) or config.licence,
            }
        ]
    )


def tests_of(value: Any) -> list[str] | None:
    """A list of test ids, which some sets keep as the text of a list; None where it is neither."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(value, list) or not all(isinstance(test, str) for test in value):
        return None
    return list(value)


def reverse(patch: str) -> str:
    """The patch that takes this one back: files, ranges and signs exchanged, all else as it stands."""
    out: list[str] = []
    removed: list[str] = []
    added: list[str] = []
    run: list[str] = out
    old = new = 0  # lines of the hunk still to come: only inside a hunk is a leading sign a sign

    def flush() -> None:
        # Removed lines come first in every run, as diffs are written.
        nonlocal run
        out.extend([*removed, *added])
        removed.clear()
        added.clear()
        run = out

    for line in patch.splitlines(keepends=True):
        hunk = _HUNK.match(line)
        if line.startswith("\\"):  # "No newline at end of file" belongs to the line before it
            run.append(line)
        elif old <= 0 and new <= 0:
            flush()
            if hunk:
                old, new = int(hunk["old"] or 1), int(hunk["new"] or 1)
            out.append(_reversed_head(line, hunk))
        elif line.startswith("+"):
            new, run = new - 1, removed
            removed.append("-" + line[1:])
        elif line.startswith("-"):
            old, run = old - 1, added
            added.append("+" + line[1:])
        else:
            flush()
            old, new = old - 1, new - 1
            out.append(line)
    flush()
    return _ordered_heads(out)


def _reversed_head(line: str, hunk: re.Match[str] | None) -> str:
    if hunk:
        return f"@@ -{hunk['after']} +{hunk['before']} @@{line[hunk.end() :]}"
    for one, other in (("--- ", "+++ "), ("new file mode", "deleted file mode")):
        if line.startswith(one):
            return other + _other_side(line[len(one) :])
        if line.startswith(other):
            return one + _other_side(line[len(other) :])
    return line


def _other_side(path: str) -> str:
    return {"a/": "b/", "b/": "a/"}.get(path[:2], path[:2]) + path[2:]


def _ordered_heads(lines: list[str]) -> str:
    for number, (first, second) in enumerate(pairwise(lines)):
        if first.startswith("+++ ") and second.startswith("--- "):
            lines[number], lines[number + 1] = second, first
    return "".join(lines)


def _script(
    config: TaskSetConfig, recipe: Mapping[str, Any], failing: list[str], passing: list[str], test_patch: str
) -> str:
    """Put the tests in place and run their files, for a set that brings no script."""
    files = sorted({file.path for file in parse_patch(test_patch)})
    ran = files or sorted({test.split("::")[0] for test in [*failing, *passing] if "::" in test})
    if not ran:
        return ""
    end = "EOF_TEST_PATCH"
    apply = f"git apply -v - <<'{end}'\n{test_patch.rstrip()}\n{end}\n" if files else ""
    command = _text(recipe.get("test_cmd")) or config.test_command
    return (
        f"#!/bin/bash\nset -uxo pipefail\n{_ACTIVATE}\ncd {shlex.quote(config.workdir)}\n{apply}"
        f": '{START}'\n{command} {' '.join(map(shlex.quote, ran))}\n: '{END}'\n"
    )


def _image(pattern: str, identity: str) -> str:
    docker_id = identity.lower().replace("__", "_1776_")
    return pattern.replace("{instance_id}", identity).replace("{docker_id}", docker_id)


def _repo(repo: str, identity: str, smith: re.Match[str] | None) -> str:
    """`owner/name`; SWE-smith's own column names its mirror instead."""
    if smith:
        return f"{smith['owner']}/{smith['name']}"
    return repo or identity.rsplit("-", 1)[0].replace("__", "/", 1)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return value if isinstance(value, dict) else {}
