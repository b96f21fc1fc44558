"""The text of the dataset card. Every figure in it comes from the record; what is not known is said to be unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import yaml

from contextrl_data.stages import card_coding, card_images
from contextrl_data.stages.audit.show import audit_section, verdict_line
from contextrl_data.stages.facts import BENCHMARK_MARK
from contextrl_data.stages.markdown import PLACE_OF_REPO, code, one_line, prose
from contextrl_data.stages.markdown import markdown_table as _table

Record = Mapping[str, Any]

CITATION = """```bibtex
@article{xu2026contextrl,
  title   = {Context-Aware RL for Agentic and Multimodal LLMs},
  author  = {Xu and others},
  journal = {arXiv preprint arXiv:2606.17053},
  year    = {2026}
}
```"""


def card_body(record: Record) -> str:
    """Everything below the YAML head."""
    own = _family(record)
    sections = [
        f"# {prose(record['title'])}",
        f"{own.WHAT_A_ROW_IS} Made with `contextrl-data`.\n\n" + _table(["", ""], _facts(record)),
        "## Load it\n\n" + _loading(record) + _views(record),
        "## Columns\n\n" + _table(["column", "what it holds"], own.COLUMNS),
        "## How the labels were made\n\n" + _labels(record),
        "## Funnel\n\n" + _funnel(record["funnel"]),
        "## Can a blind reader pick C+?\n\n" + _baselines(record),
        *(["## Can a model pick C+?\n\n" + _answerability(record)] if record.get("answerability") else []),
        *(["## Audit\n\n" + audit_section(record["audit"])] if "audit" in record else []),
        "## Sources and licences\n\n" + _sources(record),
        "## Limits\n\n" + "\n".join(f"- {line}" for line in limits(record, prose)),
        "## Settings\n\n" + _settings(record["config"]),
        "## Citation\n\nThe method:\n\n" + CITATION + "\n\nThis set:\n\n" + _own_citation(record),
    ]
    return "\n\n".join(sections) + "\n"


def _answerability(record: Record) -> str:
    """What the model of the difficulty filter makes of the pairs that are in the set."""
    found, asked = record["answerability"], record["config"].get("difficulty") or {}
    model = (asked.get("chat") or {}).get("model")
    told = (
        f"{code(model) if model else 'A model'} read both contexts and picked C+ in {found['accuracy']:.3f} of its "
        f"choices (95 % interval {found['low']:.3f} to {found['high']:.3f}; {found['rows']} pairs"
    )
    told += f", {asked['samples']} choices each)." if asked else ")."
    if asked and (asked["low"], asked["high"]) != (0.0, 1.0):
        told += (
            f" Pairs were kept where that share lay within {asked['low']:g} and {asked['high']:g}, so this is no measure "
            "of the pairs before the filter."
        )
    return told


def audit_line(record: Record) -> str:
    """The audit's verdict in a few words; empty where no audit is on record."""
    return verdict_line(record["audit"]) if "audit" in record else ""


def _family(record: Record) -> ModuleType:
    return card_images if record.get("family") == "images" else card_coding


def _facts(record: Record) -> list[tuple[str, str]]:
    splits = ", ".join(f"{prose(name)} {facts['rows']}" for name, facts in record["splits"].items())
    found = [
        ("pairs (rows)", f"{record['rows']}: {splits}"),
        ("audit", prose(audit_line(record) or "not on record")),
        *_family(record).counted(record),
    ]
    if record.get("key"):
        found.append(("dataset key", f"`{record['key']}` (tag `data-{record['key']}` where it is published)"))
    return found


def _loading(record: Record) -> str:
    text: str = _family(record).LOADING
    return text.format(repo=PLACE_OF_REPO, split=next(iter(record["splits"])))


def _labels(record: Record) -> str:
    counts = record["counts"]
    judges = ", ".join(f"{code(name)} ({count} rows)" for name, count in counts["judge"].items())
    verdicts = ", ".join(f"{prose(name or 'none')} {count}" for name, count in counts["verdict"].items())
    lines = [*_family(record).labels(record), f"Judged by {judges}. Verdicts: {verdicts}."]
    text = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    if record["checks"]:
        text += "\n\n" + _table(
            ["check", "outcome", "rows"], [[prose(value) for value in check] for check in record["checks"]]
        )
    return text


def _views(record: Record) -> str:
    views = "".join(
        f"\n- `views/{name}`: " + ", ".join(f"`{file['id']}` {file['rows']}" for file in view["files"])
        for name, view in record.get("views", {}).items()
    )
    return f"\n\nThe same pairs in the layouts of trainers, with their rows:\n{views}" if views else ""


