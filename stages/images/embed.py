"""`embed`: one vector for every picture, made once for an encoder and a content, and kept."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import Field

from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig, Tell, silent
from contextrl_data.stages.images.decode import MAX_PIXELS, BadImage, decode_rgb
from contextrl_data.stages.images.encoders import Encoder, EncoderConfig, PrecomputedConfig, load_encoder
from contextrl_data.stages.images.encoders.efficientnet import EfficientNetConfig
from contextrl_data.stages.images.encoders.precomputed import read_vectors
from contextrl_data.stages.images.rows import EMBEDDED
from contextrl_data.stages.images.vectors import Half, VectorStore, default_folder, unit_half

AHEAD = 3
"""Batches that are decoded ahead of the one in the model."""


class EmbedConfig(StageConfig):
    """Settings of `embed`."""

    encoder: EncoderConfig = EfficientNetConfig()
    """Which encoder; without one, EfficientNet-lite0 with the weights of a package."""
    batch: int = Field(default=32, ge=1)
    """Pictures in the model at a time."""
    max_pixels: int = Field(default=MAX_PIXELS, ge=1)
    """Larger pictures are dropped before they are unpacked."""
    decoders: int = Field(default=2, ge=1, exclude=True)
    """Threads that decode pictures while the model works."""
    save_every: int = Field(default=1024, ge=1, exclude=True)
    """Pictures after which finished vectors are saved; a kill loses no more than these."""
    cache_dir: Path | None = Field(default=None, exclude=True)
    """Folder of vectors that are known already; without it, one below the user's cache folder."""


class Embed(Gather[EmbedConfig]):
    """QUESTION -> EMBEDDED, by content: pictures that were embedded before are not embedded again."""

    name = "embed"
    version = 1
    schema = EMBEDDED

    def fingerprint(self) -> str:
        """The encoder's weights."""
        return str(self.config.encoder.fingerprint())

    def gather(self, rows: Rows) -> Gathered:
        """One row a picture, in the order of the questions; a picture that cannot be embedded takes them with it."""
        encoder = self.config.encoder
        if isinstance(encoder, PrecomputedConfig):
            return _precomputed(encoder, rows)
        work = _Work(self.config, self.tell)
        return Gathered(work.run(rows), work.dropped, notes=work.notes)


class EmbedSecond(Embed):
    """The same with another encoder, for pairs on which two encoders must disagree."""

    name = "embed_second"


