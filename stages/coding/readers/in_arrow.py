"""Messages that stay in Arrow: where a file gives them in the normal form already, they are looked at and not copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa

from contextrl_data.pipeline.stage import Row
from contextrl_data.pipeline.store import InArrow
from contextrl_data.stages.coding.readers.found import Message
from contextrl_data.stages.rows import MESSAGE

NORMAL_ROLES = frozenset({"system", "user", "assistant", "tool"})
MARKS = ("<function=", "```mswea_bash_command")
"""What an agent's message holds that has to be rewritten."""


class Batch:
    """The messages of some rows, side by side."""

    def __init__(self, column: pa.ListArray) -> None:
        messages = column.flatten()
        roles, texts = messages.field("role"), messages.field("content")
        starts = column.offsets.to_numpy() - column.offsets[0].as_py()
        struct = pa.StructArray.from_arrays([roles, texts], fields=list(MESSAGE))
        self.column = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), struct)
        self.starts: list[int] = starts.tolist()
        self.roles: list[str] = roles.to_pylist()
        _, offsets, data = texts.buffers()
        self.offsets = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        self.data = memoryview(data) if data is not None else memoryview(b"")

    def text(self, index: int) -> str:
        """One message's text."""
        return str(self.data[self.offsets[index] : self.offsets[index + 1]], "utf-8")


class MessagesInArrow(Sequence[Message], InArrow):
    """One run's messages. Reads like a list of them."""

    def __init__(self, batch: Batch, row: int) -> None:
        self._batch, self._row = batch, row
        self._start, self._stop = batch.starts[row : row + 2]

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(self._start, self._stop)[index]
        return {"role": self._batch.roles[place], "content": self._batch.text(place)}

    def __iter__(self) -> Iterator[Message]:
        return (self[place] for place in range(len(self)))

    @property
    def roles(self) -> list[str]:
        """Every message's role."""
        return self._batch.roles[self._start : self._stop]

    @property
    def data(self) -> memoryview:
        """All texts in UTF-8, one behind the other."""
        return self._batch.data[self._batch.offsets[self._start] : self._batch.offsets[self._stop]]

    @property
    def sizes(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Bytes of every text."""
        return np.diff(self._batch.offsets[self._start : self._stop + 1])

    def said(self) -> Iterator[str]:
        """What the agent said, one message after the other."""
        places = range(self._start, self._stop)
        return (self._batch.text(place) for place in places if self._batch.roles[place] == "assistant")

    def arrow(self) -> pa.Array:
        """See `InArrow`."""
        return self._batch.column.slice(self._row, 1)

    def is_normal(self) -> bool:
        """Whether nothing in them has to be rewritten."""
        if not NORMAL_ROLES.issuperset(self.roles):
            return False
        return not any(mark in text for text in self.said() for mark in MARKS)


def rows_in_arrow(batch: pa.RecordBatch, name: str) -> list[Row] | None:
    """The rows of a batch with the messages of column `name` left in Arrow, but for rows where they need rewriting.

    None where the column holds anything else than whole messages of role and content.
    """
    if name not in batch.schema.names:
        return None
    column = batch.column(name)
    kind = column.type
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type) or column.null_count:
        return None
    if sorted((field.name, str(field.type)) for field in kind.value_type) != [
        ("content", "string"),
        ("role", "string"),
    ]:
        return None
    messages = column.flatten()
    parts = [messages, messages.field("role"), messages.field("content")]
    if any(part.null_count for part in parts):
        return None
    try:
        for part in parts[1:]:
            part.validate(full=True)
    except pa.ArrowInvalid:  # bytes that are no UTF-8
        return None
    held = Batch(column)
    shown = bytes(held.data[held.offsets[0] : held.offsets[-1]])
    if b"\0" in shown:
        return None
    # Most batches hold nothing to rewrite, which one look at all their text tells.
    sound = NORMAL_ROLES.issuperset(held.roles) and not any(mark.encode() in shown for mark in MARKS)
    others = batch.drop_columns([name]).to_pylist() if batch.num_columns > 1 else [{}] * batch.num_rows
    rows: list[Row] = []
    for index, row in enumerate(others):
        found = MessagesInArrow(held, index)
        given = {**row, name: found if sound or found.is_normal() else list(found)}
        rows.append({key: given[key] for key in batch.schema.names})
    return rows
