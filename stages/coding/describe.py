"""Write a task's bug report from what its failing tests showed, and from nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig, seed_of
from contextrl_data.stages.coding.report_text import compose
from contextrl_data.stages.coding.reproduce import Example, example_of
from contextrl_data.stages.rows import TASK

SHORTEST_TELLING = 8
"""A changed line shorter than this (`else:`, `i += 1`) says nothing when a report happens to hold it."""


class DescribeConfig(StageConfig):
    """Settings of `describe`."""

    seed: int = 0
    """Chooses among the ways to say it."""
    max_characters: int = Field(default=4000, ge=1)
    """A longer report is dropped: nobody writes one."""


class Describe(Map[DescribeConfig]):
    """Validated bug -> task with its problem statement."""

    name = "describe"
    version = 1
    schema = TASK

    def process(self, row: Row) -> Outcome:
        """Tell the failure that is easiest to tell."""
        failures: list[dict[str, Any]] = json.loads(row["failures"])
        examples = [example for example in map(example_of, failures) if example is not None]
        examples.sort(key=lambda each: (not each.complete, "._" in each.call, len(each.snippet), each.test))
        # Two tests often show the same thing; the second example should add something.
        more = [example for example in examples[1:] if example.snippet != examples[0].snippet]
        for first in examples:
            order = random.Random(seed_of(self.config.seed, row["id"]))
            others = [example for example in more if example is not first][:1]
            text = compose(first, others, row["source"], order)
            if len(text) <= self.config.max_characters and not tells(text, row):
                return Keep([_task(row, text)])
            text = compose(first, [], row["source"], order)
            if len(text) <= self.config.max_characters and not tells(text, row):
                return Keep([_task(row, text)])
        return Drop("no readable failure")


def tells(text: str, row: Mapping[str, Any]) -> bool:
    """Whether the report shows a line that the fix removes or adds."""
    folded = "".join(text.split())
    return any(line in folded for line in changed_lines(row["patch"]))


def changed_lines(patch: str) -> list[str]:
    """The removed and added lines of a patch, without white space, those that say something."""
    lines = [
        "".join(line[1:].split())
        for line in patch.splitlines()
        if line[:1] in {"+", "-"} and not line.startswith(("+++ ", "--- "))
    ]
    return [line for line in lines if len(line) >= SHORTEST_TELLING]


def _task(row: Row, text: str) -> dict[str, Any]:
    return {name: row[name] for name in TASK.names} | {"problem_statement": text}


__all__ = ["Describe", "DescribeConfig", "Example", "changed_lines", "tells"]
