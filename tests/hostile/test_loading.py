"""Formats that run code when they are read: pickles, YAML tags, templates. None is ever read that way."""

from __future__ import annotations

import ast
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.errors import ConfigError, InputError
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.reading import open_dataset
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.coding.readers.rawfiles import trajectory_files
from contextrl_data.stages.coding.tasksets import TaskSetConfig, TaskSets
from contextrl_data.stages.images.encoders.precomputed import PrecomputedConfig, read_vectors
from contextrl_data.stages.images.image_sets import ImageSets, ImageSetsConfig
from contextrl_data.stages.report.command import report_command

ROOT = Path(__file__).parents[2]


class Owned:
    """Makes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """A folder that exists once somebody has run what was in the data."""
    mark = tmp_path / "owned"
    yield mark
    assert not mark.exists()


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.pkl", "x.pt", "x.pth", "x.bin", "x.parquet", "x.safetensors"])
@pytest.mark.parametrize("how", ["pickle", "npy"])
def test_pickled_vectors_are_refused_in_one_line(name: str, how: str, tmp_path: Path, mark: Path) -> None:
    path = tmp_path / name
    if how == "pickle":
        path.write_bytes(pickle.dumps(Owned(mark)))
    else:
        with path.open("wb") as file:
            np.save(file, np.array([Owned(mark)], dtype=object), allow_pickle=True)
    (tmp_path / "ids.txt").write_text("one\n")
    config = PrecomputedConfig(kind="precomputed", path=path, ids=tmp_path / "ids.txt")
    with pytest.raises(InputError) as caught:
        read_vectors(config)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.pkl", "x.pt", "x.npy", "x.parquet", "x.jsonl", "x.json", "x.arrow"])
def test_a_pickle_is_no_dataset(name: str, tmp_path: Path, mark: Path) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps([Owned(mark)]))
    for read in (
        lambda: list(ImageSets(ImageSetsConfig.model_validate({"read": [{"path": str(path)}]})).items())[5],
        lambda: list(TaskSets(TaskSetConfig(path=str(path), image="x")).items()),
        lambda: open_dataset(str(path), AuditConfig()),
    ):
        with pytest.raises((InputError, IndexError)):  # JSON lines of pictures: a line that cannot be read is a row
            read()
    if not path.name.endswith((".parquet", ".jsonl", ".json")):
        with pytest.raises(InputError, match="no kind of trajectory file"):
            trajectory_files(path)


TAGS = [
    "!!python/object/apply:os.mkdir [{mark}]",
    "!!python/object/new:os.mkdir [{mark}]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object/apply:subprocess.check_output [[mkdir, {mark}]]",
    "!!python/tuple [1, 2]",
    "!ruby/object:Gem::Installer x",
]


@pytest.mark.parametrize("tag", TAGS)
def test_a_yaml_tag_is_a_fault_of_the_config(tag: str, tmp_path: Path, mark: Path) -> None:
    value = tag.format(mark=mark)
    file = tmp_path / "c.yaml"
    file.write_text(f"mutate:\n  functions: {value}\n")
    with pytest.raises(ConfigError) as caught:
        configs.load(CodingConfig, file, [])
    assert "c.yaml" in str(caught.value)
    for setting in (f"mutate.functions={value}", f"rollouts.templates={value}", f"rollouts={value}"):
        with pytest.raises(ConfigError):
            configs.load(CodingConfig, configs.find("coding"), [setting])


def test_a_yaml_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    """Nine levels of nine aliases: a billion words, should anybody write them out."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))
    file = tmp_path / "c.yaml"
    file.write_text("l0: &l0 [x]\n" + levels)
    with pytest.raises(ConfigError) as caught:
        configs.load(CodingConfig, file, [])
    assert len(str(caught.value)) < 20_000


def test_tags_beside_a_dataset_are_never_run(tmp_path: Path, mark: Path) -> None:
    """`report` reads a build's resolved.yaml, `publish` the head of its card."""
    build = tmp_path / "coding-0123456789abcdef"
    build.mkdir()
    (build / "resolved.yaml").write_text(f"a: {TAGS[0].format(mark=mark)}\n")
    (build / "build.json").write_text('{"name": "coding", "stages": []}')
    page = report_command(tmp_path, str(build), tmp_path / "page.html")
    assert page.is_file()


FORBIDDEN = {
    "pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle",
}  # fmt: skip


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def given(call: ast.Call, name: str) -> object:
    return next((ast.unparse(word.value) for word in call.keywords if word.arg == name), None)


def faults(path: Path) -> Iterator[str]:
    """What in a source file could run what is in the data."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"imports {name}" for name in names if name.split(".")[0] in FORBIDDEN)
    for name, call in calls(tree):
        if name.endswith("torch.load") and given(call, "weights_only") != "True":
            yield f"line {call.lineno}: {name} without weights_only=True"
        if name in ("np.load", "numpy.load") and given(call, "allow_pickle") != "False":
            yield f"line {call.lineno}: {name} without allow_pickle=False"
        if name in ("pd.read_pickle", "pandas.read_pickle", "eval", "exec", "compile", "os.system"):
            yield f"line {call.lineno}: {name}"
        if name in ("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.dump"):
            yield f"line {call.lineno}: {name}"
        if name.endswith("extractall") and given(call, "filter") is None:
            yield f"line {call.lineno}: extractall without a filter"
        if given(call, "shell") == "True":
            yield f"line {call.lineno}: a shell"
        if given(call, "trust_remote_code") not in (None, "False"):
            yield f"line {call.lineno}: trust_remote_code"


def test_the_sources_load_no_code_from_data() -> None:
    files = [path for folder in ("pipeline", "stages") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    found = {str(path.relative_to(ROOT)): list(faults(path)) for path in files}
    assert {path: told for path, told in found.items() if told} == {}


def test_the_search_for_such_loading_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "import pickle\nfrom joblib import load\ntorch.load(f)\nnp.load(f, allow_pickle=True)\nyaml.load(f)\n"
        "tar.extractall(x)\neval(x)\nrun(x, shell=True)\nload(x, trust_remote_code=True)\n"
    )
    assert len(list(faults(path))) == 9


def test_what_is_dumped_comes_back_as_it_was() -> None:
    names = ["---", "...", "a: b", "- x", "!!python/name:os", "&a", "*a", "\u2028", "a\n---\nb", "{x", "# x"]
    assert yaml.safe_load(yaml.safe_dump(names, allow_unicode=True)) == names
