"""verl, SkyRL and what their loaders import: apart from what the other tests see, in a folder that .dev/venv.sh makes.

They pin versions that the rest does not have, so that they are installed without their requirements, and run in
processes of their own.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

APART = Path(sys.prefix) / "trainers"


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip where one of these packages is neither installed nor in the folder."""
    missing = [name for name in names if importlib.util.find_spec(name) is None and not (APART / name).is_dir()]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: make test")


def environment(first: Iterable[Path] = ()) -> dict[str, str]:
    """This process's environment, with these folders first and the one apart last; no Hub, one thread."""
    paths = [*map(str, first), os.environ.get("PYTHONPATH", ""), str(APART)]
    found = os.pathsep.join(filter(None, paths))
    return {**os.environ, "PYTHONPATH": found, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
