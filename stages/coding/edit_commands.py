"""Recognises every way in which an agent writes a file: shell, editor tools, patch blocks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from contextrl_data.stages.coding.shell import Command, commands

_FENCE_HEAD = re.compile(r"[ \t]*([\w+-]*)[ \t]*\n")
_INLINE_HEADS = ("`sed", "`gsed", "`perl", "`patch", "`git", "`echo", "`printf", "`python")
_INLINE = re.compile(r"(?<!`)`((?:g?sed|perl|patch|git\s+apply|echo|printf|python[\d.]*)\s[^`\n]+)`(?!`)")
CALL = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
PARAMETER = re.compile(r"<parameter=([\w.-]+)>\n?(.*?)(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL)
_BLOCKS = (
    ("apply_patch", ("*** Begin Patch",), re.compile(r"\*\*\* Begin Patch.*?(?:\*\*\* End Patch|\Z)", re.DOTALL)),
    ("search_replace", (" SEARCH",), re.compile(r"<{5,9} SEARCH.*?(?:>{5,9} REPLACE|\Z)", re.DOTALL)),
    (
        "line_edit",
        ("\nedit", "\ninsert"),
        re.compile(r"^(?:edit|insert)\s+\d+(?::\d+)?\s*\n.*?(?:^end_of_\w+|\Z)", re.DOTALL | re.MULTILINE),
    ),
)
_SHELLS = {"", "bash", "sh", "shell", "zsh", "console", "terminal"}
_SHELL_TOOLS = {"bash", "execute_bash", "shell", "run", "terminal", "execute", "run_command", "run_terminal_cmd"}
_READS = {"view", "open", "read", "ls", "find", "undo_edit", "search"}
_WRITING_TOOL = re.compile(r"edit|replace|write|create|insert|patch|append", re.IGNORECASE)
_IN_PLACE = re.compile(
    r"^(?:(?:g?sed|perl|ruby)\b.*?\s-\w*i|(?:g?awk)\b.*-i\s+inplace|(?:g?sed)\b.*--in-place|(?:ed|ex|vim?|patch)\s|git\s+(?:apply|am)\b)",
    re.DOTALL,
)
_INTERPRETER = re.compile(r"^(?:cat\b.*\|\s*)?(?:\S*/)?(?:python[\d.]*|perl|ruby|node|php)\b", re.DOTALL)
_PRINTER = re.compile(r"^(?:cat|echo|printf|tee|sed|awk|head|tail|git|perl|python[\d.]*)\b")
_COPY = re.compile(r"^(?:cp|mv|install)\s")
_WRITES = re.compile(
    r"open\([^)\n]*,\s*(?:mode\s*=\s*)?['\"][wa]b?\+?['\"]|\.write(?:lines|_text|_bytes)?\(|fileinput|inplace|"
    r"writeFile|File\.write|shutil\.(?:copy|move)|os\.(?:rename|replace)"
)
_MAY_WRITE = re.compile(
    r"[<>]|tee|in-?place|\s-\w*i|(?:^|[\s;&|{(!])(?:ed|ex|vim?|patch|cp|mv|install)\s|git\s+(?:apply|am)\b|"
    r"open\(|\.write|fileinput|writeFile|File\.write|shutil\.|os\.re"
)
"""What a shell text that writes a file holds at least."""
_DIFF = re.compile(r"^(?:diff --git |--- \S+\n\+\+\+ |@@ -\d+)", re.MULTILINE)
_SCRATCH = re.compile(
    r"^(?:test|tests|repro|reproduc|check|debug|verify|demo|example|tmp|temp|try|script|minimal|run|simple|bug|issue|final|comprehensive|edge)",
    re.IGNORECASE,
)
_CODE_SUFFIX = re.compile(r"\.(?:py|pyx|pyi|js|ts|java|go|rs|rb|php|c|cc|cpp|h|hpp)\b")
_TESTS = re.compile(r"^(?:tests?|testing)$")
_ROOTS = ("/", ".", "testbed", "repo", "workspace", "app", "src", "lib")


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of a message that writes a file."""

    start: int
    end: int
    form: str
    """in_place | redirect | heredoc | interpreter | copy | tool | apply_patch | search_replace | line_edit."""


def find_edits(content: str, files: Collection[str]) -> Sequence[Edit]:
    """Edits in one assistant message, in order, none overlapping. `files` are the paths that the answers change.

    Writing one of `files`, any other source file, or a script that itself writes files is an edit; a scratch script
    (a reproduction, a test of one's own) is not.
    """
    return _found_edits(content, tuple(files))


@lru_cache(maxsize=4096)  # one run is asked several times: alone, and in each of its pairs
def _found_edits(content: str, files: tuple[str, ...]) -> tuple[Edit, ...]:
    found = [*_tool_edits(content, files), *_block_edits(content)]
    for start, text in shell_texts(content):
        if not _MAY_WRITE.search(text):
            continue
        found.extend(
            Edit(start + first, start + last, form)
            for command in commands(text)
            if (form := form_of(command, text, files))
            for first, last in [(command.start, command.end), *command.bodies]
        )
    edits: list[Edit] = []
    for edit in sorted(found, key=lambda edit: (edit.start, -edit.end)):
        if edit.end > edit.start and (not edits or edit.start >= edits[-1].end):
            edits.append(edit)
    return tuple(edits)


def first_edit(messages: Sequence[Mapping[str, Any]], files: Collection[str]) -> int | None:
    """Index of the first assistant message that edits a source file; None where none does."""
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and find_edits(str(message["content"] or ""), files):
            return index
    return None


