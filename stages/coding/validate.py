"""Run each candidate bug: keep those that a few tests catch, every time, and that the gold patch takes back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.coding.backend import RunningSandbox, Sandboxed, connect_host
from contextrl_data.stages.coding.sandbox import SandboxConfig, UnusableTask
from contextrl_data.stages.coding.suite import LOG_PARSER, eval_script, pytest_command, run_probe, run_suite
from contextrl_data.stages.coding.task_rows import VALIDATED
from contextrl_data.stages.coding.workspace import open_task

CLEAN = "gold patch does not give back the clean file"
APPLY = """\
git apply --whitespace=nowarn - <<'PATCH_END' && test "$(git hash-object {file})" = {blob}
{patch}PATCH_END"""


class ValidateConfig(StageConfig):
    """Settings of `validate`."""

    min_failures: int = Field(default=1, ge=1)
    """A bug that fewer tests catch is no task."""
    max_failures: int = Field(default=10, ge=1)
    """A bug that more tests catch is too easy to find."""
    sandbox: SandboxConfig = SandboxConfig()
    """Limits of the containers."""


class Validate(Sandboxed, Map[ValidateConfig]):
    """Candidate bug -> task without its report. Side input: `packages`."""

    name = "validate"
    version = 2
    schema = VALIDATED
    work: ClassVar[Literal["thread", "process"]] = "thread"
    dear: ClassVar[bool] = True

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """A container for each candidate."""
        return Outlook(rows, containers=rows)

    def open(self, context: Context) -> None:
        """Connect to what sandboxes run on and read the packages."""
        super().open(context)
        self.packages = {row["id"]: row for row in context.sides["packages"]}
        self.client = connect_host(self.backend)

    def close(self) -> None:
        """Close the connection."""
        if hasattr(self, "client"):
            self.client.close()

    def process(self, row: Row) -> Outcome:
        """Judge one candidate."""
        package = self.packages[row["package"]]
        task = _task(row, package)
        try:
            with open_task(self.client, task, self.config.sandbox, self.context.run_id) as sandbox:
                return self._judge(sandbox, row, package, task)
        except UnusableTask as error:
            return Drop(error.reason)

    def _judge(self, sandbox: RunningSandbox, row: Row, package: Row, task: Row) -> Outcome:
        reference = set(package["tests"])
        args = [*package["pytest_args"], *package["test_paths"]]
        # One failure more than allowed says enough, and a bug that hangs mostly fails many.
        stop = f"--maxfail={self.config.max_failures + 1}"
        outcomes = run_suite(sandbox, pytest_command(args, stop), package["timeout"])
        if outcomes.state == "timeout":
            return Drop("tests do not end in time")
        if outcomes.state != "ok":
            return Drop("tests print or write too much")
        failed = sorted(outcomes.failed & reference)
        if len(failed) > self.config.max_failures:
            return Drop("too many tests fail")
        if not reference <= outcomes.status.keys():
            return Drop("tests vanish")
        if len(failed) < self.config.min_failures:
            return Drop("too few tests fail")
        if reference - outcomes.passed - set(failed):
            return Drop("tests are skipped")
        failures, state = run_probe(sandbox, "failures", failed, package["timeout"])
        if state != "ok":
            return Drop("failing tests do not end in time")
        again = sorted({entry["test"] for entry in failures or []})
        if again != failed:
            return Drop("flaky")
        files = sorted({test.split("::")[0] for test in failed} | set(row["test_files"]))
        task["fail_to_pass"] = failed
        task["pass_to_pass"] = sorted(test for test in reference.difference(failed) if test.split("::")[0] in files)
        task["eval_script"] = eval_script(package["workdir"], package["pytest_args"], files)
        task["failures"] = json.dumps(failures, sort_keys=True, ensure_ascii=False)
        apply = APPLY.format(file=shlex.quote(row["file"]), blob=row["clean_blob"], patch=row["patch"])
        return Keep([task]) if sandbox.exec(apply).exit_code == 0 else Drop(CLEAN)


def _task(row: Row, package: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "repo": package["repo"],
        "commit": package["commit"],
        "image": package["image"],
        "workdir": package["workdir"],
        "setup_patch": row["setup_patch"],
        "problem_statement": "",
        "patch": row["patch"],
        "test_patch": "",
        "fail_to_pass": [],
        "pass_to_pass": [],
        "eval_script": "",
        "log_parser": LOG_PARSER,
        "file": row["file"],
        "symbol": row["symbol"],
        "strategy": row["strategy"],
        "source": package["id"],
        "licence": package["licence"],
        "failures": "",
    }
