"""What a judge was not sure of goes to a person: out as `review.jsonl`, back in as the same file, filled in."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import Field

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig
from contextrl_data.pipeline.store import write_atomic
from contextrl_data.stages.prompt import transcript
from contextrl_data.stages.rows import JUDGED

FILE = "review.jsonl"
PERSON = "person"
WAITING = "waits for review"
REFUSED = "refused in review"


class ReviewConfig(StageConfig):
    """How UNCERTAIN pairs are dealt with."""

    verdicts: list[Path] = Field(default=[])
    """More files filled in by a person: JSON lines with `id` and `verdict` (VALID, INVALID, or empty: not decided yet).
    A build finds those of its own folders by itself."""
    keep_uncertain: bool = False
    """Let pairs that wait for review go on, marked UNCERTAIN, instead of holding them back."""
    view: Literal["full", "before_edit"] = "full"
    """The view of the contexts that the review file shows."""


class Review(Gather[ReviewConfig]):
    """JUDGED -> JUDGED. A person's verdict on any pair goes before the judge's."""

    name = "review"
    version = 1
    schema = JUDGED

    def __init__(self, config: ReviewConfig, found: Sequence[Path] = ()) -> None:
        """`found`: files that a person filled in where an earlier run had put them."""
        super().__init__(config)
        self._files = [*config.verdicts, *found]

    def fingerprint(self) -> str:
        """The verdicts themselves: a note that a person adds changes nothing."""
        found = sorted(read_verdicts(self._files).items())
        return hashlib.sha256(orjson.dumps(found)).hexdigest()[:16] if found else ""

    def gather(self, rows: Rows) -> Gathered:
        """Look at verdicts first, then stream the pairs."""
        decided = read_verdicts(self._files)
        verdicts = {row["id"]: row["verdict"] for row in rows.select(["id", "verdict"])}
        waiting = {row_id for row_id, verdict in verdicts.items() if verdict == "UNCERTAIN" and row_id not in decided}
        dropped = {row_id: REFUSED for row_id in verdicts if decided.get(row_id) == "INVALID"}
        if not self.config.keep_uncertain:
            dropped |= dict.fromkeys((row_id for row_id in verdicts if row_id in waiting), WAITING)
        if waiting:
            self._write(row for row in rows if row["id"] in waiting)
        strange = sum(row_id not in verdicts for row_id in decided)
        told = f"{len(waiting)} pairs wait for a person" if waiting else "no pair waits for review"
        if strange:
            told += f"; {strange} verdicts are of no pair of this build: was it made with the same settings?"
        used = Counter(verdict for row_id, verdict in decided.items() if row_id in verdicts)
        return Gathered(
            rows=(reviewed(row, decided.get(row["id"])) for row in rows if row["id"] not in dropped),
            dropped=dropped,
            notes={
                "waiting": len(waiting),
                "decided": dict(sorted(used.items())),
                "verdicts_without_a_pair": strange,
                "message": told,
            },
        )

    def _write(self, rows: Iterator[Row]) -> None:
        path = self.context.folder / "files" / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, b"".join(orjson.dumps(entry(row, self.config.view)) + b"\n" for row in rows))


def reviewed(row: Row, verdict: str | None) -> Row:
    """The row as a person decided, where one has."""
    return row if verdict is None else {**row, "verdict": "VALID", "verdict_reason": "", "judge": PERSON, "votes": 1}


def entry(row: Row, view: str) -> dict[str, Any]:
    """One pair as a person reads it."""
    sides = {
        name: {
            "instance_id": row[name]["instance_id"],
            "problem_statement": row[name]["problem_statement"],
            "patch": row[name]["patch"],
            "context": transcript(row[name][view] or []),
        }
        for name in ("first", "second")
    }
    head = {"id": row["id"], "verdict": "", "note": "", "judge": row["judge"], "doubt": row["verdict_reason"]}
    return {**head, "kind": row["kind"], "group": row["group"], **sides}


def read_verdicts(paths: Sequence[Path]) -> dict[str, str]:
    """Verdicts by pair id, of lines that are filled in.

    Raises:
        InputError: a file cannot be read, or a line is no verdict, or two contradict each other.
    """
    found: dict[str, str] = {}
    for path in paths:
        try:
            lines = path.expanduser().read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"the review file {path} cannot be read", "mend review.verdicts, or leave it out"
            ) from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row_id, verdict = _verdict(line, f"{path}:{number}")
            if verdict and found.setdefault(row_id, verdict) != verdict:
                raise InputError(
                    f"{path}:{number}: {row_id} is both {found[row_id]} and {verdict}", "leave one of the two"
                )
    return found


def _verdict(line: str, place: str) -> tuple[str, str]:
    try:
        entry = json.loads(line)
        row_id, verdict = entry["id"], str(entry.get("verdict") or "").strip().upper()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{place} is no line of a review file", "each line is a JSON object with id and verdict"
        ) from None
    if not isinstance(row_id, str) or verdict not in ("", "VALID", "INVALID"):
        raise InputError(f"{place}: {verdict!r} is no verdict", "write VALID or INVALID, or leave it empty")
    return row_id, verdict
