"""Where a trajectory's final patch edits: file, function or class, and the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.coding.patches import FilePatch, Hunk, is_test_path, parse_patch
from contextrl_data.stages.coding.rebuilt import rebuilt_patch
from contextrl_data.stages.coding.symbols import enclosing_symbol, symbol_from_hunk, with_class
from contextrl_data.stages.coding.views import View, blocks, views_of
from contextrl_data.stages.lexical import folded_lines
from contextrl_data.stages.rows import LOCATED


class LocateConfig(StageConfig):
    """Settings of `locate`."""

    extensions: tuple[str, ...] = (".py",)
    """Only edits of files with these endings are located; a patch without any is dropped. Empty: every file."""
    max_patch_chars: int = 200_000
    """Longer patches (vendored files, data) are dropped."""


class Locate(Map[LocateConfig]):
    """Adds `edits` to a trajectory, one per function and file that its patch changes."""

    name = "locate"
    version = 3
    schema = LOCATED
    work = "process"
    adds = ("patch", "edits")

    def process(self, row: Row) -> Outcome:
        """Read the final patch; drop what has none that could be an answer."""
        patch, rebuilt = row["patch"], False
        if not (patch or "").strip():
            reason = "no patch, nor one from its edit commands" if patch is None else "patch is empty"
            # An empty patch may only not have been recorded; a run that took its edits back stays without one.
            patch, rebuilt = rebuilt_patch(row["messages"] or []), True
            if patch is None:
                return Drop(reason)
        if len(patch) > self.config.max_patch_chars:
            return Drop("patch is too long")
        files = parse_patch(patch)
        if not files:
            return Drop("patch is not a diff")
        sources = [file for file in files if file.hunks and not is_test_path(file.path)]
        if not sources:
            return Drop("only tests edited" if any(file.hunks for file in files) else "no text lines edited")
        wanted = [file for file in sources if self._wanted(file.path)]
        if not wanted:
            return Drop("no source file edited")
        edits = [edit for file in wanted for edit in locate_file(file, row["messages"] or [])]
        if not edits:
            return Drop("no text lines edited")
        if rebuilt:
            edits = [{**edit, "how": "command"} for edit in edits]
        return Keep([{**row, "patch": patch, "edits": edits}])

    def _wanted(self, path: str) -> bool:
        return not self.config.extensions or path.endswith(self.config.extensions)


def locate_file(file: FilePatch, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The edits of one file, joined by function, in the order of the patch."""
    views = views_of(messages, file.old_path) if file.path.endswith(".py") else []
    texts = _texts(views)
    joined: dict[tuple[str, str], dict[str, Any]] = {}
    for hunk in file.hunks:
        offset = 0
        for change in hunk.changes():
            while hunk.lines[offset][0] == " ":
                offset += 1
            symbol, how = _symbol(hunk, offset, texts)
            edit = joined.setdefault(
                (symbol, how), {"file": file.path, "symbol": symbol, "how": how, "removed": [], "added": []}
            )
            edit["removed"].extend(change.removed)
            edit["added"].extend(change.added)
            offset += len(change.removed) + len(change.added)
    return list(joined.values())


class _Text:
    """A text worth looking for a hunk in. White space is dropped from its lines once, when it is first looked at."""

    def __init__(self, view: View) -> None:
        self.start, self.lines = view.start, view.lines
        self._folded: list[str] | None = None
        self._joined = ""

    def find(self, wanted: Sequence[str], hint: int) -> int | None:
        """Where these folded lines stand: at the hinted place first, else the only other place."""
        if not wanted or len(wanted) > len(self.lines):
            return None
        if self._folded is None:
            self._folded = folded_lines(self.lines)
            self._joined = "\n".join(["", *self._folded, ""])
        if hint >= 0 and self._folded[hint : hint + len(wanted)] == wanted:
            return hint
        image = "\n".join(["", *wanted, ""])
        first = self._joined.find(image)
        if first < 0 or self._joined.find(image, first + 1) >= 0:
            return None
        return self._joined.count("\n", 0, first)


def _texts(views: Sequence[View]) -> list[_Text]:
    """File texts worth parsing, the fullest first: all numbered ones laid together, then each as shown."""
    by_size = sorted([*blocks(views), *views], key=lambda view: (view.start != 1, -len(view.lines)))
    return [_Text(view) for view in dict.fromkeys(by_size)]


def _symbol(hunk: Hunk, offset: int, texts: Sequence[_Text]) -> tuple[str, Literal["ast", "hunk"]]:
    """Symbol of the change that begins at `offset` of the hunk's lines."""
    # What replaces old lines belongs where they stood; what is only added belongs where its indentation puts it.
    indent = None if hunk.lines[offset][0] == "-" else _indent_of_addition(hunk, offset)
    size = next((step for step, line in enumerate(hunk.lines[offset:]) if line[0] == " "), len(hunk.lines) - offset)
    for sign in ("-", "+"):
        image = folded_lines(hunk.image(sign))
        ahead = sum(mark in (" ", sign) for mark, _ in hunk.lines[:offset])
        changed = sum(mark == sign for mark, _ in hunk.lines[offset : offset + size])
        # A view may show the changed lines and not all of the hunk's context.
        for low, high in ((0, len(image)), (max(ahead - 1, 0), ahead + changed + 1)):
            place = ahead - low
            if indent is not None and sign == "-":
                # In the old file an addition stands below the line above it.
                place = max(place - 1, 0)
            for text in texts:
                start = text.find(image[low:high], hunk.old_start + low - (text.start or 1))
                if start is None:
                    continue
                index = min(start + min(place, high - low - 1), len(text.lines) - 1)
                found = enclosing_symbol(text.lines, index, indent)
                if found is None or (found == "" and text.start != 1 and indent != 0):
                    continue
                return (found if text.start == 1 else with_class(found, hunk, offset)), "ast"
    return symbol_from_hunk(hunk, offset, indent), "hunk"


def _indent_of_addition(hunk: Hunk, offset: int) -> int:
    """Least indentation of the added code: a definition must lie further out to hold it."""
    widths = []
    for mark, text in hunk.lines[offset:]:
        if mark == " ":
            break
        if text.strip():
            widths.append(len(text) - len(text.lstrip()))
    return min(widths, default=1_000)
