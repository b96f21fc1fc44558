"""Messages that stay in Arrow give the same rows as messages that are read into Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.pipeline.errors import InputError
from contextrl_data.pipeline.in_files import ROW
from contextrl_data.pipeline.plan import RunSettings, Step
from contextrl_data.pipeline.runner import Finished, Runner
from contextrl_data.pipeline.stage import Keep
from contextrl_data.pipeline.store import table_of
from contextrl_data.stages.coding.readers import trajectories
from contextrl_data.stages.coding.readers.in_arrow import MessagesInArrow, rows_in_arrow
from contextrl_data.stages.coding.readers.rawfiles import Raw
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


def stored(root: Path, path: Path, **config: Any) -> Finished:
    steps = [Step(Trajectories(TrajectoriesConfig(path=str(path), **config)))]
    return Runner(RunSettings(root=root, workers=1)).run(steps)["trajectories"]


def test_normal_messages_of_parquet_are_not_written_again(tmp_path: Path) -> None:
    talks = [
        [{"role": "user", "content": f"é {n}"}, {"role": "assistant", "content": "sed -i s/a/b/ x.py" + mark}]
        for n, mark in enumerate(["", "", "```mswea_bash_command\nls\n```", ""])
    ]
    ids = pa.array([f"acme__shop-{number}" for number in range(len(talks))])
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"name": ids, "talk": pa.array(talks, pa.list_(PLAIN))}), path)
    columns = {"messages": "talk", "instance_id": "name"}
    done = stored(tmp_path / "runs", path, columns=columns)
    assert [row["messages"][1]["content"].split("\n")[0] for row in done.rows] == [
        *["sed -i s/a/b/ x.py"] * 2,
        "sed -i s/a/b/ x.py```bash",
        "sed -i s/a/b/ x.py",
    ]
    shard = pq.read_table(done.folder.data(0))
    assert shard[ROW].to_pylist() == [0, 1, None, 3]
    assert [value is None for value in shard["messages"].to_pylist()] == [True, True, False, True]
    assert (done.folder.path / "files/read-00000.parquet").samefile(path)
    # Of some rows only the messages are written: the file may be a hundred times as large.
    few = stored(tmp_path / "runs", path, columns=columns, limit=3)
    assert few.manifest.in_files is None
    assert list(few.rows) == list(done.rows)[:3]


def test_a_file_that_is_written_to_while_it_is_read_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "sed -i s/a/b/ x.py"}]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"instance_id": ["acme__shop-1"], "messages": pa.array([talk], pa.list_(MESSAGE))}), path)
    whole = trajectories.raw_rows

    def growing(*args: Any, **more: Any) -> Iterator[Raw]:
        yield from whole(*args, **more)
        with path.open("ab") as handle:
            handle.write(b"more")

    monkeypatch.setattr(trajectories, "raw_rows", growing)
    with pytest.raises(InputError, match="was written to while it was read — run the build again when it is whole"):
        stored(tmp_path / "runs", path)
