"""The final model on the Hub: it arrives whole, and what the Hub refuses is one line, at the time when it still helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hub_server import HubServer, serving
from hub_state import READ_ONLY, READ_WRITE, Fault

from contextrl_data.pipeline.errors import RunError, SetupError
from contextrl_data.stages.train.config import TrainConfig
from contextrl_data.stages.train.run import run_train

# The library hands files to httpx in a way that httpx has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
Build = Callable[..., TrainConfig]
REPO = "my-org/tiny-contextrl"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub of this test alone, which is all that can be reached. Xet has servers of its own: LFS stands in for it."""
    with serving() as server:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", READ_WRITE)
        yield server


@pytest.fixture
def config(settings: Build) -> TrainConfig:
    """A run that pushes."""
    return settings(rl={"steps": 1}, log={"push_to": REPO})


def test_the_model_arrives_whole_and_private(hub: HubServer, config: TrainConfig) -> None:
    run_train(config)
    repo = hub.repos[REPO]
    assert repo.private
    files = repo.commits[-1].files
    model = config.output / "model"
    sent = {path.name for path in model.iterdir()} - {"training_args.bin"}
    assert set(files) == sent | {".gitattributes"}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md", "curve.png"} <= sent
    for name in sent:
        assert hub.content[files[name].sha256 or files[name].oid] == (model / name).read_bytes()


def test_a_token_that_may_not_write_is_refused_before_the_first_step(
    hub: HubServer, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", READ_ONLY)
    with pytest.raises(SetupError, match=f"cannot make log.push_to {REPO}.*log in with `hf auth login`") as caught:
        run_train(config)
    assert "\n" not in str(caught.value)
    assert not (config.output / "log.jsonl").read_text()
    assert REPO not in hub.repos


def test_a_push_that_fails_leaves_the_model_and_says_how_to_send_it(hub: HubServer, config: TrainConfig) -> None:
    hub.faults.append(Fault("POST", r"/commit/", "status", times=100, status=403))
    with pytest.raises(RunError, match=r"the model was not pushed: .*403.* it is finished") as caught:
        run_train(config)
    assert "\n" not in str(caught.value)
    assert f"`hf upload {REPO} {config.output / 'model'}`" in str(caught.value)
    assert (config.output / "model" / "model.safetensors").is_file()
    assert run_train(config, resume=True).steps == 1
