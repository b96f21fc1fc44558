"""The rows of an image build, as Arrow schemas: question about an image -> candidate pair -> exported pair."""

from __future__ import annotations

import pyarrow as pa

from contextrl_data.stages.rows import FACT, MEASURE, struct_of

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""An encoded image as `datasets` stores its `Image` feature. Bytes of a source are kept as they came."""

BOX = pa.list_(pa.int32())
"""x0, y0, x1, y1 in pixels, right and bottom excluded; null where the decisive region is not known."""

QUESTION = pa.schema(
    [
        ("id", pa.string()),
        ("image", IMAGE),
        ("image_id", pa.string()),  # sha256 of the bytes: one picture may carry several questions
        ("question", pa.string()),
        ("question_group", pa.string()),  # questions that mean the same share it: mining pairs images inside one
        ("answer", pa.string()),
        ("choices", pa.list_(pa.string())),  # empty where the question is open
        ("domain", pa.string()),  # natural | science | chart | math | geometry
        ("renderer", pa.string()),  # bar_chart, table, ...; "" for an image that was not rendered here
        ("facts", pa.string()),  # JSON fact sheet that the image was drawn from; "" unknown
        ("scene", pa.string()),  # base scene that versions of one image share; never shared between splits
        ("source", pa.string()),
        ("licence", pa.string()),  # SPDX id, "" unknown
    ]
)
"""One question about one image, with its answer."""

SCENE = pa.schema(
    [
        ("id", pa.string()),  # renderer and number
        ("renderer", pa.string()),
        ("domain", pa.string()),
    ]
)
"""One picture to be drawn: its fact sheet follows from the id and the seed."""

PROPOSAL = pa.schema(
    [
        ("id", pa.string()),  # the question's id
        ("base", struct_of(QUESTION)),
        ("instruction", pa.string()),  # what the editor is told
        ("answer_neg", pa.string()),  # what the edited picture is to show
        ("region", BOX),  # where to edit, in pixels; null: anywhere
        ("proposer", pa.string()),  # template, or the model's name
    ]
)
"""One question with the edit that is to change its answer."""

EMBEDDED = pa.schema(
    [
        ("id", pa.string()),  # image_id: one vector a picture, however many questions it carries
        ("vector", pa.list_(pa.float16())),  # of length 1 (L2), so that a product of two is their cosine
    ]
)
"""One picture's embedding."""

IMAGE_CANDIDATE = pa.schema(
    [
        ("id", pa.string()),  # pair id: the same for the same two rows and method, in any order of input
        ("method", pa.string()),  # edited | mined | rerendered
        # The question of `first` is the pair's. `second` answers the same question in other words at most: its own
        # `question` may differ where pairs are mined across question groups.
        ("first", struct_of(QUESTION)),
        ("second", struct_of(QUESTION)),
        ("box", BOX),  # region that decides, where both pictures have one size
        ("similarity", pa.float64()),  # cosine of the two embeddings; null where not embedded
        ("scores", pa.list_(MEASURE)),  # everything that was measured on the pair; a name stands once
        ("checks", pa.list_(FACT)),  # what was decided from the scores
    ]
)
"""Two answered questions about two images, undirected. Splits go by `image_id` and `scene` of both sides."""

JUDGED_CANDIDATE = pa.schema(
    [
        *IMAGE_CANDIDATE,
        pa.field("verdict", pa.string()),  # VALID | UNCERTAIN (INVALID ones are dropped)
        pa.field("judge", pa.string()),  # who judged: rules, or a model's name
    ]
)

IMAGE_PAIR = pa.schema(
    [
        ("id", pa.string()),  # pair_id + direction
        ("pair_id", pa.string()),
        ("direction", pa.string()),  # forward | reverse
        ("split", pa.string()),  # train | validation | probe; "" until the splits are drawn
        ("domain", pa.string()),
        ("method", pa.string()),  # edited | mined | rerendered
        ("question", pa.string()),
        ("answer", pa.string()),  # what image_pos shows
        ("answer_neg", pa.string()),  # what image_neg shows
        ("choices", pa.list_(pa.string())),
        ("image_pos", IMAGE),
        ("image_neg", IMAGE),
        ("correct_first", pa.bool_()),
        ("correct_option", pa.string()),  # A | B
        ("box", BOX),  # region that decides
        ("similarity", pa.float64()),  # cosine of the two embeddings, 0..1; null where not embedded
        ("scores", pa.list_(MEASURE)),  # everything that was measured on the pair
        ("blind_scores", pa.list_(MEASURE)),  # 1 a blind baseline picks C+, 0 it picks C-, 0.5 it cannot tell
        ("checks", pa.list_(FACT)),
        ("group", pa.string()),  # never shared between splits
        ("image_id_pos", pa.string()),  # never shared between splits
        ("image_id_neg", pa.string()),
        ("facts_pos", pa.string()),
        ("facts_neg", pa.string()),
        ("renderer", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("verdict", pa.string()),  # VALID | UNCERTAIN
        ("judge", pa.string()),
    ]
)
"""One directed image pair, as exported."""
