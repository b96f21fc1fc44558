"""What the answers of a cluster's API mean: a fault of one row, or one that every row would meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contextrl_data.pipeline.errors import RowFailure, SetupError


@contextmanager
def charged_to_kubernetes(doing: str) -> Iterator[None]:
    """Turn any fault of the cluster inside the block into a row failure; what no other row could do stops the run."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        failure = RowFailure("kubernetes", f"{doing}: {error.status} {_said(error)}")
        failure.__cause__ = error
        if error.status in (401, 403) and not over_quota(failure):
            raise SetupError(
                f"the cluster forbids {doing} ({_said(error)})", "grant the Role in docs/cluster.md to this user"
            ) from None
        if error.status == 422 or (error.status == 404 and "namespaces" in _said(error)):
            raise SetupError(
                f"the cluster refuses {doing} ({_said(error)})", "correct the settings of backend"
            ) from None
        raise failure from error
    except (HTTPError, OSError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise RowFailure("kubernetes", f"{doing}: {said}") from error


def answer_of(failure: RowFailure) -> tuple[int, str]:
    """HTTP status and reason of the answer behind a failure."""
    error = failure.__cause__
    status = getattr(error, "status", None)
    return (int(status) if isinstance(status, int) else 0), _field(error, "reason")


def over_quota(failure: RowFailure) -> bool:
    """Whether the namespace has no room at this moment."""
    return "exceeded quota" in failure.message


def _said(error: Any) -> str:
    return (" ".join(_field(error, "message").split()) or str(error.reason or ""))[:300]


def _field(error: Any, name: str) -> str:
    try:
        return str(json.loads(getattr(error, "body", None) or "{}").get(name, ""))
    except (ValueError, AttributeError):
        return ""
