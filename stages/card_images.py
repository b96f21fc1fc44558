"""What the card of an image dataset says in its own words; the rest is that of every card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contextrl_data.stages.markdown import prose

Record = Mapping[str, Any]

COLUMNS = [
    ("`question`, `choices`", "what is asked about a picture; no choices where the question is open"),
    ("`answer`", "what `image_pos` shows"),
    ("`answer_neg`", "what `image_neg` shows: the answer of the other direction"),
    ("`image_pos`, `image_neg`", "C+ and C-, as pictures; the bytes of a source's pictures are unchanged"),
    ("`correct_first`, `correct_option`", "the order on record: whether C+ is option A, and its letter"),
    ("`pair_id`, `direction`", "the undirected pair; both of its directions stand in the same split"),
    ("`domain`, `method`, `renderer`", "kind of picture; `rerendered`, `mined` or `edited`; what drew it, if we did"),
    ("`box`", "left, top, right and bottom of the region that decides, in pixels; null where it is not known"),
    ("`similarity`, `scores`", "cosine of the two embeddings, and whatever else was measured on the pair"),
    ("`facts_pos`, `facts_neg`", "the fact sheets, as JSON, of pictures that were drawn here"),
    ("`group`, `image_id_pos`, `image_id_neg`", "scene and sha256 of the pictures; none stands in two splits"),
    ("`source`, `licence`", "where the pictures come from, and their SPDX licence"),
    ("`verdict`, `judge`, `checks`", "who judged the pair, how, and what was checked"),
    ("`blind_scores`", "what each blind baseline scored (1, 0, or 0.5)"),
]

_METHODS = {
    "rerendered": "one fact of a drawn picture was changed so that the answer turns, and the picture drawn again",
    "mined": "two pictures under one question whose embeddings are near and whose answers differ",
    "edited": "a picture was edited by a model so that the answer turns, and the edit was verified",
}


WHAT_A_ROW_IS = (
    "Each row is one contrastive image pair (Q, A, C+, C-): a question, an answer, the picture that supports the "
    "answer, and a near-twin that supports another one. A model is trained, or probed, to tell which of the two "
    "pictures the answer belongs to."
)

LOADING = """\
```python
from datasets import load_dataset

pairs = load_dataset("{repo}", split="{split}")
pair = pairs[0]
pair["image_pos"]  # a PIL image
```

The prompt, and the two pictures that stand before it as options A and B, are built from the columns:

```python
from contextrl_data.stages.prompt import image_choice_prompt, option_images

prompt, pictures, label = image_choice_prompt(pair), option_images(pair), pair["correct_option"]
```"""


def counted(record: Record) -> list[tuple[str, str]]:
    """How many there are of what: titles and values."""
    distinct, counts = record["distinct"], record["counts"]
    found = [
        (title, ", ".join(f"{prose(key or 'none')} {count}" for key, count in counts[name].items()))
        for title, name in (("domains", "domain"), ("methods", "method"), ("renderers", "renderer"))
    ]
    return [*found, ("undirected pairs, pictures", f"{distinct['pairs']}, {distinct['images']}")]


def labels(record: Record) -> list[str]:
    """Where the answers come from, by method."""
    counts = record["counts"]["method"]
    return [f"`{name}` ({counts[name]} rows): {text}." for name, text in _METHODS.items() if name in counts]


def own_limits(record: Record) -> list[str]:
    """What a user must know of these pictures."""
    renderers, total = record["counts"]["renderer"], record["rows"]
    drawn = sum(count for name, count in renderers.items() if name)
    if not drawn:
        return []
    found = [
        f"{drawn} of {total} rows show pictures that were drawn here from fact sheets, not photographs or scans. Their "
        "answers are computed; their look is plainer than that of real charts, documents and scenes."
    ]
    if record["counts"]["domain"].get("natural") and any(renderers.get(n) for n in ("scene", "receipt", "notice")):
        found.append(
            "Drawn scenes, receipts and notices stand where natural images would: no photograph is among them."
        )
    charts = ("bar_chart", "line_chart", "pie_chart", "scatter_chart", "data_table")
    if any(renderers.get(name) for name in charts):
        found.append("In a re-rendered chart or table one number is not the real one: the other picture has it.")
    return found
