"""How long a prompt is: its text, and the pictures in it, which are most of it where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Ruler:
    """Measures rendered prompts with their images against a number of tokens."""

    def __init__(self, processor: Any, limit: int) -> None:
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.limit = limit
        self._told: bool | None = None

    def fits(self, text: str, images: Sequence[Any] = ()) -> bool:
        """Whether a prompt is at most `limit` tokens long."""
        taken = self.image_tokens(text, images) if images else 0
        if len(text.encode()) + taken <= self.limit:  # a token is at least one byte
            return True
        return self._text_tokens(text) + taken <= self.limit

    def image_tokens(self, text: str, images: Sequence[Any]) -> int:
        """Tokens that images add to a prompt, beyond what stands for them in its text.

        From their sizes alone, where the processor tells that for vLLM's sake, and told the truth of the first prompt.
        """
        if self._told is None:
            found = self._processed(text, images)
            self._told = found == self._by_size(images)
            return found
        told = self._by_size(images) if self._told else None
        return self._processed(text, images) if told is None else told

    def _by_size(self, images: Sequence[Any]) -> int | None:
        told = getattr(self.processor, "_get_num_multimodal_tokens", None)
        if told is None:
            return None
        sizes = [(image.height, image.width) for image in images]
        return int(sum(told(image_sizes=sizes)["num_image_tokens"])) - len(images)

    def _processed(self, text: str, images: Sequence[Any]) -> int:
        whole = self.processor(text=[text], images=[[i.convert("RGB") for i in images]], add_special_tokens=False)
        return len(whole["input_ids"][0]) - self._text_tokens(text)

    def _text_tokens(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
