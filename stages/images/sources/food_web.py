"""Food webs: living things in boxes, arrows from what is eaten to what eats it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas, Point
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, shuffled
from contextrl_data.stages.images.sources.sketch import towards

if TYPE_CHECKING:
    from PIL import Image

_WEBS = {
    "meadow": (("grass", "clover"), ("rabbit", "grasshopper", "mouse"), ("fox", "frog"), ("hawk",)),
    "pond": (("algae", "water plants"), ("tadpole", "snail", "water flea"), ("perch", "newt"), ("heron",)),
    "sea": (("plankton", "seaweed"), ("krill", "mussel", "shrimp"), ("squid", "herring"), ("seal",)),
    "forest": (("oak", "fern"), ("caterpillar", "deer", "beetle"), ("robin", "shrew"), ("owl",)),
}
_LEVELS = ("#dff0d8", "#fcf3cf", "#fde2cf", "#f3d1d1")


class FoodWeb:
    """A fact sheet holds the living things by level, and the arrows as pairs of eaten and eater."""

    name: ClassVar[str] = "food_web"
    domain: ClassVar[str] = "science"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """A web in which every animal eats something, and each arrow goes up one level."""
        place = rng.choice(sorted(_WEBS))
        levels = [shuffled(level, rng) for level in _WEBS[place]]
        arrows = []
        for below, above in pairwise(levels):
            pairs = [(eaten, eater) for eaten in below for eater in above]
            kept = [pair for pair in pairs if rng.random() < 0.45]
            kept += [(rng.choice(below), eater) for eater in above if all(pair[1] != eater for pair in kept)]
            kept += [(eaten, rng.choice(above)) for eaten in below if all(pair[0] != eaten for pair in kept)]
            arrows += sorted(set(kept))
        return {
            "place": place,
            "levels": levels,
            "arrows": [list(arrow) for arrow in arrows],
            "ink": rng.choice(["#333333", "#2f4b7c", "#6b3e26"]),
            "tinted": rng.random() < 0.7,
            "width": rng.choice([400, 440]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """Levels from the bottom upwards."""
        canvas = Canvas(facts["width"], 370)
        places = self._places(facts)
        for eaten, eater in facts["arrows"]:
            start, end = places[eaten], places[eater]
            canvas.arrow(towards(start, end, 22), towards(end, start, 22), facts["ink"], 1.8)
        for level, names in enumerate(facts["levels"]):
            for name in names:
                x, y = places[name]
                half = canvas.text_width(name, 13) / 2 + 9
                fill = _LEVELS[level] if facts["tinted"] else "white"
                canvas.rectangle((x - half, y - 15, x + half, y + 15), fill, facts["ink"], 1.5, 6)
                canvas.text((x, y), name, 13)
        canvas.text((canvas.width / 2, 16), f"Food web of a {facts['place']}", 13, face="bold")
        canvas.text((canvas.width / 2, 358), "an arrow points to the one that eats", 10, "#666666")
        return canvas.picture()

    def _places(self, facts: Facts) -> dict[str, Point]:
        found = {}
        for level, names in enumerate(facts["levels"]):
            for place, name in enumerate(names):
                found[name] = (facts["width"] * (place + 0.5) / len(names), 320 - 88.0 * level)
        return found

    def ask(self, facts: Facts) -> list[Asked]:
        """Who eats whom, of how many kinds, and how many arrows there are."""
        arrows = facts["arrows"]
        found = []
        for eater in [name for level in facts["levels"][1:] for name in level]:
            eats = [one for one, other in arrows if other == eater]
            found.append(Asked(f"How many kinds of food does the {eater} have?", str(len(eats))))
            if len(eats) == 1:
                found.append(Asked(f"What is the only food of the {eater}?", eats[0], (), eater))
        for below, above in pairwise(facts["levels"]):
            for eaten in below:
                for eater in above:
                    eats_it = "yes" if [eaten, eater] in arrows else "no"
                    found.append(Asked(f"Does the {eater} eat the {eaten}?", eats_it, ("yes", "no")))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """One arrow more, one less, or one from another food; no animal is left without food."""
        arrows = facts["arrows"]
        found = []
        for below, above in pairwise(facts["levels"]):
            for eater in above:
                eats = [one for one in below if [one, eater] in arrows]
                for eaten in below:
                    if eaten not in eats:
                        found.append([*arrows, [eaten, eater]])
                        if len(eats) == 1:
                            found.append([*(a for a in arrows if a != [eats[0], eater]), [eaten, eater]])
                    elif len(eats) > 1:
                        found.append([arrow for arrow in arrows if arrow != [eaten, eater]])
        for one in shuffled(found, rng):
            yield changed(facts, arrows=one)
