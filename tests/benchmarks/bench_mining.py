"""Mining against its rivals, in one run: in-group exact, across groups by FAISS, all pairs, and hashes of pictures.

python tests/benchmarks/bench_mining.py [VECTORS ...] [--hashes N]

For each number of vectors (768 numbers each, k = 20) every contestant runs in a process of its own, two threads each.
Wall and processor seconds are printed, as other work on the machine shows in the first alone; speeds are against
IndexFlatIP. All-pairs rivals are timed on a share of the queries and scaled where that is printed; recall is of the very pairs that
the definition asks for, by comparing all in float64. Vectors are made: clusters, a few shared directions, noise.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = "2"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, THREADS)

import numpy as np  # noqa: E402

WIDTH, K = 768, 20
LOW, HIGH = 0.6, 0.98
QUERIES = 4000
"""Queries of rivals that compare all with all; their time is scaled."""
SHAPES = {"2,000 templates": (2000, 1.0), "65 answer types": (65, 0.5), "20,000 questions": (20_000, 1.0)}


def make(count: int, folder: Path) -> None:
    """Vectors as float16, and for each shape of groups a group and an answer a vector."""
    rng = np.random.default_rng(0)
    clusters = max(count // 50, 1)
    centres = 0.6 * rng.standard_normal((clusters, WIDTH), dtype=np.float32)
    centres += 0.7 * rng.standard_normal((1, WIDTH), dtype=np.float32)
    basis = rng.standard_normal((64, 24, WIDTH), dtype=np.float32) / np.float32(np.sqrt(24))
    label = np.sort(rng.integers(0, clusters, count))  # sorted, so that a block shares few bases
    vectors = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.float16, shape=(count, WIDTH))
    shuffled = rng.permutation(count)
    for cluster in range(clusters):
        own = (
            np.flatnonzero(label == cluster)
            if clusters < 200
            else np.arange(*np.searchsorted(label, [cluster, cluster + 1]))
        )
        if len(own):
            mixed = rng.standard_normal((len(own), 24), dtype=np.float32) @ basis[cluster % 64]
            part = centres[cluster] + 0.5 * mixed + 0.15 * rng.standard_normal((len(own), WIDTH), dtype=np.float32)
            vectors[shuffled[own]] = (part / np.linalg.norm(part, axis=1, keepdims=True)).astype(np.float16)
    vectors.flush()
    for place, (groups, power) in enumerate(SHAPES.values()):
        weights = 1 / np.arange(1, groups + 1) ** power
        np.save(folder / f"group{place}.npy", rng.choice(groups, count, p=weights / weights.sum()))
    np.save(folder / "answer.npy", rng.integers(0, 8, count))


def load(folder: Path) -> Any:
    """The vectors, float16."""
    return np.load(folder / "x.npy")


class Spent(tuple[float, float]):
    """Wall and processor seconds."""

    def __mul__(self, factor: Any) -> Spent:
        return Spent((self[0] * factor, self[1] * factor))

    def __add__(self, other: Any) -> Spent:
        return Spent((self[0] + other[0], self[1] + other[1]))


def timed(work: Callable[[], Any]) -> tuple[Spent, Any]:
    """Time spent, and what came out."""
    begun = time.perf_counter(), time.process_time()
    result = work()
    return Spent((time.perf_counter() - begun[0], time.process_time() - begun[1])), result


def in_groups(folder: Path, place: int) -> dict[str, Any]:
    """Ours, inside groups; recall against the definition on a sample of members."""
    from contextrl_data.stages.images.neighbours import Bounds, Members, nearest_in_groups
    from contextrl_data.stages.images.tiles import NumpyTiles

    vectors, group, answer = load(folder), np.load(folder / f"group{place}.npy"), np.load(folder / "answer.npy")
    every = np.arange(len(vectors))
    members = Members(group, answer, every, every)
    seconds, found = timed(lambda: nearest_in_groups(members, [vectors], Bounds(K, LOW, HIGH), NumpyTiles()))
    memory = peak()
    sizes = np.bincount(group).astype(np.float64)
    pairs = set(zip(found.one.tolist(), found.other.tolist(), strict=True))
    wanted = list(wanted_pairs(vectors, group, answer, np.linspace(0, len(vectors) - 1, 500).astype(int)))
    return {
        "seconds": seconds,
        "memory_gb": memory,
        "recall": sum(pair in pairs for pair in wanted) / max(len(wanted), 1),
        "note": f"{len(pairs):,} pairs, {(sizes**2).sum() / len(group) ** 2:.1%} of all share a group, "
        f"{len(wanted):,} checked",
    }


def wanted_pairs(vectors: Any, group: Any, answer: Any, sample: Any) -> Any:
    """The k nearest wanted partners of some members, from the definition."""
    for one in sample:
        fit = np.flatnonzero((group == group[one]) & (answer != answer[one]))
        own, others = vectors[one].astype(np.float64), vectors[fit].astype(np.float64)
        cosine = np.round(others @ own / (np.linalg.norm(others, axis=1) * np.linalg.norm(own)), 6)
        kept = (cosine >= LOW) & (cosine <= HIGH)
        for other in fit[kept][np.argsort(-cosine[kept], kind="stable")[:K]]:
            yield min(int(one), int(other)), max(int(one), int(other))


def across(folder: Path) -> dict[str, Any]:
    """Ours, across groups: the build of the index, the measuring of its recall, and all queries."""
    from contextrl_data.stages.images.across import IndexChoice, exact, nearest_of_all, recall_of, top_products

    vectors = load(folder)
    seconds, found = timed(lambda: nearest_of_all(vectors, K, IndexChoice(), "numpy"))
    memory = peak()
    rng = np.random.default_rng(1)
    sample = np.sort(rng.choice(len(vectors), min(2000, len(vectors)), replace=False))
    truth = exact(vectors, sample, K, top_products("numpy"))
    return {
        "seconds": seconds,
        "memory_gb": memory,
        "recall": recall_of(found.places[sample], truth),
        "note": f"{found.how}, said {found.recall}",
    }


def flat(folder: Path) -> dict[str, Any]:
    """IndexFlatIP over all pairs."""
    import faiss

    vectors = load(folder).astype(np.float32)
    index = faiss.IndexFlatIP(WIDTH)
    build, _ = timed(lambda: index.add(vectors))
    queries = vectors[:QUERIES]
    seconds, _ = timed(lambda: index.search(queries, K + 1))
    return scaled(build, seconds, len(queries), len(vectors))


def knn(folder: Path) -> dict[str, Any]:
    """faiss.knn over all pairs."""
    import faiss

    vectors = load(folder).astype(np.float32)
    queries = vectors[:QUERIES]
    seconds, _ = timed(lambda: faiss.knn(queries, vectors, K + 1, metric=faiss.METRIC_INNER_PRODUCT))
    return scaled(Spent((0.0, 0.0)), seconds, len(queries), len(vectors))


def scaled(build: Spent, seconds: Spent, asked: int, count: int) -> dict[str, Any]:
    """A rival's figures, for all queries."""
    note = "" if asked == count else f"{seconds[0]:.1f} s for {asked:,} queries, scaled"
    return {"seconds": build + seconds * (count / asked), "memory_gb": peak(), "recall": 1.0, "note": note}


