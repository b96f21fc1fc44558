"""swebench's grading of a test log that its tests cannot forge.

swebench takes the log's first markers and first exit code, whoever printed them. Here the shell prints markers that
the tests do not know, and the log is made anew from what stands between them.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import InputError, MissingExtra
from contextrl_data.pipeline.stage import Row

_START, _END, _RC = ">>>>> Start Test Output", ">>>>> End Test Output", ">>>>> Test Exit Code"
_SUMMARY = re.compile(r"^=+ short test summary info =+$", re.MULTILINE)
_TOTALS = re.compile(
    r"^(?:=+ )?\d+ (?:passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?)\b.* in \d",
    re.MULTILINE,
)
_SESSION = re.compile(
    r"^=+ .+ =+$|^(?:\d+ (?:passed|failed|error|skipped|deselected|xfailed|xpassed|warning)\S*,? ?)+.* in |"
    r"no tests ran|^ERROR: |^ImportError while loading conftest",
    re.MULTILINE,
)
_PYTEST = "parse_log_pytest"
_KILLED = {137, 143}  # the exit codes of a test run that something else ended: memory, mostly
_NOT_RUN = {126, 127}
_RAN = {0, 1}
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Grade:
    """What a log says. `fault` is set where it is no verdict on the patch."""

    resolved: bool
    tests: dict[str, str]
    failed_fail_to_pass: list[str]
    failed_pass_to_pass: list[str]
    fault: str = ""


class Grader:
    """Makes the script of one task and grades what it printed. `nonce` must not be known to the tests."""

    def __init__(self, task: Row, nonce: str) -> None:
        try:
            from swebench.harness.log_parsers import PARSER_REGISTRY
            from swebench.harness.utils import make_test_spec
        except ImportError as error:
            raise MissingExtra("coding", "grading with swebench") from error
        if task["log_parser"] not in PARSER_REGISTRY:
            raise InputError(
                f"task {task['id']} names log parser {task['log_parser']!r}, which swebench does not have",
                f"use one of its own, for example {_PYTEST}",
            )
        self._task = task
        self._nonce = nonce
        self._parser = PARSER_REGISTRY[task["log_parser"]]
        self._spec: Any = make_test_spec(
            {
                "instance_id": task["id"],
                "image": task["image"],
                "repo": task["repo"],
                "version": "",
                "FAIL_TO_PASS": list(task["fail_to_pass"]),
                "PASS_TO_PASS": list(task["pass_to_pass"]),
                "log_parser": task["log_parser"],
                "eval_type": "pass_and_fail",
                "eval_script": task["eval_script"],
            }
        )
        for marker in (_START, _END):
            if marker not in task["eval_script"]:
                raise InputError(
                    f"eval_script of task {task['id']} never prints {marker!r}",
                    "put swebench's markers around its tests",
                )

    def script(self) -> str:
        """The task's script as swebench would run it, with markers of our own."""
        lines = []
        for line in str(self._spec.eval_script).split("\n"):
            if _RC in line:
                line = f'echo "{self._nonce} rc $SWEBENCH_TEST_EXIT_CODE"'
            elif _START in line:
                line = f"{{ set +x; }} 2>/dev/null; echo; echo '{self._nonce} start'"
            elif _END in line:
                line = f"echo; echo '{self._nonce} end'"
            lines.append(line)
        return "\n".join(lines)

    def grade(self, output: str) -> Grade:
        """Grade the output of `script`."""
        cut = re.search(
            rf"^{self._nonce} start$\n(.*)^{self._nonce} end$\n{self._nonce} rc (\d+)$",
            output,
            re.DOTALL | re.MULTILINE,
        )
        if cut is None:
            return Grade(False, {}, [], [], fault="the tests were never run to their end")
        printed, code = cut.group(1), int(cut.group(2))
        if code in _KILLED:
            return Grade(False, {}, [], [], fault=f"the tests were killed (exit code {code})")
        if code in _NOT_RUN:
            return Grade(False, {}, [], [], fault=f"the test command could not be run (exit code {code})")
        pytest_log = self._task["log_parser"].startswith(_PYTEST)
        if pytest_log and not _SESSION.search(printed):
            return Grade(False, {}, [], [], fault=f"pytest did not start (exit code {code})")
        grade = self._report(self._log(printed, code, pytest_log))
        # pytest ends with 0 or 1 wherever it ran all that it was asked to run.
        return replace(grade, resolved=grade.resolved and (not pytest_log or code in _RAN))

    def _log(self, printed: str, code: int, pytest_log: bool) -> str:
        """The log for swebench: none of its markers inside, and of pytest's only what stands in its summary."""
        if pytest_log:
            printed = _last_summary(printed)
        printed = printed.replace(">>>>>", "> > >")
        return f"{_START}\n{printed}\n{_END}\n{_RC}: {code}\n"

    def _report(self, log: str) -> Grade:
        from swebench.harness.grading import get_eval_report

        identity = self._task["id"]
        prediction = {"instance_id": identity, "model_name_or_path": "contextrl-data", "model_patch": "given"}
        with tempfile.TemporaryDirectory(prefix="contextrl-grade-") as folder:
            path = Path(folder) / "test_output.txt"
            path.write_text(log, encoding="utf-8")
            report = get_eval_report(
                test_spec=self._spec,
                prediction=prediction,
                test_log_path=str(path),
                include_tests_status=True,
            )[identity]
        if report.get("infra_failure"):
            return Grade(False, {}, [], [], fault=str(report.get("infra_failure_reason", "environment")))
        tests: dict[str, str] = self._parser(log.partition(_END)[0], self._spec)
        status = report.get("tests_status")
        if status is None:  # nothing that could be believed was printed: none of the tests passed
            return Grade(False, tests, list(self._task["fail_to_pass"]), list(self._task["pass_to_pass"]))
        return Grade(
            bool(report["resolved"]),
            tests,
            list(status["FAIL_TO_PASS"]["failure"]),
            list(status["PASS_TO_PASS"]["failure"]),
        )


def _last_summary(printed: str) -> str:
    """pytest's summary without what its tests printed.

    What a test prints is shown above the summary, and what runs when Python ends can print another one below it: the
    last one counts, and a failure that stands in any of them stays one.
    """
    parts = _SUMMARY.split(printed)
    sections = []
    for part in parts[1:] or parts:
        end = _TOTALS.search(part)
        sections.append(part[: end.start()] if end else part)
    failures = {found[1]: found[0] for section in sections[:-1] for found in _FAILED.finditer(section)}
    kept = [line for line in sections[-1].splitlines() if line.removeprefix("PASSED ").split(" ")[0] not in failures]
    return "\n".join([*kept, *failures.values()])
