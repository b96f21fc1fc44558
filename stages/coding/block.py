"""The cheap end of the cascade: runs that no other run can be compared with end here, before anything is read of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from contextrl_data.pipeline.stage import Row, Sift, Sifted, StageConfig
from contextrl_data.stages.coding.cascade import Kind
from contextrl_data.stages.coding.pairing import usable
from contextrl_data.stages.coding.patches import is_test_path, named_paths
from contextrl_data.stages.rows import TRAJECTORY


class BlockConfig(StageConfig):
    """Settings of `block`: those of `cascade` and `locate` that decide who may meet whom."""

    kinds: tuple[Kind, ...] = ("sibling", "outcome")
    """See `cascade.kinds`."""
    require_resolved: bool = True
    """See `cascade.require_resolved`."""
    same_commit: bool = True
    """See `cascade.same_commit`."""
    extensions: tuple[str, ...] = (".py",)
    """See `locate.extensions`."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The light columns of one run."""

    id: str
    place: tuple[str, str]
    """Repository and commit ("" where it may differ)."""
    files: frozenset[str] | None
    """Source files that the patch names; None where it has to be rebuilt from the messages, and may name any."""


class Block(Sift[BlockConfig]):
    """Drops runs without a usable label, and those that share neither repository nor file with another run.

    It never drops what the cascade would keep: it looks at the same conditions, by the patch's headers alone. Patches
    without a source file go on, for `locate` to say what is wrong with them.
    """

    name = "block"
    schema = TRAJECTORY
    columns: ClassVar[tuple[str, ...]] = ("id", "repo", "commit", "resolved", "patch")

    def sift(self, rows: Iterator[Row]) -> Sifted:
        """One pass over the light columns."""
        dropped: dict[str, str] = {}
        runs: list[_Run] = []
        total = 0
        for row in rows:
            total += 1
            if usable(row["resolved"], self.config.kinds, self.config.require_resolved):
                runs.append(self._run(row))
            else:
                dropped[row["id"]] = "no usable label"
        funnel = [("trajectories", total), ("usable label", len(runs))]
        in_place = Counter(run.place for run in runs)
        alone = {run.id for run in runs if in_place[run.place] < 2}
        dropped.update(dict.fromkeys(sorted(alone), "no other run of its repository"))
        runs = [run for run in runs if run.id not in alone]
        funnel.append(("runs of one repository", len(runs)))
        in_file = Counter((run.place, file) for run in runs for file in run.files or ())
        anywhere = {run.place for run in runs if run.files is None}
        alone = {
            run.id
            for run in runs
            if run.files and run.place not in anywhere and all(in_file[run.place, file] < 2 for file in run.files)
        }
        dropped.update(dict.fromkeys(sorted(alone), "no other run of its file"))
        return Sifted(dropped, [*funnel, ("runs of one file", len(runs) - len(alone))])

    def _run(self, row: Mapping[str, Any]) -> _Run:
        patch = row["patch"] or ""
        paths = {path for path in named_paths(patch) if not is_test_path(path)}
        wanted = {path for path in paths if not self.config.extensions or path.endswith(self.config.extensions)}
        commit = (row["commit"] or "") if self.config.same_commit else ""
        # Ten thousands of runs share few names: each string is held once.
        place = sys.intern(row["repo"] or ""), sys.intern(commit)
        return _Run(row["id"], place, frozenset(map(sys.intern, wanted)) if patch.strip() else None)
