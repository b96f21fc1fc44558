"""The rows between the steps of task making: package -> bug -> validated bug -> task."""

from __future__ import annotations

import pyarrow as pa

from contextrl_data.stages.rows import TASK

SOURCE_FILE = pa.struct([("path", pa.string()), ("text", pa.string())])

LINE = pa.struct(
    [
        ("file", pa.string()),
        ("line", pa.int32()),
        ("tests", pa.list_(pa.int32())),  # places in the package's `tests`
    ]
)
"""A source line and the reference tests that ran it."""

PACKAGE = pa.schema(
    [
        ("id", pa.string()),  # name-version
        ("repo", pa.string()),
        ("version", pa.string()),
        ("licence", pa.string()),
        ("image", pa.string()),
        ("workdir", pa.string()),
        ("commit", pa.string()),  # of the clean source, in the image
        ("package_dir", pa.string()),
        ("python_path", pa.string()),
        ("pytest_args", pa.list_(pa.string())),
        ("timeout", pa.float64()),  # seconds of processor time for one run of the suite
        ("test_paths", pa.list_(pa.string())),  # what pytest is given
        ("tests", pa.list_(pa.string())),  # pass in every reference run
        ("failing", pa.int32()),  # tests that do not pass on the clean source
        ("flaky", pa.int32()),  # tests that pass in one reference run and not in another
        ("unusable", pa.int32()),  # tests whose ids a log line cannot carry
        ("sources", pa.list_(SOURCE_FILE)),
        ("coverage", pa.list_(LINE)),
    ]
)

BUG = pa.schema(
    [
        ("id", pa.string()),  # owner__name.version.strategy__hash8
        ("package", pa.string()),  # id of the package row
        ("file", pa.string()),
        ("symbol", pa.string()),
        ("strategy", pa.string()),
        ("line", pa.int32()),  # first changed line of the clean file
        ("setup_patch", pa.string()),  # clean -> buggy
        ("patch", pa.string()),  # buggy -> clean
        ("clean_blob", pa.string()),  # git's id of the clean file
        ("test_files", pa.list_(pa.string())),  # those holding a test that runs the changed line
    ]
)

VALIDATED = TASK.append(pa.field("failures", pa.string()))
"""A task without its report yet; `failures` is a JSON list of what the failing tests showed."""
