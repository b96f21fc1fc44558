"""What the campaign works on: a daemon, a model server, and builds that nobody disturbed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import yaml

from chaos.engine import CannotStart, Engine
from chaos.episode import Build, Episode
from chaos.served import ModelServer
from contextrl_data.pipeline import config as configs
from contextrl_data.pipeline.plan import keys_of

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
    "scenes": {"images": 22},
    "rerender": {"share": 1.0},
    "mine": None,
    "select": {"target_pairs": 40},
    "split": {"validation": 0, "probe": 4},
    "report_pairs": 2,
}


@dataclass
class World:
    """Everything that faults may strike."""

    folder: Path
    server: ModelServer
    engine: Engine | None = None
    lacking: str = ""
    """Why there is no daemon of one's own."""
    builds: dict[str, Build] = field(default_factory=dict)

    def holdings(self) -> dict[str, set[str]]:
        """What Docker holds now."""
        return self.engine.holdings() if self.engine else {}


@contextmanager
def made(folder: Path, say: Any, served: bool = True) -> Iterator[World]:
    """Start what is needed, and run each build once, undisturbed."""
    with ExitStack() as stack:
        world = World(folder, stack.enter_context(ModelServer()))
        images = folder / "images.yaml"
        images.write_text(yaml.safe_dump(IMAGES))
        _add(world, "images", images, [], "scenes", {})
        try:
            engine = Engine(folder / "engine")
            world.engine = stack.enter_context(engine)
        except CannotStart as error:
            world.lacking = str(error)
            say(f"left out: all that runs containers ({error})")
        else:
            _base_image(engine)
            coding = folder / "coding.yaml"
            coding.write_text(yaml.safe_dump(CODING))
            docker = {"DOCKER_HOST": engine.host}
            _add(world, "coding", coding, [], "rollouts", docker)
            if served:
                _add(world, "coding-served", coding, _served(world.server), "rollouts", docker)
        yield world


def _base_image(engine: Engine) -> None:
    from contextrl_data.stages.coding.images import ensure_base
    from contextrl_data.stages.coding.sandbox import connect

    client = connect()
    try:
        engine.load(ensure_base(client))
    finally:
        client.close()


def _served(server: ModelServer) -> list[str]:
    api = {
        "model_kwargs": {"api_base": server.url},
        "request_timeout": 3.0,
        "retries": 3,
        "backoff_seconds": 0.05,
    }
    chat = {"model": "openai/judge", "api_base": server.url, "timeout": 3.0, "attempts": 3, "backoff": 0.05}
    sets = {
        "rollouts.agent": "litellm",
        "rollouts.model": "openai/agent",
        "rollouts.scrub": True,
        "rollouts.api": api,
        "judge.kind": "chat",
        "judge.chat": chat,
    }
    return [f"{name}={json.dumps(value)}" for name, value in sets.items()]


def _add(world: World, name: str, file: Path, sets: list[str], first: str, environ: dict[str, str]) -> None:
    """Make a build, undisturbed, and remember what it is made of."""
    kind = name.split("-")[0]
    words = ["build", kind, "--config", str(file), *(word for one in sets for word in ("--set", one))]
    steps = _steps(kind, file, sets)
    build = Build(name, words, world.folder / f"{kind}-runs", keys_of(steps), first=first)
    build.stages = {step.stage.name: step.stage for step in steps}
    build.environ = {"OPENAI_API_KEY": "none", "OMP_NUM_THREADS": "1", **environ}
    build.runs.mkdir(exist_ok=True)
    tasks = build.runs.glob("pick-*/data-*.parquet")  # of the same tasks, by another build
    world.server.tasks = [row for path in tasks for row in pq.read_table(path).to_pylist()]
    shutil.rmtree(world.folder / f"{name}-undisturbed", ignore_errors=True)
    made_by = Episode(build, world.folder / f"{name}-undisturbed", runs=build.runs)
    code = made_by.finish(made_by.start())
    if code != 0 or made_by.dishonest:
        raise RuntimeError(f"the undisturbed build {name} ended with {code}:\n{made_by.log.read_text()[-3000:]}")
    for stage in build.keys:
        manifest = orjson.loads((build.runs / build.stage_folder(stage) / "manifest.json").read_bytes())
        build.seconds[stage] = float(manifest["seconds"])
    world.builds[name] = build


def _steps(kind: str, file: Path, sets: list[str]) -> Any:
    if kind == "coding":
        from contextrl_data.stages.coding.build import steps as coding_steps
        from contextrl_data.stages.coding.config import CodingConfig

        return coding_steps(configs.load(CodingConfig, file, sets))
    from contextrl_data.stages.images.build import steps as image_steps
    from contextrl_data.stages.images.config import ImagesConfig

    return image_steps(configs.load(ImagesConfig, file, sets))