def identity(config: EmbedConfig) -> str:
    """Names an encoder's vectors on disk: everything that they depend on."""
    parts = {
        "encoder": config.encoder.model_dump(mode="json"),
        "weights": config.encoder.fingerprint(),
        "batch": config.batch,
        "version": Embed.version,
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def vectors_of(
    config: EmbedConfig, rows: Any, notes: dict[str, Any], tell: Tell = silent
) -> tuple[dict[str, Half], dict[str, str]]:
    """Vectors of pictures, and the reasons of those without one, by image id. `rows` need `select` alone."""
    if isinstance(config.encoder, PrecomputedConfig):
        raise ConfigError("pictures that are made here cannot be embedded before", "name an encoder that runs")
    work = _Work(config, tell)
    found = {row["id"]: row["vector"] for row in work.run(rows)}
    notes |= work.notes
    return found, work.bad


@dataclass
class _Work:
    """One pass over the rows: decode in threads, encode here, save now and then."""

    config: EmbedConfig
    tell: Tell = silent
    dropped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=lambda: {"embedded": 0, "reused": 0})
    bad: dict[str, str] = field(default_factory=dict)
    """Reason by image id."""
    _unsaved: list[tuple[str, Half]] = field(default_factory=list)
    _encoder: Encoder | None = None
    _width: int = 0
    _read: int = 0
    """Rows seen so far."""

    def __post_init__(self) -> None:
        self.store = VectorStore((self.config.cache_dir or default_folder()) / identity(self.config))

    def run(self, rows: Rows) -> Iterator[Row]:
        begun = time.perf_counter()
        self.notes["model_seconds"] = 0.0
        asked: dict[str, list[str]] = {}  # picture -> its questions that were read before its fate was known
        with ThreadPoolExecutor(self.config.decoders, thread_name_prefix="decode") as pool:
            try:
                for batch in self._batches(rows, pool, asked):
                    yield from self._finish(batch, asked)
                    self.tell("rows", self._read, len(rows))
                self._save()
            finally:
                if self._encoder is not None:
                    self._encoder.close()
        self.notes |= {
            "dimension": self._width,
            "model_seconds": round(self.notes["model_seconds"], 3),
            "seconds": round(time.perf_counter() - begun, 3),
        }

    def _batches(
        self, rows: Rows, pool: ThreadPoolExecutor, asked: dict[str, list[str]]
    ) -> Iterator[list[tuple[str, Any]]]:
        """Batches of (image id, vector | prepared | BadImage), with the next ones in the making.

        A batch is closed when it holds `batch` pictures to encode: what is encoded together does not depend on what
        was known before it.
        """
        waiting: deque[list[tuple[str, Any]]] = deque()
        batch: list[tuple[str, Any]] = []
        fresh = 0
        seen: set[str] = set()
        for row in rows.select(["id", "image_id", "image"]):
            image_id = row["image_id"]
            self._read += 1
            if image_id in self.bad:
                self.dropped[row["id"]] = self.bad[image_id]
                continue
            asked.setdefault(image_id, []).append(row["id"])
            if image_id in seen:
                continue
            seen.add(image_id)
            known = self.store.get(image_id)
            if known is None:
                fresh += 1
                self._model()  # here, not in several threads at once
            batch.append((image_id, pool.submit(self._prepare, row["image"]) if known is None else known))
            if fresh == self.config.batch or len(batch) >= 32 * self.config.batch:
                waiting.append(batch)
                batch, fresh = [], 0
                if len(waiting) > AHEAD:
                    yield waiting.popleft()
        yield from waiting
        if batch:
            yield batch

    def _prepare(self, image: Row | None) -> Any:
        data = (image or {}).get("bytes") or b""
        try:
            picture = decode_rgb(data, self.config.max_pixels)
            return self._model().prepare(picture, data)
        except BadImage as bad:
            return bad

    def _model(self) -> Encoder:
        if self._encoder is None:
            self._encoder = load_encoder(self.config.encoder)
        return self._encoder

    def _finish(self, batch: list[tuple[str, Any]], asked: dict[str, list[str]]) -> Iterator[Row]:
        """Encode what is new, and give out the batch in its order."""
        ready: list[tuple[str, Any]] = [
            (name, made.result() if isinstance(made, Future) else made) for name, made in batch
        ]
        new = [(name, made) for (name, made), (_, was) in zip(ready, batch, strict=True) if isinstance(was, Future)]
        vectors = self._encode([(name, made) for name, made in new if not isinstance(made, BadImage)])
        for name, made in new:
            if isinstance(made, BadImage):
                vectors[name] = made.reason
        for name, made in ready:
            vector = vectors.get(name, made)
            if isinstance(vector, str):
                self.bad[name] = vector
                self.dropped |= dict.fromkeys(asked[name], vector)
                continue
            self.notes["embedded" if name in vectors else "reused"] += 1
            self._check_width(vector)
            yield {"id": name, "vector": vector}

    def _encode(self, prepared: list[tuple[str, Any]]) -> dict[str, Half | str]:
        """Vectors, or reasons, by image id."""
        if not prepared:
            return {}
        inputs = [made for _, made in prepared]
        model = self._model()
        if model.fixed_batch:
            inputs += [inputs[-1]] * (self.config.batch - len(inputs))
        begun = time.perf_counter()
        found = model.encode(inputs)[: len(prepared)]
        self.notes["model_seconds"] += time.perf_counter() - begun
        halves, reasons = unit_half(np.asarray(found, dtype=np.float32))
        result: dict[str, Half | str] = {}
        for (name, _), vector, reason in zip(prepared, halves, reasons, strict=True):
            result[name] = reason or vector
            if not reason:
                self._unsaved.append((name, vector))
        if len(self._unsaved) >= self.config.save_every:
            self._save()
        return result

    def _save(self) -> None:
        if self._unsaved:
            self.store.put([name for name, _ in self._unsaved], np.stack([vector for _, vector in self._unsaved]))
            self._unsaved.clear()

    def _check_width(self, vector: Half) -> None:
        self._width = self._width or len(vector)
        if len(vector) != self._width:
            raise InputError(
                f"vectors of {self._width} and of {len(vector)} numbers by one encoder",
                f"the model behind its name has changed: remove {self.store.folder}",
            )


def _precomputed(config: PrecomputedConfig, rows: Rows) -> Gathered:
    ids, raw = read_vectors(config)
    vectors, reasons = unit_half(raw)
    places = {name: place for place, name in enumerate(ids)}
    dropped: dict[str, str] = {}
    notes = {"given": len(ids), "dimension": int(vectors.shape[1])}

    def found() -> Iterator[Row]:
        out: set[str] = set()
        for row in rows.select(["id", "image_id"]):
            place = places.get(row[config.by])
            if place is None or reasons[place]:
                dropped[row["id"]] = "no precomputed vector" if place is None else reasons[place]
            elif row["image_id"] not in out:
                out.add(row["image_id"])
                yield {"id": row["image_id"], "vector": vectors[place]}

    return Gathered(found(), dropped, notes=notes)
