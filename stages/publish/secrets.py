"""Look for secrets in every text that would be published. A secret is never shown: only where it is, its kind, and a mark.

The rules are those of Kingfisher (MongoDB's scanner), run in this process and offline; it never asks a provider whether a
key is live. Beside them, the values of this machine's own secret environment variables are looked for as they are.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import InputError, MissingExtra, SetupError
from contextrl_data.stages.publish.texts import Text

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

CONFIDENCE = "medium"
"""Least confidence, of a rule and of a finding, that stops a publication; doubtful findings are only counted."""
SHORTEST = 16
"""Shortest value of an environment variable that is looked for: shorter ones stand in any text by chance."""
_SECRET_NAME = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|PAT)(?:$|_)", re.IGNORECASE)
_PUBLIC = frozenset({"GPG_KEY"})
"""Looks like a secret's name and is none: the key id that Python's own container images set."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One secret in one place."""

    row: str
    column: str
    kind: str
    mark: str
    """Twelve hexadecimal digits that stand for the secret: it has the same mark everywhere."""


@dataclass
class Scan:
    """What a scan found."""

    leaks: list[Leak] = field(default_factory=list)
    allowed: int = 0
    """Findings that a person has let pass."""
    doubtful: int = 0
    """Findings of low confidence; they stop nothing."""
    texts: int = 0
    characters: int = 0


def scan_texts(
    texts: Iterable[Text], allowed: frozenset[str] = frozenset(), environ: Mapping[str, str] | None = None
) -> Scan:
    """Scan texts. `allowed` holds marks and row ids that a person has reviewed. Texts that repeat are scanned once.

    Raises:
        MissingExtra: the scanner is not installed.
    """
    detector = Detector(os.environ if environ is None else environ)
    seen: dict[bytes, tuple[list[tuple[str, str]], int]] = {}
    scan = Scan()
    for text in texts:
        scan.texts += 1
        scan.characters += len(text.value)
        data = text.value.encode("utf-8", errors="replace")
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if digest not in seen:
            seen[digest] = detector.find(data)
        found, doubtful = seen[digest]
        scan.doubtful += doubtful
        for kind, mark in found:
            if mark in allowed or text.row in allowed:
                scan.allowed += 1
            else:
                scan.leaks.append(Leak(text.row, text.column, kind, mark))
    return scan


class Detector:
    """Kingfisher's rules, loaded once (its cache makes the next start quick), and the environment's own secrets."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.scanner = _scanner()
        self.own = {
            value.encode(): name
            for name, value in sorted(environ.items())
            if _SECRET_NAME.search(name)
            and name not in _PUBLIC
            and len(value) >= SHORTEST
            and not value.startswith("/")
        }
        self.own_values = re.compile(b"|".join(map(re.escape, self.own))) if self.own else None

    def find(self, data: bytes) -> tuple[list[tuple[str, str]], int]:
        """Kind and mark of each secret in one text, each once, and how many findings are doubtful."""
        kinds: dict[str, list[str]] = {}
        doubtful = 0
        for finding in self.scanner.scan(data) if len(data) >= 8 else ():
            if not finding.visible:
                continue  # one half of a pair of keys: it tells nothing alone
            if finding.confidence == "low":
                doubtful += 1
            else:
                kinds.setdefault(mark_of(finding.secret), []).append(finding.rule_id.partition(".")[2])
        if self.own_values is not None:
            for value in self.own_values.findall(data):
                kinds.setdefault(mark_of(value.decode()), []).append(f"value of {self.own[value]} on this machine")
        return [(" and ".join(dict.fromkeys(named)), mark) for mark, named in kinds.items()], doubtful


@cache
def _scanner() -> Scanner:
    try:
        from kingfisher_sdk import Rules, Scanner
    except ModuleNotFoundError as error:
        raise MissingExtra("publish", "the scan for secrets") from error
    try:
        return Scanner(Rules(confidence=CONFIDENCE))
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "pip install --force-reinstall 'contextrl-data[publish]'"
        raise SetupError("the scanner for secrets does not start", remedy) from error


def mark_of(secret: str) -> str:
    """What stands for a secret in messages and in lists of reviewed ones."""
    return hashlib.sha256(secret.encode("utf-8", errors="replace")).hexdigest()[:12]


def read_allowed(values: Iterable[str]) -> frozenset[str]:
    """Marks and row ids; a value that is a file stands for its lines (`#` begins a comment).

    Raises:
        InputError: such a file cannot be read.
    """
    allowed: set[str] = set()
    for value in values:
        path = Path(value)
        if not path.is_file():
            allowed.add(value.strip())
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"cannot read {path}, the list of reviewed secrets", "give a text file, one mark or row id a line"
            ) from error
        allowed.update(line.split("#", 1)[0].strip() for line in lines)
    return frozenset(allowed - {""})
