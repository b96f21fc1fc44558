"""How fast the scan for secrets is, and how often it cries wolf: contexts made of real trajectories.

    python tests/benchmarks/bench_secrets.py [PAIRS] [CHARACTERS] [FOLDER]

Every message begins with a number of its own, so that no text repeats and each is scanned. FOLDER holds JSON or JSON lines,
perhaps packed with zstd; the shipped samples stand in for it. What is found in published trajectories is a false alarm, or the
password of an example.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from contextrl_data.stages.publish.secrets import scan_texts
from contextrl_data.stages.publish.texts import Text, texts_of

KNOWN = (".json", ".jsonl", ".traj", ".jsonl.zst")
SAMPLES = Path(__file__).parents[2] / "data/samples/trajectories"


def strings(value: Any) -> Iterator[str]:
    """Every string inside."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)


def samples(folder: Path) -> list[str]:
    """The texts of all files, JSON or JSON lines."""
    found: list[str] = []
    for path in sorted(path for path in folder.rglob("*.*") if path.name.endswith(KNOWN)):
        with path.open("rb") as file:
            packed = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            text = (packed.read() if path.suffix == ".zst" else file.read()).decode()
        lines = text.splitlines() if ".jsonl" in path.name else [text]
        found += [one for line in lines if line.strip() for one in strings(json.loads(line))]
    return found


def main(pairs: int = 1000, characters: int = 60_000, folder: Path = SAMPLES) -> None:
    """Print both measures."""
    texts = samples(folder)
    started = time.perf_counter()
    alone = scan_texts([Text("row", "column", text) for text in texts], environ={})
    print(f"start and first scan: {time.perf_counter() - started:.1f} s")
    marks = {leak.mark for leak in alone.leaks}
    print(f"samples: {len(texts)} texts, {alone.characters / 1e6:.1f} million characters")
    print(f"findings: {len(alone.leaks)} ({len(marks)} marks), {alone.doubtful} doubtful")
    print(f"by kind: {dict(Counter(leak.kind for leak in alone.leaks))}")
    long, rng = [text for text in texts if len(text) > 200], random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "pairs.parquet"
        rows = [
            {"id": f"pair-{n}", **{side: context(n, long, characters, rng) for side in ("pos", "neg")}}
            for n in range(pairs)
        ]
        pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
        del rows
        started = time.perf_counter()
        scan = scan_texts(texts_of([path]), environ={})
        seconds = time.perf_counter() - started
    rate = scan.characters / 1e6 / seconds
    print(
        f"{pairs} pairs, {scan.characters / 1e6:.0f} million characters: {seconds:.1f} s, {rate:.1f} million a second"
    )


def context(number: int, texts: list[str], characters: int, rng: random.Random) -> list[dict[str, str]]:
    """Messages of about so many characters in all."""
    made: list[dict[str, str]] = []
    while sum(len(one["content"]) for one in made) < characters:
        made.append({"role": "tool", "content": f"{number}.{len(made)} {rng.choice(texts)[:8000]}"})
    return made


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]), *map(Path, sys.argv[3:4]))
