"""Rendered sources: which scenes there are, and each of them drawn and asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib import metadata
from random import Random

import orjson
from pydantic import Field, model_validator

from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, Source, StageConfig, seed_of
from contextrl_data.stages.images.rows import QUESTION, SCENE
from contextrl_data.stages.images.sources.catalogue import DOMAINS, NAMES, SHARES, renderer
from contextrl_data.stages.images.sources.facts import Asked, Facts

SOURCE = "contextrl-data renderer"
LIBRARIES = ("pillow", "matplotlib", "vega_datasets")
"""What the pixels depend on beside the code."""


class ScenesConfig(StageConfig):
    """How many pictures, and of what."""

    images: int = Field(default=5000, ge=1)
    """Pictures to draw."""
    shares: dict[str, float] = Field(default=SHARES)
    """Share of each domain; every domain's pictures are spread evenly over its renderers."""
    only: tuple[str, ...] = ()
    """Names of the renderers to use; empty uses all."""

    @model_validator(mode="after")
    def _only_known(self) -> ScenesConfig:
        for what, given, known in (("only", self.only, NAMES), ("shares", self.shares, tuple(DOMAINS))):
            if unknown := [name for name in given if name not in known]:
                raise ConfigError(f"scenes.{what} names {', '.join(unknown)}", f"known here: {', '.join(known)}")
        if not any(self.shares.get(domain, 0) > 0 for domain, _ in self.chosen()):
            raise ConfigError("scenes: no renderer has a share", "give one of its domains a share above 0")
        return self

    def chosen(self) -> list[tuple[str, list[str]]]:
        """Domains with the renderers in use."""
        found = [(domain, [n for n in names if not self.only or n in self.only]) for domain, names in DOMAINS.items()]
        return [(domain, names) for domain, names in found if names]


class Scenes(Source[ScenesConfig]):
    """-> SCENE, the domains mixed."""

    name = "scenes"
    schema = SCENE

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """As many as are asked for."""
        return Outlook(self.config.images, exact=True)

    def items(self) -> Iterator[tuple[str, Outcome]]:
        """As many as the shares say, numbered for each renderer; the renderers take turns, as often as they have scenes."""
        chosen = [(domain, names, self.config.shares.get(domain, 0.0)) for domain, names in self.config.chosen()]
        whole = sum(share for *_, share in chosen)
        turns: list[tuple[float, str, str, int]] = []
        for domain, names, share in chosen:
            count = round(self.config.images * share / whole)
            turns += [((n + 0.5) / count, domain, names[n % len(names)], n // len(names)) for n in range(count)]
        for _, domain, name, number in sorted(turns):
            scene = f"{name}-{number:06}"
            yield scene, Keep([{"id": scene, "renderer": name, "domain": domain}])


class RenderConfig(StageConfig):
    """How scenes are drawn and asked about."""

    questions: int = Field(default=2, ge=1)
    """Most questions about one picture."""
    attempts: int = Field(default=8, ge=1)
    """How many fact sheets to draw for a scene until one can be asked about."""
    seed: int = 0
    """Draws the fact sheets and the questions."""


class Render(Map[RenderConfig]):
    """SCENE -> QUESTION, one row a question."""

    name = "render"
    schema = QUESTION
    work = "process"

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """`questions` a picture, where so many can be asked."""
        return Outlook(rows * self.config.questions)

    def fingerprint(self) -> str:
        """Versions of the libraries that draw: another one may set a letter one pixel aside."""
        return library_versions()

    def process(self, row: Row) -> Outcome:
        """Draw the scene and choose its questions."""
        draw = renderer(row["renderer"])
        rng = Random(seed_of(self.config.seed, row["id"]))
        for _ in range(self.config.attempts):
            facts = draw.sample(rng)
            asked = draw.ask(facts)
            if asked:
                chosen = spread(asked, self.config.questions, rng)
                return Keep(question_rows(row["renderer"], row["id"], facts, chosen))
        return Drop("nothing to ask about the picture")


def question_rows(name: str, scene: str, facts: Facts, asked: list[Asked], suffix: str = "") -> list[Row]:
    """Questions about one fact sheet, with its picture, as QUESTION rows."""
    from contextrl_data.stages.images.sources.canvas import png

    draw = renderer(name)
    data = png(draw.draw(facts))
    image_id = hashlib.sha256(data).hexdigest()
    return [
        {
            "id": f"{scene}-{number}{suffix}",
            "image": {"bytes": data, "path": None},
            "image_id": image_id,
            "question": one.text,
            "question_group": question_group(name, one),
            "answer": one.answer,
            "choices": list(one.choices),
            "domain": draw.domain,
            "renderer": name,
            "facts": orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode(),
            "scene": scene,
            "source": f"{SOURCE}: {name}",
            "licence": draw.licence,
        }
        for number, one in enumerate(asked)
    ]


def question_group(name: str, one: Asked) -> str:
    """Questions of one group mean the same, and the answer to one of them could be the answer to the other."""
    about = hashlib.sha256(one.about.encode()).hexdigest()[:12] if one.about else ""
    return f"{name}: {one.text.lower()}" + (f" [{about}]" if about else "")


def spread(asked: list[Asked], most: int, rng: Random) -> list[Asked]:
    """Some questions, of different kinds where there are: a kind is known by its first three words."""
    mixed = list(asked)
    rng.shuffle(mixed)
    kinds: dict[str, list[Asked]] = {}
    for one in mixed:
        kinds.setdefault(" ".join(one.text.split()[:3]), []).append(one)
    found: list[Asked] = []
    while len(found) < most and kinds:
        for kind in list(kinds):
            found.append(kinds[kind].pop())
            if not kinds[kind]:
                del kinds[kind]
    return found[:most]


def library_versions() -> str:
    """Names and versions of the libraries that draw; "" for one that is not installed."""
    return " ".join(f"{name}={_version(name)}" for name in LIBRARIES)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
