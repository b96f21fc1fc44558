"""How busy `embed` and `edit` keep the device: the share of their time that is spent outside of the model.

python tests/benchmarks/bench_device.py [--pictures 256] [--edits 16] [--steps 2 20]

The encoder is the default one; the editor is the untrained one, which is small: with a real editor an edit takes longer,
and the same work around it is a smaller share. Models are loaded before the clock starts; the target is below 10 %.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.stage import Context, Keep, Row
from contextrl_data.stages.images.edit import Edit, EditConfig
from contextrl_data.stages.images.embed import Embed, EmbedConfig
from contextrl_data.stages.images.encoders import load_encoder
from contextrl_data.stages.images.proposal import proposal
from contextrl_data.stages.images.rendered import Render, RenderConfig, Scenes, ScenesConfig

TARGET = 0.10


def questions(count: int) -> list[Row]:
    """One question about each of so many drawn pictures, of all renderers."""
    render = Render(RenderConfig(questions=1))
    scenes = [
        row for _, made in Scenes(ScenesConfig(images=count)).items() if isinstance(made, Keep) for row in made.rows
    ]
    return [row for one in scenes for row in getattr(render.process(one), "rows", [])]


class Table(list[Row]):
    """Rows in memory as a stage reads them."""

    def select(self, columns: list[str]) -> Any:
        """Every column: a stage takes what it wants."""
        return iter(self)


def embedding(count: int) -> tuple[float, float, int]:
    """Seconds in all, seconds in the model, pictures; with an empty cache."""
    rows = Table(questions(count))
    load_encoder(EmbedConfig().encoder)  # imports and weights, once
    with tempfile.TemporaryDirectory() as folder:
        gathered = Embed(EmbedConfig(cache_dir=Path(folder))).gather(rows)
        made = len(list(gathered.rows))
    return gathered.notes["seconds"], gathered.notes["model_seconds"], made


def editing(count: int, steps: int, workers: int = 2) -> tuple[float, float, int]:
    """The same for edits, from proposals to encoded pictures."""
    rows = [proposal(row, "Make it red.", "another", None, "bench") for row in questions(count)[:count]]
    stage = Edit(EditConfig.model_validate({"editor": {"kind": "untrained", "steps": steps}, "attempts": 1}))
    stage.open(Context(Path()))
    spent: list[float] = []
    inner = stage._editor._call  # type: ignore[attr-defined]

    def timed(*asked: Any) -> Any:
        begun = time.perf_counter()
        found = inner(*asked)
        spent.append(time.perf_counter() - begun)
        return found

    stage._editor._call = timed  # type: ignore[attr-defined]
    stage.process(rows[0])  # the first call sets things up
    spent.clear()
    begun = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        made = len(list(pool.map(stage.process, rows)))
    return time.perf_counter() - begun, sum(spent), made


def main() -> None:
    """Print one line for each way to use the device."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--edits", type=int, default=16)
    parser.add_argument("--steps", type=int, nargs="*", default=[2, 20])
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| work | pictures | s | in the model, s | outside of it | below 10 % |\n|---|---:|---:|---:|---:|---|")
    ways = [("embed, EfficientNet-lite0", lambda: embedding(asked.pictures))]
    ways += [(f"edit, untrained, {n} steps", lambda n=n: editing(asked.edits, n)) for n in asked.steps]  # type: ignore[misc]
    for name, work in ways:
        seconds, model, made = work()
        outside = 1 - model / seconds
        verdict = "yes" if outside < TARGET else "no"
        print(f"| {name} | {made} | {seconds:.1f} | {model:.1f} | {outside:.1%} | {verdict} |", flush=True)


if __name__ == "__main__":
    main()
