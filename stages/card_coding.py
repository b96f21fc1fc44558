"""What the card of a coding dataset says in its own words; the rest is that of every card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contextrl_data.stages.markdown import code, prose

Record = Mapping[str, Any]

COLUMNS = [
    ("`question`", "what is asked: which of two contexts supports the answer"),
    ("`answer`", "the answer that C+ supports, a unified diff"),
    ("`context_pos`, `context_neg`", "C+ and C-: the two masked trajectories, as lists of `role` and `content`"),
    ("`correct_first`, `correct_option`", "the order on record: whether C+ is option A, and its letter"),
    ("`answer_neg`", "what C- supports: the answer of the other direction"),
    ("`pair_id`, `direction`", "the undirected pair; both of its directions stand in the same split"),
    ("`kind`", "`sibling`: C- is a run on another issue; `outcome`: a run on the same issue that ended the other way"),
    ("`view`", "`full` run, or only what happened `before_edit`"),
    ("`repo`, `commit`, `file`, `symbol`, `group`", "where the answer lies; a group never stands in two splits"),
    ("`instance_*`, `trajectory_*`, `problem_statement_*`, `resolved_*`, `model_*`", "where each context comes from"),
    ("`source`, `licence`", "the data set or package, and its SPDX licence"),
    ("`verdict`, `judge`, `checks`", "who judged the pair, how, and what was executed or checked"),
    ("`measures`, `blind_scores`", "similarity and leak measurements; what each blind baseline scored (1, 0, or 0.5)"),
    ("`tokens`, `tokenizer`", "length of the whole prompt, and who counted"),
]


WHAT_A_ROW_IS = (
    "Each row is one contrastive context pair (Q, A, C+, C-): a question, an answer, the agent trajectory that "
    "supports the answer, and a near-twin that does not. A model is trained, or probed, to tell which of the two "
    "contexts the answer belongs to."
)

LOADING = """\
```python
from datasets import load_dataset

pairs = load_dataset("{repo}", split="{split}")
pair = pairs[0]
```

The prompt with both contexts as options A and B is built from the columns:

```python
from contextrl_data.stages.prompt import choice_prompt

prompt, label = choice_prompt(pair), pair["correct_option"]
```"""


def counted(record: Record) -> list[tuple[str, str]]:
    """How many there are of what: titles and values."""
    distinct, counts = record["distinct"], record["counts"]
    models = ", ".join(f"{code(name)} {count}" for name, count in counts["model"].items())
    found = [
        ("kinds of C-", ", ".join(f"{prose(name)} {count}" for name, count in counts["kind"].items())),
        (
            "undirected pairs, groups, trajectories",
            f"{distinct['pairs']}, {distinct['groups']}, {distinct['trajectories']}",
        ),
        ("repositories", ", ".join(f"{code(name)} {count}" for name, count in counts["repo"].items())),
        ("models of the runs (rows)", models),
    ]
    if record["tokens"]:
        names = ", ".join(code(name) for name in counts["tokenizer"])
        found.append(
            ("prompt tokens", f"median {record['tokens']['median']}, longest {record['tokens']['longest']} ({names})")
        )
    return found


def labels(record: Record) -> list[str]:
    """Where the labels come from, step by step."""
    return [
        "Agent runs on known bugs are evaluated by running the tests; a fault of the surroundings is never a label.",
        "Two runs make a pair when they edit the same function or class: of different issues (`sibling`), or of one "
        "issue with different outcomes (`outcome`).",
        "Edit commands, diffs, submissions and the issue text are masked; whose edited lines are masked too is the "
        "setting `mask.regions`.",
    ]


def own_limits(record: Record) -> list[str]:
    """What a user must know of these runs."""
    scripted, total = record["counts"].get("model", {}).get("scripted", 0), record["rows"]
    if not scripted:
        return []
    return [
        f"{scripted} of {total} rows show runs of the `scripted` agent, a deterministic policy that knows the "
        "fix: they demonstrate the pipeline and are no evidence of what a model does."
    ]
