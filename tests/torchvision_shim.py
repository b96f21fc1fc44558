"""Makes the registry's CUDA build of torchvision importable beside a CPU build of torch. For tests only.

Its compiled operators ask for CUDA libraries that are not there, and its Python part then fails at `operator
torchvision::nms does not exist`. With the operators' schemas declared it imports; transforms and models, which are
Python, work, and only detection operators, which no encoder or editor here uses, stay out of use.
"""

from __future__ import annotations

import sys
from typing import Any

_declared: list[Any] = []


def mend_torchvision() -> None:
    """Import torchvision; declare what it lacks where that fails."""
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)  # it ends with its object
        import torchvision  # noqa: F401
