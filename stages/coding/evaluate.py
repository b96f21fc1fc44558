"""Evaluate a patch by running its task's tests in a fresh container, graded by swebench."""

from __future__ import annotations

import hashlib
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import Field

from contextrl_data.pipeline.errors import InputError, RowFailure
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.coding.backend import Host, RunningSandbox, Sandboxed, connect_host
from contextrl_data.stages.coding.grading import Grader
from contextrl_data.stages.coding.patches import parse_patch
from contextrl_data.stages.coding.sandbox import Result, SandboxConfig, UnusableTask
from contextrl_data.stages.coding.workspace import open_task
from contextrl_data.stages.rows import TRAJECTORY

Status: TypeAlias = Literal["resolved", "unresolved", "patch_failed", "timeout", "infra_error"]
APPLY_SECONDS = 60
TAIL = 4000
NO_PATCH = 75
SCRUBBED = 76

# swebench's own order, each try from a clean tree. --reject is left out: it leaves half a patch and calls it a failure.
_APPLY = f"""\
for try in 'git apply --verbose' 'git apply --verbose --ignore-whitespace --recount' \
'patch --batch --fuzz=5 -p1 -i'; do
  $try /tmp/patch.diff >/tmp/apply.log 2>&1 && done=1 && break
  git checkout -q -- . && git clean -fdq
done
rm -f /tmp/patch.diff
test -n "${{done-}}" || {{ tail -n 5 /tmp/apply.log; exit {NO_PATCH}; }}
find . -name '*.orig' -newer /tmp/apply.log -delete
"""

# `python -m pytest` looks into the working folder first: a new module there would stand in for one that pytest needs.
_JUDGES = "|".join(
    sorted({*sys.stdlib_module_names, "pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"})
)

_SETTINGS = r"\.?pytest\.(ini|toml)|tox\.ini|setup\.cfg|pyproject\.toml"
"""Where pytest reads its options: `addopts = -p mine` would load a judge."""

# A patch must not bring its own judge: fixtures come from the commit, and nothing new stands in pytest's way.
_RESTORE = """\
git ls-files -z | grep -zE '(^|/)conftest\\.py$|^({settings})$' |
  grep -zvxF {kept} | xargs -0r git checkout -q HEAD -- || exit {code}
git ls-files -z --others |
  grep -zE '(^|/)(conftest|sitecustomize|usercustomize)\\.py$|^({modules})(/__init__)?\\.([^/]*\\.)?(py|pyc|so)$|^({settings})$' |
  grep -zvxF {kept} | xargs -0r rm -f
true
"""


class EvaluateConfig(StageConfig):
    """Settings of `evaluate`."""

    timeout: float = Field(default=900.0, gt=0)
    """Most seconds for the tests of one patch."""
    sandbox: SandboxConfig = SandboxConfig()
    """Limits of the container. Tests that print more than `output_bytes` count as timed out."""


@dataclass(frozen=True)
class Verdict:
    """What became of a patch. Only `resolved` and `unresolved` are labels."""

    status: Status
    tests: dict[str, str] = field(default_factory=dict)
    """Test id -> PASSED, FAILED, ..., as swebench's parser read the log."""
    failed_fail_to_pass: list[str] = field(default_factory=list)
    failed_pass_to_pass: list[str] = field(default_factory=list)
    log_tail: str = ""


def evaluate_patch(host: Host, task: Row, patch: str, config: EvaluateConfig, run_id: str) -> Verdict:
    """Apply `patch` to a fresh copy of the task and run its tests.

    An empty patch is `unresolved` without a run: the tests of `fail_to_pass` are known to fail without one.
    A fault of the surroundings is `infra_error`; those of Docker or the cluster are raised as `RowFailure`.
    """
    if not patch.strip():
        return Verdict("unresolved", {}, list(task["fail_to_pass"]), [], "the patch is empty")
    grader = Grader(task, f"contextrl-{secrets.token_hex(16)}")
    with open_task(host, task, config.sandbox, run_id) as sandbox:
        applied = _apply(sandbox, task, patch)
        if applied.exit_code == NO_PATCH:
            return Verdict("patch_failed", log_tail=applied.output[-TAIL:])
        if applied.exit_code != 0:
            return Verdict("infra_error", log_tail=f"preparing the tests failed: {applied.output[-TAIL:]}")
        result = sandbox.exec(grader.script(), timeout=config.timeout)
    tail = result.output[-TAIL:]
    if result.state != "ok":
        return Verdict("timeout", log_tail=tail)
    grade = grader.grade(result.output)
    if grade.fault:
        return Verdict("infra_error", log_tail=f"{grade.fault}\n{tail}")
    return Verdict(
        "resolved" if grade.resolved else "unresolved",
        grade.tests,
        grade.failed_fail_to_pass,
        grade.failed_pass_to_pass,
        tail,
    )


def _apply(sandbox: RunningSandbox, task: Row, patch: str) -> Result:
    """Apply the patch and put back what must not be judged by itself."""
    text = patch if patch.endswith("\n") else patch + "\n"
    gold = [file.path for file in parse_patch(task["patch"] or "")]
    kept = " ".join(f"-e {shlex.quote(path)}" for path in gold) or "-e ''"
    end = "PATCH_" + hashlib.sha256(text.encode()).hexdigest()
    restore = _RESTORE.format(kept=kept, code=SCRUBBED, modules=_JUDGES, settings=_SETTINGS)
    script = f"cat >/tmp/patch.diff <<'{end}'\n{text}{end}\n{_APPLY}{restore}"
    return sandbox.exec(script, timeout=APPLY_SECONDS)


class Evaluate(Sandboxed, Map[EvaluateConfig]):
    """Trajectory -> trajectory with its status. Side input `tasks`: the task rows."""

    name = "evaluate"
    version = 2
    work = "thread"
    dear = True
    schema = TRAJECTORY

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """A container for each patch."""
        return Outlook(rows, containers=rows)

    def open(self, context: Context) -> None:
        """Read the tasks and connect to what sandboxes run on."""
        super().open(context)
        self._tasks = {row["id"]: row for row in context.sides["tasks"]}
        self._host = connect_host(self.backend)

    def process(self, row: Row) -> Outcome:
        """Evaluate the trajectory's patch."""
        task = self._tasks.get(row["instance_id"])
        if task is None:
            return Drop("task not in the task set")
        if row["patch"] is None:
            return Drop("patch unknown")
        try:
            verdict = evaluate_patch(self._host, task, row["patch"], self.config, self.context.run_id)
        except UnusableTask as unusable:
            return Drop(unusable.reason)
        except InputError as error:
            raise RowFailure("task", str(error)) from error
        if verdict.status == "infra_error":
            raise RowFailure("tests", verdict.log_tail[:300])
        label = {"resolved": True, "unresolved": False}.get(verdict.status)
        return Keep([{**row, "status": verdict.status, "resolved": label}])

    def close(self) -> None:
        """Close the connection."""
        host = getattr(self, "_host", None)
        if host is not None:
            host.close()
