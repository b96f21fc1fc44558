"""The checks before anything is sent: licences, secrets, and whether the card says what a reader needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.card import CARD, PROVENANCE
from contextrl_data.stages.card_text import audit_line
from contextrl_data.stages.publish.contents import Contents
from contextrl_data.stages.publish.licences import KINDS, Licences, read_licences
from contextrl_data.stages.publish.secrets import Scan, read_allowed, scan_texts
from contextrl_data.stages.publish.texts import Text, texts_of

SHOWN = 20
"""Most findings shown line by line."""
LONGEST = 200
_HEAD = {"configs": "which files make which split", "dataset_info": "the features", "license": "the licences"}
_SECTIONS = {
    "how to load it": "## Load it",
    "the funnel": "## Funnel",
    "the blind baselines": "## Can a blind reader",
    "the audit": "## Audit",
    "the sources": "## Sources",
    "the citation": "## Citation",
}


@dataclass(frozen=True)
class Report:
    """What the checks found; `refusal` is what stands in the way."""

    licences: Licences
    scan: Scan
    audit: str
    """What the audit on record says, in one line."""
    card_lacks: list[str]
    accepted: frozenset[str]
    refusal: InputError | None

    def lines(self) -> list[str]:
        """For a person; no secret is in them."""
        named = ", ".join(f"{shown(name) or '(none)'} {rows}" for name, rows in self.licences.rows.items())
        found = [f"licences (rows): {named}"]
        found += [
            f"  {'accepted' if one.kind in self.accepted else one.kind}: {shown(one.line())}"
            for one in self.licences.problems
        ]
        scan = self.scan
        found.append(
            f"secrets: {len(scan.leaks) or 'none'} in {scan.texts} texts, {scan.characters / 1e6:.1f} million characters"
            + (f"; let pass after review: {scan.allowed}" if scan.allowed else "")
            + (f"; doubtful, not counted: {scan.doubtful}" if scan.doubtful else "")
        )
        found += [f"  {shown(leak.row)}  {leak.column}  {leak.kind}  mark {leak.mark}" for leak in scan.leaks[:SHOWN]]
        if len(scan.leaks) > SHOWN:
            found.append(f"  and {len(scan.leaks) - SHOWN} more; by kind: {_by_kind(scan)}")
        found.append(f"audit: {shown(self.audit)}")
        found.append("card: complete" if not self.card_lacks else f"card: lacks {', '.join(self.card_lacks)}")
        return found


def check_contents(
    contents: Contents, allow_secrets: Sequence[str], accept_licences: Sequence[str], environ: Mapping[str, str]
) -> Report:
    """Run every check; none of them raises for what it finds.

    Raises:
        InputError: a file cannot be read, or an option names what is not known.
    """
    if unknown := sorted(set(accept_licences) - {*KINDS}):
        raise InputError(f"--accept-licence {unknown[0]} is not known", f"it may be {', '.join(KINDS)}")
    licences = read_licences(contents.data_files)
    scan = scan_texts(_all_texts(contents), read_allowed(allow_secrets), environ)
    broken, lacks = _card_gaps(contents)
    accepted = frozenset(accept_licences)
    refusal = _card_refusal(broken) or _secrets_refusal(scan) or _licence_refusal(licences, accepted)
    return Report(licences, scan, _audit(contents), [*broken, *lacks], accepted, refusal)


def _audit(contents: Contents) -> str:
    """A dataset that failed may be published: its card says so, and so does this line before anything is sent."""
    found = audit_line(contents.record)
    return found or f"not on record: contextrl-data audit {contents.folder} --write-card"


def _all_texts(contents: Contents) -> Iterator[Text]:
    yield from texts_of([*contents.data_files, *contents.view_files])
    for file in contents.files:
        if file.name in (CARD, PROVENANCE):
            yield Text(file.name, "(the file)", file.path.read_text(encoding="utf-8"))


def _card_gaps(contents: Contents) -> tuple[list[str], list[str]]:
    """What the card's head lacks (the Hub could not read the set), and what its text lacks."""
    card = next(file for file in contents.files if file.name == CARD)
    text = (card.data or b"").decode()
    parts = text.split("---\n", 2)
    try:
        head = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    except yaml.YAMLError:
        head = None
    broken = [what for key, what in _HEAD.items() if not isinstance(head, dict) or not head.get(key)]
    lacks = [what for what, heading in _SECTIONS.items() if f"\n{heading}" not in text]
    if "the funnel" not in lacks and not contents.record.get("funnel"):
        lacks.append("the funnel (not on record)")
    return broken, lacks


def _card_refusal(broken: Sequence[str]) -> InputError | None:
    if not broken:
        return None
    return InputError(f"the card's head ({CARD}) lacks {', '.join(broken)}", "export the dataset again")


def _secrets_refusal(scan: Scan) -> InputError | None:
    if not scan.leaks:
        return None
    first = scan.leaks[0]
    return InputError(
        f"{len(scan.leaks)} secret{'s' * (len(scan.leaks) > 1)} would be published, first: row {shown(first.row)}, column {first.column}, {first.kind}",
        "revoke them and remove the rows; what is no secret passes with --allow-secrets MARK, a row id or a file of both",
    )


def _licence_refusal(licences: Licences, accepted: frozenset[str]) -> InputError | None:
    left = [one for one in licences.problems if one.kind not in accepted]
    if not left:
        return None
    flags = " ".join(f"--accept-licence {kind}" for kind in KINDS if kind in {one.kind for one in left})
    return InputError(
        f"licences need a decision, first: {left[0].line()}", f"drop these rows, or accept them with {flags}"
    )


def shown(text: str) -> str:
    """Text from a dataset on one line of a terminal: nothing that moves the cursor, and not too much of it."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."


def _by_kind(scan: Scan) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in Counter(leak.kind for leak in scan.leaks).most_common())
