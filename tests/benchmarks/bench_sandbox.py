"""Start, run pytest, remove: cycles a second of the sandbox beside the bare Docker SDK doing the same.

    python tests/benchmarks/bench_sandbox.py [--cycles 48] [--workers 1 2 4 8]

Both sides take turns within each round, so that a busy machine slows both; the best round of each counts. The bare
side uses the same limits through the SDK's own calls (`containers.run`, `exec_run`, `remove`), without a deadline,
an output cap or anything else that makes it safe to use.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from contextrl_data.stages.coding.images import build_package_image, package_tag
from contextrl_data.stages.coding.sandbox import Sandbox, SandboxConfig, connect, reap

if TYPE_CHECKING:
    import docker

RUN_ID = "bench-sandbox"
COMMAND = "python3 -m pytest -q -p no:cacheprovider"
TEST = "import pytest\n\n@pytest.mark.parametrize('n', range(50))\ndef test_square(n):\n    assert n * n == n ** 2\n"
CONFIG = SandboxConfig(memory="512m", pids=128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=48, help="cycles of each side in a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()
    client = connect()
    image = make_image(client)
    try:
        bare_cycle(client, image), sandbox_cycle(client, image)  # warm up
        print("workers   bare SDK/s   sandbox/s   ratio")
        for workers in options.workers:
            best = {"bare": 0.0, "sandbox": 0.0}
            for _ in range(options.rounds):
                best["bare"] = max(best["bare"], rate(bare_cycle, client, image, workers, options.cycles))
                best["sandbox"] = max(best["sandbox"], rate(sandbox_cycle, client, image, workers, options.cycles))
            ratio = best["sandbox"] / best["bare"]
            print(f"{workers:7d}   {best['bare']:10.2f}   {best['sandbox']:9.2f}   {ratio:5.2f}", flush=True)
    finally:
        reap(client, RUN_ID)
        client.images.remove(image, force=True)


def make_image(client: docker.DockerClient) -> str:
    """Build an image with pytest, from the wheels that pip finds."""
    with tempfile.TemporaryDirectory() as scratch:
        wheels, source = Path(scratch, "wheels"), Path(scratch, "source")
        source.mkdir()
        (source / "test_square.py").write_text(TEST)
        download = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--only-binary=:all:",
            "-d",
            str(wheels),
            "pytest",
        ]
        subprocess.run(download, check=True)
        found = sorted(wheels.glob("*.whl"))
        return build_package_image(client, package_tag("bench", source, found), source, found, progress=print)


def rate(
    cycle: Callable[[docker.DockerClient, str], None],
    client: docker.DockerClient,
    image: str,
    workers: int,
    cycles: int,
) -> float:
    """Return cycles a second over `cycles` cycles."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _: cycle(client, image), range(cycles)))
    return cycles / (time.perf_counter() - begun)


def sandbox_cycle(client: docker.DockerClient, image: str) -> None:
    with Sandbox(client, image, CONFIG, RUN_ID) as sandbox:
        result = sandbox.exec(COMMAND)
    assert result.exit_code == 0, result


def bare_cycle(client: docker.DockerClient, image: str) -> None:
    from docker.types import LogConfig

    container = client.containers.run(
        image,
        ["sleep", "1800"],
        detach=True,
        init=True,
        network_mode="none",
        mem_limit=CONFIG.memory,
        memswap_limit=CONFIG.memory,
        pids_limit=CONFIG.pids,
        nano_cpus=int(CONFIG.cpus * 1e9),
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        log_config=LogConfig(type="none"),
    )
    try:
        assert container.exec_run(["bash", "-c", COMMAND]).exit_code == 0
    finally:
        container.remove(force=True, v=True)


if __name__ == "__main__":
    main()
