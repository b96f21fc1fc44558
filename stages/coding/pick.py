"""Pick the tasks worth a rollout: bugs of one function are siblings, a bug alone has nobody to be contrasted with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from pydantic import Field

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Gather, Gathered, Row, Rows, StageConfig, seed_of
from contextrl_data.stages.rows import TASK


class PickConfig(StageConfig):
    """Settings of `pick`."""

    max_tasks: int | None = Field(None, ge=2)
    """Most tasks to go on with; none means all."""
    min_per_function: int = Field(2, ge=1)
    """Functions with fewer tasks are left out; 1 keeps them for `outcome` pairs alone."""
    max_per_function: int = Field(6, ge=1)
    """Most tasks of one function."""
    seed: int = 0
    """Chooses among the tasks of one function."""


class Pick(Gather[PickConfig]):
    """TASK -> TASK, fewer: whole functions, taken from the repositories in turn."""

    name = "pick"
    schema = TASK

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Never more than `max_tasks`."""
        return Outlook(rows if self.config.max_tasks is None else min(rows, self.config.max_tasks))

    def gather(self, rows: Rows) -> Gathered:
        """See every task's place, then stream those of the chosen functions."""
        functions: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
        for row in rows.select(["id", "repo", "commit", "file", "symbol"]):
            functions[row["repo"], row["commit"], row["file"], row["symbol"]].append(row)
        dropped: dict[str, str] = {}
        usable: dict[str, list[list[str]]] = defaultdict(list)
        for (repo, *_), tasks in sorted(functions.items()):
            ids = sorted((row["id"] for row in tasks), key=lambda task: seed_of(self.config.seed, task))
            if len(ids) < self.config.min_per_function:
                dropped.update(dict.fromkeys(ids, "no sibling task in its function"))
                continue
            dropped.update(dict.fromkeys(ids[self.config.max_per_function :], "over the cap per function"))
            usable[repo].append(ids[: self.config.max_per_function])
        chosen = self._in_turn(usable)
        left = {task for groups in usable.values() for ids in groups for task in ids} - chosen
        dropped.update(dict.fromkeys(sorted(left), "over max_tasks"))
        return Gathered(
            rows=(row for row in rows if row["id"] in chosen),
            dropped=dropped,
            funnel=[
                ("functions with a task", len(functions)),
                ("functions with siblings", sum(map(len, usable.values()))),
                ("tasks picked", len(chosen)),
            ],
        )

    def _in_turn(self, usable: dict[str, list[list[str]]]) -> set[str]:
        """One function of each repository after the other, those with the most tasks first."""
        queues = [sorted(groups, key=lambda ids: (-len(ids), ids)) for _, groups in sorted(usable.items())]
        chosen: set[str] = set()
        for turn in range(max(map(len, queues), default=0)):
            for queue in queues:
                room = None if self.config.max_tasks is None else self.config.max_tasks - len(chosen)
                ids = queue[turn] if turn < len(queue) else []
                if room is None or len(ids) <= room:
                    chosen.update(ids)
                elif room >= max(self.config.min_per_function, 1):
                    chosen.update(ids[:room])
        return chosen
