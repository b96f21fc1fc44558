"""Errors of the Hub: which are worth another try, and what the others mean for a person."""

from __future__ import annotations

from typing import Any

from contextrl_data.pipeline.errors import InputError, SetupError, UserError
from contextrl_data.stages.chat_errors import retry_after

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
MOVED = frozenset({409, 412})
"""Someone else has committed, or our own commit went through and its answer was lost."""
RESUMES = "run the same command again: what was uploaded is not sent again"


def cause_of(error: BaseException) -> BaseException:
    """The error behind the library's `RuntimeError("Error while uploading ...")`."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def status_of(error: BaseException) -> int | None:
    """HTTP status of an answer that was an error."""
    return getattr(getattr(cause_of(error), "response", None), "status_code", None)


def wait_before_retry(error: BaseException, attempt: int, moved: bool = False) -> float | None:
    """Seconds to wait before another try; None where another try would end the same way."""
    import httpx
    from huggingface_hub.utils import parse_ratelimit_headers

    found: Any = cause_of(error)
    usual = float(2 ** max(0, attempt - 1))
    if isinstance(found, (httpx.TransportError, ConnectionError)):
        return None if _is_offline(found) else usual
    status = status_of(found)
    if status == 403 and found is not error:
        return usual  # the signed address of an upload has run out: the next try gets a new one
    if status is None or not (status in TRANSIENT or (moved and status in MOVED)):
        return None
    limits = parse_ratelimit_headers(found.response.headers)
    if status == 429 and limits is not None and limits.remaining == 0:
        return float(limits.reset_in_seconds) + 1
    named = retry_after(found)
    return usual if named is None else named


def told(error: BaseException, what: str, repo: str, endpoint: str) -> UserError:
    """One line and the remedy."""
    import httpx

    found = cause_of(error)
    if isinstance(found, UserError):
        return found
    if _is_offline(found):
        return SetupError("the Hub is out of bounds: offline mode is on", "unset HF_HUB_OFFLINE")
    if isinstance(found, (httpx.TransportError, ConnectionError)):
        reason = f"the Hub at {endpoint} did not answer ({type(found).__name__})"
        return SetupError(reason, f"check the network, the proxy and HF_ENDPOINT, then {RESUMES}")
    match status_of(found):
        case 401:
            return SetupError(
                "the Hub does not accept the token in HF_TOKEN",
                f"make one with write access at {endpoint}/settings/tokens",
            )
        case 402 | 403 if found is error:
            return SetupError(
                f"the token in HF_TOKEN may not {what} for {repo}",
                f"give it write access there ({endpoint}/settings/tokens), or name a repository of yours",
            )
        case 404:
            return InputError(f"the Hub has no data set {repo} for this token", "mend the name given to --repo")
        case int(status) if status in TRANSIENT | MOVED:
            return SetupError(
                f"the Hub could not {what}: it answered {status} every time", f"wait some minutes, then {RESUMES}"
            )
        case int(status):
            said = " ".join(str(getattr(found, "server_message", "") or "").split())[:200]
            return SetupError(f"the Hub refused to {what} ({status})" + (f": {said}" if said else ""), RESUMES)
    if "README.md" in str(found):
        return InputError(" ".join(str(found).split())[:300], "export the dataset again, or mend the card's head")
    name = type(found).__name__
    return SetupError(f"could not {what}: {endpoint} does not answer as a Hub does ({name})", "check HF_ENDPOINT")


def _is_offline(error: BaseException) -> bool:
    from huggingface_hub.errors import OfflineModeIsEnabled

    return isinstance(error, OfflineModeIsEnabled)
