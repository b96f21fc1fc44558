"""The execution check: an answer must pass its own issue's tests and fail the other one's, in Docker.

A run that came without a label gets the one that its tests give it here.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Literal

from contextrl_data.pipeline.errors import InputError, RowFailure
from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.coding.backend import Host, Sandboxed, connect_host
from contextrl_data.stages.coding.evaluate import EvaluateConfig, evaluate_patch
from contextrl_data.stages.coding.sandbox import UnusableTask
from contextrl_data.stages.rows import CHECKED

LABELS = ("resolved", "unresolved", "patch_failed")


class CheckConfig(StageConfig):
    """Settings of `check`."""

    unknown_tasks: Literal["drop", "keep"] = "drop"
    """What becomes of a sibling pair whose instances cannot be run here; `keep` leaves its checks empty."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How a patch is evaluated."""


class Check(Sandboxed, Map[CheckConfig]):
    """Runs both answers of a sibling pair against both tasks' tests and records the four results."""

    name = "check"
    version = 3
    schema = CHECKED
    work = "thread"
    dear = True
    adds = ("first", "second", "checks")

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """Two crossed runs for a sibling pair, none for an outcome pair, and what is known already is not run again: about
        one container a pair. None where no tasks are known."""
        return Outlook(rows, containers=rows if sides else 0)

    def is_dear(self, sides: Collection[str]) -> bool:
        """Where no tasks are known nothing is run."""
        return "tasks" in sides

    def open(self, context: Context) -> None:
        """Read the tasks that pairs may name. Sandboxes are asked for at the first pair that needs one."""
        super().open(context)
        if "tasks" not in context.sides and self.config.unknown_tasks == "drop":
            raise InputError("the execution check has no tasks", "name the task stage as its side input 'tasks'")
        self._tasks = {row["id"]: row for row in context.sides.get("tasks", ())}
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._known: dict[tuple[str, str], Future[str]] = {}

    def close(self) -> None:
        """Close the connection."""
        if self._host is not None:
            self._host.close()
            self._host = None

    def process(self, row: Row) -> Outcome:
        """Keep the pair with its checks where they bear the label out."""
        first, second = row["first"], row["second"]
        if row["kind"] == "outcome":
            checks = [_on_record(side) for side in (first, second)]
            right = sorted(check["status"] for check in checks) in (
                ["patch_failed", "resolved"],
                ["resolved", "unresolved"],
            )
        else:
            if not {first["instance_id"], second["instance_id"]} <= self._tasks.keys():
                if self.config.unknown_tasks == "keep":
                    return Keep([{**row, "checks": []}])
                return Drop("no task to run the execution check in")
            try:
                # Each patch was evaluated on its own tests when its run got its label.
                checks = [_on_record(side) if side["status"] else self._check(side, side) for side in (first, second)]
                checks += [self._check(first, second), self._check(second, first)]
            except UnusableTask as unusable:
                return Drop(unusable.reason)
            except InputError as error:
                raise RowFailure("task", str(error)) from error
            own, crossed = checks[:2], checks[2:]
            right = all(check["status"] == "resolved" for check in own)
            right = right and all(check["status"] in ("unresolved", "patch_failed") for check in crossed)
        if any(check["status"] == "timeout" for check in checks):
            return Drop("execution check timed out")
        if not right:
            return Drop("execution check contradicts the label")
        # Both own checks of siblings are passed by now, so that a run without a label has one.
        first, second = (
            side if side["status"] or row["kind"] == "outcome" else {**side, "status": "resolved", "resolved": True}
            for side in (first, second)
        )
        return Keep([{**row, "first": first, "second": second, "checks": checks}])

    def _check(self, patch_of: Row, tests_of: Row) -> dict[str, str]:
        status = self._status(str(tests_of["instance_id"]), str(patch_of["patch"]))
        if status not in (*LABELS, "timeout"):
            raise RowFailure(self.backend.kind, f"the execution check of {tests_of['instance_id']} ended as {status}")
        return {"patch_of": patch_of["instance_id"], "tests_of": tests_of["instance_id"], "status": status}

    def _status(self, task: str, patch: str) -> str:
        """Status of a patch on a task; worked out once, also when several workers ask at the same moment."""
        key = (task, hashlib.sha256(patch.encode("utf-8", "replace")).hexdigest())
        with self._lock:
            known = self._known.get(key)
            mine = known is None
            if known is None:
                known = self._known[key] = Future()
        if mine:
            try:
                host = self._connected()
                verdict = evaluate_patch(host, self._tasks[task], patch, self.config.evaluate, self.context.run_id)
                known.set_result(verdict.status)
            except BaseException as error:
                # A fault of the surroundings is no result: the next pair that asks tries again.
                with self._lock:
                    self._known.pop(key, None)
                known.set_exception(error)
        return known.result()

    def _connected(self) -> Host:
        with self._lock:
            if self._host is None:
                self._host = connect_host(self.backend)
            return self._host


def _on_record(side: Row) -> dict[str, str]:
    """The evaluation that gave a trajectory its label."""
    status = side["status"] or {True: "resolved", False: "unresolved", None: "unknown"}[side["resolved"]]
    return {"patch_of": side["instance_id"], "tests_of": side["instance_id"], "status": status}
