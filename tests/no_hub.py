"""No Hub for a folder's tests: nothing there may look for a network, and other folders are left as they are."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

READ_AT_IMPORT = (("huggingface_hub", "huggingface_hub.constants"), ("datasets", "datasets.config"))
"""Libraries that read the variable once, when they are imported, and what they keep it in as HF_HUB_OFFLINE."""


@contextmanager
def no_hub() -> Iterator[None]:
    """Within it the Hub is offline: for this process, for libraries already imported, and for processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        for package, module in READ_AT_IMPORT:
            if importlib.util.find_spec(package) is not None:
                __import__(module)
                patch.setattr(sys.modules[module], "HF_HUB_OFFLINE", True)
        yield
