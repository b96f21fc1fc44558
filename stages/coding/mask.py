"""Takes the answers out of two trajectories: edits, diffs, submission, issue, and the edited regions of both."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from contextrl_data.pipeline.stage import Drop, Keep, Map, Outcome, Row, StageConfig
from contextrl_data.stages.coding.edit_commands import find_edits, first_edit
from contextrl_data.stages.coding.leak import features_of, measure
from contextrl_data.stages.coding.names import invented_names, mask_names, telling_names
from contextrl_data.stages.coding.patches import FilePatch, is_test_path, parse_patch
from contextrl_data.stages.coding.regions import Regions
from contextrl_data.stages.lexical import changed_lines, context_text, fold, identifiers
from contextrl_data.stages.rows import MASKED

EDIT, DIFF, SUBMISSION, ISSUE = "<EDIT_MASKED>", "<DIFF_MASKED>", "<SUBMISSION_MASKED>", "<ISSUE_MASKED>"
_QUOTED_CHARS = 30

Message = dict[str, str]

_ISSUE_TAGS = re.compile(
    r"(<(pr_description|issue|problem_statement|issue_description|task_description|github_issue)>).*?(</\2>)", re.DOTALL
)
_ISSUE_WORDS = re.compile(r"(?<=\nISSUE:\n).*?(?=\n+INSTRUCTIONS:)|(?<=^ISSUE:\n).*?(?=\n+INSTRUCTIONS:)", re.DOTALL)
_DIFF_START = re.compile(r"^\s*(?:diff --git |Index: \S|--- \S.*\n\s*\+\+\+ \S|@@ -\d+(?:,\d+)? \+\d+)", re.MULTILINE)
_DIFF_MARKS = ("diff --git ", "Index: ", "--- ", "@@ -")
_DIFF_LINE = re.compile(
    r"^(?:diff --git |index [0-9a-f]|Index: |=====|--- |\+\+\+ |@@ |[ +\\-]|\s*$|new file|deleted file|old mode|new mode|"
    r"similarity |dissimilarity |rename |copy |Binary files |GIT binary|literal |delta )"
)
_FENCE_LINE = re.compile(r"(^[ \t]*`{3,}[^\n]*$)", re.MULTILINE)
_SUBMIT = re.compile(
    r"COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT|MINI_SWE_AGENT_FINAL_OUTPUT|<function=(?:submit|finish)>|^\s*submit\s*$",
    re.MULTILINE,
)


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
            "both": [patches[0] + patches[1]] * 2,
            "answer": patches,
            "none": [[], []],
        }
        views: list[dict[str, list[Message]]] = []
        regions: Regions | None = None
        for side, hidden in zip(sides, policies[self.config.regions], strict=True):
            if regions is None or self.config.regions != "both":
                regions = Regions.of(hidden, self.config.run_chars, self.config.readable_chars)
            masked = mask_messages(side["messages"] or [], side["problem_statement"] or "", files, regions)
            sources = sorted({edit["file"] for edit in side["edits"] if not is_test_path(edit["file"])})
            cut = first_edit(side["messages"] or [], sources)
            views.append({"full": masked, "before_edit": masked[: cut if cut is not None else len(masked)]})
        self._mask_names(sides, views)
        if any(len(view["before_edit"]) < 4 for view in views):
            return Drop("edited before it looked")
        features = [features_of(view) for view in views]
        leaks = [
            measure(answer, view, sides, views, features, self.config.readable_chars)
            for answer in (0, 1)
            for view in ("full", "before_edit")
        ]
        if any(leak["readable"] > self.config.max_readable for leak in leaks):
            return Drop("answer readable after masking")
        kept = {key: value for key, value in row.items() if key not in ("first", "second")}
        first, second = (
            {**{key: value for key, value in side.items() if key != "messages"}, **view}
            for side, view in zip(sides, views, strict=True)
        )
        return Keep([{**kept, "first": first, "second": second, "regions": self.config.regions, "leaks": leaks}])

    def _mask_names(self, sides: Sequence[Row], views: Sequence[dict[str, list[Message]]]) -> None:
        """Replace names in both contexts of each view, in place."""
        patches = [side["patch"] for side in sides]
        names: list[str] = []
        if self.config.names != "keep":
            found = [
                _shown_names(side["messages"] or [], len(view["before_edit"]))
                for side, view in zip(sides, views, strict=True)
            ]
            added = [line for patch in patches for line in changed_lines(patch)[1]]
            names = invented_names(added, found[0] | found[1])
        for view in ("full", "before_edit"):
            contexts = [mask_names(names, side[view]) for side in views]
            if self.config.names == "telling":
                telling = telling_names(patches, contexts)
                contexts = [mask_names(telling, context) for context in contexts]
            for side, context in zip(views, contexts, strict=True):
                side[view] = context


def _shown_names(messages: Sequence[Mapping[str, Any]], cut: int) -> frozenset[str]:
    """Names that commands printed before the first edit; what the issue names is not evidence of the run."""
    shown = [message for message in messages[2:cut] if message["role"] not in ("assistant", "system")]
    return identifiers(context_text(shown))


def mask_messages(
    messages: Sequence[Mapping[str, Any]], issue: str, files: Collection[str], regions: Regions
) -> list[Message]:
    """One run with the issue, every edit, every diff, the submission and the given regions masked."""
    task = next((index for index, message in enumerate(messages) if message["role"] == "user"), None)
    # What an agent repeats of the issue word for word; what the code itself prints is evidence and stays.
    quotations = [part for part in re.split(r"\n|(?<=[.!?]) ", issue) if len(fold(part)) >= _QUOTED_CHARS]
    # By message: its parts, and whether each is code; None where nothing is to be masked.
    parts: list[list[tuple[str, bool | None]]] = []
    submitted = False
    for index, message in enumerate(messages):
        role, content = str(message["role"]), str(message["content"] or "")
        if role == "system" and index != task:
            parts.append([(content, None)])
        elif index == task or role == "assistant":
            # The task is prose that somebody wrote; what commands print is code, or is laid out like code.
            if index == task:
                content = mask_issue(content, issue)
            else:
                submitted = bool(_SUBMIT.search(content))
                content = mask_diffs(mask_edits(content, files), DIFF)
                for quotation in quotations:
                    content = content.replace(quotation, ISSUE)
            parts.append(_spoken(content))
        else:
            # The agent may have printed anything behind its submission; whatever is there counts as one.
            content = SUBMISSION if submitted and index >= len(messages) - 2 else mask_diffs(content, DIFF)
            parts.append([(content, True)])
    texts = _masked([part for own in parts for part in own], regions)
    return [
        {"role": str(message["role"]), "content": "".join(islice(texts, len(own)))}
        for message, own in zip(messages, parts, strict=True)
    ]


def _spoken(content: str) -> list[tuple[str, bool | None]]:
    """Prose, of which quotations are cut out, and its fenced blocks, where whole lines are masked as in any code."""
    # Every other part is a fence; every second of the others begins behind an opening one.
    kinds = (False, None, True, None)
    return [(part, kinds[place % 4]) for place, part in enumerate(_FENCE_LINE.split(content))]


def _masked(parts: Sequence[tuple[str, bool | None]], regions: Regions) -> Iterator[str]:
    """Every part with its regions masked, save those where nothing is to be."""
    shown = [(text, code) for text, code in parts if code is not None]
    masked = iter(regions.mask_all([text for text, _ in shown], [code for _, code in shown]))
    return (text if code is None else next(masked) for text, code in parts)


def mask_edits(content: str, files: Collection[str]) -> str:
    """Every command or block that writes a source file becomes one placeholder."""
    shown: list[str] = []
    position = 0
    for edit in find_edits(content, files):
        between = content[position : edit.start]
        # The body of a heredoc follows its command line: one placeholder for the two.
        if not (shown and shown[-1] == EDIT and not between.strip()):
            shown.extend([between, EDIT])
        position = edit.end
    tail = content[position:]
    # A heredoc's span ends behind its last line end, which the closing fence needs.
    joint = "\n" if shown and position and content[position - 1] == "\n" and not tail.startswith("\n") else ""
    return "".join(shown) + joint + tail


def mask_diffs(content: str, placeholder: str) -> str:
    """Every stretch of a unified diff becomes one placeholder."""
    if not any(mark in content for mark in _DIFF_MARKS):
        return content
    shown: list[str] = []
    position = 0
    while found := _DIFF_START.search(content, position):
        start = found.start() + len(found.group()) - len(found.group().lstrip("\n"))
        shown.extend([content[position:start], placeholder, "\n"])
        position = start
        first = True
        while position < len(content):
            end = content.find("\n", position)
            end = len(content) if end < 0 else end + 1
            if not first and not _DIFF_LINE.match(content[position:end]):
                break
            position, first = end, False
    return "".join([*shown, content[position:]])


def mask_issue(content: str, issue: str) -> str:
    """The task message with its instructions kept and the issue masked; all of it masked where no issue is found."""
    if issue.strip() and issue.strip() in content:
        return content.replace(issue.strip(), ISSUE)
    for pattern, replacement in ((_ISSUE_TAGS, rf"\1\n{ISSUE}\n\3"), (_ISSUE_WORDS, ISSUE)):
        replaced, count = pattern.subn(replacement, content)
        if count:
            return replaced
    if issue.strip() and fold(issue) in fold(content):
        places = [place for place, char in enumerate(content) if not char.isspace()]
        start = fold(content).index(fold(issue))
        return content[: places[start]] + ISSUE + content[places[start + len(fold(issue)) - 1] + 1 :]
    return ISSUE
