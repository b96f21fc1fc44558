"""What a view is: a name, a file for each split, Arrow columns, and a function from a task to a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.views.task import Task

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
"""A conversation. The content is plain text in every view, never a list of parts: Arrow gives each part of such a list
the keys of all others, with null, and a chat template that asks for a key finds it."""

IMAGES = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
"""Encoded images."""

Columns = list[tuple[str, pa.DataType]]


@dataclass(frozen=True)
class View:
    """One layout. `text` and `image` are its columns for text pairs and for image pairs."""

    name: str
    about: str
    """For whom it is, in a few words."""
    row: Callable[[Task], Row]
    """A task as a row; keys that are no columns are left out."""
    text: Columns
    image: Columns | None
    """None: the loader of this layout reads no images."""
    text_file: str = "{split}.parquet"
    image_file: str = "{split}.parquet"
    decode: bool = False
    """Mark `images` as pictures for `datasets`, which then decodes them on reading. Otherwise they load as
    `{"bytes", "path"}`, which a loader must expect, but with any version of `datasets`."""

    def columns(self, images: bool) -> Columns:
        """The columns for one kind of pairs."""
        return (self.image or []) if images else self.text

    def file(self, split: str, images: bool) -> str:
        """Path of a split's file inside the view's folder."""
        return (self.image_file if images else self.text_file).format(split=split)


def user(text: str) -> list[Row]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]
