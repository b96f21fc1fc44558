"""What the campaign works on: a daemon, a model server, and builds that nobody disturbed."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hub_server import HubServer, serving
from PIL import Image

from chaos.engine import CannotStart, Engine
from chaos.episode import Build, Episode
from chaos.served import ModelServer
from contextrl_data.pipeline import config as configs

CODING: dict[str, Any] = {
    "packages": {"only": ["semver"]},
    "mutate": {"functions": 3, "per_function": 3},
    "pick": {"max_tasks": 3},
    "attempts": {"per_task": 2},
    "review": {"keep_uncertain": True},
    "select": {"target_pairs": 8, "max_source_share": 1.0},
    "split": {"validation": 0, "probe": 2},
    "report_pairs": 2,
}
IMAGES: dict[str, Any] = {
    "scenes": {"images": 8},
    "rerender": {"share": 1.0},
    "mine": None,
    "select": {"target_pairs": 12},
    "split": {"validation": 0, "probe": 2},
    "report_pairs": 2,
}


@dataclass
class World:
    """Everything that faults may strike."""

    folder: Path
    server: ModelServer
    engine: Engine | None = None
    hub: HubServer | None = None
    """A Hub that holds a set of pictures."""
    lacking: str = ""
    """Why there is no daemon of one's own."""
    builds: dict[str, Build] = field(default_factory=dict)
    published: dict[str, dict[str, str]] = field(default_factory=dict)
    """What the Hub holds of a build's dataset that was published undisturbed."""

    def holdings(self) -> dict[str, set[str]]:
        """What Docker holds now."""
        return self.engine.holdings() if self.engine else {}


@contextmanager
def made(folder: Path, wanted: Sequence[str], say: Callable[[str], None]) -> Iterator[World]:
    """Start what the wanted builds need, and run each of them once, undisturbed."""
    with ExitStack() as stack:
        world = World(folder, stack.enter_context(ModelServer()), hub=stack.enter_context(serving()))
        images, coding = folder / "images.yaml", folder / "coding.yaml"
        images.write_text(yaml.safe_dump(IMAGES))
        coding.write_text(yaml.safe_dump(CODING))
        if "images" in wanted:
            _add(world, "images", images, [], "scenes")
        if "images-hub" in wanted:
            _add(world, "images-hub", images, [f"sets.read={json.dumps(_set_on_hub(world.hub))}"], "scenes")
        try:
            if any(name.startswith("coding") for name in wanted):
                world.engine = stack.enter_context(Engine(folder / "engine"))
                _base_image(world.engine)
        except CannotStart as error:
            world.lacking = str(error)
        if world.engine is not None and "coding" in wanted:
            _add(world, "coding", coding, [], "rollouts")
        if world.engine is not None and "coding-served" in wanted:
            _add(world, "coding-served", coding, _served(), "rollouts")
        say(f"undisturbed: {', '.join(world.builds)}")
        yield world


def _set_on_hub(hub: HubServer | None) -> list[dict[str, Any]]:
    """Put a few pictures with questions on the Hub, and say how they are read."""
    assert hub is not None
    rows = []
    for number in range(60):
        out = io.BytesIO()
        Image.new("RGB", (64, 48), (number * 4, 255 - number * 4, 90)).save(out, "JPEG")
        rows.append({"question": f"Is it {number}?", "answer": "yes", "image": {"bytes": out.getvalue(), "path": None}})
    table = pa.Table.from_pylist(rows)
    kinds = {"question": "Value", "answer": "Value", "image": "Image"}
    features = {
        name: {"_type": kind} | ({"dtype": "string"} if kind == "Value" else {}) for name, kind in kinds.items()
    }
    note = json.dumps({"info": {"features": features}})
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": note}), out)
    hub.create("my-org/qa", private=False, files={"data/train-00000-of-00001.parquet": out.getvalue()})
    return [{"path": "my-org/qa", "name": "qa", "domain": "natural", "licence": "CC0-1.0"}]


def _base_image(engine: Engine) -> None:
    from contextrl_data.stages.coding.images import ensure_base
    from contextrl_data.stages.coding.sandbox import connect

    client = connect()
    try:
        engine.load(ensure_base(client))
    finally:
        client.close()


def _served() -> list[str]:
    """Settings of a build whose agent and judge are models; where they are served comes from the environment."""
    api = {"request_timeout": 3.0, "retries": 3, "backoff_seconds": 0.05}
    chat = {"model": "openai/judge", "timeout": 3.0, "attempts": 3, "backoff": 0.05}
    sets = {
        "rollouts.agent": "litellm",
        "rollouts.model": "openai/agent",
        "rollouts.scrub": True,
        "rollouts.api": api,
        "judge.kind": "chat",
        "judge.chat": chat,
    }
    return [f"{name}={json.dumps(value)}" for name, value in sets.items()]


def _add(world: World, name: str, file: Path, sets: list[str], first: str) -> None:
    """Make a build, undisturbed, and remember what it is made of."""
    kind = name.split("-")[0]
    words = ["build", kind, "--config", str(file), *(word for one in sets for word in ("--set", one))]
    build = Build(name, words, world.folder / f"{kind}-runs", first=first)
    build.stages = {step.stage.name: step.stage for step in _steps(kind, file, sets)}
    build.environ = {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": world.server.url, "OMP_NUM_THREADS": "1"}
    if world.hub is not None:
        build.environ |= {"HF_ENDPOINT": world.hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    if world.engine is not None:
        build.environ["DOCKER_HOST"] = world.engine.host
    build.runs.mkdir(exist_ok=True)
    tasks = build.runs.glob("pick-*/data-*.parquet")  # of the same tasks, by another build
    world.server.tasks = [row for path in tasks for row in pq.read_table(path).to_pylist()]
    build.keys = dict(orjson.loads(_run_undisturbed(world, build))["stages"])
    for stage in build.keys:
        manifest = orjson.loads((build.runs / build.stage_folder(stage) / "manifest.json").read_bytes())
        build.seconds[stage] = float(manifest["seconds"])
    world.builds[name] = build


def _run_undisturbed(world: World, build: Build) -> bytes:
    """Run it once; returns the record of its stages."""
    place = world.folder / f"{build.name}-undisturbed"
    shutil.rmtree(place, ignore_errors=True)
    episode = Episode(build, place, runs=build.runs)
    if code := episode.start().wait():
        raise RuntimeError(f"the undisturbed build {build.name} ended with {code}:\n{episode.log.read_text()[-3000:]}")
    records = build.runs.glob(f"{build.kind}-*/build.json")
    return max(records, key=lambda path: path.stat().st_mtime_ns).read_bytes()


def _steps(kind: str, file: Path, sets: list[str]) -> Any:
    if kind == "coding":
        from contextrl_data.stages.coding.build import steps as coding_steps
        from contextrl_data.stages.coding.config import CodingConfig

        return coding_steps(configs.load(CodingConfig, file, sets))
    from contextrl_data.stages.images.build import steps as image_steps
    from contextrl_data.stages.images.config import ImagesConfig

    return image_steps(configs.load(ImagesConfig, file, sets))
