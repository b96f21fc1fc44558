"""Every setting of `contextrl-data build coding`, in the order in which the rows flow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from contextrl_data.pipeline.plan import RunSettings
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.chat_judge import ChatJudgeConfig
from contextrl_data.stages.coding.backend import BackendConfig, DockerBackend
from contextrl_data.stages.coding.cascade import CascadeConfig
from contextrl_data.stages.coding.check import CheckConfig
from contextrl_data.stages.coding.decontaminate import DecontaminateConfig
from contextrl_data.stages.coding.describe import DescribeConfig
from contextrl_data.stages.coding.directed import DirectConfig
from contextrl_data.stages.coding.evaluate import EvaluateConfig
from contextrl_data.stages.coding.locate import LocateConfig
from contextrl_data.stages.coding.mask import MaskConfig
from contextrl_data.stages.coding.mutate import MutateConfig
from contextrl_data.stages.coding.packages import PackagesConfig
from contextrl_data.stages.coding.pick import PickConfig
from contextrl_data.stages.coding.readers.trajectories import TrajectoriesConfig
from contextrl_data.stages.coding.rollouts import AttemptsConfig, RolloutConfig
from contextrl_data.stages.coding.sandbox import SandboxConfig
from contextrl_data.stages.coding.tasksets import TaskSetConfig
from contextrl_data.stages.coding.validate import ValidateConfig
from contextrl_data.stages.difficulty import DifficultyConfig
from contextrl_data.stages.export import ExportConfig
from contextrl_data.stages.judge import RuleJudgeConfig
from contextrl_data.stages.review import ReviewConfig
from contextrl_data.stages.select import SelectConfig
from contextrl_data.stages.splits import SplitConfig


def _rules_unless_said(value: Any) -> Any:
    return {"kind": "rules", **value} if isinstance(value, dict) else value


JudgeConfig = Annotated[
    RuleJudgeConfig | ChatJudgeConfig, Field(discriminator="kind"), BeforeValidator(_rules_unless_said)
]
"""Settings of whichever judge `kind` names."""


class CodingConfig(StageConfig):
    """Settings of a coding build. Each section belongs to one stage; changing it reruns that stage and what follows."""

    tasks: Literal["packages", "taskset", "trajectories"] = "packages"
    """What the build begins with: tasks made from PyPI packages, tasks of an SWE-style set (`taskset`), or runs that
    exist already (`trajectories`)."""
    packages: PackagesConfig = PackagesConfig()
    """Source archives to break."""
    mutate: MutateConfig = MutateConfig()
    """How to break them."""
    validate_: ValidateConfig = Field(ValidateConfig(), alias="validate")
    """What makes a broken function a task."""
    describe: DescribeConfig = DescribeConfig()
    """How the bug reports are written."""
    taskset: TaskSetConfig | None = None
    """The SWE-style task set, for `tasks: taskset`. With `tasks: trajectories` the set that the runs worked on: the
    execution check runs in its images."""
    benchmarks: DecontaminateConfig | None = None
    """Which tasks and runs of others are refused, since models are measured on them; takes the place of
    `trajectories.benchmarks`."""
    trajectories: TrajectoriesConfig | None = None
    """The runs, for `tasks: trajectories`."""
    pick: PickConfig = PickConfig()
    """Which tasks are worked on."""
    attempts: AttemptsConfig = AttemptsConfig()
    """How often."""
    rollouts: RolloutConfig = RolloutConfig()
    """By whom."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How patches are judged."""
    locate: LocateConfig = LocateConfig()
    """Where patches edit."""
    cascade: CascadeConfig = CascadeConfig()
    """Which runs make a pair."""
    mask: MaskConfig = MaskConfig()
    """What is hidden."""
    check: CheckConfig = CheckConfig()
    """The execution check."""
    judge: JudgeConfig = RuleJudgeConfig()
    """Who judges: `kind: rules`, or `kind: chat` for a model."""
    review: ReviewConfig = ReviewConfig()
    """What becomes of the pairs that the judge was not sure of."""
    direct: DirectConfig = DirectConfig()
    """Question, view and token budget."""
    difficulty: DifficultyConfig | None = None
    """The difficulty filter; none where it is not configured."""
    select: SelectConfig = SelectConfig()
    """How many pairs, under which caps."""
    split: SplitConfig = SplitConfig()
    """Sizes of the held-out splits."""
    export: ExportConfig = ExportConfig()
    """The dataset folder."""
    audit: AuditConfig = AuditConfig()
    """How the finished dataset is audited; `run.strict` makes a failed audit the build's exit code."""
    sandbox: SandboxConfig | None = None
    """Limits of every container; takes the place of each stage's own `sandbox`."""
    backend: BackendConfig = DockerBackend()
    """Where sandboxes run: `kind: docker`, or `kind: kubernetes` for pods of a cluster. Nothing of what comes out."""
    report_pairs: int | None = Field(default=None, ge=1)
    """Pairs that the report shows; all of them by default, up to 95 MB of page."""
    run: RunSettings = RunSettings()
    """Workers, folders, retries: nothing of what comes out."""
