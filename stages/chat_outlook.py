"""What the calls of a chat model will use, told before any is made. Assumptions, and each says that it is one."""

from __future__ import annotations

from contextrl_data.pipeline.outlook import CallsAhead
from contextrl_data.stages.chat import ChatConfig

PAIR_TOKENS = 20_000
PICTURE = 1_100
PICTURE_TOLD = "assumed: 1,100 tokens a picture, which is what a megapixel takes with several providers"


def pair_tokens() -> tuple[float, str]:
    """Prompt tokens of a question that shows both contexts of a coding pair, and where the figure comes from."""
    return (
        PAIR_TOKENS,
        "assumed: 20,000 tokens a question; runs of the scripted agent are shorter, of a model mostly longer",
    )


def calls_ahead(chat: ChatConfig, per_row: float, prompt: float, reply: float, told: str, stage: str) -> CallsAhead:
    """Calls of a chat client that asks `per_row` questions a row, each of so many tokens."""
    return CallsAhead(
        chat.model,
        per_row,
        prompt,
        min(reply, chat.max_tokens),
        told,
        chat.input_price,
        chat.output_price,
        fixed=True,
        price_setting=f"{stage}.chat.input_price and {stage}.chat.output_price",
    )
