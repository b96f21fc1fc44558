"""A real package, built, run, broken, validated and described in real containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Context, Drop, Keep, Row
from contextrl_data.stages.coding.catalogue import DEFAULT_PACKAGES
from contextrl_data.stages.coding.describe import Describe, DescribeConfig, changed_lines, tells
from contextrl_data.stages.coding.mutate import Mutate, MutateConfig, blob_id, unified
from contextrl_data.stages.coding.packages import Packages, PackagesConfig
from contextrl_data.stages.coding.sandbox import SandboxConfig, reap
from contextrl_data.stages.coding.suite import read_log
from contextrl_data.stages.coding.validate import Validate, ValidateConfig
from contextrl_data.stages.coding.workspace import open_task

pytestmark = pytest.mark.docker

RUN = "test-tasks"
TOOLZ = next(spec for spec in DEFAULT_PACKAGES if spec.name == "toolz")
FILE = "toolz/dicttoolz.py"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Row:
    stage = Packages(PackagesConfig(packages=(TOOLZ,)))
    stage.open(Context(folder=tmp_path_factory.mktemp("packages"), run_id=RUN))
    try:
        ((key, outcome),) = list(stage.items())
    finally:
        stage.close()
    assert key == f"toolz-{TOOLZ.version}"
    assert isinstance(outcome, Keep)
    return outcome.rows[0]


@pytest.fixture
def validate(package: Row, tmp_path: Path) -> Iterator[Validate]:
    stage = Validate(ValidateConfig())
    stage.open(Context(folder=tmp_path, run_id=RUN, sides={"packages": [package]}))  # type: ignore[dict-item]
    yield stage
    assert reap(stage.client, RUN) == 0, "a container was left behind"
    stage.close()


def bug(package: Row, old: str, new: str) -> Row:
    (text,) = [source["text"] for source in package["sources"] if source["path"] == FILE]
    assert text.count(old) == 1
    return {
        "id": "pytoolz__toolz.1.2.0.by_hand__00000000",
        "package": package["id"],
        "file": FILE,
        "symbol": "f",
        "strategy": "by_hand",
        "line": 1,
        "setup_patch": unified(FILE, text, text.replace(old, new)),
        "patch": unified(FILE, text.replace(old, new), text),
        "clean_blob": blob_id(text),
        "test_files": ["toolz/tests/test_dicttoolz.py"],
    }


GET_IN = "        return reduce(operator.getitem, keys, coll)\n"


def test_a_package_row_says_what_holds(package: Row) -> None:
    assert len(package["tests"]) > 150
    assert package["flaky"] == 0
    assert len(package["commit"]) == 40
    assert not any("/tests/" in source["path"] for source in package["sources"])
    names = set(package["tests"])
    lines = {(entry["file"], entry["line"]): entry["tests"] for entry in package["coverage"]}
    (text,) = [source["text"] for source in package["sources"] if source["path"] == FILE]
    number = text[: text.index(GET_IN)].count("\n") + 1
    runners = {package["tests"][place] for place in lines[FILE, number]}
    assert "toolz/tests/test_dicttoolz.py::TestDict::test_get_in" not in names or runners
    assert any("get_in" in test for test in runners)
    assert (FILE, 1) not in lines, "a line that runs on import belongs to no test"


def test_a_bug_that_few_tests_catch_becomes_a_gradable_task(validate: Validate, package: Row) -> None:
    row = bug(package, GET_IN, GET_IN.replace("keys, coll", "keys[:1], coll"))
    outcome = validate.process(row)
    assert isinstance(outcome, Keep)
    (task,) = outcome.rows
    assert 1 <= len(task["fail_to_pass"]) <= 10
    assert set(task["fail_to_pass"]) | set(task["pass_to_pass"]) <= set(package["tests"])
    assert task["commit"] == package["commit"]
    assert validate.process(row) == outcome, "the same bug gives the same row"
    for patch, fixed in (("", False), (task["patch"], True)):
        with open_task(validate.client, task, SandboxConfig(), RUN) as sandbox:
            sandbox.put("/tmp/fix.diff", patch.encode())
            applied = sandbox.exec("git apply --allow-empty /tmp/fix.diff && git -c user.name=t commit -qam agent")
            assert applied.state == "ok"
            sandbox.exec("rm toolz/tests/test_dicttoolz.py; echo 'assert 0' > toolz/tests/test_itertoolz.py")
            status = read_log(sandbox.exec(task["eval_script"], timeout=60))
        assert all((status.get(test) == "PASSED") is fixed for test in task["fail_to_pass"])
        assert all(status.get(test) == "PASSED" for test in task["pass_to_pass"])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (GET_IN, "        return reduce(  operator.getitem, keys, coll)\n", "too few tests fail"),
        ("__all__ = ", "import toolz.nothing\n__all__ = ", "tests vanish"),
        ("def merge(*dicts, **kwargs):", "def merge(*dicts, **kwargs):\n    return None", "too many tests fail"),
        (GET_IN, "        while True:\n            pass\n", "tests do not end in time"),
    ],
)
def test_other_bugs_end_with_a_reason(validate: Validate, package: Row, old: str, new: str, reason: str) -> None:
    validate.packages[package["id"]] = {**package, "timeout": 6.0}
    limits = validate.config.model_copy(update={"max_failures": 3})
    validate.config = limits
    assert validate.process(bug(package, old, new)) == Drop(reason)


def test_a_gold_patch_that_leaves_something_is_refused(validate: Validate, package: Row) -> None:
    row = bug(package, GET_IN, GET_IN.replace("keys, coll", "keys[:1], coll"))
    row["clean_blob"] = "0" * 40
    assert validate.process(row) == Drop("gold patch does not give back the clean file")
    row["setup_patch"] = row["patch"]
    assert validate.process(row) == Drop("setup patch does not apply")


def test_reports_are_readable_and_never_show_the_change(validate: Validate, package: Row) -> None:
    outcome = Mutate(MutateConfig(functions=2, per_function=2)).process(package)
    assert isinstance(outcome, Keep)
    validated = [kept.rows[0] for kept in map(validate.process, outcome.rows) if isinstance(kept, Keep)]
    assert len(validated) >= 2
    described = 0
    for row in validated:
        report = Describe(DescribeConfig()).process(row)
        if isinstance(report, Drop):
            continue
        described += 1
        text = report.rows[0]["problem_statement"]  # type: ignore[union-attr]
        assert not tells(text, row)
        assert not any(line in "".join(text.split()) for line in changed_lines(row["setup_patch"]))
        assert row["file"] not in text
        assert "```python\n" in text
        assert json.loads(row["failures"])
        title = text.splitlines()[0]
        assert 5 < len(title) < 160
    assert described >= 1


def test_a_package_without_tests_ends_with_a_reason_and_a_wrong_path_is_named(tmp_path: Path) -> None:
    nothing = TOOLZ.model_copy(update={"tests": ("toolz/dicttoolz.py",)})
    wrong = TOOLZ.model_copy(update={"tests": ("toolz/nowhere",)})
    stage = Packages(PackagesConfig(packages=(nothing, wrong)))
    stage.open(Context(folder=tmp_path, run_id=RUN))
    try:
        items = stage.items()
        assert next(items) == (TOOLZ.id, Drop("no tests pass"))
        with pytest.raises(InputError, match="has no toolz/nowhere"):
            next(items)
        assert reap(stage.client, RUN) == 0
    finally:
        stage.close()
