"""Files of a data set on the Hub, at one commit, one after another. `HF_ENDPOINT` and `HF_TOKEN` are honoured.

Files are downloaded whole into the Hub's own cache when their turn comes: a limit of 100 rows fetches one file, a run
that is repeated fetches none, and a connection that breaks resumes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from contextrl_data.pipeline.errors import InputError, SetupError
from contextrl_data.stages.coding.readers.rawfiles import ROWS, RUNS

_NAME = re.compile(r"^[\w.-]+/[\w.-]+$")
_COMMIT = re.compile(r"^[0-9a-f]{40}$")


@dataclass(frozen=True)
class HubFiles:
    """The data files of one split, or of all."""

    dataset: str
    revision: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.dataset):
            raise InputError(
                f"{self.dataset!r} is no file or folder here, nor a data set's name",
                "give a path that exists, or owner/name of a data set on the Hub",
            )

    @cached_property
    def _info(self) -> Any:
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        silence = constants.HF_HUB_DOWNLOAD_TIMEOUT  # without it the call waits for ever on a Hub that says nothing
        try:
            api = HfApi(endpoint=_endpoint())
            return api.dataset_info(self.dataset, revision=self.revision, timeout=silence)
        except RepositoryNotFoundError as error:
            raise InputError(
                f"{self.dataset!r} is no file or folder here, and the Hub has no data set of this name for you",
                "mend the path or the name; for a private or gated set, set HF_TOKEN",
            ) from error
        except RevisionNotFoundError as error:
            raise InputError(
                f"the data set {self.dataset} has no revision {self.revision!r}",
                "name a branch, a tag or a commit, or leave it out",
            ) from error
        except Exception as error:  # its client lets the errors of its HTTP library through, and has changed that
            raise SetupError(
                f"the Hub did not answer for {self.dataset} ({type(error).__name__})",
                "check the network and HF_ENDPOINT, or download the set and give its folder",
            ) from error

    def commit(self) -> str:
        """The commit that the revision names; asks the Hub unless the revision is one."""
        if self.revision and _COMMIT.match(self.revision):
            return self.revision
        return str(self._info.sha)

    def names(self) -> list[str]:
        """Data files in a fixed order. Splits are told by the file names, as the Hub's own loader does."""
        known = sorted(one.rfilename for one in self._info.siblings or [])
        data = [name for name in known if name.endswith((*ROWS, *RUNS)) and not name.startswith(".")]
        word = re.compile(rf"(?:^|[/._-]){re.escape(self.split)}(?:[/._-]|$)") if self.split else None
        chosen = [name for name in data if word is None or word.search(name)]
        if not chosen:
            raise InputError(
                f"the data set {self.dataset} has no data file" + (f" of split {self.split!r}" if data else ""),
                f"it has {', '.join(data[:8])}" if data else f"known: {', '.join((*ROWS, *RUNS))}",
            )
        return chosen

    def files(self) -> Iterator[tuple[Path, str]]:
        """Each file on disk with its name in the data set, downloaded when asked for."""
        from huggingface_hub import hf_hub_download

        for name in self.names():
            try:
                path = hf_hub_download(
                    self.dataset, name, repo_type="dataset", revision=self.commit(), endpoint=_endpoint()
                )
            except Exception as error:  # see above
                raise SetupError(
                    f"{name} of {self.dataset} could not be downloaded ({type(error).__name__})",
                    "check the network, the disk and HF_ENDPOINT, then run again: finished files are kept",
                ) from error
            yield Path(path), name


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None