def _tool_edits(content: str, files: Collection[str]) -> Iterator[Edit]:
    for call in CALL.finditer(content) if "<function=" in content else ():
        name = call.group(1).lower()
        parameters = {key: value.strip() for key, value in PARAMETER.findall(call.group(2))}
        if name in _SHELL_TOOLS:
            continue
        verb = parameters.get("command", "") if len(parameters.get("command", "")) < 40 else ""
        writes = _WRITING_TOOL.search(verb) if verb else _WRITING_TOOL.search(name)
        if not writes or verb.lower() in _READS:
            continue
        path = parameters.get("path") or parameters.get("file_path") or parameters.get("filename") or ""
        if not path or _is_source(path, files) or _writes_files(call.group(2), files):
            yield Edit(call.start(), call.end(), "tool")


def _block_edits(content: str) -> Iterator[Edit]:
    lines = f"\n{content}"
    for form, marks, pattern in _BLOCKS:
        if any(mark in lines for mark in marks):
            for found in pattern.finditer(content):
                yield Edit(found.start(), found.end(), form)


def shell_texts(content: str) -> Iterator[tuple[int, str]]:
    """Stretches of shell: fenced blocks without another language's name, and the commands of shell tools."""
    for language, start, end in _fences(content):
        if language.lower() in _SHELLS:
            yield start, _whole_fence(content, start, end)
    for quoted in _INLINE.finditer(content) if any(head in content for head in _INLINE_HEADS) else ():
        yield quoted.start(1), quoted.group(1)
    for call in CALL.finditer(content) if "<function=" in content else ():
        if call.group(1).lower() in _SHELL_TOOLS:
            for parameter in PARAMETER.finditer(content, call.start(2), call.end(2)):
                if parameter.group(1) in ("command", "cmd", "code", "script"):
                    yield parameter.start(2), parameter.group(2)


def _fences(content: str) -> Iterator[tuple[str, int, int]]:
    """Language, beginning and end of every fenced block; one that never closes reaches to the end."""
    place = content.find("```")
    while place >= 0:
        head = _FENCE_HEAD.match(content, place + 3)
        if head is None:
            place = content.find("```", place + 1)
            continue
        start, closing = head.end(), content.find("```", head.end())
        while closing >= 0:
            line = content.rfind("\n", start, closing)
            if line >= 0 and not content[line + 1 : closing].strip(" \t"):
                break
            closing = content.find("```", closing + 1)
        yield head.group(1), start, line if closing >= 0 else len(content)
        place = content.find("```", closing + 3) if closing >= 0 else -1


def _whole_fence(content: str, start: int, end: int) -> str:
    """A heredoc may hold fences of its own: where one is still open, the block reaches to the message's last fence."""
    text = content[start:end]
    if "<<" not in text:
        return text
    unclosed = [
        word for word in re.findall(r"<<-?\s*['\"]?(\w+)", text) if not re.search(rf"^\s*{word}\s*$", text, re.M)
    ]
    if not unclosed:
        return text
    last = content.rfind("```", end)
    return content[start : last if last > start else len(content)]


def form_of(command: Command, text: str, files: Collection[str]) -> str | None:
    words = command.words
    body = "\n".join(text[first:last] for first, last in command.bodies)
    sources = [target for target in command.targets if _is_source(target, files)]
    tee = re.search(r"\btee\s+(?:-a\s+)?(\S+)", words) if "tee" in words else None
    if tee and _is_source(tee.group(1), files):
        sources.append(tee.group(1))
    if sources and (_PRINTER.match(words) or body):
        return "heredoc" if body else "redirect"
    if _IN_PLACE.match(words):
        return "in_place" if _names_source(words, files) or not _CODE_SUFFIX.search(words) else None
    if body and (command.targets or tee) and _writes_files(body, files):
        return "heredoc"
    if _INTERPRETER.match(words) and _WRITES.search(f"{words}\n{body}"):
        # Writing a scratch file from Python is an experiment; naming a source file is an edit.
        return "interpreter" if _names_source(f"{words}\n{body}", files) else None
    if _COPY.match(words) and _is_source(words.split()[-1], files):
        return "copy"
    if words.startswith(("cat", "echo")) and body and _DIFF.search(body):
        return "heredoc"
    return None


def _writes_files(body: str, files: Collection[str]) -> bool:
    """Whether the text of a script would itself write source files, or is a diff to be applied."""
    return bool(_DIFF.search(body)) or bool(_WRITES.search(body) and _names_source(body, files))


def _names_source(text: str, files: Collection[str]) -> bool:
    if any(path in text or PurePosixPath(path).name in text for path in files):
        return True
    return any(
        _is_source(word, files) for word in re.findall(r"[\w./-]+", text) if _CODE_SUFFIX.search(word) and "/" in word
    )


def _is_source(path: str, files: Collection[str]) -> bool:
    """Whether a path is one that an answer changes, or source code that is no scratch file or test."""
    pure = PurePosixPath(path.strip("'\""))
    for file in files:
        if str(pure) == file or str(pure).endswith("/" + file) or file.endswith("/" + str(pure)):
            return True
    folders = [part for part in pure.parts[:-1] if part not in _ROOTS]
    if pure.parts[:2] in (("/", "tmp"), ("/", "dev")) or not _CODE_SUFFIX.search(pure.name):
        return False
    # Code beside the edited files is source; a folder that the agent made for a reproduction is not.
    packages = {part for file in files for part in PurePosixPath(file).parts[:-1][:2] if part not in _ROOTS}
    if not folders or _SCRATCH.match(pure.name) or any(_TESTS.match(part) for part in folders):
        return False
    return folders[0] in packages or not packages
