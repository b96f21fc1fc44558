"""From an undirected candidate to both of its directions: each picture is C+ once and C- once, under one question."""

from __future__ import annotations

from collections.abc import Mapping

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Keep, Map, Outcome, Row, StageConfig, seed_of
from contextrl_data.stages.images.blind import Look, blind_image_scores
from contextrl_data.stages.images.rows import IMAGE_PAIR
from contextrl_data.stages.prompt import correct_option


class ImageDirectConfig(StageConfig):
    """How the options are ordered."""

    seed: int = 0
    """Draws the order of the options on record."""


class ImageDirect(Map[ImageDirectConfig]):
    """JUDGED_CANDIDATE -> two IMAGE_PAIR rows."""

    name = "direct"
    schema = IMAGE_PAIR
    work = "process"

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Both directions."""
        return Outlook(rows * 2)

    def process(self, row: Row) -> Outcome:
        """Both directions; one of them has C+ as its first option."""
        looks = [Look.at(row[side]["image"]["bytes"]) for side in ("first", "second")]
        return Keep([self._directed(row, place, looks) for place in (0, 1)])

    def _directed(self, row: Row, place: int, looks: list[Look]) -> Row:
        """One direction: the answer is that of the first (0) or the second (1) picture."""
        sides = (row["first"], row["second"])
        pos, neg = sides[place], sides[1 - place]
        coin = bool(seed_of(self.config.seed, row["id"], "order") & 1)
        first = coin if place == 0 else not coin
        return {
            "id": f"{row['id']}-{('forward', 'reverse')[place]}",
            "pair_id": row["id"],
            "direction": ("forward", "reverse")[place],
            "split": "",
            "domain": sides[0]["domain"],
            "method": row["method"],
            "question": sides[0]["question"],
            "answer": pos["answer"],
            "answer_neg": neg["answer"],
            "choices": offered_choices(*sides),
            "image_pos": pos["image"],
            "image_neg": neg["image"],
            "correct_first": first,
            "correct_option": correct_option(first),
            "box": row["box"],
            "similarity": row["similarity"],
            "scores": row["scores"],
            "blind_scores": blind_image_scores(looks[place], looks[1 - place], first),
            "checks": row["checks"],
            "group": sides[0]["scene"],
            "image_id_pos": pos["image_id"],
            "image_id_neg": neg["image_id"],
            "facts_pos": pos["facts"],
            "facts_neg": neg["facts"],
            "renderer": sides[0]["renderer"],
            "source": _joined(pos["source"], neg["source"], ", "),
            "licence": _joined(pos["licence"], neg["licence"], " AND "),
            "verdict": row["verdict"],
            "judge": row["judge"],
        }


def offered_choices(first: Row, second: Row) -> list[str]:
    """The choices of both pictures in the first one's order; none where one of them is open."""
    if not (first["choices"] and second["choices"]):
        return []
    return list(dict.fromkeys([*first["choices"], *second["choices"]]))


def _joined(one: str, other: str, word: str) -> str:
    """One value where both agree. An unknown licence makes the whole row's unknown."""
    if one == other or not (one and other):
        return one if one and other else ""
    return word.join(sorted((one, other)))
