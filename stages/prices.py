"""What a model's tokens cost, from litellm's own list, offline; or from what a config says."""

from __future__ import annotations

import os
from typing import Any

from contextrl_data.pipeline.calls import Call
from contextrl_data.pipeline.errors import MissingExtra


def litellm_module() -> Any:
    """litellm, which takes seconds to import.

    Raises:
        MissingExtra: it is not installed.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network for prices at import
    try:
        import litellm
    except ImportError as error:
        raise MissingExtra("coding", "asking a chat model") from error
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def price_of(
    model: str,
    prompt_tokens: int,
    completion_tokens: int,
    input_price: float | None = None,
    output_price: float | None = None,
) -> float | None:
    """Dollars for so many tokens; None where nobody knows the price.

    Args:
        model: as litellm names it.
        input_price, output_price: dollars per million tokens, for models that litellm has no price of; where one of
            them is given, the other counts as nothing.
    """
    if input_price is not None or output_price is not None:
        return (prompt_tokens * (input_price or 0.0) + completion_tokens * (output_price or 0.0)) / 1e6
    try:
        prices = litellm_module().cost_per_token(
            model=model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
    except MissingExtra:
        raise
    except Exception:  # litellm raises many kinds for a model that it has no price of
        return None
    return float(sum(prices))


def book(call: Call, response: Any, input_price: float | None = None, output_price: float | None = None) -> None:
    """Write down what an answer used, as the server tells it, and what that costs.

    A cheaper price for what a server had cached counts where litellm knows it.
    """
    usage = getattr(response, "usage", None)
    prompt, completion = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    call.prompt_tokens, call.completion_tokens = prompt, completion
    if prompt is None and completion is None:
        return
    if input_price is not None or output_price is not None:
        call.dollars = price_of(call.model, prompt or 0, completion or 0, input_price, output_price)
        return
    try:
        call.dollars = float(litellm_module().completion_cost(completion_response=response, model=call.model))
    except Exception:  # as above
        call.dollars = None
