"""The calls to the Hub that a publication makes, with patience where it helps and one line where it does not.

The library repeats some calls by itself (pre-upload, large files) and others never (who am I, create, list, commit, tag), and
waits for ever on a silent server: here every call has a limit on silence, and every other call is repeated too. Files go by
LFS over plain HTTP, one protocol for the Hub, its mirrors and the tests; Xet is switched off meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from contextrl_data.pipeline.errors import UserError
from contextrl_data.stages.publish.hub_errors import told, wait_before_retry

T = TypeVar("T")
TRIES = 5
SILENCE = 120.0
"""Seconds without a byte after which a call counts as failed."""
LONGEST_WAIT = 300.0


class Again(Exception):
    """A commit whose outcome is not known, or whose parent has moved: look again after `wait` seconds."""

    def __init__(self, wait: float, error: UserError) -> None:
        super().__init__(str(error))
        self.wait, self.error = wait, error


@dataclass(frozen=True)
class RemoteFile:
    """A file on the Hub: `sha256` where it is stored as LFS, else git's object id."""

    size: int
    sha256: str | None
    git_oid: str


@dataclass(frozen=True)
class Remote:
    """The repository as it is now."""

    head: str | None
    private: bool
    files: dict[str, RemoteFile]
    tags: dict[str, str]


@dataclass(frozen=True)
class Account:
    """Whom the token speaks for."""

    name: str
    organisations: list[str]
    read_only: bool


class Hub:
    """One data set repository on one Hub. Use within `patient`."""

    def __init__(
        self,
        repo: str,
        token: str,
        endpoint: str | None,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from huggingface_hub import HfApi

        self.api = HfApi(endpoint=endpoint, token=token)
        self.repo, self.say, self.sleep = repo, say, sleep
        self.kept: dict[tuple[str, str], Any] = {}

    @property
    def endpoint(self) -> str:
        """Address of the Hub."""
        return str(self.api.endpoint)

    def account(self) -> Account:
        """Whom the token speaks for."""

        def look() -> Account:
            found = self.api.whoami()
            role = ((found.get("auth") or {}).get("accessToken") or {}).get("role")
            return Account(str(found["name"]), [str(one["name"]) for one in found.get("orgs") or []], role == "read")

        return self._ask("ask who the token is", look, tries=2)

    def remote(self) -> Remote | None:
        """The repository and its files; None where there is none."""
        from huggingface_hub.errors import HfHubHTTPError

        def look() -> Remote | None:
            try:
                info = self.api.dataset_info(self.repo)
            except HfHubHTTPError as error:
                if error.response.status_code in (401, 404):  # who the token is has been asked before
                    return None
                raise
            tree = self.api.list_repo_tree(self.repo, repo_type="dataset", revision=info.sha, recursive=True)
            files = {
                one.path: RemoteFile(one.size, one.lfs.sha256 if one.lfs else None, one.blob_id)
                for one in tree
                if hasattr(one, "blob_id")  # folders have none
            }
            refs = self.api.list_repo_refs(self.repo, repo_type="dataset")
            return Remote(info.sha, bool(info.private), files, {tag.name: tag.target_commit for tag in refs.tags})

        return self._ask("list the repository", look)

    def create(self, private: bool) -> None:
        """Make the repository; one that is there already is left as it is."""
        self._ask(
            "create the repository",
            lambda: self.api.create_repo(self.repo, repo_type="dataset", private=private, exist_ok=True),
        )

    def commit(self, add: Sequence[Any], delete: Sequence[str], message: str, parent: str | None, attempt: int) -> str:
        """Upload `add` (local files) and make one commit on `parent`; returns its id.

        Raises:
            Again: the commit may or may not be there.
        """
        from huggingface_hub import CommitOperationDelete

        operations = [*(self._addition(file) for file in add), *(CommitOperationDelete(name) for name in delete)]
        try:
            done = self.api.create_commit(
                self.repo, operations, commit_message=message, repo_type="dataset", parent_commit=parent
            )
        except (
            Exception
        ) as error:  # the library lets the errors of its HTTP client through, and wraps some in RuntimeError
            wait = wait_before_retry(error, attempt, moved=True)
            if wait is None:
                raise told(error, "commit", self.repo, self.endpoint) from error
            raise Again(min(wait, LONGEST_WAIT), told(error, "commit", self.repo, self.endpoint)) from error
        return str(done.oid)

    def _addition(self, file: Any) -> Any:
        """The same object for the same content, so that one which is uploaded is not read again."""
        from huggingface_hub import CommitOperationAdd

        key = (file.name, file.sha256)
        if key not in self.kept:
            self.kept[key] = CommitOperationAdd(file.name, file.path if file.data is None else file.data)
            self.kept[key].upload_info.sha256 = bytes.fromhex(file.sha256)
        return self.kept[key]

    def tag(self, name: str, commit: str, message: str) -> None:
        """Tag a commit; a tag that is there already stays."""
        self._ask(
            "tag the commit",
            lambda: self.api.create_tag(
                self.repo, tag=name, tag_message=message, revision=commit, repo_type="dataset", exist_ok=True
            ),
        )

    def _ask(self, what: str, call: Callable[[], T], tries: int = TRIES) -> T:
        attempt = 0
        while True:
            try:
                return call()
            except Exception as error:  # as above
                attempt += 1
                wait = wait_before_retry(error, attempt)
                if wait is None or attempt >= tries:
                    raise told(error, what, self.repo, self.endpoint) from error
                self.pause(wait, f"could not {what} ({type(error).__name__})")

    def pause(self, wait: float, why: str) -> None:
        """Say why, and wait."""
        wait = min(wait, LONGEST_WAIT)
        self.say(f"{why}; again in {wait:.0f} s")
        self.sleep(wait)


@contextmanager
def patient(silence: float = SILENCE) -> Iterator[None]:
    """Within it the library gives up on a silent server, uses LFS, and leaves the talking to us."""
    from huggingface_hub import constants, logging, set_client_factory
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from huggingface_hub.utils._http import default_client_factory

    limit = dict.fromkeys(("connect", "read", "write", "pool"), silence)

    def hasten(request: Any) -> None:
        request.extensions["timeout"] = limit  # some calls name "no limit" themselves

    def client() -> Any:
        made = default_client_factory()
        made.event_hooks = {**made.event_hooks, "request": [*made.event_hooks["request"], hasten]}
        return made

    xet, verbosity, bars = constants.HF_HUB_DISABLE_XET, logging.get_verbosity(), not are_progress_bars_disabled()
    constants.HF_HUB_DISABLE_XET = True
    logging.set_verbosity_error()  # its warnings hold the signed addresses of uploads
    if bars and not sys.stderr.isatty():
        disable_progress_bars()
    set_client_factory(client)
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = xet
        logging.set_verbosity(verbosity)
        if bars:
            enable_progress_bars()
        set_client_factory(default_client_factory)
