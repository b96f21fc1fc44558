"""Every setting of `contextrl-data build images`, in the order in which the rows flow."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from contextrl_data.pipeline.plan import RunSettings
from contextrl_data.pipeline.stage import StageConfig
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.images.chat_judge import ImageChatJudgeConfig
from contextrl_data.stages.images.directed import ImageDirectConfig
from contextrl_data.stages.images.edit import EditConfig
from contextrl_data.stages.images.embed import EmbedConfig
from contextrl_data.stages.images.flip import FlipConfig
from contextrl_data.stages.images.image_sets import ImageSetsConfig
from contextrl_data.stages.images.judge import ImageRulesConfig
from contextrl_data.stages.images.mine import MineConfig
from contextrl_data.stages.images.propose import ProposeConfig, TemplateConfig
from contextrl_data.stages.images.rendered import RenderConfig, ScenesConfig
from contextrl_data.stages.images.rerender import RerenderConfig
from contextrl_data.stages.images.select import ImageExportConfig, ImageSelectConfig
from contextrl_data.stages.images.split import ImageSplitConfig
from contextrl_data.stages.images.verify import AcceptConfig


def _rules_unless_said(value: Any) -> Any:
    return {"kind": "rules", **value} if isinstance(value, dict) else value


ImageJudgeConfig = Annotated[
    ImageRulesConfig | ImageChatJudgeConfig, Field(discriminator="kind"), BeforeValidator(_rules_unless_said)
]
"""Settings of whichever judge `kind` names."""


class ImagesConfig(StageConfig):
    """Settings of an image build. Each section belongs to one stage; changing it reruns that stage and what follows."""

    scenes: ScenesConfig | None = ScenesConfig()
    """Which pictures are drawn here; null draws none."""
    render: RenderConfig = RenderConfig()
    """How they are drawn and asked about."""
    sets: ImageSetsConfig | None = None
    """Image-QA sets that exist: files, folders, or the Hub."""
    rerender: RerenderConfig | None = RerenderConfig()
    """Twins of drawn pictures with one fact changed; null makes none."""
    embed: EmbedConfig = EmbedConfig()
    """The encoder by which pictures are alike."""
    second: EmbedConfig | None = None
    """A second encoder, which must find unlike what the first finds alike: see `mine.max_second`."""
    mine: MineConfig | None = MineConfig()
    """Pairs of pictures that are alike and answer one question differently; null mines none."""
    edit: EditConfig | None = None
    """Pairs of a picture and its edited twin; none where no editor is named."""
    propose: ProposeConfig = TemplateConfig()
    """What the editor is told."""
    flip: FlipConfig | None = None
    """Asks a model whether the answer truly flips; nobody is asked where it is not configured."""
    accept: AcceptConfig = AcceptConfig()
    """What the scores of an edited pair must be."""
    judge: ImageJudgeConfig = ImageRulesConfig()
    """Who judges: `kind: rules`, or `kind: chat` for a model."""
    direct: ImageDirectConfig = ImageDirectConfig()
    """Both directions of a pair."""
    select: ImageSelectConfig = ImageSelectConfig()
    """How many pairs, under which shares and caps."""
    split: ImageSplitConfig = ImageSplitConfig()
    """Sizes of the held-out splits."""
    export: ImageExportConfig = ImageExportConfig()
    """The dataset folder."""
    audit: AuditConfig = AuditConfig()
    """How the finished dataset is audited."""
    report_pairs: int | None = Field(default=400, ge=1)
    """Pairs (rows) that the report shows; null shows all, up to 95 MB of page."""
    run: RunSettings = RunSettings()
    """Workers, folders, retries: nothing of what comes out."""
