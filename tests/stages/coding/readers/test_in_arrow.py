"""Messages that stay in Arrow give the same rows as messages that are read into Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.stage import Keep
from contextrl_data.pipeline.store import table_of
from contextrl_data.stages.coding.readers.in_arrow import MessagesInArrow, rows_in_arrow
from contextrl_data.stages.coding.readers.trajectories import Trajectories, TrajectoriesConfig
from contextrl_data.stages.rows import MESSAGE, TRAJECTORY

texts = st.sampled_from(
    ["", "é☃\U0001f600", "nul \0", "sed -i s/a/b/ x.py", "```mswea_bash_command\nls\n```", "line\nline"]
) | st.sampled_from(
    ["<function=bash><parameter=command>ls</parameter></function>", "<pr_description>a</pr_description>"]
)
roles = st.sampled_from(["user", "assistant", "assistant", "tool", "system", "ai", "exit", "oracle"])
talks = st.lists(st.fixed_dictionaries({"role": roles, "content": texts}), max_size=5)
rows_of = st.lists(talks | st.none(), min_size=1, max_size=6)
PLAIN = pa.struct([("content", pa.string()), ("role", pa.string())])


def read(path: Path, **config: Any) -> tuple[list[tuple[str, Any]], pa.Table]:
    found = list(Trajectories(TrajectoriesConfig(path=str(path), **config)).items())
    table = table_of([row for _, one in found if isinstance(one, Keep) for row in one.rows], TRAJECTORY, "test")
    return [(place, None if isinstance(one, Keep) else one) for place, one in found], table


@settings(max_examples=150, deadline=None)
@given(talks=rows_of, kind=st.sampled_from([MESSAGE, PLAIN]), limit=st.sampled_from([40, 10_000]))
def test_rows_and_ids_are_the_same_as_from_json_strings(
    tmp_path_factory: pytest.TempPathFactory, talks: list[Any], kind: pa.DataType, limit: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    ids = pa.array([f"acme__shop-{number}" for number in range(len(talks))])
    held = pa.table({"instance_id": ids, "messages": pa.array(talks, pa.list_(kind))})
    pq.write_table(held, folder / "rows.parquet", row_group_size=4)
    # A third field keeps the messages out of Arrow; the reader passes it over.
    wide = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string())]))
    (folder / "other").mkdir()
    pq.write_table(held.set_column(1, "messages", pa.array(talks, wide)), folder / "other/rows.parquet")
    config: dict[str, Any] = {"max_chars": limit, "format": "messages"}
    assert read(folder / "rows.parquet", **config) == read(folder / "other/rows.parquet", **config)


def test_only_whole_messages_of_role_and_content_stay_in_arrow() -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "é"}]
    column = pa.array([talk, [], talk], pa.list_(MESSAGE))
    batch = pa.record_batch({"id": pa.array(["a", "b", "c"]), "messages": column})
    rows = rows_in_arrow(batch.slice(1), "messages")
    assert rows is not None
    assert [row["id"] for row in rows] == ["b", "c"]
    found = rows[1]["messages"]
    assert isinstance(found, MessagesInArrow)
    assert list(found) == talk
    assert (found[1], found[-1], found[:1], len(found)) == (talk[1], talk[1], talk[:1], 2)
    assert found.arrow().to_pylist() == [talk]
    assert list(rows[0]["messages"]) == []
    broken = pa.array([b"\xff"]).cast(pa.binary()).view(pa.string())
    for bad in (
        pa.array([None, talk], pa.list_(MESSAGE)),
        pa.array([[None]], pa.list_(MESSAGE)),
        pa.array([[{"role": "user", "content": None}]], pa.list_(MESSAGE)),
        pa.array([[{"role": "user", "content": "nul \0"}]], pa.list_(MESSAGE)),
        pa.array(["[]"]),
        pa.ListArray.from_arrays(
            [0, 1], pa.StructArray.from_arrays([pa.array(["user"]), broken], fields=list(MESSAGE))
        ),
    ):
        assert rows_in_arrow(pa.record_batch({"messages": bad}), "messages") is None
    assert rows_in_arrow(batch, "history") is None
