"""From one judged pair of runs to its two directed rows (Q, A, C+, C-): each run's patch is the answer once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, seed_of
from contextrl_data.stages.audit import blind_scores
from contextrl_data.stages.prompt import choice_prompt, correct_option
from contextrl_data.stages.rows import PAIR
from contextrl_data.stages.tokens import TokenConfig, load_counter

QUESTION = (
    "Two coding agents worked in the same code base. Parts of what they did are masked. "
    "Which of the two trajectories, A or B, is the one that led to this patch?"
)

_EVALUATED = {"resolved": True, "unresolved": True, "patch_failed": True}


class DirectConfig(TokenConfig):
    """Settings of `direct`; the token budget is that of one whole prompt."""

    view: Literal["full", "before_edit"] = "full"
    """Which masked view of the runs becomes the contexts: the whole run, or what came before its first edit."""
    question: str = QUESTION
    """What is asked; the answer and the two contexts follow it in the prompt."""
    show_issue: bool = False
    """Put the issue that C+ worked on into the question. It names what the answer does: baselines rise."""
    seed: int = 0
    """Draws which context is shown first. The two directions of a pair show the same order, so position is at chance."""


class Direct(Map[DirectConfig]):
    """JUDGED -> PAIR: both directions where both answers are known, within the token budget, with blind scores."""

    name = "direct"
    version = 2
    schema = PAIR
    work = "process"

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Both directions."""
        return Outlook(rows * 2)

    def open(self, context: Context) -> None:
        """Load the tokenizer."""
        super().open(context)
        self.count = load_counter(self.config.tokenizer)

    def process(self, row: Row) -> Outcome:
        """Keep both directions, or, where one is longer than the budget, neither: they have the same contexts."""
        sides = [row["first"], row["second"]]
        if sides[0][self.config.view] == sides[1][self.config.view]:  # before their first edits two runs may be one
            return Drop("the contexts are the same")
        rows = [self._directed(row, place) for place in (0, 1) if (sides[place]["patch"] or "").strip()]
        if not rows:
            return Drop("no answer is known")
        for directed in rows:
            directed["tokens"] = self.count(choice_prompt(directed))
            if directed["tokens"] > self.config.max_tokens:
                return Drop("longer than the token budget")
            directed["blind_scores"] = _measures(blind_scores(directed))
        return Keep(rows)

    def _directed(self, row: Row, place: int) -> Row:
        """One direction; the answer is that of the first (0) or the second (1) run."""
        pos, neg = (row["first"], row["second"]) if place == 0 else (row["second"], row["first"])
        answer = ("first", "second")[place]
        coin = bool(seed_of(self.config.seed, row["id"], "order") & 1)
        first = coin if place == 0 else not coin
        _, _, where = row["group"].partition("::")
        file, _, symbol = where.partition("::")
        directed = {
            "id": f"{row['id']}-{('forward', 'reverse')[place]}",
            "pair_id": row["id"],
            "direction": ("forward", "reverse")[place],
            "split": "",
            "domain": "coding",
            "kind": row["kind"],
            "question": self._question(pos),
            "answer": pos["patch"],
            "context_pos": pos[self.config.view],
            "context_neg": neg[self.config.view],
            "correct_first": first,
            "correct_option": correct_option(first),
            "answer_neg": neg["patch"],
            "view": self.config.view,
            "repo": pos["repo"],
            "commit": pos["commit"],
            "file": file,
            "symbol": symbol,
            "group": row["group"],
            "source": _joined(pos["source"], neg["source"], ", "),
            "licence": _joined(pos["licence"], neg["licence"], " AND "),
            "verdict": row["verdict"],
            "judge": row["judge"],
            "checks": _facts(row, pos, neg, place),
            "measures": _measures(_numbers(row, answer, self.config.view)),
            "tokenizer": self.config.tokenizer,
        }
        for name, side in (("pos", pos), ("neg", neg)):
            directed[f"instance_{name}"] = side["instance_id"]
            directed[f"trajectory_{name}"] = side["id"]
            for column in ("problem_statement", "resolved", "model"):
                directed[f"{column}_{name}"] = side[column]
        return directed

    def _question(self, pos: Row) -> str:
        if not self.config.show_issue:
            return self.config.question
        return f"{self.config.question}\n\n<issue>\n{(pos['problem_statement'] or '').strip()}\n</issue>"


def _facts(row: Row, pos: Row, neg: Row, place: int) -> list[dict[str, Any]]:
    """What was executed, said for this direction. A check that was not run is on record as such."""
    if row["kind"] == "outcome":
        statuses = [check["status"] for check in row["checks"]] or ["", ""]
        own, other = (statuses[place], statuses[1 - place])
        return [
            _fact("run of C+ was evaluated", own, own in _EVALUATED),
            _fact("run of C- was evaluated", other, other in _EVALUATED),
        ]
    status = {(check["patch_of"], check["tests_of"]): check["status"] for check in row["checks"]}
    own = status.get((pos["instance_id"], pos["instance_id"]), "")
    crossed = status.get((pos["instance_id"], neg["instance_id"]), "")
    return [
        _fact("answer passes the tests of C+", own, own == "resolved"),
        _fact("answer fails the tests of C-", crossed, crossed in ("unresolved", "patch_failed")),
    ]


def _fact(name: str, status: str, passed: bool) -> dict[str, Any]:
    return {"name": name, "passed": passed if status else None, "detail": status}


def _numbers(row: Row, answer: str, view: str) -> dict[str, float]:
    """Similarity of the two runs, and what a blind reader could use of this answer in this view."""
    numbers = {name: row[name] for name in ("relatedness", "near_duplicate", "length_ratio", "lexical_margin")}
    for leak in row["leaks"]:
        if leak["answer"] == answer and leak["view"] == view:
            numbers.update({name: value for name, value in leak.items() if name not in ("answer", "view")})
    return numbers


def _measures(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "value": None if value is None else float(value)} for name, value in numbers.items()]


def _joined(one: str | None, other: str | None, word: str) -> str:
    """One value where both runs agree. An unknown licence makes the whole row's unknown."""
    if one == other or not (one and other):
        return one if one and other else ""
    return word.join(sorted((one, other)))
