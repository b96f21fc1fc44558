"""Refuse benchmark instances for training: SWE-bench (test), Verified and Lite, by instance id and by repository."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from pydantic import Field

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.facts import BENCHMARK_MARK
from contextrl_data.stages.rows import TASK, TRAJECTORY

SWE_BENCH = (
    "astropy/astropy",
    "django/django",
    "matplotlib/matplotlib",
    "mwaskom/seaborn",
    "pallets/flask",
    "psf/requests",
    "pydata/xarray",
    "pylint-dev/pylint",
    "pytest-dev/pytest",
    "scikit-learn/scikit-learn",
    "sphinx-doc/sphinx",
    "sympy/sympy",
)
"""The repositories of SWE-bench's test split. Verified and Lite are parts of it, so each of their ids is one of
`owner__repo-number` of these; the shape is refused as a whole, which needs no list and misses none."""

ALLOWED_MARK = f" {BENCHMARK_MARK}"
"""Put behind `source` of rows that `allow_benchmarks` let through: the card counts rows by source."""
BENCHMARK_INSTANCE = "benchmark instance"
BENCHMARK_REPOSITORY = "benchmark repository"

LONGEST = 200
"""Characters of a name that are looked at; ids are far shorter."""
_INSTANCE = re.compile(r"^([\w.-]+?)__([\w.-]+?)-\d+(?:_\d+)?$")
_SMITH = re.compile(r"^([\w.-]+?)__([\w.-]+?)\.[0-9a-f]{7,40}(?:\.|$)")


class DecontaminateConfig(StageConfig):
    """Which tasks are never trained on."""

    allow_benchmarks: bool = False
    """Let benchmark instances through, to test a pipeline; every such row says `[benchmark]` in its source."""
    repositories: list[str] = Field(default=[])
    """More repositories to refuse, as owner/name."""
    id_lists: list[Path] = Field(default=[])
    """Files of more instance ids to refuse, one a line; blank lines and lines that begin with # are skipped."""
    whole_repositories: bool = True
    """Refuse every task of a benchmark's repository, not only those whose id has the benchmark's shape."""


class Benchmarks:
    """Recognises benchmark tasks."""

    def __init__(self, config: DecontaminateConfig) -> None:
        self.config = config
        self._extra = {repo.lower() for repo in config.repositories}
        self._repositories = {*SWE_BENCH, *self._extra}

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(name.lower() for path in self.config.id_lists for name in _read_ids(path))

    def reason(self, instance_id: str, repo: str = "") -> str | None:
        """Why a task is one of a benchmark's, or None. Names are compared without case, as GitHub does."""
        name = instance_id.lower()
        if name in self._ids or re.sub(r"_\d+$", "", name) in self._ids:
            return BENCHMARK_INSTANCE
        issue = _INSTANCE.match(name[:LONGEST])
        if issue and f"{issue[1]}/{issue[2]}" in self._repositories:
            return BENCHMARK_INSTANCE
        own = repo_of(name, repo.lower())
        if own in self._extra or (self.config.whole_repositories and own in self._repositories):
            return BENCHMARK_REPOSITORY
        return None

    def judge(self, row: Row) -> Outcome:
        """Keep what is no benchmark's; drop the rest, or mark it where the config lets it through."""
        reason = self.reason(row["instance_id"] if "instance_id" in row else row["id"], row.get("repo") or "")
        if reason is None:
            return Keep([row])
        if not self.config.allow_benchmarks:
            return Drop(reason)
        source = row.get("source") or ""
        return Keep([row if source.endswith(ALLOWED_MARK) else {**row, "source": source + ALLOWED_MARK}])

    def fingerprint(self) -> str:
        """Changes when an id list does."""
        return hashlib.sha256("\n".join(sorted(self._ids)).encode()).hexdigest()[:16] if self._ids else ""


def repo_of(instance_id: str, repo: str) -> str:
    """owner/name; mirrors as SWE-smith names them (`swesmith/owner__name.commit8`) count as what they mirror."""
    for text in (repo.rsplit("/", 1)[-1], instance_id):
        mirror = _SMITH.match(text[:LONGEST]) or _INSTANCE.match(text[:LONGEST])
        if mirror:
            return f"{mirror[1]}/{mirror[2]}"
    return repo


def _read_ids(path: Path) -> Iterable[str]:
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the list of benchmark ids {path} cannot be read", "give a text file with one instance id a line"
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


class Decontaminate(Map[DecontaminateConfig]):
    """TRAJECTORY -> TRAJECTORY without benchmark instances."""

    name = "decontaminate"
    version = 1
    schema = TRAJECTORY
    work = "process"

    def fingerprint(self) -> str:
        """The ids in the lists."""
        return Benchmarks(self.config).fingerprint()

    def open(self, context: Context) -> None:
        """Read the id lists."""
        super().open(context)
        self._benchmarks = Benchmarks(self.config)

    def process(self, row: Row) -> Outcome:
        """Judge one row by its id and its repository."""
        return self._benchmarks.judge(row)


class DecontaminateTasks(Decontaminate):
    """TASK -> TASK without benchmark instances, so that no agent is even run on them."""

    name = "decontaminate-tasks"
    schema = TASK
