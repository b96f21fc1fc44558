"""The rows that flow between stages, as Arrow schemas. One place, so that a reader sees the whole data model.

task -> trajectory -> located trajectory -> candidate pair -> exported pair
"""

from __future__ import annotations

import pyarrow as pa

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
"""One chat message. Tool calls are written into `content` (bash in a fenced block, other tools as
`<function=name>` with `<parameter=key>` lines), so that every later stage reads one format."""

TASK = pa.schema(
    [
        ("id", pa.string()),  # instance_id
        ("repo", pa.string()),  # owner/name
        ("commit", pa.string()),  # base commit of the *clean* source: what siblings share
        ("image", pa.string()),  # Docker image, with bash and git, the buggy source in `workdir`
        ("workdir", pa.string()),
        ("setup_patch", pa.string()),  # applied to the image's workdir and committed before anything runs; "" = none
        ("problem_statement", pa.string()),
        ("patch", pa.string()),  # gold fix, unified diff from the buggy state
        ("test_patch", pa.string()),  # tests added for the evaluation, "" where they are in the image
        ("fail_to_pass", pa.list_(pa.string())),
        ("pass_to_pass", pa.list_(pa.string())),
        ("eval_script", pa.string()),  # prints swebench's start and end markers around the tests
        ("log_parser", pa.string()),  # key of swebench's PARSER_REGISTRY
        ("file", pa.string()),  # the (first) file that the gold patch edits
        ("symbol", pa.string()),  # function or class that it edits, "Class.method" or "function"; "" unknown
        ("strategy", pa.string()),  # how the bug was made; "" for a real issue
        ("source", pa.string()),  # name of the data set or package and version
        ("licence", pa.string()),  # SPDX id, "" unknown
    ]
)

