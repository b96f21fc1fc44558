"""Takes the answers out of two trajectories: edits, diffs, submission, issue, and the edited regions of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any, Literal

from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.coding.edit_commands import first_edit
from contextrl_data.stages.coding.leak import leaks
from contextrl_data.stages.coding.names import coined_names, mask_names, telling_names
from contextrl_data.stages.coding.patches import FilePatch, is_test_path, parse_patch
from contextrl_data.stages.coding.placeholders import Part, parts_of
from contextrl_data.stages.coding.regions import Regions
from contextrl_data.stages.coding.sweep import mask_all
from contextrl_data.stages.lexical import changed_lines, context_text, names_in
from contextrl_data.stages.rows import MASKED

Message = dict[str, str]


class MaskConfig(StageConfig):
    """Settings of `mask`."""

    regions: Literal["both", "answer", "none"] = "both"
    """Whose edited lines are masked: those of both answers in both contexts; each context's own; or nobody's."""
    names: Literal["keep", "invented", "telling"] = "invented"
    """Identifiers to mask beside the lines: those that an answer coins (no command had shown them before its first
    edit), or also all of the answers' that only one of the two contexts shows."""
    run_chars: int = 12
    """Quotations of an edited line from this many non-blank characters on are masked inside other text."""
    readable_chars: int = 12
    """An added line with more non-blank characters than this must not be readable in the context."""
    max_readable: int = 0
    """Most added lines of an answer that may stay readable in its context; more drops the pair."""


class Mask(Map[MaskConfig]):
    """Candidate pairs in; the same pairs with masked contexts and measured leaks out."""

    name = "mask"
    version = 2
    schema = MASKED
    work = "process"

    def process(self, row: Row) -> Outcome:
        """Mask both contexts in both views, then measure what is left."""
        sides = [row["first"], row["second"]]
        patches = [parse_patch(side["patch"]) for side in sides]
        files = sorted({path for patch in patches for file in patch for path in (file.path, file.old_path)})
        policies: dict[str, list[list[FilePatch]]] = {
            "both": [patches[0] + patches[1]],
            "answer": patches,
            "none": [[]],
        }
        hidden = [
            Regions.of(patch, self.config.run_chars, self.config.readable_chars)
            for patch in policies[self.config.regions]
        ]
        runs = [parts_of(side["messages"] or [], side["problem_statement"] or "", files) for side in sides]
        views: list[dict[str, list[Message]]] = []
        for side, contents in zip(sides, _masked(runs, hidden), strict=True):
            messages = side["messages"] or []
            roles = (str(message["role"]) for message in messages)
            full = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]
            sources = sorted({edit["file"] for edit in side["edits"] if not is_test_path(edit["file"])})
            views.append({"full": full, "before_edit": full[: first_edit(messages, sources)]})
        self._mask_names(sides, views)
        if any(len(view["before_edit"]) < 4 for view in views):
            return Drop("edited before it looked")
        measured = leaks(sides, views, self.config.readable_chars)
        if any(leak["readable"] > self.config.max_readable for leak in measured):
            return Drop("answer readable after masking")
        kept = {key: value for key, value in row.items() if key not in ("first", "second")}
        first, second = (
            {**{key: value for key, value in side.items() if key != "messages"}, **view}
            for side, view in zip(sides, views, strict=True)
        )
        return Keep([{**kept, "first": first, "second": second, "regions": self.config.regions, "leaks": measured}])

    def _mask_names(self, sides: Sequence[Row], views: Sequence[dict[str, list[Message]]]) -> None:
        """Replace names in both contexts of each view, in place."""
        if self.config.names == "keep":
            return
        patches = [side["patch"] for side in sides]
        coined = coined_names(line for patch in patches for line in changed_lines(patch)[1])
        shown = "\n".join(
            _shown(side["messages"] or [], len(view["before_edit"])) for side, view in zip(sides, views, strict=True)
        )
        names = sorted(coined - names_in(shown, coined)) if coined else []
        for view in views:
            cut = len(view["before_edit"])
            view["full"] = mask_names(names, view["full"])
            view["before_edit"] = view["full"][:cut]
        if self.config.names == "telling":
            for part in ("full", "before_edit"):
                telling = telling_names(patches, [view[part] for view in views])
                for view in views:
                    view[part] = mask_names(telling, view[part])


def _shown(messages: Sequence[Mapping[str, Any]], cut: int) -> str:
    """What commands printed before the first edit; what the issue names is not evidence of the run."""
    return context_text(message for message in messages[2:cut] if message["role"] not in ("assistant", "system"))


def _masked(runs: Sequence[Sequence[Sequence[Part]]], regions: Sequence[Regions]) -> list[list[str]]:
    """The messages of runs with their regions masked: those of one `Regions` in all runs, or of one for each."""
    flat = [[part for parts in run for part in parts] for run in runs]
    if len(regions) == 1:
        flat = [list(chain.from_iterable(flat))]
    texts = chain.from_iterable(_mask_parts(parts, own) for parts, own in zip(flat, regions, strict=True))
    return [["".join(islice(texts, len(parts))) for parts in run] for run in runs]


def _mask_parts(parts: Sequence[Part], regions: Regions) -> list[str]:
    """Every part masked, save those where nothing is to be."""
    shown = [(text, code) for text, code in parts if code is not None]
    masked = iter(mask_all(regions, [text for text, _ in shown], [code for _, code in shown]))
    return [text if code is None else next(masked) for text, code in parts]
