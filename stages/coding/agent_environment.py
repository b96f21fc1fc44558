"""mini-swe-agent's environment over our sandbox: what an agent's command prints, and when its run is over."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from typing import Any

from pydantic import BaseModel

from contextrl_data.pipeline.errors import MissingExtra, RowFailure
from contextrl_data.stages.coding.backend import RunningSandbox

SUBMIT = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
PATCH_LIMIT = 400_000
"""Characters; a larger diff is no fix, it is a vendored tree."""

_ENDS = {"timeout": "CommandTimeout", "output_cap": "OutputFlood", "disk_cap": "DiskFlood"}
"""How a run ends when a command ended its sandbox."""

# What running tests leaves behind, and where mini-swe-agent's instructions have the patch written.
_NOT_OURS = (
    "patch.txt",
    "*.pyc",
    "*.orig",
    "*.rej",
    *(f"**/{name}/**" for name in ("__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".benchmarks")),
    "**/*.egg-info/**",
    ".coverage",
)
_SCRUBS = (
    (re.compile(r"\bin \d+\.\d+s( \(\d+:\d\d:\d\d\))?"), "in 0.00s"),
    (re.compile(r"\bRan (\d+) tests? in \d+\.\d+s"), r"Ran \1 tests in 0.000s"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0x7f0000000000"),
    (re.compile(r"/tmp/(?:pytest-of-\w+/pytest-\d+|tmp[a-z0-9_]{8})"), "/tmp/tmp00000000"),
)


def prepare_agent() -> None:
    """Set what mini-swe-agent and litellm read from the environment while they are imported, and import them.

    Raises:
        MissingExtra: they are not installed.
    """
    os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else a price list is fetched at import
    # Retries are ours: mini's own loop cannot read Retry-After, and repeats what will never succeed.
    os.environ["MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT"] = "1"
    try:
        import minisweagent.agents.default  # noqa: F401
    except ImportError as error:
        raise MissingExtra("coding", "running an agent") from error


def scrub(text: str) -> str:
    """Replace durations, addresses and temporary names, which differ from run to run."""
    for pattern, replacement in _SCRUBS:
        text = pattern.sub(replacement, text)
    return text


class EnvironmentConfig(BaseModel):
    """What mini-swe-agent's templates and its record may know of the environment."""

    cwd: str = "/testbed"
    timeout: float = 60.0
    scrub: bool = False


class SandboxEnvironment:
    """Runs an agent's commands in a sandbox. A command that runs out of time ends the run: the sandbox is gone."""

    def __init__(self, sandbox: RunningSandbox, *, timeout: float, scrub: bool) -> None:
        self.config = EnvironmentConfig(cwd=sandbox.workdir, timeout=timeout, scrub=scrub)
        self._sandbox = sandbox
        result = sandbox.exec("git rev-parse HEAD")
        if result.exit_code != 0:
            raise RowFailure(sandbox.boundary, f"no commit in the workspace: {result.output.strip()[:200]}")
        self._base = result.output.strip()

    def execute(self, action: dict[str, Any], cwd: str = "") -> dict[str, Any]:
        """Run one action; raises mini-swe-agent's `Submitted` when its output says so."""
        command = str(action.get("command", ""))
        if cwd:
            command = f"cd {shlex.quote(cwd)} && {command}"
        result = self._sandbox.exec(command, timeout=self.config.timeout)
        text = scrub(result.output) if self.config.scrub else result.output
        if result.state != "ok":
            self._over(_ENDS[result.state], text)
        if result.exit_code == 0:
            self._check_submitted(text)
        return {"output": text, "returncode": result.exit_code, "exception_info": ""}

    def final_patch(self, submission: str | None) -> str | None:
        """Everything the agent changed, as a diff from the commit it began with; None where that cannot be known.

        A new file counts where the agent submitted it, or, without a submission, where it lies in a folder that
        already held files other than the root: scratch scripts are no part of a fix.
        """
        if not self._sandbox.usable:
            return None
        listed = self._sandbox.exec(
            "git add -A . && git -c core.quotePath=false diff --cached --name-only --diff-filter=A "
            f"{self._base} -- {_pathspec()} && echo :: && git ls-tree -rd --name-only {self._base}"
        )
        if listed.state != "ok" or listed.exit_code != 0:
            return None
        new, _, folders = listed.output.partition("::\n")
        wanted = set(re.findall(r"^\+\+\+ b/(.+?)\t?$", submission, re.MULTILINE)) if submission else None
        known = set(folders.splitlines())
        scratch = [
            path
            for path in new.splitlines()
            if (path not in wanted if wanted else posixpath.dirname(path) not in known)
        ]
        diff = self._sandbox.exec(
            f"git -c core.fileMode=false diff --cached --no-color --no-ext-diff --no-renames {self._base} "
            f"-- {_pathspec(scratch)}"
        )
        if diff.state != "ok" or diff.exit_code != 0 or len(diff.output) > PATCH_LIMIT:
            return None
        return diff.output

    def get_template_vars(self, **kwargs: Any) -> dict[str, Any]:
        """Variables for mini-swe-agent's templates. The names of the machine are fixed: rows must not hold ours."""
        return {
            **self.config.model_dump(),
            "system": "Linux",
            "machine": "x86_64",
            "release": "",
            "version": "",
            **kwargs,
        }

    def serialize(self) -> dict[str, Any]:
        """The environment's part of mini-swe-agent's own record."""
        return {"info": {"config": {"environment": self.config.model_dump(mode="json")}}}

    def _check_submitted(self, text: str) -> None:
        first, _, rest = text.lstrip().partition("\n")
        if first.strip() == SUBMIT:
            _leave("Submitted", rest)

    def _over(self, status: str, text: str) -> None:
        _leave(status, "", text)


def _leave(status: str, submission: str, text: str = "") -> None:
    from minisweagent.exceptions import InterruptAgentFlow, Submitted

    kind = Submitted if status == "Submitted" else InterruptAgentFlow
    extra = {"exit_status": status, "submission": submission}
    raise kind({"role": "exit", "content": submission or text, "extra": extra})


def _pathspec(excluded: list[str] | None = None) -> str:
    globs = [f":(exclude,glob){name}" if "/" in name else f":(exclude,glob)**/{name}" for name in _NOT_OURS]
    literal = [f":(exclude,literal){path}" for path in excluded or []]
    return " ".join(shlex.quote(spec) for spec in [".", *globs, *literal])
