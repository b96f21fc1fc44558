"""Imports flow one way, and modules stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/**/*.py")])
HEAVY = {
    "docker",
    "swebench",
    "minisweagent",
    "litellm",
    "torch",
    "datasets",
    "transformers",
    "diffusers",
    "trl",
    "faiss",
    "open_clip",
    "PIL",
    "skimage",
    "matplotlib",
    "vega_datasets",
    "ray",
    "kubernetes",
    "websocket",
    "huggingface_hub",
    "kingfisher_sdk",
    "sklearn",
    "scipy",
    "datasketch",
    "sentence_transformers",
    "imagehash",
}


def imports(path: Path, late: bool = True) -> set[str]:
    """Absolute names that a module imports; with `late=False` only those at its top level."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if late else iter(tree.body)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def part(path: Path) -> str:
    """The part of the package that a module belongs to: `pipeline`, `stages`, `stages.coding`, ..."""
    inside = path.relative_to(ROOT).parts[:-1]
    return ".".join(inside[:2] if inside[0] == "stages" else inside[:1])


ALLOWED = {
    "pipeline": {"pipeline"},
    "stages": {"pipeline", "stages", "stages.audit", "stages.report", "stages.views"},
    "stages.audit": {"pipeline", "stages", "stages.audit"},
    "stages.report": {"pipeline", "stages", "stages.audit", "stages.report"},
    "stages.views": {"pipeline", "stages", "stages.views"},
    "stages.publish": {"pipeline", "stages", "stages.publish"},
    "stages.coding": {"pipeline", "stages", "stages.audit", "stages.report", "stages.coding"},
    "stages.images": {"pipeline", "stages", "stages.audit", "stages.report", "stages.images"},
    "stages.train": {"pipeline", "stages.train"},
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_one_way(path: Path) -> None:
    if path.is_relative_to(ROOT / "pipeline/cli"):
        return
    for name in imports(path):
        if not name.startswith("contextrl_data."):
            continue
        target = name.removeprefix("contextrl_data.")
        homes = [home for home in ALLOWED if f"{target}.".startswith(f"{home}.")]
        if homes:  # `contextrl_data.stages` alone names no module
            assert max(homes, key=len) in ALLOWED[part(path)], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_small_and_named_for_what_they_do(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in {"utils", "util", "common", "helpers", "misc"}
    if path.stem != "__init__" or path.read_text():
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_configs_and_the_command_line_import_nothing_heavy() -> None:
    script = (
        "import sys, contextrl_data.pipeline.cli, contextrl_data.stages.coding.config;"
        "import contextrl_data.stages.images.config, contextrl_data.stages.images.build;"
        "import contextrl_data.stages.images.embed, contextrl_data.stages.images.mine;"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
