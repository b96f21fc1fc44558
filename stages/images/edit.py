"""`edit`: several attempts at every proposed edit; all that are pictures of the same shape go on to be measured."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from contextrl_data.pipeline.outlook import Outlook
from contextrl_data.pipeline.stage import Context, Drop, Keep, Map, Outcome, Row, StageConfig, seed_of
from contextrl_data.stages.images.decode import BadImage, decode_rgb
from contextrl_data.stages.images.editors import DiffusersConfig, EditorConfig, EditRefused, load_editor
from contextrl_data.stages.images.mine import pair_id
from contextrl_data.stages.images.rows import IMAGE_CANDIDATE

if TYPE_CHECKING:
    from PIL.Image import Image

BLANK = 2.0
"""Standard deviation of all values, of 255, below which a picture shows nothing."""
SAME = 0.5
"""Mean difference of all values, of 255, below which nothing was edited."""


class EditConfig(StageConfig):
    """Settings of `edit`."""

    editor: EditorConfig
    """Which editor."""
    attempts: int = Field(default=2, ge=1)
    """Pictures made for one proposal; the best is chosen when all are measured."""
    seed: int = 0
    """Seeds of the attempts are drawn from it, the row's id and the attempt's number."""
    max_stretch: float = Field(default=0.1, ge=0)
    """By how much an edited picture's ratio of sides may differ before it is another picture; it is then brought back
    to the size of the first."""


class Edit(Map[EditConfig]):
    """PROPOSAL -> IMAGE_CANDIDATE, one row an attempt, ids ending in `#0`, `#1`, ..."""

    name = "edit"
    version = 2
    schema = IMAGE_CANDIDATE
    work = "thread"
    dear = True

    def outlook(self, rows: float, sides: Mapping[str, float]) -> Outlook:
        """`attempts` pictures a proposal."""
        return Outlook(rows * self.config.attempts)

    def takes(self) -> Mapping[str, float]:
        """A GPU, where the editor is a model of the worker's own that may use one."""
        editor = self.config.editor
        return {"GPU": 1.0} if isinstance(editor, DiffusersConfig) and editor.device != "cpu" else {}

    def fingerprint(self) -> str:
        """The editor's weights."""
        return str(self.config.editor.fingerprint())

    def open(self, context: Context) -> None:
        """Load the editor."""
        super().open(context)
        self._editor = load_editor(self.config.editor)

    def close(self) -> None:
        """Give the editor back."""
        self._editor.close()

    def process(self, row: Row) -> Outcome:
        """Make every attempt, and keep those that show something else in the same shape."""
        base = row["base"]
        try:
            image = decode_rgb(base["image"]["bytes"])
        except BadImage as bad:
            return Drop(bad.reason)
        seeds = [seed_of(self.config.seed, row["id"], attempt) for attempt in range(self.config.attempts)]
        try:
            made = self._editor.edit(image, row["instruction"], seeds, row["region"])
        except EditRefused:
            return Drop("the editor refused")
        fates = [self._fitted(image, each) for each in made]
        rows = [self._candidate(row, attempt, fate) for attempt, fate in enumerate(fates) if not isinstance(fate, str)]
        return Keep(rows) if rows else Drop(next(fate for fate in fates if isinstance(fate, str)))

    def _fitted(self, image: Image, made: Image) -> Image | str:
        """The edited picture at the size of the first, or the reason why it is none."""
        from PIL import Image as PILImage

        stretch = (made.width / made.height) / (image.width / image.height)
        if max(stretch, 1 / stretch) - 1 > self.config.max_stretch:
            return "the editor returned another shape"
        values = np.asarray(made, dtype=np.float32)
        if values.std() < BLANK:
            return "the editor returned a blank picture"
        if made.size != image.size:
            made = made.resize(image.size, PILImage.Resampling.LANCZOS)
        if np.abs(np.asarray(made, np.float32) - np.asarray(image, np.float32)).mean() < SAME:
            return "the editor returned the same picture"
        return made

    def _candidate(self, row: Row, attempt: int, made: Image) -> Row:
        base = row["base"]
        out = io.BytesIO()
        made.save(out, "PNG")
        data = out.getvalue()
        second = {
            **base,
            "id": f"{base['id']}#{attempt}",
            "image": {"bytes": data, "path": f"{base['id']}-edit{attempt}.png"},
            "image_id": hashlib.sha256(data).hexdigest(),
            "answer": row["answer_neg"],
            "facts": "",  # those of the first no longer hold
            "scene": base["scene"] or base["image_id"],
            "source": f"{base['source']} (edited by {self.config.editor.label})",
        }
        return {
            "id": f"{pair_id('edited', base['id'])}#{attempt}",
            "method": "edited",
            "first": base,
            "second": second,
            "box": None,
            "similarity": None,
            "scores": [],
            "checks": [],
        }
