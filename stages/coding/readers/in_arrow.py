"""Messages that stay in Arrow: where a file gives them in the normal form already, they are looked at and not copied.

What can be asked of a whole batch at once is asked in Arrow, by the thread that decodes it: `rows_in_arrow`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contextrl_data.pipeline.in_files import InFile, Spot
from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.readers.found import BETWEEN, Message
from contextrl_data.stages.rows import MESSAGE

NORMAL_ROLES = frozenset({"system", "user", "assistant", "tool"})
MARKS = ("<function=", "```mswea_bash_command")
"""What an agent's message holds that has to be rewritten."""


class Batch:
    """The messages of some rows, side by side."""

    def __init__(self, column: pa.ListArray, spot: Spot | None) -> None:
        messages = column.flatten()
        roles, texts = messages.field("role"), messages.field("content")
        starts = column.offsets.to_numpy() - column.offsets[0].as_py()
        struct = pa.StructArray.from_arrays([roles, texts], fields=list(MESSAGE))
        self.column = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), struct)
        self.spot = spot
        """Where the first row lies, if the rows may stay there."""
        self.starts: list[int] = starts.tolist()
        coded = roles.dictionary_encode()
        self.known: list[str] = coded.dictionary.to_pylist()
        self.roles: list[str] = np.array(self.known, object)[coded.indices.to_numpy()].tolist() if self.known else []
        _, offsets, data = texts.buffers()
        self.offsets = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        self.places: list[int] = self.offsets.tolist()
        self.data = memoryview(data) if data is not None else memoryview(b"")
        self.sizes = np.diff(self.offsets).astype("<i4").tobytes()
        self.said: list[str] = _said(roles, texts, starts)

    def has_nul(self) -> bool:
        """Whether any text holds the character NUL."""
        shown = np.frombuffer(self.data[self.places[0] : self.places[-1]], np.uint8)
        return bool(len(shown)) and not shown.min()

    def text(self, index: int) -> str:
        """One message's text."""
        return str(self.data[self.places[index] : self.places[index + 1]], "utf-8")


def _said(roles: pa.Array, texts: pa.Array, starts: np.ndarray[Any, Any]) -> list[str]:
    """For each row what the agent said, one message after the other, `BETWEEN` between them."""
    mine = pc.equal(roles, "assistant")
    before = np.concatenate([[0], np.cumsum(mine.to_numpy(zero_copy_only=False))])
    lists = pa.ListArray.from_arrays(pa.array(before[starts], pa.int32()), texts.filter(mine))
    said: list[str] = pc.binary_join(lists, BETWEEN).to_pylist()
    return said


class MessagesInArrow(Sequence[Message], InFile):
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
        return self._batch.data[self._batch.places[self._start] : self._batch.places[self._stop]]

    @property
    def sizes(self) -> bytes:
        """Bytes of every text, as int32 numbers."""
        return self._batch.sizes[4 * self._start : 4 * self._stop]

    @property
    def said(self) -> str:
        """What the agent said, one message after the other, `BETWEEN` between them."""
        return self._batch.said[self._row]

    def arrow(self) -> pa.Array:
        """See `InArrow`."""
        return self._batch.column.slice(self._row, 1)

    @property
    def spot(self) -> Spot | None:
        """See `InFile`."""
        first = self._batch.spot
        return None if first is None else Spot(first.path, first.column, first.row + self._row)

    def is_normal(self) -> bool:
        """Whether nothing in them has to be rewritten."""
        if not NORMAL_ROLES.issuperset(self._batch.known) and not NORMAL_ROLES.issuperset(self.roles):
            return False
        return not any(mark in self.said for mark in MARKS)


def rows_in_arrow(batch: pa.RecordBatch, name: str, spot: Spot | None = None) -> list[Row] | None:
    """The rows of a batch with the messages of column `name` left in Arrow, but for rows where they need rewriting.

    None where the column holds anything else than whole messages of role and content. `spot`: see `Batch`.
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
    held = Batch(column, spot)
    if held.has_nul():
        return None
    others = batch.drop_columns([name]).to_pylist() if batch.num_columns > 1 else [{}] * batch.num_rows
    rows: list[Row] = []
    for index, row in enumerate(others):
        found = MessagesInArrow(held, index)
        given = {**row, name: found if found.is_normal() else list(found)}
        rows.append({key: given[key] for key in batch.schema.names})
    return rows
