"""Datasets that the tests of views share, and settings that keep the trainers' libraries off the network."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before anything of Hugging Face is imported.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix="contextrl-data-test-"))
atexit.register(shutil.rmtree, os.environ["HF_DATASETS_CACHE"], ignore_errors=True)

import pytest  # noqa: E402
from no_hub import no_hub  # noqa: E402
from view_sets import write_image_set, write_text_set  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """Nothing here may look for a network."""
    with no_hub():
        yield


@pytest.fixture(scope="session")
def text_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows of text pairs in train, validation and probe."""
    return write_text_set(tmp_path_factory.mktemp("text") / "dataset")


@pytest.fixture(scope="session")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows of image pairs in train, validation and probe."""
    return write_image_set(tmp_path_factory.mktemp("image") / "dataset")
