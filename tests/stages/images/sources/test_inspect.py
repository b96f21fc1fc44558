"""Which pictures are refused, and that nothing anybody calls a picture brings the reading down."""

from __future__ import annotations

import random
from collections import Counter

import pytest

pytest.importorskip("PIL")

from bad_pictures import animated, bomb, broken, encoded, picture, turned

from contextrl_data.stages.images.sources.inspect import Limits, inspect

RNG = random.Random(5)


@pytest.mark.parametrize(
    ("data", "reason", "kind"),
    [
        (encoded(picture(RNG, "CMYK"), "JPEG"), "image is in print colours", "cmyk"),
        (encoded(picture(RNG, "I;16")), "image has more than 8 bits a channel", "deep"),
        (encoded(picture(RNG, "F"), "TIFF"), "image has more than 8 bits a channel", "deep"),
        (animated(RNG), "image is animated", "animated"),
        (animated(RNG, "WEBP"), "image is animated", "animated"),
        (turned(RNG), "image is turned by EXIF", "rotated"),
        (encoded(picture(RNG, "RGBA")), "image is transparent", "transparent"),
        (encoded(picture(RNG, "LA")), "image is transparent", "transparent"),
    ],
)
def test_what_loaders_show_differently_is_refused_unless_let_in(data: bytes, reason: str, kind: str) -> None:
    assert inspect(data) == reason
    assert inspect(data, Limits(accept=frozenset({kind}))) == ""


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_pictures_of_every_format_pass(form: str, mode: str) -> None:
    assert inspect(encoded(picture(RNG, mode), form)) == ""


def test_an_alpha_channel_that_hides_nothing_passes() -> None:
    opaque = picture(RNG).convert("RGBA")
    assert inspect(encoded(opaque)) == ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "image is empty"),
        (b"not a picture", "image cannot be decoded"),
        (encoded(picture(RNG))[:200], "image cannot be decoded"),
        (encoded(picture(RNG), "JPEG")[:-300], "image cannot be decoded"),
        (encoded(picture(RNG, size=(1, 1))), "image is too small"),
        (encoded(picture(RNG, size=(20000, 30))), "image has too many pixels"),
        (bomb(), "image has too many pixels"),
        (bomb(6000, 6000), "image has too many pixels"),
    ],
)
def test_what_cannot_be_used_has_its_reason(data: bytes, reason: str) -> None:
    assert inspect(data) == reason


def test_two_thousand_damaged_pictures_and_no_crash() -> None:
    rng = random.Random(20)
    reasons = Counter(inspect(broken(rng)) for _ in range(2500))
    assert reasons["image cannot be decoded"] > 1000
    assert reasons.total() == 2500
    assert len(reasons) >= 3, "some survive their damage, some are empty"
