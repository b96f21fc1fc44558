"""The scripted agent's policy: it explores, reproduces, edits, checks and submits, and reads what it sees on the way."""

from __future__ import annotations

import posixpath
import random
from collections.abc import Generator
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeAlias

from contextrl_data.stages.coding import scripted_words as words
from contextrl_data.stages.coding.scripted_case import Case
from contextrl_data.stages.coding.scripted_edits import Change, edit_command

LONGEST_VIEW = 150


@dataclass(frozen=True)
class Step:
    """What the agent says, and the command that it runs."""

    thought: str
    command: str


@dataclass(frozen=True)
class Observation:
    """What the command left."""

    output: str
    returncode: int


Plan: TypeAlias = Generator[Step, Observation, None]


@dataclass(frozen=True)
class Intent:
    """What becomes of an attempt. The manner of it is drawn apart, so that nothing before the edit tells."""

    solves: bool
    detour: bool
    """Makes a change first that the failing tests show to be none."""
    reruns: bool
    """Runs the failing tests again at the end, where the change makes them pass."""
    never_ends: bool
    """Goes on looking until the step limit."""


class Policy:
    """One attempt at a task."""

    def __init__(self, case: Case, intent: Intent, rng: random.Random) -> None:
        self.case = case
        self.rng = rng
        self._never_ends = intent.never_ends
        self._proof = case.failing[:2] if intent.solves and intent.reruns else case.passing
        wrong = list(case.wrong)
        end = [case.fix] if intent.solves else wrong[:1]
        first = wrong[1:2] if intent.detour and end else []
        self._tries = [*first, *end]
        self._detours = len(first)
        self._seen = words.Seen()

    def plan(self) -> Plan:
        """The steps, from the first look to the submission."""
        yield from self._explore()
        while self._tries:
            change = self._tries.pop(0)
            yield from self._locate(change)
            yield from self._edit(change)
            if self._detours:
                self._detours -= 1
                undone = yield from self._retry()
            else:
                undone = yield from self._check(change)
            if not undone:
                break
        while self._never_ends:
            yield self._further()
        yield from self._submit()

    def _say(self, bank: tuple[str, ...], **slots: str) -> str:
        return self.rng.choice(bank).format(**slots)

    def _explore(self) -> Plan:
        case, rng = self.case, self.rng
        folder = posixpath.dirname(case.file) or "."
        if rng.random() < 0.7:
            yield Step(
                self._say(words.OPEN),
                rng.choice(
                    (
                        "ls",
                        f"ls && ls {folder}",
                        "git ls-files | grep '\\.py$' | head -n 40",
                        "find . -name '*.py' -not -path './.git/*' | sort | head -n 40",
                    )
                ),
            )
        early = rng.random() < 0.35
        if early:
            yield from self._reproduce()
        bank = words.FIND_NAMED if case.named else words.FIND
        yield Step(
            self._say(bank, name=case.function),
            rng.choice(
                (
                    f"git grep -n 'def {case.function}\\b' -- '*.py'",
                    f"grep -rn 'def {case.function}(' --include='*.py' . | sort",
                    f"grep -n 'def ' {case.file} | grep -w '{case.function}'",
                )
            ),
        )
        yield from self._view()
        extras = [self._callers, self._tests]
        rng.shuffle(extras)
        for extra in extras[: rng.choice((0, 1, 1, 2))]:
            yield extra()
        if not early:
            yield from self._reproduce()

    def _view(self) -> Plan:
        first, last = self.case.span
        low, high = (
            max(first - self.rng.randint(0, 4), 1),
            min(last, first + LONGEST_VIEW) + self.rng.randint(0, 4),
        )
        forms = [
            f"sed -n '{low},{high}p' {self.case.file}",
            f"nl -ba {self.case.file} | sed -n '{low},{high}p'",
        ]
        yield Step(self._say(words.VIEW, file=self.case.file), self.rng.choice(forms))

    def _callers(self) -> Step:
        name = self.case.function
        return Step(
            self._say(words.CALLERS, name=name),
            self.rng.choice(
                (
                    f"git grep -n -w '{name}' -- '*.py' | head -n 15",
                    f"grep -rn '{name}(' --include='*.py' . | sort | head -n 15",
                )
            ),
        )

    def _tests(self) -> Step:
        home, name = _test_of(self.case.failing[0])
        return Step(self._say(words.TESTS), f"grep -n -A {self.rng.randint(10, 16)} 'def {name}\\b' {home}")

    def _reproduce(self) -> Plan:
        case = self.case
        if case.snippet and self.rng.random() < 0.6:
            assignments = " ".join(takewhile(lambda word: "=" in word, case.runner.split()))
            command = f"{assignments} python3 - <<'EOF'\n{case.snippet}\nEOF".strip()
        else:
            command = self._failing_tests()
        seen = yield Step(self._say(words.REPRODUCE), command)
        self._seen = words.read_output(seen.output, seen.returncode)

    def _failing_tests(self) -> str:
        return f"{self.case.runner} -q --tb=short -p no:cacheprovider {' '.join(self.case.failing[:2])}"

    def _locate(self, change: Change) -> Plan:
        place, _ = words.place_of(self.case, change)
        margin = self.rng.randint(2, 5)
        low, high = max(change.first - margin, 1), max(change.last, change.first) + margin
        forms = [
            f"sed -n '{low},{high}p' {self.case.file}",
            f"nl -ba {self.case.file} | sed -n '{low},{high}p'",
        ]
        thought = " ".join((self._seen.told(self.rng), self._say(words.SUSPECT, place=place), self._say(words.CLOSER)))
        yield Step(thought, self.rng.choice(forms))

    def _edit(self, change: Change) -> Plan:
        case = self.case
        _, short = words.place_of(case, change)
        seen = yield Step(
            self._say(words.EDIT, short=short),
            edit_command(case.file, case.text, change, case.span, self.rng),
        )
        if seen.returncode != 0:
            raise RuntimeError(f"an edit of {case.file} failed: {seen.output[:300]}")

    def _retry(self) -> Generator[Step, Observation, bool]:
        """Run the failing tests after a change that is none; True where it was taken back."""
        seen = yield Step(self._say(words.CHECK), self._failing_tests())
        read = words.read_output(seen.output, seen.returncode)
        if not read.failed:
            return False
        self._seen = read
        yield Step(self._say(words.STILL, seen=read.told(self.rng)), f"git checkout -- {self.case.file}")
        return True

    def _check(self, change: Change) -> Generator[Step, Observation, bool]:
        """Check a change by tests that pass with it, or by reading it; never taken back."""
        look = self.rng.random() < 0.3
        if look or not self._proof:
            high = change.first + len(change.new) + 3
            yield Step(
                self._say(words.LOOK),
                f"python3 -c \"import ast; ast.parse(open('{self.case.file}').read())\" && "
                f"sed -n '{max(change.first - 3, 1)},{high}p' {self.case.file}",
            )
            self._after = self._say(words.PARSES)
            return False
        command = f"{self.case.runner} -q --tb=short -p no:cacheprovider {' '.join(self._proof)}"
        seen = yield Step(self._say(words.CHECK), command)
        summary = words.summary_of(seen.output)
        self._after = self._say(words.PASSED, seen=summary) if seen.returncode == 0 else f"`{summary}`."
        return False

    _after = ""

    def _further(self) -> Step:
        pick = self.rng.choice((self._callers, self._tests))()
        return Step(f"{self._say(words.MORE)} {pick.thought}", pick.command)

    def _submit(self) -> Plan:
        yield Step(
            f"{self._after} {self._say(words.DIFF)}".strip(),
            f"git diff -- {self.case.file} > patch.txt && cat patch.txt",
        )
        yield Step(self._say(words.SUBMIT), "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat patch.txt")


def _test_of(identity: str) -> tuple[str, str]:
    """File and function name of a test id."""
    home, *rest = identity.strip("'").split("::")
    return home, (rest[-1] if rest else "test_").split("[")[0]
