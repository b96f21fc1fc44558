"""Columns of pictures: read as such however they are stored, and opened without being decoded to learn their sizes."""

from __future__ import annotations

import io
from typing import Any

from contextrl_data.pipeline.errors import InputError, first_line


def as_pictures(rows: Any, column: str, name: str, *, decode: bool = True) -> Any:
    """A dataset whose column gives PIL images (or lists of them); with `decode=False` their bytes or paths.

    Files that another tool wrote hold plain bytes, paths, or records of both.

    Raises:
        InputError: the column holds something else.
    """
    from datasets import Image, List

    feature = rows.features[column]
    many = isinstance(feature, List | list)
    try:
        return rows.cast_column(column, List(Image(decode=decode)) if many else Image(decode=decode))
    except (TypeError, ValueError, NotImplementedError) as error:  # Arrow's errors are these too
        raise InputError(
            f"column {column} of {name} holds no pictures: {first_line(error, 120)}",
            "store them as datasets.Image, or as the bytes of PNG or JPEG files",
        ) from error


def opened(stored: Any, where: str) -> Any:
    """A picture whose header alone was read.

    Raises:
        InputError: it is none; `where` says which one that is.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(stored["bytes"]) if stored["bytes"] is not None else stored["path"])
    except (OSError, TypeError, UnidentifiedImageError) as error:
        raise InputError(
            f"the picture of {where} cannot be read: {first_line(error, 120)}", "mend or remove it"
        ) from error