def peak() -> float:
    """Greatest memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def hashes(count: int) -> list[dict[str, Any]]:
    """Finding each picture's edited copy: perceptual hashes against embedding and mining, on the same pictures."""
    pictures = [variant(number) for number in range(count)]
    return [hashed(pictures), embedded(pictures), deduplicated(pictures)]


def variant(number: int) -> bytes:
    """Picture 2n is made from n; 2n + 1 is the same with one patch of another colour."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(number // 2)
    image = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        (256, 256), Image.Resampling.BICUBIC
    )
    if number % 2:
        left, top = rng.integers(20, 180, 2).tolist()
        ImageDraw.Draw(image).rectangle((left, top, left + 50, top + 50), fill=tuple(rng.integers(0, 256, 3).tolist()))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92)
    return out.getvalue()


def hashed(pictures: list[bytes]) -> dict[str, Any]:
    """imagehash's pHash, all pairs by bits."""
    import imagehash
    from PIL import Image

    def work() -> Any:
        found = [imagehash.phash(Image.open(io.BytesIO(data))).hash.ravel() for data in pictures]
        bits = np.stack(found).astype(np.float32) * 2 - 1
        near = bits @ bits.T
        np.fill_diagonal(near, -99)
        return near.argmax(axis=1)

    seconds, nearest = timed(work)
    return mates("imagehash pHash", seconds, nearest)


