"""The text of the dataset card. Every figure in it comes from the record; what is not known is said to be unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from contextrl_data.stages import card_images
from contextrl_data.stages.audit.show import audit_section
from contextrl_data.stages.facts import BENCHMARK_MARK
from contextrl_data.stages.markdown import PLACE_OF_REPO
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

_COLUMNS = [
    ("`question`", "what is asked: which of two contexts supports the answer"),
    ("`answer`", "the answer that C+ supports, a unified diff"),
    ("`context_pos`, `context_neg`", "C+ and C-: the two masked trajectories, as lists of `role` and `content`"),
    ("`correct_first`, `correct_option`", "the order on record: whether C+ is option A, and its letter"),
    ("`answer_neg`", "what C- supports: the answer of the other direction"),
    ("`pair_id`, `direction`", "the undirected pair; both of its directions stand in the same split"),
    ("`kind`", "`sibling`: C- is a run on another issue; `outcome`: a run on the same issue that ended the other way"),
    ("`view`", "`full` run, or only what happened `before_edit`"),
    ("`repo`, `commit`, `file`, `symbol`, `group`", "where the answer lies; a group never stands in two splits"),
    ("`instance_*`, `trajectory_*`, `problem_statement_*`, `resolved_*`, `model_*`", "where each context comes from"),
    ("`source`, `licence`", "the data set or package, and its SPDX licence"),
    ("`verdict`, `judge`, `checks`", "who judged the pair, how, and what was executed or checked"),
    ("`measures`, `blind_scores`", "similarity and leak measurements; what each blind baseline scored (1, 0, or 0.5)"),
    ("`tokens`, `tokenizer`", "length of the whole prompt, and who counted"),
]


def card_body(record: Record) -> str:
    """Everything below the YAML head."""
    intro, loading, columns, labels = _intro, _loading, _COLUMNS, _labels
    if record.get("family") == "images":
        intro, loading, columns, labels = (
            card_images.intro,
            card_images.loading,
            card_images.COLUMNS,
            card_images.labels,
        )
    sections = [
        f"# {record['title']}",
        intro(record),
        "## Load it\n\n" + loading(record) + _views(record),
        "## Columns\n\n" + _table(["column", "what it holds"], columns),
        "## How the labels were made\n\n" + labels(record),
        "## Funnel\n\n" + _funnel(record["funnel"]),
        "## Can a blind reader pick C+?\n\n" + _baselines(record),
        *(["## Can a model pick C+?\n\n" + _answerability(record)] if record.get("answerability") else []),
        *(["## Audit\n\n" + audit_section(record["audit"])] if "audit" in record else []),
        "## Sources and licences\n\n" + _sources(record),
        "## Limits\n\n" + "\n".join(f"- {line}" for line in limits(record)),
        "## Settings\n\n" + _settings(record["config"]),
        "## Citation\n\nThe method:\n\n" + CITATION + "\n\nThis set:\n\n" + _own_citation(record),
    ]
    return "\n\n".join(sections) + "\n"


def _answerability(record: Record) -> str:
    """What the model of the difficulty filter makes of the pairs that are in the set."""
    found, asked = record["answerability"], record["config"].get("difficulty") or {}
    model = (asked.get("chat") or {}).get("model")
    told = (
        f"{f'`{model}`' if model else 'A model'} read both contexts and picked C+ in {found['accuracy']:.3f} of its "
        f"choices (95 % interval {found['low']:.3f} to {found['high']:.3f}; {found['rows']} pairs"
    )
    told += f", {asked['samples']} choices each)." if asked else ")."
    if asked and (asked["low"], asked["high"]) != (0.0, 1.0):
        told += (
            f" Pairs were kept where that share lay within {asked['low']:g} and {asked['high']:g}, so this is no measure "
            "of the pairs before the filter."
        )
    return told


def _intro(record: Record) -> str:
    distinct, counts = record["distinct"], record["counts"]
    splits = ", ".join(f"{name} {facts['rows']}" for name, facts in record["splits"].items())
    kinds = ", ".join(f"{name} {count}" for name, count in counts["kind"].items())
    facts = [
        ("pairs (rows)", f"{record['rows']}: {splits}"),
        ("kinds of C-", kinds),
        (
            "undirected pairs, groups, trajectories",
            f"{distinct['pairs']}, {distinct['groups']}, {distinct['trajectories']}",
        ),
        ("repositories", ", ".join(f"`{name}` {count}" for name, count in counts["repo"].items())),
        (
            "models of the runs (rows)",
            ", ".join(f"`{name or 'unknown'}` {count}" for name, count in counts["model"].items()),
        ),
    ]
    if record.get("key"):
        facts.append(("dataset key", f"`{record['key']}` (tag `data-{record['key']}` where it is published)"))
    if record["tokens"]:
        names = ", ".join(f"`{name}`" for name in counts["tokenizer"])
        facts.append(
            ("prompt tokens", f"median {record['tokens']['median']}, longest {record['tokens']['longest']} ({names})")
        )
    return (
        "Each row is one contrastive context pair (Q, A, C+, C-): a question, an answer, the agent trajectory that "
        "supports the answer, and a near-twin that does not. A model is trained, or probed, to tell which of the two "
        "contexts the answer belongs to. Made with `contextrl-data`.\n\n" + _table(["", ""], facts)
    )


def _loading(record: Record) -> str:
    split = next(iter(record["splits"]))
    return (
        "```python\nfrom datasets import load_dataset\n\n"
        f'pairs = load_dataset("{PLACE_OF_REPO}", split="{split}")\n'
        "pair = pairs[0]\n```\n\n"
        "The prompt with both contexts as options A and B is built from the columns:\n\n"
        "```python\nfrom contextrl_data.stages.prompt import choice_prompt\n\n"
        'prompt, label = choice_prompt(pair), pair["correct_option"]\n```'
    )


def _views(record: Record) -> str:
    views = "".join(
        f"\n- `views/{name}`: " + ", ".join(f"`{file['id']}` {file['rows']}" for file in view["files"])
        for name, view in record.get("views", {}).items()
    )
    return f"\n\nThe same pairs in the layouts of trainers, with their rows:\n{views}" if views else ""


def _labels(record: Record) -> str:
    judges = ", ".join(f"`{name or 'unknown'}` ({count} rows)" for name, count in record["counts"]["judge"].items())
    lines = [
        "1. Agent runs on known bugs are evaluated by running the tests; a fault of the surroundings is never a label.",
        "2. Two runs make a pair when they edit the same function or class: of different issues (`sibling`), or of one "
        "issue with different outcomes (`outcome`).",
        "3. Edit commands, diffs, submissions and the issue text are masked; whose edited lines are masked too is the setting `mask.regions`.",
        f"4. Judged by {judges}. Verdicts: "
        + ", ".join(f"{name or 'none'} {count}" for name, count in record["counts"]["verdict"].items())
        + ".",
    ]
    text = "\n".join(lines)
    if record["checks"]:
        text += "\n\n" + _table(["check", "outcome", "rows"], record["checks"])
    return text


def _funnel(funnel: Sequence[Record]) -> str:
    if not funnel:
        return "Not on record."
    rows = []
    for line in funnel:
        lost = [f"{reason} ({count})" for reason, count in line["dropped"].items()]
        lost += [f"failed at {boundary} ({count})" for boundary, count in line["failed"].items()]
        rows.append([line["stage"], line["rows_in"], line["kept"], line["rows_out"], "; ".join(lost) or "-"])
    text = _table(["stage", "rows in", "kept", "rows out", "dropped or failed"], rows)
    inside = [
        f"- {line['stage']}: " + " -> ".join(f"{name} {count}" for name, count in line["steps"])
        for line in funnel
        if line["steps"]
    ]
    notes = [f"- {line['stage']}: {line['message']}" for line in funnel if line.get("message")]
    extra = [part for part in ("\n".join(inside), "\n".join(notes)) if part]
    return "\n\n".join([text, *extra])


def _baselines(record: Record) -> str:
    rows = [
        [split, one["name"], f"{one['accuracy']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}", one["n"]]
        for split, results in [("all", record["baselines"])]
        + [(name, facts["baselines"]) for name, facts in record["splits"].items()]
        for one in results
    ]
    return (
        "Guessers that do not read, and how often each picks C+ (a tie counts one half), with a 95 % Wilson "
        "interval. An interval that contains 0.5 is chance.\n\n"
        + _table(["split", "baseline", "accuracy", "95 % interval", "pairs"], rows)
    )


def _sources(record: Record) -> str:
    rows = [
        [
            f"`{one['source'] or 'unknown'}`" + (" **(benchmark)**" if one["benchmark"] else ""),
            ", ".join(name or "unknown" for name in one["licences"]),
            one["rows"],
        ]
        for one in record["sources"]
    ]
    return _table(["source", "licence", "rows"], rows)


def limits(record: Record) -> list[str]:
    """What a user must know before trusting the set, derived from the record."""
    counts, total = record["counts"], record["rows"]
    found = card_images.own_limits(record) if record.get("family") == "images" else []
    if scripted := counts.get("model", {}).get("scripted", 0):
        found.append(
            f"{scripted} of {total} rows show runs of the `scripted` agent, a deterministic policy that knows the "
            "fix: they demonstrate the pipeline and are no evidence of what a model does."
        )
    if ruled := counts["judge"].get("rules", 0):
        found.append(f"{ruled} of {total} rows were judged by fixed rules, not by a model or a person.")
    if unsure := counts["verdict"].get("UNCERTAIN", 0):
        found.append(f"{unsure} of {total} rows are UNCERTAIN: nobody has reviewed them.")
    if unchecked := sum(count for _, outcome, count in record["checks"] if outcome == "not checked"):
        found.append(f"{unchecked} checks could not be run.")
    for part, results in [("the whole set", record["baselines"])] + [
        (f"`{name}`", facts["baselines"]) for name, facts in record["splits"].items()
    ]:
        tilted = [one["name"] for one in results if not one["low"] <= 0.5 <= one["high"]]
        if tilted:
            found.append(f"In {part} these blind baselines are not at chance: {', '.join(tilted)}.")
    if benchmarks := [one["source"] for one in record["sources"] if one["benchmark"]]:
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
    return f"Everything that was set, seeds included:\n\n{fence}yaml\n{text}\n{fence}"


def _own_citation(record: Record) -> str:
    key = record.get("key", "")
    lines = [
        f"  title        = {{{record['title']}}},",
        f"  howpublished = {{{PLACE_OF_REPO}, made with contextrl-data}},",
    ]
    if key:
        lines.append(f"  note         = {{dataset key {key}, {record['rows']} rows}},")
    return "\n".join(["```bibtex", f"@misc{{contextrl-data-{key or 'set'},", *lines, "}", "```"])


def _backticks(text: str) -> list[str]:
    return ["`" * len(part) for part in "".join(c if c == "`" else " " for c in text).split()]
