"""A section of which a user sets one name keeps all other defaults that the documentation gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.images.config import ImagesConfig
from contextrl_data.stages.train.compare_config import CompareConfig
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.probe_config import ProbeConfig

CONFIGS = (CodingConfig, ImagesConfig, AuditConfig, TrainConfig, ProbeConfig, CompareConfig)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any, list[type[BaseModel]]]]:
    """Every field that holds a model: its path, its default, and the models that it may hold."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=False)
        held = list(models_in(field.annotation))
        if held:
            yield f"{path}{name}", default, held
        for below in held:
            yield from sections(below, f"{path}{name}.")


@pytest.mark.parametrize("model", CONFIGS)
def test_the_default_of_a_section_is_that_of_its_class(model: type[BaseModel]) -> None:
    # A default instance with values of its own would be lost as soon as one name below it is set.
    seen = 0
    for path, default, held in sections(model):
        if isinstance(default, BaseModel):
            assert type(default) in held, f"{path}: of a subclass that the annotation does not name"
            assert default == type(default)(), path
            seen += 1
    assert seen
