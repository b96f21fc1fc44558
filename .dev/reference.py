"""Writes docs/cli.md and docs/configuration.md from the code; `--check` only tells whether they are current.

python .dev/reference.py [--check]
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from contextrl_data.pipeline.cli import app

DOCS = Path(__file__).parent.parent / "docs"
NOTE = "<!-- Written by `make docs` from the code. Edits here are lost. -->\n"


def main() -> int:
    """Write both pages, or say which of them is out of date."""
    pages = {DOCS / "cli.md": cli_page(), DOCS / "configuration.md": configuration_page()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"docs/{path.name} is out of date: run make docs")
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path])
        print(f"wrote docs/{path.name}")
    return 0


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for part in sorted(below):
        yield from commands(below[part], f"{name} {part}")


def cli_page() -> str:
    """docs/cli.md."""
    lines = [
        NOTE,
        "# Commands\n",
        "Every command has `--help`. A mistake of yours is one line with its remedy and exit code 2.\n",
    ]
    for name, command in commands(typer.main.get_command(app), "contextrl-data"):
        words, _, examples = inspect.cleandoc(command.help or "").partition("\nExample")
        lines += [f"## {name.removeprefix('contextrl-data ')}\n", words.strip() + "\n"]
        usage = [part.metavar or part.name.upper() for part in command.params if part.param_type_name == "argument"]
        lines += [f"    {' '.join([name, *usage, '[OPTIONS]'])}\n"]
        options = [part for part in command.params if part.param_type_name == "option"]
        if options:
            lines += ["| option | meaning | default |", "|---|---|---|"]
            lines += [_option_row(option) for option in options]
            lines.append("")
        shown = [line.strip() for line in examples.partition("\n")[2].splitlines() if line.strip()]
        if shown:
            lines += ["Examples:\n", *(f"    {line}" for line in shown), ""]
    return "\n".join(lines)


def _option_row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    metavar = f" {option.metavar}" if option.metavar else ""
    default = "" if option.default in (None, "", False) or callable(option.default) else f"`{option.default}`"
    return _row(f"{names}{metavar}", option.help or "", default)


def configuration_page() -> str:
    """docs/configuration.md."""
    from contextrl_data.stages.audit.config import AuditConfig
    from contextrl_data.stages.coding.config import CodingConfig
    from contextrl_data.stages.images.config import ImagesConfig
    from contextrl_data.stages.train.compare_config import CompareConfig
    from contextrl_data.stages.train.config import TrainConfig
    from contextrl_data.stages.train.probe_config import ProbeConfig

    models: dict[str, type[BaseModel]] = {
        "build coding": CodingConfig,
        "build images": ImagesConfig,
        "audit": AuditConfig,
        "train": TrainConfig,
        "probe": ProbeConfig,
        "compare": CompareConfig,
    }
    lines = [
        NOTE,
        "# Configuration\n",
        "Settings come from the defaults below, then the file of `--config`, then each `--set a.b=value` from left to right; values are",
        "YAML. An unknown name is an error that names its nearest neighbour. What was used stands in `resolved.yaml` of every build.",
        "Secrets are never settings: they come from the environment.\n",
    ]
    for name, model in models.items():
        lines += [f"## {name}\n", f"{_first(model)}\n", *_table(model, "", {})]
    return "\n".join(lines).rstrip() + "\n"


def _first(model: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split())


def _table(model: type[BaseModel], prefix: str, told: dict[type[BaseModel], str]) -> list[str]:
    """Plain settings of a model, then a section for each nested one; `told` are those that have one already."""
    plain, nested = [], []
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        below = _models_in(field.annotation)
        if below:
            nested.append((path, field, below))
        else:
            plain.append(
                _row(f"`{path}`", field.description or "", f"`{_default(field)}`", _type_name(field.annotation))
            )
    lines = ["| setting | meaning | default | type |", "|---|---|---|---|", *plain, ""] if plain else []
    for path, field, below in nested:
        unset = "" if field.default_factory or field.default is not None else " Not set by default."
        lines += [f"### {path}\n", f"{' '.join((field.description or '').split())}{unset}\n"]
        for each in below:
            if each in told:
                lines.append(f"The same settings as `{told[each]}`.\n")
                continue
            told[each] = path
            if len(below) > 1:
                lines.append(f"**{_first(each)}**\n")
            lines += _table(each, f"{path}.", told)
    return lines


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []


def _type_name(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(parts[0])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if part is type(None) else _type_name(part) for part in parts)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{part.value}`" for part in annotation)
    name = getattr(origin or annotation, "__name__", str(annotation)).lower()
    return f"{name} of {', '.join(_type_name(part) for part in parts if part is not ...)}" if parts else name


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, tuple | list) and value and isinstance(value[0], BaseModel):
        value = [part.model_dump(mode="json") for part in value]
    if isinstance(value, Path):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return (
        text
        if len(text) <= 90
        else f"{text[:80]} ... ({len(value)} in all)"
        if isinstance(value, list | tuple | dict)
        else f"{text[:80]} ..."
    )


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
