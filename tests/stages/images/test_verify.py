"""What an edit changed, as scores; thresholds on stored scores alone, the best of several attempts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("skimage", reason="needs the extra [images]")
pytest.importorskip("imagehash", reason="needs the extra [images]")

from embedding_server import EmbeddingServer
from image_rows import picture, question
from PIL import Image

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Keep, Outcome, Row, Source, StageConfig
from contextrl_data.stages.images.difference import difference
from contextrl_data.stages.images.embed import EmbedConfig
from contextrl_data.stages.images.rows import IMAGE_CANDIDATE
from contextrl_data.stages.images.verify import (
    Accept,
    AcceptConfig,
    Measure,
    MeasureConfig,
    Similarity,
)


def photo(width: int = 256, height: int = 192, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def patched(image: Image.Image, box: tuple[int, int, int, int], colour: str = "magenta") -> Image.Image:
    copy = image.copy()
    copy.paste(colour, box)
    return copy


@pytest.mark.parametrize("scale", [1, 9])
def test_the_changed_box_is_found_and_the_rest_is_the_same(scale: int) -> None:
    image = photo(256 * scale, 192 * scale)
    box = tuple(side * scale for side in (60, 40, 100, 90))
    found = difference(image, patched(image, box))  # type: ignore[arg-type]
    assert found.box is not None
    assert np.allclose(found.box, box, atol=4 * scale)
    assert found.changed_area == pytest.approx(40 * 50 / (256 * 192), rel=0.2)
    assert found.ssim_outside == pytest.approx(1.0, abs=1e-3)


def test_a_change_of_everything_shows_in_what_should_be_the_same() -> None:
    image = photo()
    noisy = Image.fromarray(
        np.clip(np.asarray(image, int) + np.random.default_rng(0).integers(-18, 19, (192, 256, 3)), 0, 255).astype(
            np.uint8
        )
    )
    found = difference(image, patched(noisy, (60, 40, 100, 90)))
    assert found.ssim_outside is not None
    assert found.ssim_outside < 0.9
    same = difference(image, image)
    assert (same.changed_area, same.box, same.ssim_outside, same.phash_distance) == (0.0, None, 1.0, 0)
    other = difference(image, photo(seed=1))
    assert other.changed_area > 0.5
    assert other.phash_distance > 10


def test_tiny_pictures_have_no_structure_to_compare() -> None:
    one, other = Image.new("RGB", (1, 1)), Image.new("RGB", (1, 1), "white")
    found = difference(one, other)
    assert (found.changed_area, found.box, found.ssim_outside) == (1.0, [0, 0, 1, 1], None)
    with pytest.raises(ValueError, match="cannot be compared"):
        difference(one, Image.new("RGB", (2, 1)))


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def candidate(name: str, first: bytes, second: bytes, **scores: float) -> Row:
    return {
        "id": name,
        "method": "edited",
        "first": question(1, first, "2"),
        "second": question(2, second, "3"),
        "box": None,
        "similarity": None,
        "scores": [{"name": key, "value": value} for key, value in scores.items()],
        "checks": [],
    }


class EditsConfig(StageConfig):
    flips: bool = True


class Edits(Source[EditsConfig]):
    """Two good attempts at one edit, and one of each kind of failure."""

    name = "edits"
    schema = IMAGE_CANDIDATE

    def items(self) -> Iterator[tuple[str, Outcome]]:
        image = photo()
        good, large = patched(image, (60, 40, 100, 90)), patched(image, (0, 0, 240, 180))
        flips = {"flip_first": 1.0, "flip_second": 1.0} if self.config.flips else {}
        rows = [
            candidate("a#0", png(image), png(good), **(flips | {"flip_second": 0.8} if flips else {})),
            candidate("a#1", png(image), png(patched(image, (60, 40, 104, 90))), **flips),
            candidate("b#0", png(image), png(large), **flips),
            candidate("c#0", png(image), png(image), **flips),
            candidate("d#0", png(image), png(good), **({"flip_first": 1.0, "flip_second": 0.4} if flips else {})),
            candidate("e#0", png(image), png(image.resize((100, 100))), **flips),
            candidate("f#0", png(image), picture(3)[:60], **flips),
        ]
        for row in rows:
            yield row["id"], Keep([row])


def verify(root: Path, server: EmbeddingServer, flips: bool = True, **bounds: Any) -> dict[str, Finished]:
    encoder = {"kind": "http", "model": "m", "url": server.url}
    embed = EmbedConfig.model_validate({"encoder": encoder, "cache_dir": root / "vectors"})
    steps = [
        Step(Edits(EditsConfig(flips=flips))),
        Step(Measure(MeasureConfig()), after="edits"),
        Step(Similarity(embed), after="measure"),
        Step(Accept(AcceptConfig(**{"min_similarity": 0.0, "max_similarity": 0.9999, **bounds})), after="similarity"),
    ]
    return Runner(RunSettings(root=root, workers=1)).run(steps)


def test_every_edit_is_kept_or_dropped_with_its_reason(tmp_path: Path) -> None:
    with EmbeddingServer() as server:
        done = verify(tmp_path, server)
    assert done["measure"].manifest.dropped == {"image cannot be decoded": 1, "pictures of different size": 1}
    kept = list(done["accept"].rows)
    assert [row["id"] for row in kept] == ["a#1"], "both pictures' answers are surer"
    assert done["accept"].manifest.dropped == {
        "another attempt is better": 1,
        "failed: answer flips": 1,
        "failed: changed area": 2,
    }
    row = kept[0]
    scores = {score["name"]: score["value"] for score in row["scores"]}
    assert set(scores) == {"flip_first", "flip_second", "changed_area", "ssim_outside", "phash_distance", "similarity"}
    assert row["similarity"] == scores["similarity"] < 1
    assert np.allclose(row["box"], (60, 40, 104, 90), atol=4)
    assert {check["name"]: check["passed"] for check in row["checks"]} == {
        "changed area": True, "rest unchanged": True, "similarity band": True, "answer flips": True,
    }  # fmt: skip


def test_a_changed_threshold_reruns_the_last_stage_alone(tmp_path: Path) -> None:
    with EmbeddingServer() as server:
        verify(tmp_path, server)
        again = verify(tmp_path, server, max_changed_area=1.0, min_ssim_outside=-1.0)
    assert [done.reused for done in again.values()] == [True, True, True, False]
    assert [row["id"] for row in again["accept"].rows] == ["a#1", "b#0"]


def test_without_a_model_the_flip_is_not_claimed(tmp_path: Path) -> None:
    with EmbeddingServer() as server:
        done = verify(tmp_path, server, flips=False)
        strict = verify(tmp_path, server, flips=False, require_flip=True)
    kept = list(done["accept"].rows)
    assert [row["id"] for row in kept] == ["a#0", "d#0"]
    assert {check["name"]: check["passed"] for check in kept[0]["checks"]}["answer flips"] is None
    assert list(strict["accept"].rows) == []
    assert strict["accept"].manifest.dropped["failed: answer flips"] == 3


def test_a_picture_that_the_encoder_refuses_takes_its_pair_with_it(tmp_path: Path) -> None:
    with EmbeddingServer(refuse=256) as server, pytest.raises(InputError, match="dropped 5 vector is not finite"):
        verify(tmp_path, server)
