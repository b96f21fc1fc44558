"""Image editors, by config: any instruction or inpainting pipeline of diffusers, an HTTP image API, an untrained one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contextrl_data.stages.images.editors.base import Editor, EditRefused
from contextrl_data.stages.images.editors.http import HttpEditor, HttpEditorConfig
from contextrl_data.stages.images.editors.pipelines import DiffusersConfig, DiffusersEditor
from contextrl_data.stages.images.editors.untrained import UntrainedConfig, UntrainedEditor

EditorConfig = Annotated[DiffusersConfig | HttpEditorConfig | UntrainedConfig, Field(discriminator="kind")]
"""Settings of whichever editor `kind` names."""


def load_editor(config: DiffusersConfig | HttpEditorConfig | UntrainedConfig) -> Editor:
    """The editor that a config names, ready to edit.

    Raises:
        SetupError, MissingExtra, ConfigError: packages, weights or the device are not there.
    """
    if isinstance(config, UntrainedConfig):
        return UntrainedEditor(config)
    return DiffusersEditor(config) if isinstance(config, DiffusersConfig) else HttpEditor(config)


__all__ = ["DiffusersConfig", "EditRefused", "Editor", "EditorConfig", "load_editor"]
