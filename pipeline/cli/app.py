"""The app that every command hangs on, the options they share, and what an interrupted one says."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from typer.core import TyperGroup

from contextrl_data.pipeline.origin import package_version
from contextrl_data.pipeline.plan import RunSettings


class InOrder(TyperGroup):
    """Lists the commands in the order in which a person comes to need them."""

    ORDER = ("build", "status", "report", "doctor", "audit", "export", "publish", "tasks", "train", "probe", "compare")

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Names of all commands."""
        return sorted(super().list_commands(ctx), key=self.ORDER.index)


app = typer.Typer(
    name="contextrl-data",
    cls=InOrder,
    help="Contrastive context pairs from coding-agent trajectories and images: built, executed, audited, trained on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
build = typer.Typer(no_args_is_help=True, help="Make a dataset of contrastive pairs.")
app.add_typer(build, name="build", rich_help_panel="Make pairs")

ConfigOption = Annotated[
    str, typer.Option("--config", "-c", help="A YAML file, or the name of a shipped config.", metavar="FILE|NAME")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        help="Change one setting of docs/configuration.md; the last of several wins. Repeatable.",
        metavar="A.B=VALUE",
    ),
]
ExecutorOption = Annotated[
    str | None,
    typer.Option("--executor", help="`local`, or `ray`; short for `--set run.executor=...`.", metavar="local|ray"),
]
RootOption = Annotated[Path, typer.Option("--root", help="Folder of all runs.")]
DEFAULT_ROOT = RunSettings().root
STOPPED = 130
"""Exit code of a build that was stopped by Ctrl-C or SIGTERM."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"contextrl-data {package_version()}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def run_settings(settings: list[str] | None, executor: str | None) -> list[str]:
    """The `--set`s, with what the shorter options stand for."""
    return [*(settings or []), *([f"run.executor={executor}"] if executor else [])]


class resumable:
    """Within it, Ctrl-C and SIGTERM end a command cleanly, with one line that says how to go on."""

    def __init__(self, how: str = "what is finished is saved: run the same command again to resume") -> None:
        self.how = how

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGTERM, self._stop)

    @staticmethod
    def _stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        signal.signal(signal.SIGTERM, self.before)
        if isinstance(error, KeyboardInterrupt):
            typer.echo(f"stopped; {self.how}", err=True)
            raise typer.Exit(STOPPED) from error
