"""Write the yields that `build --plan` ships with, from finished builds.

python tests/benchmarks/measure_yields.py coding=BUILD images=BUILD > stages/measured.json
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import orjson

from contextrl_data.pipeline.build import read_build
from contextrl_data.pipeline.former import measured
from contextrl_data.stages.coding.build import steps as coding_steps
from contextrl_data.stages.coding.config import CodingConfig
from contextrl_data.stages.images.build import steps as images_steps
from contextrl_data.stages.images.config import ImagesConfig

STEPS = {"coding": lambda: coding_steps(CodingConfig()), "images": lambda: images_steps(ImagesConfig())}


def main(arguments: list[str]) -> None:
    """Print the record."""
    record = {}
    for argument in arguments:
        name, _, path = argument.partition("=")
        build = read_build(Path(path))
        found = {}
        for step in STEPS[name]():
            finished = build.finished(step.stage.name)
            found[step.stage.name] = asdict(measured(step.stage, [(finished.folder.path, finished.manifest)]))
        manifest = build.finished(build.stages[-1][0]).manifest
        record[name] = {"source": f"{build.path.name}, package {manifest.package}", "stages": found}
    sys.stdout.write(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
