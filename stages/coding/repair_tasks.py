"""RL tasks with a verifiable reward, from the tasks of a build: one prompt, one answer, judged by the task's tests.

    train-00000-of-00001.parquet, validation-...      columns: id, question, shown, task, group

`question` shows the issue and the source that the fix is in; `task` is the TASK row as JSON, which the reward runs.
The file is read out of the task's own container, so what is shown is what the patch will be applied to.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from contextrl_data.pipeline.errors import InputError, RunError
from contextrl_data.pipeline.stage import Row, seed_of
from contextrl_data.pipeline.store import write_table
from contextrl_data.stages.coding.daemon import swept
from contextrl_data.stages.coding.repair_answer import Shown, lines_of
from contextrl_data.stages.coding.sandbox import SandboxConfig, UnusableTask, connect
from contextrl_data.stages.coding.syntax import parse
from contextrl_data.stages.coding.workspace import open_task
from contextrl_data.stages.rows import TASK

if TYPE_CHECKING:
    import docker

Show = Literal["file", "symbol"]
LARGEST_FILE = 400_000

REPAIR_TASK = pa.schema([(name, pa.string()) for name in ("id", "question", "shown", "task", "group")])
"""A repair task as the trainer reads it; `shown` and `task` are JSON."""

PROMPT = """\
An issue of the Python project {repo}, and the source that it is in, follow. Repair the source.

Issue:
{issue}

{path}, lines {first} to {last}:
```python
{source}```

Answer with one or more blocks of this form. The search text must be copied exactly from the source above, in whole \
lines, and stand there only once:

<<<<<<< SEARCH
lines as they are
=======
lines as they must be
>>>>>>> REPLACE"""


def write_repair_tasks(
    tasks: Iterable[Row], folder: Path, *, show: Show = "file", held_out: float = 0.2, workers: int = 2, run_id: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Write the dataset; returns how many tasks each split holds, and how many were left out by reason.

    Tasks of one function stay in one split; `held_out` is the share of functions in `validation`.

    Raises:
        RunError: the folder holds something else.
        InputError: no task is left.
    """
    if folder.exists() and any(path.name != "data" for path in folder.iterdir()):
        raise RunError(f"{folder} holds something else", "give another folder as --output")
    with swept():
        client = connect()
        try:
            with ThreadPoolExecutor(workers) as pool:
                made = list(pool.map(lambda task: repair_task(client, task, show, run_id), tasks))
        finally:
            client.close()
    rows = [row for row in made if isinstance(row, dict)]
    left_out: dict[str, int] = {}
    for reason in (each for each in made if isinstance(each, str)):
        left_out[reason] = left_out.get(reason, 0) + 1
    if not rows:
        raise InputError("no task can be shown to a model", f"left out: {left_out or 'there was none to begin with'}")
    held = held_groups({row["group"] for row in rows}, held_out)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    counts = {}
    for split in ("train", "validation"):
        part = sorted((r for r in rows if (r["group"] in held) == (split == "validation")), key=lambda r: str(r["id"]))
        counts[split] = len(part)
        if part:
            table = pa.Table.from_pylist(part, schema=REPAIR_TASK)
            write_table(folder / "data" / f"{split}-00000-of-00001.parquet", table)
    return counts, left_out


def held_groups(groups: set[str], share: float) -> set[str]:
    """The groups that are held out: those with the smallest hashes, so that a new group moves few others."""
    ordered = sorted(groups, key=lambda group: seed_of(0, group, "repair"))
    return set(ordered[: round(share * len(ordered))])


def repair_task(client: docker.DockerClient, task: Row, show: Show, run_id: str) -> Row | str:
    """One row, or why there is none."""
    if not task["problem_statement"].strip():
        return "task without an issue"
    try:
        with open_task(client, task, SandboxConfig(), run_id) as sandbox:
            raw = sandbox.get(f"{task['workdir']}/{task['file']}", LARGEST_FILE)
    except UnusableTask as unusable:
        return unusable.reason
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "file is no text"
    shown = excerpt(task["file"], text, task["symbol"] if show == "symbol" else "")
    if shown is None:
        return "function not found"
    question = PROMPT.format(
        repo=task["repo"],
        issue=task["problem_statement"].strip(),
        path=shown.path,
        first=shown.start + 1,
        last=shown.end,
        source=shown.lines if shown.lines.endswith("\n") else shown.lines + "\n",
    )
    packed = {name: task[name] for name in TASK.names}
    return {
        "id": task["id"],
        "question": question,
        "shown": json.dumps(asdict(shown), ensure_ascii=False),
        "task": json.dumps(packed, ensure_ascii=False, sort_keys=True),
        "group": f"{task['repo']}::{task['file']}::{task['symbol']}",
    }


def excerpt(path: str, text: str, symbol: str) -> Shown | None:
    """The whole file, or the lines of one function or class (`name`, `Class.method`)."""
    if not symbol:
        return Shown(path, text, 0, len(lines_of(text)))
    try:
        node: Any = parse(text)
    except SyntaxError:
        return None
    for name in symbol.split("."):
        inside = (each for each in ast.walk(node) if each is not node and getattr(each, "name", None) == name)
        node = next(
            (each for each in inside if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)), None
        )
        if node is None:
            return None
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return Shown(path, text, first - 1, node.end_lineno)
