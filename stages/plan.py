"""`build --plan`: the estimate of a build, with shipped yields and litellm's prices, and without any network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import orjson
from rich.console import Console

from contextrl_data.pipeline.errors import MissingExtra
from contextrl_data.pipeline.estimate import Estimate, estimate
from contextrl_data.pipeline.estimate_table import as_json, show_estimate
from contextrl_data.pipeline.former import Yield
from contextrl_data.pipeline.outlook import CallsAhead
from contextrl_data.pipeline.plan import Step
from contextrl_data.pipeline.store import write_atomic
from contextrl_data.stages.prices import price_of

MEASURED = "measured.json"
"""Yields of shipped runs, written by `python tests/benchmarks/measure_yields.py`."""


def plan_build(name: str, steps: Sequence[Step], root: Path, console: Console, json: Path | None = None) -> Estimate:
    """Print what the build `name` would take and give, and write it to `json` where that is named."""
    with offline():
        found = estimate(name, steps, root, shipped_yields(name), _price)
    show_estimate(found, console)
    if json is not None:
        write_atomic(json, orjson.dumps(as_json(found), option=orjson.OPT_INDENT_2))
    return found


def shipped_yields(name: str) -> dict[str, Yield]:
    """Yields by stage that are shipped for builds of this name."""
    record = orjson.loads(resources.files("contextrl_data.stages").joinpath(MEASURED).read_bytes())
    return {stage: Yield(**one) for stage, one in record[name]["stages"].items()}


def _price(ahead: CallsAhead, prompt: float, reply: float) -> float | None:
    try:
        return price_of(ahead.model, round(prompt), round(reply), ahead.input_price, ahead.output_price)
    except MissingExtra:
        return None


@contextmanager
def offline() -> Iterator[None]:
    """Within it the Hub's client asks nobody."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants = sys.modules.get("huggingface_hub.constants")
    known = getattr(constants, "HF_HUB_OFFLINE", None)
    if constants is not None:
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before
        if constants is not None:
            constants.HF_HUB_OFFLINE = known  # type: ignore[attr-defined]
