"""The command line. The only module of the engine that knows the stages; it imports them when a command needs them."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.errors import ContextRLError
from contextrl_data.pipeline.origin import package_version
from contextrl_data.pipeline.plan import RunSettings

app = typer.Typer(
    name="contextrl-data",
    help="Contrastive context pairs from coding-agent trajectories: built, executed, audited.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
build = typer.Typer(no_args_is_help=True, help="Make a dataset of contrastive pairs.")
app.add_typer(build, name="build")

ConfigOption = Annotated[
    str, typer.Option("--config", "-c", help="A YAML file, or the name of a shipped config.", metavar="FILE|NAME")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", help="Change one setting: `--set select.target_pairs=200`. Repeatable.", metavar="A.B=VALUE"
    ),
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


@build.command("coding")
def build_coding(config: ConfigOption = "coding", settings: SetOption = None) -> None:
    """Make contrastive pairs of coding-agent trajectories, in Docker, with executed labels.

    The shipped default needs no key, no account and no hub: it breaks real functions of packages from PyPI, lets an
    agent repair them in a sandbox, and pairs the runs. Stop it at any time: the same command resumes.

    Examples:

        contextrl-data build coding

        contextrl-data build coding --config demo

        contextrl-data build coding --set rollouts.agent=litellm --set rollouts.model=openai/my-model --set rollouts.api.model_kwargs.api_base=http://localhost:8000/v1
    """
    from contextrl_data.stages.coding.build import build_coding_pairs
    from contextrl_data.stages.coding.config import CodingConfig

    loaded = configs.load(CodingConfig, configs.find(config), settings or [])
    with resumable():
        code = build_coding_pairs(loaded, Console())
    raise typer.Exit(code)


@app.command()
def train(
    config: ConfigOption = "train",
    settings: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
) -> None:
    """Train with GRPO and the context-awareness loss on exported pairs; also one of the paper's controls.

    Examples:

        contextrl-data train --set model=Qwen/Qwen3-0.6B --set pairs.dataset=./pairs --set tasks.dataset=./tasks

        contextrl-data train --config train/qwen3-8b --set objective=da_sft

        accelerate launch --num-processes 8 $(which contextrl-data) train --config train/qwen3-8b
    """
    from contextrl_data.stages.train.config import TrainConfig
    from contextrl_data.stages.train.run import run_train

    loaded = configs.load(TrainConfig, configs.find(config), settings or [])
    with resumable():
        result = run_train(loaded, resume=resume)
    scores = {"selection accuracy": result.selection_after, "task reward": result.reward}
    told = ", ".join(f"{name} {value:.3f}" for name, value in scores.items() if value is not None)
    typer.echo(f"{result.objective}: {result.steps} steps in {result.seconds:.0f} s{', ' + told if told else ''}")
    typer.echo(f"model: {loaded.output / 'model'}")


@app.command()
def probe(
    dataset: Annotated[str, typer.Argument(help="An exported folder, or a Hub id.")],
    model: Annotated[str, typer.Option("--model", "-m", help="A local folder, a Hub id, or a served model's name.")],
    server: Annotated[str, typer.Option("--server", help="Base URL of an OpenAI-compatible server.")] = "",
    settings: SetOption = None,
) -> None:
    """Measure selection accuracy: how often a model picks the context that supports the answer, both orders asked.

    Examples:

        contextrl-data probe ./pairs --model Qwen/Qwen3-0.6B

        contextrl-data probe ./pairs --model my-model --server http://localhost:8000/v1
    """
    from contextrl_data.stages.train.probe import run_probe, table
    from contextrl_data.stages.train.probe_config import ProbeConfig

    named = [f"model={model}", f"pairs.dataset={dataset}", f"server.url={server}"]
    loaded = configs.load(ProbeConfig, None, [*named, *(settings or [])])
    typer.echo(table(run_probe(loaded)))
    typer.echo(f"written to {loaded.output}")


@app.command()
def compare(
    settings: SetOption = None,
    config: Annotated[str | None, typer.Option("--config", "-c", help="A YAML file.", metavar="FILE")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Do not repeat finished runs.")] = False,
) -> None:
    """Train every objective with every seed on one budget: selection accuracy against task reward, as table and plot.

    Example:

        contextrl-data compare --set train.model=./model --set train.pairs.dataset=./pairs --set train.tasks.dataset=./tasks
    """
    from contextrl_data.stages.train.compare import run_compare, table
    from contextrl_data.stages.train.compare_config import CompareConfig

    loaded = configs.load(CompareConfig, configs.find(config) if config else None, settings or [])
    with resumable():
        rows = run_compare(loaded, resume=resume)
    typer.echo(table(rows))
    typer.echo(f"written to {loaded.output}")


@app.command()
def status(
    run: Annotated[str | None, typer.Argument(help="A build's folder or name; the latest one by default.")] = None,
    root: RootOption = DEFAULT_ROOT,
) -> None:
    """Show where a build stands: every stage with its rows kept, dropped by reason, and failed.

    Examples:

        contextrl-data status

        contextrl-data status data/runs/coding-0123456789abcdef
    """
    from contextrl_data.pipeline.status import show_status

    show_status(root, run, Console())


@app.command()
def report(
    run: Annotated[
        str | None, typer.Argument(help="A build's folder or name, or a dataset folder.", metavar="RUN|DATASET")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the page.")] = None,
    pairs: Annotated[int, typer.Option("--pairs", "-n", min=1, help="How many pairs to show.")] = 200,
    root: RootOption = DEFAULT_ROOT,
) -> None:
    """Write one self-contained HTML page: the funnel, the blind baselines, and pairs side by side.

    Examples:

        contextrl-data report

        contextrl-data report ./my-dataset --out pairs.html --pairs 50
    """
    from contextrl_data.stages.report import report_command

    typer.echo(f"report: {report_command(root, run, out, pairs)}")


@app.command()
def doctor() -> None:
    """Check what this machine has and lacks, each lack with its remedy.

    Example:

        contextrl-data doctor
    """
    from contextrl_data.stages.doctor import diagnose, show

    checks = diagnose()
    show(checks, Console())
    raise typer.Exit(1 if any(check.state == "fail" for check in checks) else 0)


class resumable:
    """Within it, Ctrl-C and SIGTERM end the build cleanly, with one line that says how to go on."""

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGTERM, self._stop)

    @staticmethod
    def _stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        signal.signal(signal.SIGTERM, self.before)
        if isinstance(error, KeyboardInterrupt):
            typer.echo("stopped; what is finished is saved: run the same command again to resume", err=True)
            raise typer.Exit(STOPPED) from error


def main() -> None:
    """Entry point: runs the app; errors of ours become one line on stderr and an exit code, never a traceback."""
    try:
        app()
    except SystemExit as end:
        if end.code == STOPPED:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(STOPPED)  # threads that still wait for a model or a container would be waited for otherwise
        raise
    except ContextRLError as error:
        Console(stderr=True).print(
            Text("error: ", style="bold red") + Text(str(error)), soft_wrap=True, highlight=False
        )
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        line = f"cannot write {error.filename or 'to the disk'}: {error.strerror}"
        remedy = "free space or permissions there, or put the runs elsewhere with --set run.root=FOLDER"
        Console(stderr=True).print(
            Text("error: ", style="bold red") + Text(f"{line} — {remedy}"), soft_wrap=True, highlight=False
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
