"""Reading a config: defaults, then the file, then `--set` from left to right; every mistake in one message.

Files are read by `yaml.safe_load`. Secrets never stand in a config: they come from the environment.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from contextrl_data.pipeline.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def shipped() -> dict[str, Path]:
    """Shipped configs by the name that `--config` takes: `coding`, `demo`, `smoke/images`, ..."""
    root = Path(str(resources.files("contextrl_data.configs")))
    return {str(path.relative_to(root).with_suffix("")): path for path in sorted(root.rglob("*.yaml"))}


def command_of(name: str) -> str:
    """The command that a shipped config is for, by its name."""
    words = name.split("/")
    named = next((word for word in ("train", "compare") if word in words), None)
    return named or ("build images" if "images" in words else "build coding")


def find(name: str, command: str | None = None) -> Path:
    """Path of a config: a file of the user's, or a shipped one by name, which must be for `command` where that is given.

    Raises:
        ConfigError: neither exists, or it is for another command.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = shipped()
    key = name.removeprefix("configs/").removesuffix(".yaml")
    if key in known:
        if command is not None and command_of(key) != command:
            fitting = ", ".join(one for one in known if command_of(one) == command)
            raise ConfigError(
                f"{name} is a config of `contextrl-data {command_of(key)}`", f"for `{command}`: {fitting}"
            )
        return known[key]
    if path.is_dir():
        raise ConfigError(f"config {name!r} is a folder", "name a YAML file in it, or one of the shipped configs")
    raise ConfigError(f"no config file {name!r}", f"give a path, or one of the shipped: {', '.join(known)}")


def read(path: Path) -> dict[str, Any]:
    """A YAML file as a mapping.

    Raises:
        ConfigError: not readable, not YAML, or not a mapping.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read config {path}: {error}", "name a readable UTF-8 text file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or error
        raise ConfigError(
            f"{where} is not YAML: {problem}", "mend the line, or check the file with a YAML linter"
        ) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} holds a {type(loaded).__name__}, not a mapping", "start it with `name: value` lines")
    return loaded


def assign(tree: dict[str, Any], setting: str, model: type[BaseModel] | None = None) -> None:
    """Apply one `a.b=value` to a nested mapping; the value is YAML.

    `a.b=` is null, but the empty text where `model` says that a.b is a text and cannot be null.

    Raises:
        ConfigError: no `=`, an empty name, a value that is no YAML, or a path through something that is no mapping.
    """
    path, separator, text = setting.partition("=")
    names = path.strip().split(".")
    if not separator or not all(names):
        raise ConfigError(f"--set {setting!r} is not of the form a.b=value", "for example --set attempts.per_task=4")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {setting!r}: the value is not YAML", "put quotes around it") from error
    if not text.strip() and model is not None and _is_text(model, names):
        value = ""
    here = tree
    for depth, name in enumerate(names[:-1], 1):
        below = here.setdefault(name, {})
        if not isinstance(below, dict):
            raise ConfigError(
                f"--set {setting!r}: {'.'.join(names[:depth])} is {below!r}, not a mapping",
                f"set {'.'.join(names[:depth])} itself, or mend the name",
            )
        here = below
    here[names[-1]] = value


def load(model: type[Model], file: Path | None = None, settings: Sequence[str] = ()) -> Model:
    """Build a config: the model's defaults, then `file`, then each `a.b=value`.

    Raises:
        ConfigError: with one line for every wrong setting, each with its full path.
    """
    tree = read(file) if file else {}
    for setting in settings:
        assign(tree, setting, model)
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(model, detail) for detail in error.errors()]
        where = _where(lines, file, settings)
        count = "1 wrong setting" if len(lines) == 1 else f"{len(lines)} wrong settings"
        raise ConfigError("\n".join([f"{count}{where}:", *(f"  {line}" for line in lines)])) from error


def _where(lines: Sequence[str], file: Path | None, settings: Sequence[str]) -> str:
    """Where the mistakes stand: in the file, or in what was set beside it."""
    given = [setting.partition("=")[0].strip() for setting in settings]
    paths = [f"{line.partition(':')[0]}." for line in lines]
    in_set = [any(path.startswith(f"{one}.") or f"{one}.".startswith(path) for one in given) for path in paths]
    places = [f"{file}"] if file and not all(in_set) else []
    return f" in {' and '.join([*places, *(['--set'] if any(in_set) else [])])}" if places or any(in_set) else ""


def _explain(model: type[BaseModel], detail: ErrorDetails) -> str:
    names, known = _walk(model, detail["loc"])
    path = ".".join(names)
    if detail["type"] != "extra_forbidden":
        shown = "" if detail["type"] == "missing" else f" (got {detail['input']!r:.80})"
        return f"{path}: {detail['msg']}{shown}"
    near = difflib.get_close_matches(names[-1], known, n=1)
    return f"{path}: no such setting; " + (f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}")


def _walk(model: type[BaseModel], path: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The path as a user writes it, without the tags of unions, and the fields known where its last name stands."""
    names: list[str] = []
    here, known = [model], list(_fields(model))
    for name in path:
        tagged = [one for one in here if name in _tags(one)] if len(here) > 1 else []
        if tagged:
            here, known = tagged, list(_fields(tagged[0]))
            continue
        names.append(str(name))
        below = [_fields(one) for one in here]
        known = [field for one in below for field in one]
        fields = [one[str(name)] for one in below if name in one]
        if fields:  # else a list index, or the name that is not known
            here = [one for field in fields for one in _models_in(field.annotation)]
    return names, known


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names that a config gives them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _is_text(model: type[BaseModel], names: Sequence[str]) -> bool:
    """Whether the setting of this path takes a text, and null nowhere."""
    here = [model]
    for name in names[:-1]:
        above = [_fields(one) for one in here]
        here = [below for fields in above if name in fields for below in _models_in(fields[name].annotation)]
    kinds = [fields[names[-1]].annotation for fields in map(_fields, here) if names[-1] in fields]
    takes = {part for kind in kinds for part in (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,))}
    return str in takes and type(None) not in takes


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold: one, or the members of a union."""
    parts = (annotation, *get_args(annotation))
    return [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]


def _tags(model: type[BaseModel]) -> set[Any]:
    """Words that choose this model among the members of a union."""
    return {tag for field in model.model_fields.values() for tag in get_args(field.annotation)}


def dump(config: BaseModel) -> str:
    """The resolved config as YAML, every setting named."""
    return yaml.safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True, width=100)
