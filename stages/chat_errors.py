"""What an error of a chat call means: try again, give this row up, or stop the run."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass

from contextrl_data.pipeline.errors import ContextRLError, RowFailure, SetupError

_SECRET = re.compile(r"\b(?:sk|pk|hf|key|gsk)[-_][\w-]{6,}|Bearer\s+\S+", re.IGNORECASE)
_FULL = re.compile(r"context[ _](?:length|window)|too many tokens|prompt is too long", re.IGNORECASE)
_KEY = {"AuthenticationError", "PermissionDeniedError"}
_REFUSED = {"BadRequestError", "UnprocessableEntityError", "UnsupportedParamsError", "ContentPolicyViolationError"}


class TooLong(RowFailure):
    """The question does not fit into the model's context. A stage may turn it into a drop."""

    def __init__(self, message: str) -> None:
        super().__init__("model", message)

    def __reduce__(self) -> tuple[type[TooLong], tuple[str]]:  # type: ignore[override]
        return type(self), (self.message,)


class Refused(RowFailure):
    """The server will not answer this question, however often it is asked."""

    def __init__(self, message: str) -> None:
        super().__init__("model", message)

    def __reduce__(self) -> tuple[type[Refused], tuple[str]]:  # type: ignore[override]
        return type(self), (self.message,)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure that may pass."""

    message: str
    retry_after: float | None = None


def classify(error: Exception, model: str) -> Trouble:
    """A passing failure as `Trouble`; every other as the exception that it is. litellm's classes are known by name.

    Raises:
        SetupError: the key or the model's name is wrong: no row can succeed.
        TooLong, Refused: this row cannot succeed.
    """
    if isinstance(error, ContextRLError):
        raise error
    names = {kind.__name__ for kind in type(error).__mro__}
    message = told(error)
    if names & _KEY:
        raise SetupError(
            f"the server of {model} refuses the key", "set the provider's key in the environment, e.g. OPENAI_API_KEY"
        ) from None
    if "NotFoundError" in names:
        raise SetupError(f"the server does not know the model {model}", "mend chat.model or chat.api_base") from None
    if "ContextWindowExceededError" in names or (names & _REFUSED and _FULL.search(str(error))):
        raise TooLong(message) from None
    if isinstance(error, ImportError):
        raise SetupError(f"{model} needs a package that is not installed ({message})", "install it with pip") from None
    if names & _REFUSED:
        if "llm provider not provided" in message.lower():
            raise SetupError(
                f"litellm knows no provider for the model {model!r}", "name it provider/model, e.g. openai/gpt-5"
            ) from None
        raise Refused(message) from None
    return Trouble(message, retry_after(error))


def told(error: Exception) -> str:
    """The error in one line, without anything that looks like a key."""
    return _SECRET.sub("[secret]", " ".join(f"{type(error).__name__}: {error}".split()))[:300]


def pause(trouble: Trouble, attempt: int, backoff: float, longest: float) -> float:
    """Seconds before the next try: what the server asked for, else twice as long each time."""
    wanted = backoff * 2 ** (attempt - 1) if trouble.retry_after is None else trouble.retry_after
    return min(wanted, longest)


def retry_after(error: BaseException | None) -> float | None:
    """Seconds of the Retry-After header of the answer behind an error, in either of its two forms."""
    while error is not None:
        for holder in (error, getattr(error, "response", None)):
            for name in ("headers", "litellm_response_headers"):
                headers = getattr(holder, name, None)
                value = headers.get("retry-after") if headers is not None and hasattr(headers, "get") else None
                if value:
                    return _seconds(str(value))
        error = error.__cause__ or error.__context__
    return None


def _seconds(value: str) -> float | None:
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
