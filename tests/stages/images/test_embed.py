"""Embedding through the engine: by content, only what is new, the same bytes whatever was known; servers and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("PIL", reason="needs the extra [images]")

from embedding_server import EmbeddingServer
from image_rows import Table, image_id, picture, question
from openai_server import Answer, error

from contextrl_data.pipeline.config import load
from contextrl_data.pipeline.errors import ConfigError, InputError, SetupError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Keep, Outcome, Source, StageConfig
from contextrl_data.stages.images.embed import Embed, EmbedConfig, identity
from contextrl_data.stages.images.rows import QUESTION
from contextrl_data.stages.images.vectors import VectorStore, VectorTable, unit_half


class QuestionsConfig(StageConfig):
    first: int = 0
    count: int = 10
    side: int = 64


class Questions(Source[QuestionsConfig]):
    """Every picture carries two questions; every tenth number is a picture that cannot be read."""

    name = "questions"
    schema = QUESTION

    def items(self) -> Iterator[tuple[str, Outcome]]:
        for number in range(self.config.first, self.config.first + self.config.count):
            data = b"not a picture" if number % 10 == 9 else picture(number, self.config.side)
            for row in (question(number, data), question(number + 50_000, data, group="what")):
                yield row["id"], Keep([row])


def embed(root: Path, config: dict[str, Any], **asked: int) -> Finished:
    """Questions, then their vectors."""
    settings = load(EmbedConfig, None, [])
    settings = EmbedConfig.model_validate({**settings.model_dump(), "cache_dir": root / "vectors", **config})
    steps = [Step(Questions(QuestionsConfig(**asked))), Step(Embed(settings), after="questions")]
    return Runner(RunSettings(root=root)).run(steps)["embed"]


def http(server: EmbeddingServer, **more: Any) -> dict[str, Any]:
    encoder = {"kind": "http", "model": "m", "url": server.url, "backoff": 0.0, **more}
    return {"encoder": encoder, "batch": 4}


def table(done: Finished) -> VectorTable:
    return VectorTable.read(done.rows, "embed")


@pytest.mark.parametrize("form", ["messages", "input", "image"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_server_gives_one_unit_vector_a_picture(tmp_path: Path, form: str, packed: bool) -> None:
    with EmbeddingServer(packed=packed) as server:
        done = embed(tmp_path, http(server, form=form))
    assert server.seen == 9, "every picture once, though each carries two questions"
    found = table(done)
    assert list(found.place) == [image_id(picture(number)) for number in range(9)]
    assert found.vectors.shape == (9, 12)
    assert np.allclose(np.linalg.norm(found.vectors.astype(np.float64), axis=1), 1, atol=2e-3)
    assert done.manifest.dropped == {"image cannot be decoded": 2}
    assert done.manifest.notes["embedded"] == 9


def test_a_second_run_embeds_only_what_is_new(tmp_path: Path) -> None:
    with EmbeddingServer() as server:
        first = embed(tmp_path, http(server))
        asked = len(server.requests)
        second = embed(tmp_path, http(server), count=13)
        fresh = embed(tmp_path / "elsewhere", http(server), count=13)
    assert asked == 9
    assert second.manifest.notes["embedded"] == 3
    assert second.manifest.notes["reused"] == 9
    assert second.manifest.digest == fresh.manifest.digest != first.manifest.digest


def test_a_killed_run_goes_on_where_vectors_were_saved(tmp_path: Path) -> None:
    with EmbeddingServer() as server:
        config = {**http(server, attempts=1, concurrency=1), "save_every": 4, "decoders": 1}
        whole = embed(tmp_path / "whole", config, count=20)
        assert server.seen == 18
        server.seen = 0
        original = server._next

        def failing(asked: dict[str, Any], key: str) -> Answer:
            return original(asked, key) if server.seen < 10 else error(500)

        server._next = failing  # type: ignore[method-assign]
        with pytest.raises(SetupError, match="failed 1 times"):
            embed(tmp_path / "killed", config, count=20)
        server._next = original  # type: ignore[method-assign]
        server.seen = 0
        resumed = embed(tmp_path / "killed", config, count=20)
    assert 0 < resumed.manifest.notes["reused"] == 18 - server.seen
    assert resumed.manifest.digest == whole.manifest.digest


def test_a_server_that_stumbles_is_asked_again_and_one_that_is_down_stops_the_run(tmp_path: Path) -> None:
    broken = [error(429, Retry_After="0"), error(503), Answer(b"{}"), Answer(b"no json")]
    with EmbeddingServer(broken) as server:
        assert table(embed(tmp_path, http(server))).vectors.shape == (9, 12)
    with EmbeddingServer([error(500)] * 90) as server, pytest.raises(SetupError, match="failed 2 times"):
        embed(tmp_path / "b", http(server, attempts=2))
    with EmbeddingServer([error(401)] * 90) as server, pytest.raises(SetupError, match="set MY_KEY"):
        embed(tmp_path / "c", http(server, key_env="MY_KEY"))
    with EmbeddingServer([error(404)] * 90) as server, pytest.raises(SetupError, match="no such model"):
        embed(tmp_path / "d", http(server))


@pytest.mark.parametrize("form", ["messages", "input"])
def test_a_picture_that_the_server_refuses_is_dropped_alone(tmp_path: Path, form: str) -> None:
    with EmbeddingServer(refuse=48) as server:
        rows = Table([question(number, picture(number, 48 if number == 3 else 64)) for number in range(8)])
        config = EmbedConfig.model_validate({**http(server, form=form), "cache_dir": tmp_path})
        gathered = Embed(config).gather(rows)
        out = list(gathered.rows)
    assert len(out) == 7
    assert gathered.dropped == {"q00003": "vector is not finite"}


def test_keys_come_from_the_environment_and_never_from_a_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-quiet")
    with EmbeddingServer() as server:
        done = embed(tmp_path, http(server, key_env="MY_KEY"))
    assert set(server.keys) == {"Bearer sk-quiet"}
    assert "sk-quiet" not in done.folder.path.joinpath("manifest.json").read_text()
    with pytest.raises(ConfigError, match=r"encoder\.request: .*api_key does not belong"):
        load(EmbedConfig, None, ["encoder.kind=http", "encoder.model=m", "encoder.request={api_key: x}"])


def test_large_and_turned_pictures_are_sent_as_people_see_them(tmp_path: Path) -> None:
    from PIL import Image

    turned = Image.Exif()
    turned[0x0112] = 6
    pictures = [picture(1, 300), picture(2, 64, "JPEG"), picture(3, 64, "JPEG", exif=turned), picture(4, 64, "BMP")]
    with EmbeddingServer() as server:
        rows = Table([question(number, data) for number, data in enumerate(pictures)])
        config = EmbedConfig.model_validate({**http(server, max_side=100, concurrency=1), "cache_dir": tmp_path})
        assert len(list(Embed(config).gather(rows).rows)) == 4
        sent = [one["messages"][0]["content"][0]["image_url"]["url"][:16] for one in server.requests]
    assert sent == ["data:image/jpeg;", "data:image/jpeg;", "data:image/png;b", "data:image/png;b"]


def test_another_model_behind_a_known_name_is_one_line(tmp_path: Path) -> None:
    with EmbeddingServer() as server:
        config = http(server)
        folder = tmp_path / "vectors" / identity(EmbedConfig.model_validate(config))
        VectorStore(folder).put([image_id(picture(0))], np.ones((1, 5), np.float16))
        with pytest.raises(InputError, match="vectors of 5 and of 12 numbers"):
            embed(tmp_path, config)


def test_a_damaged_part_is_embedded_again(tmp_path: Path) -> None:
    with EmbeddingServer() as server:
        whole = embed(tmp_path, http(server))
        part = next((tmp_path / "vectors").rglob("part-*.parquet"))
        part.write_bytes(part.read_bytes()[:100])
        again = embed(tmp_path, http(server), count=9)
    assert again.manifest.notes["embedded"] == 9
    assert table(again).place == table(whole).place


def test_vectors_that_are_none() -> None:
    raw = np.array([[1, 0], [np.nan, 1], [np.inf, 1], [0, 0], [1e-9, 0], [3e30, 0]], dtype=np.float32)
    _, reasons = unit_half(raw)
    finite, none = "vector is not finite", "vector has no length"
    assert reasons == ["", finite, finite, none, none, none]


def precomputed(path: Path, **more: Any) -> EmbedConfig:
    return EmbedConfig.model_validate({"encoder": {"kind": "precomputed", "path": path, **more}})


def test_vectors_from_files(tmp_path: Path) -> None:
    rows = Table([question(number) for number in range(5)])
    ids = [row["image_id"] for row in rows][:4]
    raw = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    raw[2] = np.nan
    np.save(tmp_path / "v.npy", raw)
    (tmp_path / "ids.txt").write_text("\n".join(ids) + "\n")
    lists = pa.table({"image_id": ids, "vector": [list(map(float, one)) for one in raw]})
    (tmp_path / "folder").mkdir()
    pq.write_table(lists.slice(0, 2), tmp_path / "folder" / "a.parquet")
    pq.write_table(lists.slice(2), tmp_path / "folder" / "b.parquet")
    own = pa.table({"name": ["q00000"], "v": [[1.0, 0.0]]})
    pq.write_table(own, tmp_path / "own.parquet")
    for config in (precomputed(tmp_path / "v.npy", ids=tmp_path / "ids.txt"), precomputed(tmp_path / "folder")):
        gathered = Embed(config).gather(rows)
        found = list(gathered.rows)
        assert [row["id"] for row in found] == [ids[0], ids[1], ids[3]]
        assert np.allclose(found[2]["vector"], raw[3] / np.linalg.norm(raw[3]), atol=1e-3)
        assert gathered.dropped == {"q00002": "vector is not finite", "q00004": "no precomputed vector"}
    config = precomputed(tmp_path / "own.parquet", by="id", id_column="name", vector_column="v")
    assert [row["id"] for row in Embed(config).gather(rows).rows] == [ids[0]]


def test_vector_files_of_another_form_are_one_line(tmp_path: Path) -> None:
    rows = Table([question(0)])
    (tmp_path / "ids.txt").write_text("a\nb\n")
    np.save(tmp_path / "flat.npy", np.zeros(2))
    np.save(tmp_path / "words.npy", np.array([["a"], ["b"]]))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"image_id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}), tmp_path / "ragged.parquet")
    pq.write_table(pa.table({"image_id": ["a"], "vector": ["text"]}), tmp_path / "text.parquet")
    pq.write_table(pa.table({"id": ["a"], "vector": [[1.0]]}), tmp_path / "column.parquet")
    (tmp_path / "mixed").mkdir()
    for width in (2, 3):
        part = pa.table({"image_id": [str(width)], "vector": [[1.0] * width]})
        pq.write_table(part, tmp_path / "mixed" / f"{width}.parquet")
    for name, told in {
        "none.npy": "no vectors at",
        "flat.npy": "there are 2 ids",
        "words.npy": "there are 2 ids",
        "broken.npy": "no .npy matrix",
        "broken.parquet": "no parquet file",
        "ragged.parquet": "vectors of 1 and of 2 numbers",
        "text.parquet": "not lists of numbers",
        "column.parquet": "no column 'image_id'",
        "mixed": "vectors of 3 numbers, the files before it of 2",
    }.items():
        with pytest.raises(InputError, match=told) as caught:
            list(Embed(precomputed(tmp_path / name, ids=tmp_path / "ids.txt")).gather(rows).rows)
        assert "\n" not in str(caught.value)
    np.save(tmp_path / "v.npy", np.zeros((2, 3)))
    with pytest.raises(InputError, match="needs its ids"):
        Embed(precomputed(tmp_path / "v.npy")).gather(rows)
