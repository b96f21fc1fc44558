"""Views that a build writes beside its dataset: found by name, in nobody's way, and refused before the build begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import get_dataset_config_names, load_dataset
from huggingface_hub import DatasetCard
from view_sets import text_rows

from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.errors import ConfigError
from contextrl_data.stages.card import read_provenance, write_card
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.export import ExportConfig, ExportPairs, write_dataset
from contextrl_data.stages.images.rows import IMAGE_PAIR
from contextrl_data.stages.prompt import choice_prompt
from contextrl_data.stages.rows import PAIR
from contextrl_data.stages.views import export_view


class ExportImages(ExportPairs):
    """An export of image pairs."""

    pairs = IMAGE_PAIR


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A dataset with three views."""
    config = ExportConfig(views=["verl", "trl", "contextrl"])
    write_dataset(tmp_path / "dataset", text_rows(), PAIR, config)
    return tmp_path / "dataset"


def test_the_dataset_loads_as_if_no_view_were_there(built: Path, tmp_path: Path) -> None:
    for options in ({}, {"name": "default"}):
        loaded = load_dataset(str(built), cache_dir=str(tmp_path / "cache"), **options)
        assert list(loaded) == ["train", "validation", "probe"]
        for split, part in loaded.items():
            assert list(part) == [row for row in text_rows() if row["split"] == split]


def test_a_view_loads_by_its_name(built: Path, tmp_path: Path) -> None:
    assert get_dataset_config_names(str(built)) == ["default", "verl", "trl"]
    for name in ("verl", "trl"):
        loaded = load_dataset(str(built), name, cache_dir=str(tmp_path / "cache"))
        assert list(loaded) == ["train", "validation", "probe"]
        wanted = [choice_prompt(row) for row in text_rows() if row["split"] == "probe"]
        assert [row["prompt"][0]["content"] for row in loaded["probe"]] == wanted


def test_a_view_of_a_build_is_the_view_that_export_writes(built: Path, tmp_path: Path) -> None:
    for name in ("verl", "trl", "contextrl"):
        export_view(built, name, tmp_path / name)
        inside = built / "views" / name
        files = sorted(path.relative_to(inside) for path in inside.rglob("*") if path.is_file())
        assert len(files) == 4
        assert all((inside / file).read_bytes() == (tmp_path / name / file).read_bytes() for file in files)


def test_record_and_card_name_the_views(built: Path) -> None:
    record = read_provenance(built)
    assert list(record["views"]) == ["verl", "trl", "contextrl"]
    assert [file["rows"] for file in record["views"]["contextrl"]["files"]] == [12, 4, 4]
    first = (built / "README.md").read_bytes()
    assert "- `views/contextrl`: `train.jsonl` 12, `validation.jsonl` 4, `probe.jsonl` 4" in first.decode()
    write_card(built)
    assert (built / "README.md").read_bytes() == first
    assert [config["config_name"] for config in DatasetCard.load(built / "README.md").data.configs] == [
        "default", "verl", "trl",
    ]  # fmt: skip


def test_a_copy_of_a_dataset_brings_its_views(built: Path, tmp_path: Path) -> None:
    export_view(built, "hf", tmp_path / "copy")
    assert get_dataset_config_names(str(tmp_path / "copy")) == ["default", "verl", "trl"]
    assert len(load_dataset(str(tmp_path / "copy"), "trl", split="train", cache_dir=str(tmp_path / "cache"))) == 12


def test_wrong_views_are_told_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r"export\.views\.1: .*'trl', 'verl', 'easyr1', 'contextrl' or 'skyrl'"):
        configs.load(CodingConfig, None, ["export.views=[trl, axolotl]"])
    with pytest.raises(ConfigError, match=r"export\.views: SkyRL's PromptDataset reads no images"):
        ExportImages(ExportConfig(views=["trl", "skyrl"]))
    with pytest.raises(ConfigError, match=r"export\.views: there are no qa tasks in text pairs"):
        ExportPairs(ExportConfig(views=["trl"], view_tasks="qa"))
    ExportImages(ExportConfig(views=["trl", "verl"], view_tasks="both"))
