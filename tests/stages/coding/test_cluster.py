"""A kubeconfig that names no cluster is the user's to mend: one line, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("kubernetes", reason="needs the extra [kubernetes]")

from contextrl_data.pipeline.errors import SetupError
from contextrl_data.stages.coding.kubernetes.cluster import connect_cluster
from contextrl_data.stages.coding.kubernetes.settings import KubernetesBackend

KUBECONFIGS = {
    "empty": b"",
    "blank lines": b"\n\n",
    "no yaml": b"a: [",
    "no text": b"\xff\xfe\x00",
    "a list": b"- 1\n",
    "of another form": b"clusters: 3\ncontexts: 4\n",
    "without contexts": b"apiVersion: v1\nclusters: []\ncontexts: []\nusers: []\ncurrent-context: ''\n",
    "a number for a server": b"current-context: x\ncontexts:\n- {name: x, context: {cluster: c, user: u}}\n"
    b"clusters:\n- {name: c, cluster: {server: 5}}\nusers:\n- {name: u, user: {token: t}}\n",
}


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_a_kubeconfig_that_cannot_be_used_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(KUBECONFIGS[name])
    with pytest.raises(SetupError, match=r"no cluster is configured \(.+\) — set KUBECONFIG") as caught:
        connect_cluster(KubernetesBackend(kind="kubernetes", kubeconfig=path))
    assert "\n" not in str(caught.value)
