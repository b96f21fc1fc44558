"""What may be spent on a chat model in one run, in calls and in dollars, counted across threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from contextrl_data.pipeline.errors import UserError


class BudgetSpent(UserError):
    """The run stops here on purpose; what is done is kept, and the next run goes on from it."""


class Bill:
    """One call under way: what it cost is written here."""

    cost = 0.0


class Budget:
    """Counts calls before they are made and dollars after; a call that could overdraw is not begun."""

    def __init__(self, name: str, max_calls: int | None, max_dollars: float | None) -> None:
        self.name, self.max_calls, self.max_dollars = name, max_calls, max_dollars
        self.calls = 0
        self.dollars = 0.0
        self._flying = 0
        self._dearest = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def call(self) -> Iterator[Bill]:
        """Around one call, also one that fails: a provider may bill it all the same.

        Raises:
            BudgetSpent: nothing is left for another call.
        """
        bill = Bill()
        with self._lock:
            self._check()
            self.calls += 1
            self._flying += 1
        try:
            yield bill
        finally:
            with self._lock:
                self._flying -= 1
                self.dollars += bill.cost
                self._dearest = max(self._dearest, bill.cost)

    def _check(self) -> None:
        if self.max_calls is not None and self.calls >= self.max_calls:
            self._stop(f"all {self.max_calls} calls of this run are made", "max_calls")
        # Calls under way have no price yet: each is taken for as dear as the dearest so far.
        owed = self._flying * self._dearest
        if self.max_dollars is not None and self.dollars + owed + self._dearest > self.max_dollars:
            self._stop(f"${self.dollars:.2f} of ${self.max_dollars:.2f} are spent", "max_dollars")

    def _stop(self, problem: str, setting: str) -> None:
        raise BudgetSpent(
            f"{self.name}: {problem}",
            f"what is done is kept: run again to go on with the same budget, or raise {setting}",
        )
