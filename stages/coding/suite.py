"""Run a package's tests in a sandbox and read what they said."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.stages.coding.backend import RunningSandbox
from contextrl_data.stages.coding.sandbox import Result

START = ">>>>> Start Test Output"
END = ">>>>> End Test Output"
LOG_PARSER = "parse_log_pytest"
PROBES = Path(__file__).with_name("probes")
PROBE_BYTES = 50_000_000
CLOCK = 6
"""Seconds on the clock for each second of processor time."""
KILLED = {128 + 9, 128 + 24}
"""Exit codes after SIGKILL and SIGXCPU."""


def pytest_command(args: Sequence[str], *more: str) -> str:
    """The command that makes the log which swebench's pytest parser reads."""
    fixed = "python3 -m pytest -rA --tb=no -q -p no:cacheprovider -o addopts= -o xfail_strict=false"
    return " ".join([fixed, *more, *map(shlex.quote, args)])


def eval_script(workdir: str, args: Sequence[str], files: Sequence[str]) -> str:
    """Restore the test files from the workspace's first commit, then run them between swebench's markers."""
    quoted = " ".join(map(shlex.quote, files))
    return (
        "#!/bin/bash\nset -uxo pipefail\n"
        f"cd {shlex.quote(workdir)}\n"
        f'git checkout "$(git rev-list --max-parents=0 HEAD | tail -1)" -- {quoted}\n'
        f": '{START}'\n{pytest_command([*args, *files])}\n: '{END}'\n"
    )


@dataclass(frozen=True)
class Outcomes:
    """What the log said of each test, or why there is nothing to say."""

    status: dict[str, str]
    state: str

    @property
    def passed(self) -> set[str]:
        return {test for test, status in self.status.items() if status == "PASSED"}

    @property
    def failed(self) -> set[str]:
        return {test for test, status in self.status.items() if status in {"FAILED", "ERROR"}}


def limited(sandbox: RunningSandbox, command: str, seconds: float) -> Result:
    """Run for at most so many seconds of processor time, which a busy machine does not use up sooner.

    A process that goes beyond is killed by the kernel; one that sleeps is ended by the clock.
    """
    result = sandbox.exec(f"ulimit -t {ceil(seconds)}; {command}", timeout=seconds * CLOCK)
    if result.exit_code in KILLED:
        return Result(None, result.output, "timeout")
    return result


def run_suite(sandbox: RunningSandbox, command: str, seconds: float) -> Outcomes:
    """Run and read with the parser that will grade the tasks, so that both mean the same by "passed"."""
    result = limited(sandbox, command, seconds)
    return Outcomes(read_log(result), result.state)


def read_log(result: Result) -> dict[str, str]:
    """Test id -> PASSED, FAILED, ... of one run."""
    try:
        from swebench.harness.log_parsers import PARSER_REGISTRY
    except ImportError as error:
        raise MissingExtra("coding", "Reading a test log") from error
    parsed: dict[str, str] = PARSER_REGISTRY[LOG_PARSER](result.output, None)
    return parsed


def run_probe(
    sandbox: RunningSandbox, probe: str, args: Sequence[str], seconds: float, source: str = ""
) -> tuple[Any, str]:
    """Run the tests with one of the plugins in `probes/`; its JSON (None where it wrote none) and the state."""
    sandbox.put(f"/tmp/probe_{probe}.py", (PROBES / f"{probe}.py").read_bytes())
    environment = f'PROBE_OUT=/tmp/probe.json PROBE_SOURCE={shlex.quote(source)} PYTHONPATH="/tmp:${{PYTHONPATH:-}}"'
    run = pytest_command(args, "-p", f"probe_{probe}")
    # Failing tests are what one probe is for: only a signal is passed on.
    command = f"{environment} {run} >/dev/null 2>&1 || test $? -lt 128 || exit 137; test -s /tmp/probe.json"
    result = limited(sandbox, command, seconds)
    if result.state != "ok" or result.exit_code != 0:
        return None, result.state
    return json.loads(sandbox.get("/tmp/probe.json", PROBE_BYTES)), "ok"
