"""Which code made a dataset: the package's version, and the commit of the checkout it runs from."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def git_commit() -> str:
    """Commit of the checkout that this code runs from; empty for an installed package."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists():
        return ""
    found = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    return found.stdout.strip() if found.returncode == 0 else ""


@cache
def package_version() -> str:
    """Version of this package."""
    try:
        return version("contextrl-data")
    except PackageNotFoundError:
        return ""