TRAJECTORY = pa.schema(
    [
        ("id", pa.string()),  # traj_id: unique, also where a source repeats its ids
        ("instance_id", pa.string()),
        ("repo", pa.string()),
        ("commit", pa.string()),
        ("problem_statement", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("patch", pa.string()),  # the agent's final diff, taken by us where we ran it; null unknown
        ("resolved", pa.bool_()),  # null: not known, never assumed
        ("status", pa.string()),  # resolved | unresolved | patch_failed | timeout | infra_error; null: not evaluated
        ("exit_status", pa.string()),  # the agent's own: Submitted, LimitsExceeded, ...
        ("model", pa.string()),
        ("attempt", pa.int32()),
        ("source", pa.string()),
        ("licence", pa.string()),
    ]
)

EDIT = pa.struct(
    [
        ("file", pa.string()),
        ("symbol", pa.string()),  # innermost function or method holding the edit; "" = module level or unknown
        ("how", pa.string()),  # ast | hunk | command: where `symbol` comes from
        ("removed", pa.list_(pa.string())),  # removed lines, as in the patch without the leading "-"
        ("added", pa.list_(pa.string())),
    ]
)

LOCATED = TRAJECTORY.append(pa.field("edits", pa.list_(EDIT)))
"""A trajectory with the places that its patch edits."""


def struct_of(schema: pa.Schema) -> pa.DataType:
    """The schema as a struct type, to nest one row inside another."""
    return pa.struct(list(schema))


CANDIDATE = pa.schema(
    [
        ("id", pa.string()),  # pair id: same for the same two trajectories, in any order of input
        ("kind", pa.string()),  # sibling | outcome
        ("group", pa.string()),  # repo::file::symbol; never shared between splits
        ("first", struct_of(LOCATED)),  # the trajectory with the smaller id
        ("second", struct_of(LOCATED)),
        ("same_commit", pa.bool_()),
        ("relatedness", pa.float64()),  # similarity of the two issues, 0..1 (1 for outcome pairs)
        ("near_duplicate", pa.float64()),  # estimated Jaccard of the two contexts' shingles, 0..1
        ("length_ratio", pa.float64()),  # longer / shorter context, characters, >= 1
        # The other context's share of an answer's identifiers less the own one's, before any edit; the worse of the
        # two directions. 0 or more: the confounder supports the answer lexically at least as well as C+ does.
        ("lexical_margin", pa.float64()),
    ]
)
"""Two trajectories that passed the cascade; undirected."""

MEASURE = pa.struct([("name", pa.string()), ("value", pa.float64())])
"""One named number. A list of these, not a map: `datasets` and pandas read it without surprises."""

FACT = pa.struct([("name", pa.string()), ("passed", pa.bool_()), ("detail", pa.string())])
"""One thing that was checked about a pair; `passed` null where it could not be checked."""

PAIR = pa.schema(
    [
        ("id", pa.string()),  # pair_id + direction
        ("pair_id", pa.string()),  # the undirected pair; both directions of it stay together everywhere
        ("direction", pa.string()),  # forward: the answer is the first trajectory's; reverse: the second's
        ("split", pa.string()),  # train | validation | probe; "" until the splits are drawn
        ("domain", pa.string()),  # coding
        ("kind", pa.string()),  # sibling | outcome
        ("question", pa.string()),
        ("answer", pa.string()),  # what C+ supports
        ("context_pos", pa.list_(MESSAGE)),  # C+
        ("context_neg", pa.list_(MESSAGE)),  # C-
        ("correct_first", pa.bool_()),  # whether C+ is shown as option A
        ("correct_option", pa.string()),  # A | B
        ("answer_neg", pa.string()),  # what C- supports
        ("view", pa.string()),  # full | before_edit: how much of the contexts is shown
        ("repo", pa.string()),
        ("commit", pa.string()),
        ("file", pa.string()),
        ("symbol", pa.string()),
        ("group", pa.string()),  # never shared between splits
        ("instance_pos", pa.string()),
        ("instance_neg", pa.string()),
        ("trajectory_pos", pa.string()),  # never shared between splits
        ("trajectory_neg", pa.string()),
        ("problem_statement_pos", pa.string()),
        ("problem_statement_neg", pa.string()),
        ("resolved_pos", pa.bool_()),
        ("resolved_neg", pa.bool_()),
        ("model_pos", pa.string()),
        ("model_neg", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("verdict", pa.string()),  # VALID | UNCERTAIN, the judge's
        ("judge", pa.string()),  # who judged: rules, or the model's name
        ("checks", pa.list_(FACT)),
        ("measures", pa.list_(MEASURE)),  # similarity, length ratio, what was left after masking
        ("blind_scores", pa.list_(MEASURE)),  # 1 a blind baseline picks C+, 0 it picks C-, 0.5 it cannot tell
        ("tokens", pa.int32()),  # of the whole prompt
        ("tokenizer", pa.string()),
    ]
)
"""One directed pair (Q, A, C+, C-), as exported: one row of the dataset."""

EXPORTED = pa.schema(
    [
        ("id", pa.string()),  # path inside the dataset folder
        ("split", pa.string()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
"""One file of an exported dataset."""

SIDE = pa.schema(
    [
        *(field for field in LOCATED if field.name != "messages"),
        pa.field("full", pa.list_(MESSAGE)),  # the whole run, masked
        pa.field("before_edit", pa.list_(MESSAGE)),  # up to the first edit of a source file, masked
    ]
)
"""A located trajectory whose messages were replaced by its two masked views."""

LEAK = pa.struct(
    [
        ("answer", pa.string()),  # first | second: whose patch is the answer; its own context is C+
        ("view", pa.string()),  # full | before_edit
        ("longest_run", pa.int32()),  # longest run of an added line readable in C+, non-blank characters
        ("longest_share", pa.float64()),  # that run / the line's length, at most 1
        ("readable", pa.int32()),  # added lines longer than the bound that stand in C+ as they are
        ("only_in_pos", pa.float64()),  # share of the answer's identifiers that C+ has and C- has not
        ("only_in_neg", pa.float64()),
        ("overlap_pos", pa.float64()),  # share of the answer's identifiers found, weighted by rarity, 0..1
        ("overlap_neg", pa.float64()),
        ("removed_pos", pa.int32()),  # removed lines of the answer found in C+
        ("removed_neg", pa.int32()),
        ("added_pos", pa.int32()),
        ("added_neg", pa.int32()),
        ("function_pos", pa.bool_()),  # whether a view of the edited function (or its file) is left in C+
        ("function_neg", pa.bool_()),
    ]
)
"""What a blind reader could use, measured after masking, for one answer and one view."""

MASKED = pa.schema(
    [
        *(field for field in CANDIDATE if field.name not in ("first", "second")),
        pa.field("first", struct_of(SIDE)),
        pa.field("second", struct_of(SIDE)),
        pa.field("regions", pa.string()),  # both | answer | none: whose edited lines are masked
        pa.field("leaks", pa.list_(LEAK)),
    ]
)

CHECK = pa.struct(
    [
        ("patch_of", pa.string()),  # instance whose answer was applied
        ("tests_of", pa.string()),  # instance whose tests were run
        ("status", pa.string()),  # resolved | unresolved | patch_failed (does not apply: resolves nothing)
    ]
)

CHECKED = MASKED.append(pa.field("checks", pa.list_(CHECK)))
"""A masked pair with what was executed: four checks for siblings, the two evaluations on record for outcome pairs."""

JUDGED = pa.schema(
    [
        *CHECKED,
        pa.field("judge", pa.string()),  # "rules" or the name of a model
        pa.field("verdict", pa.string()),  # VALID | UNCERTAIN (INVALID pairs are dropped)
        pa.field("verdict_reason", pa.string()),  # "" or one of a fixed list
        pa.field("votes", pa.int32()),  # votes behind the verdict; null for rules
    ]
)
