"""`contextrl-data build coding`: the stages in order, and what a person is told at the end.

packages -> mutate -> validate -> describe ┐
           (or) taskset -> decontaminate  ┴-> pick -> attempts -> rollouts -> evaluate ┐
                                  (or) trajectories, read as they are -> block ┴-> locate -> cascade -> mask
    -> check -> judge -> review -> direct (-> difficulty) -> select -> split -> export,
and the finished dataset is audited
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.text import Text

from contextrl_data.pipeline.build import BuildFolder, builds, run_build, start_build
from contextrl_data.pipeline.errors import ConfigError, SetupError
from contextrl_data.pipeline.estimate import Estimate
from contextrl_data.pipeline.plan import Step, keys_of
from contextrl_data.pipeline.progress import progress_for
from contextrl_data.pipeline.stage import Stage, StageConfig
from contextrl_data.pipeline.store import write_atomic
from contextrl_data.stages.chat import require_model
from contextrl_data.stages.chat_judge import ChatJudge, ChatJudgeConfig
from contextrl_data.stages.coding.backend import swept_on
from contextrl_data.stages.coding.block import Block, BlockConfig
from contextrl_data.stages.coding.cascade import Cascade
from contextrl_data.stages.coding.check import Check, CheckConfig
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.coding.decontaminate import DecontaminateConfig, DecontaminateTasks
from contextrl_data.stages.coding.describe import Describe
from contextrl_data.stages.coding.directed import Direct
from contextrl_data.stages.coding.evaluate import Evaluate
from contextrl_data.stages.coding.locate import Locate
from contextrl_data.stages.coding.mask import Mask
from contextrl_data.stages.coding.mutate import Mutate
from contextrl_data.stages.coding.packages import Packages
from contextrl_data.stages.coding.pick import Pick
from contextrl_data.stages.coding.readers.trajectories import Trajectories
from contextrl_data.stages.coding.rollouts import Attempts, Rollouts
from contextrl_data.stages.coding.tasksets import TaskSets
from contextrl_data.stages.coding.validate import Validate
from contextrl_data.stages.difficulty import Difficulty
from contextrl_data.stages.export import ExportPairs
from contextrl_data.stages.finish import finish_build
from contextrl_data.stages.judge import RuleJudge
from contextrl_data.stages.plan import offline, plan_build
from contextrl_data.stages.review import FILE, Review
from contextrl_data.stages.select import SelectPairs
from contextrl_data.stages.splits import SplitPairs

SHOWN = ("pick", "evaluate", "check", "review", "select", "export")
"""Stages whose notes are worth a line at the end."""

Config = TypeVar("Config", bound=StageConfig)


def steps(config: CodingConfig, reviewed: Sequence[Path] = ()) -> list[Step]:
    """The whole pipeline. Where no task set is known, the execution check has nothing to run.

    `reviewed`: verdicts that a person left in the folders of earlier runs, see `reviewed_files`.
    """
    runs, tasks = _existing_runs(config) if config.tasks == "trajectories" else _own_runs(config)
    return [
        *runs,
        Step(Locate(config.locate), after=runs[-1].stage.name),
        Step(Cascade(config.cascade), after="locate"),
        Step(Mask(config.mask), after="cascade"),
        Step(
            Check(_boxed_check(config, tasks)).on(config.backend),
            after="mask",
            beside={"tasks": tasks} if tasks else {},
        ),
        Step(_judge(config), after="check"),
        Step(Review(config.review, reviewed), after="judge"),
        Step(Direct(config.direct), after="review"),
        *_difficulty(config),
        Step(SelectPairs(config.select), after="difficulty" if config.difficulty else "direct"),
        Step(SplitPairs(config.split), after="select"),
        Step(ExportPairs(config.export), after="split"),
    ]


def _own_runs(config: CodingConfig) -> tuple[list[Step], str]:
    """An agent works on tasks; the runs come last. Also the stage that the tasks come from."""
    tasks = _task_set(config) if config.tasks == "taskset" else _package_tasks(config)
    runs = [
        Step(Pick(config.pick), after=tasks[-1].stage.name),
        Step(Attempts(config.attempts), after="pick"),
        Step(Rollouts(_boxed(config, config.rollouts)).on(config.backend), after="attempts"),
        Step(Evaluate(_boxed(config, config.evaluate)).on(config.backend), after="rollouts", beside={"tasks": "pick"}),
    ]
    return [*tasks, *runs], "pick"


def _existing_runs(config: CodingConfig) -> tuple[list[Step], str | None]:
    """Runs that somebody has made already, with the tasks that they worked on where a set is named."""
    if config.trajectories is None:
        raise ConfigError(
            "tasks: trajectories without trajectories", "name them with --set trajectories.path=FILE_FOLDER_OR_DATASET"
        )
    own = config.trajectories
    if config.benchmarks is not None:
        own = own.model_copy(update={"benchmarks": config.benchmarks})
    tasks = _task_set(config) if config.taskset else []
    return [*tasks, Step(Trajectories(own)), Step(Block(block_config(config)), after=Trajectories.name)], tasks[
        -1
    ].stage.name if tasks else None


def block_config(config: CodingConfig) -> BlockConfig:
    """Who may meet whom, as `cascade` and `locate` will ask it."""
    cascade = config.cascade
    return BlockConfig(
        kinds=cascade.kinds,
        require_resolved=cascade.require_resolved,
        same_commit=cascade.same_commit,
        extensions=config.locate.extensions,
    )


def _task_set(config: CodingConfig) -> list[Step]:
    """Tasks of a set that exists, without those that models are measured on."""
    if config.taskset is None:
        raise ConfigError("tasks: taskset without a task set", "name one with --set taskset.path=FILE_OR_DATASET")
    benchmarks = config.benchmarks or DecontaminateConfig()
    return [Step(TaskSets(config.taskset)), Step(DecontaminateTasks(benchmarks), after=TaskSets.name)]


def _package_tasks(config: CodingConfig) -> list[Step]:
    """Tasks made here, from packages."""
    return [
        Step(Packages(_boxed(config, config.packages)).on(config.backend)),
        Step(Mutate(config.mutate), after="packages"),
        Step(
            Validate(_boxed(config, config.validate_)).on(config.backend),
            after="mutate",
            beside={"packages": "packages"},
        ),
        Step(Describe(config.describe), after="validate"),
    ]


def _judge(config: CodingConfig) -> Stage[Any]:
    if not isinstance(config.judge, ChatJudgeConfig):
        return RuleJudge(config.judge)
    require_model(config.judge.chat, "judge")  # now, not hours later when the first pair comes
    return ChatJudge(config.judge)


def _difficulty(config: CodingConfig) -> list[Step]:
    if config.difficulty is None:
        return []
    require_model(config.difficulty.chat, "difficulty")
    return [Step(Difficulty(config.difficulty), after="direct")]


def _boxed(config: CodingConfig, own: Config) -> Config:
    """A stage's config under the build's own container limits, where those are set."""
    return own if config.sandbox is None else own.model_copy(update={"sandbox": config.sandbox})


def _boxed_check(config: CodingConfig, tasks: str | None) -> CheckConfig:
    """Without tasks no pair can be run: then all are kept, and each says that its check was not made."""
    unknown = {} if tasks else {"unknown_tasks": "keep"}
    return config.check.model_copy(update={"evaluate": _boxed(config, config.check.evaluate), **unknown})


def build_coding_pairs(config: CodingConfig, console: Console) -> int:
    """Run the build, publish its dataset and report, say where they are; returns the exit code."""
    plan = steps(config, reviewed_files(config.run.root, keys_of(steps(config))["judge"]))
    build = start_build("coding", config, config.run, plan)
    try:
        with swept_on(config.backend):
            _, finished = run_build("coding", config, config.run, plan, progress_for(console))
    finally:  # also where all pairs wait, so that none is left to go on
        _hand_out(build, console)
    return finish_build(build, finished, config, config.run, config.audit, config.report_pairs, SHOWN, console)


def plan_coding_pairs(config: CodingConfig, console: Console, json: Path | None = None) -> Estimate:
    """Print what the build would take and give; see `plan_build`."""
    root = config.run.root
    with offline():
        try:
            reviewed = reviewed_files(root, keys_of(steps(config))["judge"])
        except SetupError:  # the keys cannot be told without the Hub: nothing of this build can be looked for
            reviewed = []
    return plan_build("coding", steps(config, reviewed), root, console, json)


def reviewed_files(root: Path, judged: str) -> list[Path]:
    """Review files in the folders of all builds of the very same judged pairs; a person may have filled them in."""
    known = (build for build in builds(root) if dict(build.stages).get("judge") == judged)
    return sorted(path for build in known if (path := build.path / FILE).exists())


def _hand_out(build: BuildFolder, console: Console) -> None:
    """Put the list of pairs that wait beside the report, and say where. One that is there is a person's, and stays."""
    folder, path = build.stage_folder(Review.name), build.path / FILE
    manifest = folder.manifest() if folder.path.exists() else None
    if manifest is None or not manifest.notes.get("waiting"):
        return
    if not path.exists():
        write_atomic(path, (folder.files / FILE).read_bytes())
    told = f"review: fill in `verdict` in {path}, then run the same command again"
    console.print(Text(told), soft_wrap=True)
