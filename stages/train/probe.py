"""`contextrl-data probe`: how often a model names the context that supports the answer.

Every pair is asked in both orders, so that a model that always says A scores one half. The accuracy's interval is
Wilson's with the *pair* as the unit (the two orders of a pair are no independent trials), which is the wider one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.stages.train.faults import enough_memory
from contextrl_data.stages.train.folder import write_json
from contextrl_data.stages.train.pairs import ChoiceCollator, Pairs
from contextrl_data.stages.train.plots import plot_intervals
from contextrl_data.stages.train.probe_config import ProbeConfig
from contextrl_data.stages.train.run import quieten, require_packages
from contextrl_data.stages.train.statistics import wilson

_SLICES = ("domain", "method", "kind", "view")


@dataclass(frozen=True)
class Score:
    """Selection accuracy on some pairs."""

    pairs: int
    accuracy: float
    low: float
    high: float
    first_option: float
    """Share of choices that named the first option: 0.5 without a position bias."""
    both_orders: float
    """Share of pairs that were right in both orders."""
    unreadable: float
    """Share of answers in which no option could be read; they count as wrong."""


@dataclass(frozen=True)
class ProbeResult:
    """What the probe found."""

    model: str
    dataset: str
    split: str
    how: str
    too_long: int
    overall: Score
    slices: dict[str, Score] = field(default_factory=dict)


def run_probe(config: ProbeConfig) -> ProbeResult:
    """Ask every pair in both orders, and write the choices, a table and a plot.

    Raises:
        UserError: the dataset, the model or the server cannot be used.
    """
    if not config.pairs.split:
        raise ConfigError("no split is given", "set pairs.split")
    if not config.server.url:
        require_packages()
        quieten()
    pairs = Pairs.load(config.pairs, config.pairs.split, config.pairs.limit)
    if config.server.url:
        from contextrl_data.stages.train.probe_server import ask_server

        choices, how = ask_server(pairs, config)
    else:
        with enough_memory(
            f"out of memory with batch {config.batch}", "lower batch, or take a smaller pairs.max_tokens or model"
        ):
            choices, how = ask_here(pairs, config)
    described = {str(row["id"]): row for row in map(_light, pairs)}
    result = ProbeResult(
        model=config.model,
        dataset=config.pairs.dataset,
        split=config.pairs.split,
        how=how,
        too_long=pairs.too_long,
        overall=score(choices),
        slices=sliced(choices, described),
    )
    write(config, result, choices)
    return result


def ask_here(pairs: Pairs, config: ProbeConfig) -> tuple[list[dict[str, Any]], str]:
    """Choices of a model that runs here, from the options' logits."""
    from contextrl_data.stages.train.models import load_model, load_processor, require_length
    from contextrl_data.stages.train.options import find_options, require_chat_template
    from contextrl_data.stages.train.selection import choose

    processor = load_processor(config.model, config.pairs)
    require_chat_template(processor, config.model)
    require_length(config.model, processor, config.pairs)
    options = find_options(processor, config.pairs.labels, config.pairs.template_options, config.pairs.answer_prefix)
    pairs.drop_too_long(processor)
    model = load_model(config.model, config.engine)
    if not config.engine.cpu:
        import torch

        model.to("cuda" if torch.cuda.is_available() else "cpu")
    collator = ChoiceCollator(processor, config.pairs, options)
    return list(choose(model, pairs, collator, config.batch)), "logits"


def _light(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("id", "tokens", *_SLICES)}


def score(choices: Iterable[dict[str, Any]]) -> Score:
    """Accuracy over choices that hold both orders of every pair."""
    rows = list(choices)
    by_pair: dict[str, list[bool]] = {}
    for choice in rows:
        by_pair.setdefault(str(choice["id"]), []).append(bool(choice["correct"]))
    right = sum(sum(orders) / len(orders) for orders in by_pair.values())
    low, high = wilson(right, len(by_pair))
    named = [choice["first"] for choice in rows if choice["first"] is not None]
    return Score(
        pairs=len(by_pair),
        accuracy=right / len(by_pair),
        low=low,
        high=high,
        first_option=sum(named) / len(named) if named else 0.5,
        both_orders=sum(all(orders) for orders in by_pair.values()) / len(by_pair),
        unreadable=1 - len(named) / len(rows),
    )


def sliced(choices: list[dict[str, Any]], rows: dict[str, dict[str, Any]]) -> dict[str, Score]:
    """Scores by domain, method, kind and length, where the dataset says so."""
    groups: dict[str, list[dict[str, Any]]] = {}
    length_of = _thirds([row["tokens"] for row in rows.values() if row["tokens"] is not None])
    for choice in choices:
        row = rows[str(choice["id"])]
        names = [f"{name}: {row[name]}" for name in _SLICES if row[name] is not None]
        if row["tokens"] is not None and length_of is not None:
            names.append(length_of(row["tokens"]))
        for name in names:
            groups.setdefault(name, []).append(choice)
    return {name: score(members) for name, members in sorted(groups.items())}


def _thirds(lengths: list[int]) -> Callable[[int], str] | None:
    if not lengths:
        return None
    ordered = sorted(lengths)
    low, high = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]

    def name(tokens: int) -> str:
        if tokens < low:
            return f"length: < {low} tokens"
        return f"length: {low} to {high - 1} tokens" if tokens < high else f"length: >= {high} tokens"

    return name


def table(result: ProbeResult) -> str:
    """What was measured, and the scores as a Markdown table."""
    left_out = f" ({result.too_long} too long)" if result.too_long else ""
    lines = [
        f"{result.model} on split {result.split!r} of {result.dataset}: {result.overall.pairs} pairs{left_out}, read from {result.how}",
        "",
        "| pairs | | accuracy | 95 % | right in both orders | first option | unreadable |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for name, s in {"all": result.overall, **result.slices}.items():
        lines.append(
            f"| {name} | {s.pairs} | {s.accuracy:.3f} | {s.low:.3f} to {s.high:.3f} | {s.both_orders:.3f} "
            f"| {s.first_option:.3f} | {s.unreadable:.3f} |"
        )
    return "\n".join(lines)


def write(config: ProbeConfig, result: ProbeResult, choices: list[dict[str, Any]]) -> None:
    """Leave everything in the output folder."""
    config.output.mkdir(parents=True, exist_ok=True)
    with (config.output / "choices.jsonl").open("w") as file:
        file.writelines(json.dumps(choice) + "\n" for choice in choices)
    write_json(config.output / "probe.json", asdict(result))
    title = f"{result.model} on {result.split} ({result.how})"
    (config.output / "probe.md").write_text(f"# Selection accuracy\n\n{table(result)}\n")
    rows = [(n, s.accuracy, s.low, s.high) for n, s in {"all": result.overall, **result.slices}.items()]
    plot_intervals(rows, config.output / "probe.png", title[-60:])