def embedded(pictures: list[bytes]) -> dict[str, Any]:
    """Our default encoder, then all products."""
    from contextrl_data.stages.images.embed import Embed, EmbedConfig

    rows = [
        {"id": str(place), "image_id": hashlib.sha256(data).hexdigest() + str(place), "image": {"bytes": data}}
        for place, data in enumerate(pictures)
    ]

    class Rows(list[Any]):
        def select(self, columns: list[str]) -> Any:
            return iter(self)

    with tempfile.TemporaryDirectory() as folder:

        def work() -> Any:
            made = Embed(EmbedConfig(cache_dir=Path(folder))).gather(Rows(rows))  # type: ignore[arg-type]
            vectors = np.stack([row["vector"] for row in made.rows]).astype(np.float32)
            near = vectors @ vectors.T
            np.fill_diagonal(near, -9)
            return near.argmax(axis=1)

        seconds, nearest = timed(work)
    return mates("efficientnet-lite0, exact", seconds, nearest)


def deduplicated(pictures: list[bytes]) -> dict[str, Any]:
    """imagededup's PHash, where it is installed."""
    try:
        from imagededup.methods import PHash
    except ImportError as error:
        return {"name": "imagededup PHash", "note": f"not installed here: {error}"}
    with tempfile.TemporaryDirectory() as folder:
        for place, data in enumerate(pictures):
            (Path(folder) / f"{place}.jpg").write_bytes(data)

        def work() -> Any:
            method = PHash(verbose=False)
            found = method.find_duplicates(
                encoding_map=method.encode_images(folder), max_distance_threshold=64, scores=True
            )
            best = {name: min(near, key=lambda one: one[1])[0] if near else "-1.jpg" for name, near in found.items()}
            return np.array([int(best[f"{place}.jpg"].split(".")[0]) for place in range(len(pictures))])

        seconds, nearest = timed(work)
    return mates("imagededup PHash", seconds, nearest)


def mates(name: str, seconds: Spent, nearest: Any) -> dict[str, Any]:
    """How often the nearest picture is the copy."""
    places = np.arange(len(nearest))
    return {"name": name, "seconds": seconds, "recall": float(np.mean(nearest == places ^ 1)), "note": ""}


CONTESTANTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "IndexFlatIP": flat,
    "faiss.knn": knn,
    **{
        f"in groups ({name})": (lambda folder, place=place: in_groups(folder, place))  # type: ignore[misc]
        for place, name in enumerate(SHAPES)
    },
    "across groups": across,
}


def main() -> None:
    """Print one table for each number of vectors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", nargs="*", type=int, default=[20_000])
    parser.add_argument("--hashes", type=int, default=0, metavar="N", help="pictures for the comparison with hashes")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(CONTESTANTS[asked.one[0]](Path(asked.one[1]))))
        return
    for count in asked.counts:
        with tempfile.TemporaryDirectory() as folder:
            make(count, Path(folder))
            print(f"\n{count:,} x {WIDTH}, k = {K}, {THREADS} threads, load {os.getloadavg()[0]:.1f}\n")
            print(
                "| method | s | CPU s | speed | by CPU | recall | peak GB | |\n|---|---:|---:|---:|---:|---:|---:|---|"
            )
            base: list[float] = []
            for name in CONTESTANTS:
                out = subprocess.run(
                    [sys.executable, __file__, "--one", name, folder], capture_output=True, text=True, check=False
                )
                if out.returncode:
                    print(f"| {name} | failed: {out.stderr.strip().splitlines()[-1]} |")
                    continue
                told = json.loads(out.stdout.splitlines()[-1])
                base = base or told["seconds"]
                wall, cpu = told["seconds"]
                print(
                    f"| {name} | {wall:.1f} | {cpu:.1f} | {base[0] / wall:.1f} x | {base[1] / cpu:.1f} x "
                    f"| {told['recall']:.4f} | {told['memory_gb']:.2f} | {told['note']} |",
                    flush=True,
                )
    if asked.hashes:
        print(
            f"\n{asked.hashes:,} pictures: is the nearest the edited copy?\n\n| method | s | found | |\n|---|---:|---:|---|"
        )
        for told in hashes(asked.hashes):
            shown = f"{told['seconds'][0]:.2f} | {told['recall']:.3f}" if "seconds" in told else "| "
            print(f"| {told['name']} | {shown} | {told['note']} |")


if __name__ == "__main__":
    main()
