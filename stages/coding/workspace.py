"""A task opened: its image started, its bug applied, and one fresh commit in place of all history.

History leaks the fix (a later commit, a tag, a reflog), so nothing of the image's own repository is kept.
"""

from __future__ import annotations

import hashlib
import shlex

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.backend import Host, RunningSandbox, start_sandbox
from contextrl_data.stages.coding.faults import UnusableTask
from contextrl_data.stages.coding.sandbox import SandboxConfig

OPEN_SECONDS = 180
REASONS = {
    90: "image without git",
    91: "image without the task's workdir",
    92: "setup patch does not apply",
    93: "workdir cannot be committed",
}

SCRIPT = """\
command -v git >/dev/null || exit 90
cd {workdir} || exit 91
export GIT_LITERAL_PATHSPECS=1
{apply}
# What the old repository tracked stays tracked, also where a .gitignore names it.
(git add -A && git ls-files -z) >/tmp/.tracked 2>/dev/null || : >/tmp/.tracked
rm -rf .git || exit 93
git init -q --template= && git symbolic-ref HEAD refs/heads/main && git add -A || exit 93
if test -s /tmp/.tracked; then
  git add -f --pathspec-from-file=/tmp/.tracked --pathspec-file-nul || exit 93
fi
rm -f /tmp/.tracked
git -c commit.gpgsign=false -c core.hooksPath=/dev/null commit -q --allow-empty -m base || exit 93
"""


def open_task(host: Host, task: Row, config: SandboxConfig, run_id: str) -> RunningSandbox:
    """Start the task's image with its setup patch applied and committed; close the sandbox when done.

    The same image and patch give the same commit hash. Raises `UnusableTask` where the image or the patch is at
    fault, and `RowFailure` charged to the sandbox's `boundary` where what runs it is.
    """
    sandbox = start_sandbox(host, task["image"], config, run_id, workdir=task["workdir"])
    try:
        result = sandbox.exec(_script(task["workdir"], task["setup_patch"] or ""), timeout=OPEN_SECONDS, workdir="/")
    except BaseException:
        sandbox.close()
        raise
    if result.state == "ok" and result.exit_code == 0:
        return sandbox
    sandbox.close()
    lines = result.output.strip().splitlines()
    detail = f"{task['id']} in {task['image']}" + (f": {lines[-1][:200]}" if lines else "")
    if result.state == "ok" and result.exit_code in REASONS:
        raise UnusableTask(REASONS[result.exit_code], detail)
    raise RowFailure(
        sandbox.boundary, f"the workspace of {detail} did not open ({result.state}, exit {result.exit_code})"
    )


def _script(workdir: str, patch: str) -> str:
    return SCRIPT.format(workdir=shlex.quote(workdir), apply=_apply(patch))


def _apply(patch: str) -> str:
    if not patch.strip():
        return ""
    end = "PATCH_" + hashlib.sha256(patch.encode()).hexdigest()
    body = patch if patch.endswith("\n") else patch + "\n"
    return f"git apply --whitespace=nowarn - <<'{end}' || exit 92\n{body}{end}"
