"""A task opened in real Docker: the bug applied, one commit, no history."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contextrl_data.pipeline.stage import Row
from contextrl_data.stages.coding.daemon import LABEL
from contextrl_data.stages.coding.image_build import IMAGE_LABEL, build_image, one_file_context
from contextrl_data.stages.coding.images import build_package_image
from contextrl_data.stages.coding.sandbox import SandboxConfig, UnusableTask
from contextrl_data.stages.coding.workspace import open_task

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.docker
CONFIG = SandboxConfig(memory="256m")
BUG = """\
diff --git a/pkg/sums.py b/pkg/sums.py
--- a/pkg/sums.py
+++ b/pkg/sums.py
@@ -1,2 +1,2 @@
 def total(numbers):
-    return sum(numbers)
+    return sum(numbers[1:])
"""
# A repository with a past that gives the fix away, in a commit, a tag, a reflog, a stash and an unpacked object; and
# with tracked files that a .gitignore names, an odd name, and an ignored file that is not tracked.
PAST = r"""
RUN cd /testbed && git checkout -q -b fix && echo '# the-secret-fix' >>pkg/sums.py && git commit -qam fix && \
    git tag v2 && git checkout -q - && echo stash >>pkg/sums.py && git stash -q && \
    echo '*.log' >>.gitignore && echo x >kept.log && git add -f kept.log && printf n >':(odd) *é' && \
    git add -A && git commit -qm more && echo y >build.log && echo loose >untracked
"""


@pytest.fixture(scope="module")
def image(
    docker_client: docker.DockerClient, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A package image with a history."""
    source: Path = tmp_path_factory.mktemp("source")
    (source / "pkg").mkdir()
    (source / "pkg" / "sums.py").write_text("def total(numbers):\n    return sum(numbers)\n")
    plain = build_package_image(docker_client, f"contextrl-data/test-plain-{os.getpid()}:1", source, [])
    tag = f"contextrl-data/test-past-{os.getpid()}:1"
    names = "ENV GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b"
    context = one_file_context(f"FROM {plain}\n{names}\n{PAST}")
    build_image(docker_client, context, tag, {IMAGE_LABEL: "test"}, network_mode="none")
    yield tag
    for each in (tag, plain):
        docker_client.images.remove(each, force=True)


def task(image: str, **changes: Any) -> Row:
    return {"id": "sums-1", "image": image, "workdir": "/testbed", "setup_patch": BUG, **changes}


def test_the_bug_is_in_and_the_past_is_gone(docker_client: docker.DockerClient, image: str, run_id: str) -> None:
    with open_task(docker_client, task(image), CONFIG, run_id) as sandbox:
        assert "numbers[1:]" in sandbox.get("/testbed/pkg/sums.py", 1000).decode()
        assert sandbox.exec("git rev-list --all --count; git status --short; git tag; git stash list").output == "1\n"
        objects = "git cat-file --batch-all-objects --batch-check='%(objectname)' | git cat-file --batch"
        shown = sandbox.exec(f"{objects} | grep -a -c -E 'the-secret-fix|return sum.numbers.$'")
        assert shown.output == "0\n"
        tracked = sandbox.exec("git -c core.quotePath=false ls-files").output.splitlines()
        assert tracked == [".gitignore", ":(odd) *é", "kept.log", "pkg/sums.py", "untracked"]
        assert sandbox.exec("echo z >>pkg/sums.py; git diff --stat | tail -1").output.startswith(" 1 file changed")


def test_the_commit_is_the_same_each_time(docker_client: docker.DockerClient, image: str, run_id: str) -> None:
    heads = []
    for patch in (BUG, BUG, ""):
        with open_task(docker_client, task(image, setup_patch=patch), CONFIG, run_id) as sandbox:
            heads.append(sandbox.exec("git rev-parse HEAD").output)
    assert heads[0] == heads[1] != heads[2]


def test_a_long_patch_leaves_no_copy(docker_client: docker.DockerClient, image: str, run_id: str) -> None:
    lines = "".join(f"+the-long-line {n}\n" for n in range(20_000))
    patch = f"diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,20000 @@\n{lines}"
    with open_task(docker_client, task(image, setup_patch=patch), CONFIG, run_id) as sandbox:
        assert sandbox.exec("wc -l <new.txt; grep -r -l long-line /tmp").output == "20000\n"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"setup_patch": BUG.replace("sum(numbers)\n", "sum(other)\n")}, "setup patch does not apply"),
        ({"setup_patch": "not a patch"}, "setup patch does not apply"),
        ({"workdir": "/nowhere"}, "image without the task's workdir"),
    ],
)
def test_an_unusable_task_says_why(
    docker_client: docker.DockerClient, image: str, run_id: str, changes: dict[str, str], reason: str
) -> None:
    with pytest.raises(UnusableTask) as caught:
        open_task(docker_client, {**task(image), **changes}, CONFIG, run_id)
    assert caught.value.reason == reason
    assert not docker_client.api.containers(all=True, filters={"label": f"{LABEL}={run_id}"})


@pytest.mark.parametrize(("tool", "reason"), [("git", "image without git"), ("bash", "image without bash")])
def test_an_image_without_a_tool(
    docker_client: docker.DockerClient, base_image: str, run_id: str, tool: str, reason: str
) -> None:
    tag = f"contextrl-data/test-without-{tool}-{os.getpid()}:1"
    context = one_file_context(f"FROM {base_image}\nRUN rm /usr/bin/{tool}\n")
    build_image(docker_client, context, tag, {IMAGE_LABEL: "test"}, network_mode="none")
    try:
        with pytest.raises(UnusableTask, match=reason):
            open_task(docker_client, task(tag, setup_patch=""), CONFIG, run_id)
    finally:
        docker_client.images.remove(tag, force=True)
