"""Which trajectories may be compared at all: an inverted index over repository, commit, file and function."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from contextrl_data.stages.lexical import changed_lines, fold, identifiers

Place = tuple[str, str, str, str]
"""Repository, commit ("" where it may differ), file, symbol ("" where the file alone decides)."""


@dataclass(frozen=True)
class Light:
    """What the cascade knows of a trajectory before it reads any message."""

    id: str
    instance_id: str
    repo: str
    commit: str
    resolved: bool | None
    issue: str
    answer: str
    """Digest of the patch's changed lines by file, white space aside: equal for equal answers."""
    names: frozenset[str]
    """Identifiers of the patch."""
    edits: tuple[tuple[str, str, str], ...]
    """(file, symbol, digest of the changed lines), one for each place."""
    lines: frozenset[int]
    """Every line that the patch removes or adds, as `line_hash` gives it."""

    def places(self, scope: str, module_level: bool) -> dict[tuple[str, str], str]:
        """(file, symbol) -> digest of what is changed there; by file alone where that is the scope."""
        if scope == "function":
            return {(file, symbol): digest for file, symbol, digest in self.edits if symbol or module_level}
        files: dict[tuple[str, str], str] = {}
        for file, _, digest in self.edits:
            files[file, ""] = files.get((file, ""), "") + digest
        return files

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Light:
        """From the light columns of a LOCATED row."""
        edits: dict[tuple[str, str], list[str]] = defaultdict(list)
        for edit in row["edits"]:
            lines = [f"-{fold(line)}" for line in edit["removed"]] + [f"+{fold(line)}" for line in edit["added"]]
            edits[edit["file"], edit["symbol"]].extend(lines)
        ordered = sorted(edits.items())
        return cls(
            id=row["id"],
            instance_id=row["instance_id"],
            repo=row["repo"],
            commit=row["commit"] or "",
            resolved=row["resolved"],
            # Ten thousands of runs share their issues and most of their names: each string is held once.
            issue=sys.intern(row["problem_statement"] or ""),
            answer=_digest("\n".join([file, *lines]) for (file, _), lines in ordered),
            names=frozenset(map(sys.intern, identifiers(row["patch"] or ""))),
            lines=frozenset(line_hash(line) for part in changed_lines(row["patch"] or "") for line in part),
            edits=tuple((sys.intern(file), sys.intern(symbol), _digest(lines)) for (file, symbol), lines in ordered),
        )


def usable(resolved: bool | None, kinds: Collection[str], require_resolved: bool) -> bool:
    """Whether a run with this label can be part of a pair of these kinds."""
    if resolved is None:
        return not require_resolved and "sibling" in kinds
    return resolved or "outcome" in kinds


def line_hash(line: str) -> int:
    """A number for a line, white space aside: the same in every process."""
    folded = fold(line).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(folded, digest_size=8).digest(), "little")


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()


LIGHT_COLUMNS = ["id", "instance_id", "repo", "commit", "resolved", "problem_statement", "patch", "edits"]


@dataclass(frozen=True)
class Blocks:
    """The inverted index at one depth."""

    members: Mapping[tuple[str, ...], list[str]]

    @property
    def pair_count(self) -> int:
        """Pairs that share a block, counted once for each block they share."""
        return sum(len(ids) * (len(ids) - 1) // 2 for ids in self.members.values())

    @property
    def with_partner(self) -> set[str]:
        """Trajectories that are not alone in each of their blocks."""
        return {name for ids in self.members.values() if len(ids) > 1 for name in ids}

    def pairs(self) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
        """Each pair once, smaller id first, with the first block that holds both."""
        seen: set[tuple[str, str]] = set()
        for block, ids in sorted(self.members.items()):
            for pair in combinations(ids, 2):
                if pair not in seen:
                    seen.add(pair)
                    yield pair, block


def index(lights: Iterable[Light], depth: str, same_commit: bool, module_level: bool = False) -> Blocks:
    """Index by `repository`, `file` or `function`. Code outside any function is a place only with `module_level`."""
    members: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for light in lights:
        commit = light.commit if same_commit else ""
        if depth == "repository":
            members[light.repo, commit].add(light.id)
            continue
        for file, symbol, _ in light.edits:
            if depth == "file":
                members[light.repo, commit, file, ""].add(light.id)
            elif symbol or module_level:
                members[light.repo, commit, file, symbol].add(light.id)
    return Blocks({block: sorted(ids) for block, ids in members.items()})
