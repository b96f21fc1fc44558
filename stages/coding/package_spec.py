"""How a package for task making is named: a pinned source archive and what its tests need."""

from __future__ import annotations

from pydantic import Field

from contextrl_data.pipeline.stage import StageConfig

SHA256 = r"^[0-9a-f]{64}$"


class Artifact(StageConfig):
    """A wheel, pinned by its content."""

    project: str
    """The project's name on the index."""
    filename: str
    """The wheel's file name."""
    sha256: str = Field(pattern=SHA256)
    """Of the file."""
    machine: str = ""
    """The processor it is built for, as Docker names it (`x86_64`, `aarch64`); empty for any."""


class PackageSpec(StageConfig):
    """A source archive on the package index, with tests in it."""

    name: str
    """The project's name on the index."""
    version: str
    """Its version."""
    filename: str
    """The source archive's file name."""
    sha256: str = Field(pattern=SHA256)
    """Of the source archive."""
    repo: str
    """`owner/name`; becomes the tasks' repository."""
    licence: str
    """SPDX id; the tasks hold parts of the source."""
    package_dir: str
    """Folder or file, inside the archive, whose functions are broken."""
    python_path: str = "."
    """Folder, inside the archive, from which the package is imported."""
    tests: tuple[str, ...]
    """Folders and files given to pytest."""
    pytest_args: tuple[str, ...] = ()
    """More arguments for pytest: what is slow, random or needs a network is left out here."""
    wheels: tuple[Artifact, ...] = ()
    """What the tests need beside pytest."""
    timeout: float = Field(default=20.0, gt=0)
    """Seconds of processor time that one run of the tests may take."""

    @property
    def id(self) -> str:
        """`name-version`."""
        return f"{self.name}-{self.version}"
