"""`contextrl-data build images`: the stages in order, and what a person is told at the end.

scenes -> render ┐                  ┌ rerender                                                       ┐
(or, and)        ┼-> (questions) ->-┤ embed -> mine                                                  ├-> (collect)
image_sets       ┘                  └ propose -> edit -> measure -> similarity (-> flip) -> accept   ┘

    -> judge -> direct -> select -> split -> export

A method is a chain of steps that begins at the questions and ends in image candidates: see `_methods`.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

from rich.console import Console

from contextrl_data.pipeline.build import run_build
from contextrl_data.pipeline.errors import ConfigError, MissingExtra
from contextrl_data.pipeline.estimate import Estimate
from contextrl_data.pipeline.plan import Step
from contextrl_data.pipeline.progress import progress_for
from contextrl_data.pipeline.stage import Gather, Stage
from contextrl_data.stages.chat import require_model
from contextrl_data.stages.finish import finish_build
from contextrl_data.stages.images.chat_judge import ImageChatJudge, ImageChatJudgeConfig
from contextrl_data.stages.images.collect import Collect, CollectConfig, Questions
from contextrl_data.stages.images.config import ImagesConfig
from contextrl_data.stages.images.directed import ImageDirect
from contextrl_data.stages.images.edit import Edit, EditConfig
from contextrl_data.stages.images.embed import Embed, EmbedSecond
from contextrl_data.stages.images.flip import Flip
from contextrl_data.stages.images.image_sets import ImageSets
from contextrl_data.stages.images.judge import ImageRules
from contextrl_data.stages.images.mine import Mine, MineConfig
from contextrl_data.stages.images.propose import ChatProposeConfig, proposer
from contextrl_data.stages.images.rendered import Render, Scenes
from contextrl_data.stages.images.rerender import Rerender
from contextrl_data.stages.images.select import ExportImages, SelectImages
from contextrl_data.stages.images.split import SplitImages
from contextrl_data.stages.images.verify import Accept, Measure, MeasureConfig, Similarity
from contextrl_data.stages.plan import plan_build

SHOWN = ("select", "split", "export")
"""Stages whose notes are worth a line at the end."""

NEEDED = ("PIL", "matplotlib", "vega_datasets")
"""Modules that every image build needs."""


def steps(config: ImagesConfig) -> list[Step]:
    """The whole pipeline.

    Raises:
        ConfigError: there is no source of pictures, or no method to make pairs.
        MissingExtra: the packages for pictures are not installed.
    """
    if any(util.find_spec(name) is None for name in NEEDED):
        raise MissingExtra("images", "building image pairs")
    sources = _sources(config)
    questions = sources[-1].stage.name
    methods = _methods(config, questions)
    if not methods:
        raise ConfigError(
            "no method makes pairs: rerender, mine and edit are null", "leave rerender or mine out to get its default"
        )
    ends = [chain[-1].stage.name for chain in methods]
    return [
        *sources,
        *(step for chain in methods for step in chain),
        *_joined(Collect(CollectConfig()), ends),
        Step(_judge(config), after="collect" if len(ends) > 1 else ends[0]),
        Step(ImageDirect(config.direct), after="judge"),
        Step(SelectImages(config.select), after="direct"),
        Step(SplitImages(config.split, config.audit.duplicates), after="select"),
        Step(ExportImages(config.export), after="split"),
    ]


def _sources(config: ImagesConfig) -> list[Step]:
    """Everything that asks questions about pictures; the last step holds them all."""
    drawn = [Step(Scenes(config.scenes)), Step(Render(config.render), after="scenes")] if config.scenes else []
    read = [Step(ImageSets(config.sets))] if config.sets and config.sets.read else []
    if not drawn and not read:
        raise ConfigError(
            "no pictures: scenes is null, and sets names none", "name a set under sets.read, or draw scenes"
        )
    ends = [part[-1].stage.name for part in (drawn, read) if part]
    return [*drawn, *read, *_joined(Questions(CollectConfig()), ends)]


def _methods(config: ImagesConfig, questions: str) -> list[list[Step]]:
    """Chains of steps from QUESTION rows to IMAGE_CANDIDATE rows, one for every way to make pairs."""
    found: list[list[Step]] = []
    if config.rerender is not None and config.scenes is not None:
        found.append([Step(Rerender(config.rerender), after=questions)])
    if config.mine is not None:
        found.append(_mined(config, config.mine, questions))
    if config.edit is not None:
        found.append(_edited(config, config.edit, questions))
    return found


def _mined(config: ImagesConfig, mine: MineConfig, questions: str) -> list[Step]:
    """Embed every picture, by two encoders where they must disagree, then compare."""
    chain = [Step(Embed(config.embed), after=questions)]
    beside = {"vectors": "embed"}
    if mine.max_second is not None:
        if config.second is None:
            raise ConfigError("mine.max_second without a second encoder", "name one with --set second.encoder.kind=...")
        chain.append(Step(EmbedSecond(config.second), after=questions))
        beside["second"] = "embed_second"
    return [*chain, Step(Mine(mine), after=questions, beside=beside)]


def _edited(config: ImagesConfig, edit: EditConfig, questions: str) -> list[Step]:
    """Propose, edit, measure everything, and decide from the scores last."""
    flip = []
    if config.flip is not None:
        require_model(config.flip.chat, "flip")
        flip = [Step(Flip(config.flip), after="similarity")]
    if isinstance(config.propose, ChatProposeConfig):
        require_model(config.propose.chat, "propose")
    return [
        Step(proposer(config.propose), after=questions),
        Step(Edit(edit), after="propose"),
        Step(Measure(MeasureConfig()), after="edit"),
        Step(Similarity(config.embed), after="measure"),
        *flip,
        Step(Accept(config.accept), after="flip" if flip else "similarity"),
    ]


def _judge(config: ImagesConfig) -> Stage[Any]:
    if not isinstance(config.judge, ImageChatJudgeConfig):
        return ImageRules(config.judge)
    require_model(config.judge.chat, "judge")
    return ImageChatJudge(config.judge)


def _joined(stage: Gather[Any], ends: list[str]) -> list[Step]:
    """A step that brings several stages' rows together; none where there is only one."""
    return [Step(stage, after=ends[0], beside={name: name for name in ends[1:]})] if len(ends) > 1 else []


def plan_image_pairs(config: ImagesConfig, console: Console, json: Path | None = None) -> Estimate:
    """Print what the build would take and give; see `plan_build`."""
    return plan_build("images", steps(config), config.run.root, console, json)


def build_image_pairs(config: ImagesConfig, console: Console) -> int:
    """Run the build, publish its dataset and report, say where they are; returns the exit code."""
    build, finished = run_build("images", config, config.run, steps(config), progress_for(console))
    return finish_build(build, finished, config, config.run, config.audit, config.report_pairs, SHOWN, console)