def _funnel(funnel: Sequence[Record]) -> str:
    if not funnel:
        return "Not on record."
    rows = []
    for line in funnel:
        lost = [f"{prose(reason)} ({count})" for reason, count in line["dropped"].items()]
        lost += [f"failed at {prose(boundary)} ({count})" for boundary, count in line["failed"].items()]
        rows.append([prose(line["stage"]), line["rows_in"], line["kept"], line["rows_out"], "; ".join(lost) or "-"])
    text = _table(["stage", "rows in", "kept", "rows out", "dropped or failed"], rows)
    inside = [
        f"- {prose(line['stage'])}: " + " -> ".join(f"{prose(name)} {count}" for name, count in line["steps"])
        for line in funnel
        if line["steps"]
    ]
    notes = [f"- {prose(line['stage'])}: {prose(line['message'])}" for line in funnel if line.get("message")]
    extra = [part for part in ("\n".join(inside), "\n".join(notes)) if part]
    return "\n\n".join([text, *extra])


def _baselines(record: Record) -> str:
    splits = record["splits"].items()
    parts = [(name, facts["baselines"]) for name, facts in splits] if len(splits) > 1 else []  # one split is all
    rows = [
        [prose(split), prose(one["name"]), f"{one['accuracy']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}", one["n"]]
        for split, results in [("all", record["baselines"]), *parts]
        for one in results
    ]
    more = " The audit below tries more." if "audit" in record else ""
    return (
        "The guessers that selection balances, and how often each picks C+ (a tie counts one half), with a 95 % Wilson "
        f"interval. An interval that contains 0.5 is chance.{more}\n\n"
        + _table(["split", "baseline", "accuracy", "95 % interval", "pairs"], rows)
    )


def _sources(record: Record) -> str:
    rows = [
        [
            code(one["source"]) + (" **(benchmark)**" if one["benchmark"] else ""),
            ", ".join(prose(name or "unknown") for name in one["licences"]),
            one["rows"],
        ]
        for one in record["sources"]
    ]
    return _table(["source", "licence", "rows"], rows)


def limits(record: Record, shown: Callable[[Any], str] = str) -> list[str]:
    """What a user must know before trusting the set, derived from the record; `shown` is how names are written."""
    counts, total = record["counts"], record["rows"]
    found: list[str] = _family(record).own_limits(record)
    if ruled := counts["judge"].get("rules", 0):
        found.append(f"{ruled} of {total} rows were judged by fixed rules, not by a model or a person.")
    if unsure := counts["verdict"].get("UNCERTAIN", 0):
        found.append(f"{unsure} of {total} rows are UNCERTAIN: nobody has reviewed them.")
    if unchecked := sum(count for _, outcome, count in record["checks"] if outcome == "not checked"):
        found.append(f"{unchecked} checks could not be run.")
    if record.get("audit") and not record["audit"]["passed"]:
        found.append(f"The audit failed: {', '.join(shown(name) for name in record['audit']['reasons'])}.")
    for part, results in [("the whole set", record["baselines"])] + [
        (f"`{shown(name)}`", facts["baselines"]) for name, facts in record["splits"].items()
    ]:
        tilted = [shown(one["name"]) for one in results if not one["low"] <= 0.5 <= one["high"]]
        if tilted:
            found.append(f"In {part} these blind baselines are not at chance: {', '.join(tilted)}.")
    if benchmarks := [shown(one["source"]) for one in record["sources"] if one["benchmark"]]:
        found.append(f"Benchmark sources: {', '.join(benchmarks)}. Do not report results on them after training here.")
    if allowed := sum(one["rows"] for one in record["sources"] if BENCHMARK_MARK in one["source"]):
        found.append(f"{allowed} of {total} rows come from benchmarks and were let in by `allow_benchmarks: true`.")
    if missing := counts["licence"].get("", 0):
        found.append(f"{missing} rows have no known licence.")
    if total < 400:
        found.append(f"With {total} rows the 95 % intervals are wide.")
    found.append("Only the blind baselines listed here were measured; others may do better than chance.")
    return found


def _settings(config: Record) -> str:
    if not config:
        return "Not on record."
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).rstrip()
    fence = "`" * max(3, 1 + max((len(run) for run in _backticks(text)), default=0))
    return (
        f"<details><summary>Everything that was set, seeds included ({text.count(chr(10)) + 1} lines)</summary>\n\n"
        f"{fence}yaml\n{text}\n{fence}\n\n</details>"
    )


def _own_citation(record: Record) -> str:
    key = record.get("key", "")
    title = one_line(record["title"]).translate({ord(letter): None for letter in "{}`"})
    lines = [
        f"  title        = {{{title}}},",
        f"  howpublished = {{{PLACE_OF_REPO}, made with contextrl-data}},",
    ]
    if key:
        lines.append(f"  note         = {{dataset key {key}, {record['rows']} rows}},")
    return "\n".join(["```bibtex", f"@misc{{contextrl-data-{key or 'set'},", *lines, "}", "```"])


def _backticks(text: str) -> list[str]:
    return ["`" * len(part) for part in "".join(c if c == "`" else " " for c in text).split()]
