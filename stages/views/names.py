"""Names of the views, apart from their columns, so that a config can hold them without loading anything."""

from __future__ import annotations

from typing import Literal, get_args

ViewName = Literal["trl", "verl", "easyr1", "contextrl", "skyrl"]
"""Every view but `hf`, which is the dataset itself."""

VIEW_NAMES: tuple[str, ...] = get_args(ViewName)
