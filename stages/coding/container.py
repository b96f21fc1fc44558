"""The one place where a container is made, and hardened, for code that nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contextrl_data.pipeline.errors import RowFailure
from contextrl_data.stages.coding.daemon import stopping
from contextrl_data.stages.coding.limits import SandboxConfig

if TYPE_CHECKING:
    from docker.api import APIClient


def create_container(
    api: APIClient,
    image: str,
    config: SandboxConfig,
    labels: Mapping[str, str],
    env: Mapping[str, str],
    auto_remove: bool = True,
) -> str:
    """Create, and do not start, a container that sleeps for `config.ttl_seconds`; returns its id.

    Raises:
        RowFailure: the build is being stopped.
    """
    if stopping.is_set():
        raise RowFailure("stopped", "the build is being stopped")
    made = api.create_container(
        image,
        # As the entrypoint: an image's own would swallow it.
        entrypoint=["sleep"],
        command=[str(config.ttl_seconds)],
        environment=dict(env),
        labels=dict(labels),
        # The container's id otherwise, which would differ in every trajectory that shows it.
        hostname="sandbox",
        # Docker would make a missing folder here, and a wrong workdir go unnoticed.
        working_dir="/",
        stop_signal="SIGKILL",
        user=config.user or None,
        host_config=_host_config(api, config, auto_remove),
    )
    return str(made["Id"])


def _host_config(api: APIClient, limit: SandboxConfig, auto_remove: bool) -> Any:
    from docker.types import LogConfig, Ulimit

    return api.create_host_config(
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit=limit.memory,
        memswap_limit=limit.memory,
        pids_limit=limit.pids,
        nano_cpus=int(limit.cpus * 1e9),
        ulimits=[
            Ulimit(name="nofile", soft=limit.open_files, hard=limit.open_files),
            Ulimit(name="fsize", soft=limit.file_bytes, hard=limit.file_bytes),
            Ulimit(name="core", soft=0, hard=0),
        ],
        init=True,
        auto_remove=auto_remove,
        log_config=LogConfig(type="none"),
    )
