"""The wheel and the sdist hold what they should, and an install of each works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env={**clean, **env}, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the sdist of this checkout."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


def modules(folder: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".html", ".css", ".js")
    }


def test_the_wheel_holds_every_module_config_and_page_under_one_import_name(built: dict[str, Path]) -> None:
    names = set(zipfile.ZipFile(built["wheel"]).namelist())
    wanted = {f"contextrl_data/{name}" for folder in ("pipeline", "stages", "configs") for name in modules(folder)}
    assert wanted <= names, sorted(wanted - names)
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2, "one package and its metadata; plain top-level names would break users"
    assert "contextrl_data/pipeline/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_sources_tests_and_docs(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for name in (*modules("pipeline"), *modules("stages"), *modules("configs"), "README.md", "LICENSE", "CHANGELOG.md"):
        assert name in names
    assert "tests/test_packaging.py" in names
    assert not any("runs/" in name for name in names)


def fresh_venv(folder: Path) -> Path:
    """A virtual environment with the test environment's third-party packages, but not its editable install."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    site = Path(
        run(
            folder / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder.parent
        ).strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.docker
@pytest.mark.usefixtures("docker_client")
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_install_shows_help_and_makes_a_tiny_build(built: dict[str, Path], kind: str, tmp_path: Path) -> None:
    binaries = fresh_venv(tmp_path / "venv")
    run(binaries / "python", "-m", "pip", "install", "-q", "--no-deps", "--ignore-installed", built[kind], cwd=tmp_path)
    where = run(binaries / "python", "-c", "import contextrl_data.pipeline.cli as m; print(m.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))
    assert "build" in run(binaries / "contextrl-data", "--help", cwd=tmp_path)
    told = run(binaries / "contextrl-data", "build", "coding", "--config", "smoke/coding", cwd=tmp_path)
    assert list(tmp_path.glob("data/runs/coding-*/dataset/README.md")), told
