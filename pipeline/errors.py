"""Everything that can go wrong, in one tree.

    ContextRLError
    ├── UserError             the person can mend it: one line with the value and the remedy, exit 2
    │   ├── ConfigError       a setting is wrong, misspelt or in the wrong place
    │   ├── InputError        a file, dataset or row set is not what it must be
    │   ├── SetupError        the machine lacks something (Docker, disk, a pip extra, a key)
    │   └── RunError          a run folder is missing, locked or of another run
    ├── RowFailure            one row could not be processed; charged to one boundary, the run goes on
    └── StoreError            a run folder contradicts its own manifest (a bug or a damaged disk), exit 1

A *drop* is no error: a stage returns it, with its reason (`contextrl_data.pipeline.stage.Drop`).
"""

from __future__ import annotations


class ContextRLError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class UserError(ContextRLError):
    """A mistake the user can mend. `remedy` says how, in one sentence."""

    exit_code = 2

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem if not remedy else f"{problem} — {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        return type(self), (self.problem, self.remedy)


class ConfigError(UserError):
    """A setting is wrong; the message holds the full path of each."""


class InputError(UserError):
    """An input file or dataset cannot be used."""


class SetupError(UserError):
    """The machine lacks something: Docker, disk space, a key."""


class MissingExtra(SetupError):
    """A part of the package is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs packages that are not installed",
            f"pip install 'contextrl-data[{extra}]'",
        )
        self.extra = extra
        self.needed_for = needed_for

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        return type(self), (self.extra, self.needed_for)


class RunError(UserError):
    """A run folder is missing, in use, or belongs to something else."""


class RowFailure(ContextRLError):
    """One row failed at one boundary (`docker`, `model`, `hub`, `disk`, ...); never a label, never a drop."""

    def __init__(self, boundary: str, message: str) -> None:
        super().__init__(f"{boundary}: {message}")
        self.boundary = boundary
        self.message = message

    def __reduce__(self) -> tuple[type[RowFailure], tuple[str, str]]:
        return type(self), (self.boundary, self.message)


class StoreError(ContextRLError):
    """A run folder contradicts its manifest."""


def first_line(error: BaseException, longest: int = 200) -> str:
    """What an error says, in one line of at most `longest` characters; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:longest]
