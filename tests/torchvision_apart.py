"""torchvision next to torch's CPU build breaks whatever looks for it, so it lies in a folder of its own.

What needs it runs in processes of its own, beside which that folder lies; see torchvision_shim.py.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import child_environment

APART = Path(sys.prefix) / "clip"


def needs_torchvision() -> None:
    """Skip where it is neither installed nor in the folder."""
    if not APART.is_dir() and importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs torchvision (make test puts it into .venv/clip)")


def run_cases(cases: Path) -> None:
    """Run the tests of a file that is not collected itself."""
    needs_torchvision()
    environment = child_environment()
    environment["PYTHONPATH"] += os.pathsep + str(APART)
    # The processes that share this session's tests are no matter of theirs.
    for name in [name for name in environment if name.startswith(("PYTEST_XDIST", "PYTEST_ADDOPTS"))]:
        del environment[name]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
