"""Environment variables of every container: whatever runs twice prints and commits the same twice."""

from __future__ import annotations

from collections.abc import Mapping

FIXED_DATE = "2000-01-01T00:00:00+00:00"
ENVIRONMENT: Mapping[str, str] = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    # The same name and date on every commit: the same content gets the same hash.
    **{f"GIT_{who}_NAME": "contextrl-data" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "contextrl-data@localhost" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_DATE": FIXED_DATE for who in ("AUTHOR", "COMMITTER")},
    # Images own their sources as they like; git would refuse another user's repository.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
