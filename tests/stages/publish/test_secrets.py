"""Secrets in every place a dataset has, each found, named and never shown; code, digests and logs let through."""

from __future__ import annotations

import base64
import hashlib
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import HubServer
from hypothesis import given
from hypothesis import strategies as st
from publishing import Publisher, RowList, corpus, write

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.card import write_card
from contextrl_data.stages.publish.secrets import Scan, scan_texts
from contextrl_data.stages.publish.texts import Text, texts_of

LETTERS = string.ascii_letters + string.digits


def fake(seed: str, length: int, alphabet: str = LETTERS) -> str:
    """Random signs that belong to nobody; made here, so that no scanner of this repository stumbles over them."""
    rng = random.Random(seed)
    return "".join(rng.choice(alphabet) for _ in range(length))


PLANTED = {
    "hugging face": "hf_" + "FAKEfake" * 4 + "FA",
    "github": "ghp_" + "FAKEfake" * 4 + "FAKE",
    "anthropic": "sk-ant-api03-" + fake("anthropic", 93) + "AA",
    "openai": f"sk-proj-{fake('a', 74)}T3BlbkFJ{fake('b', 74)}",
    "slack": f"xoxb-123456789012-1234567890123-{fake('slack', 24)}",
    "google": "AIza" + fake("google", 35),
    "stripe": "sk_live_" + fake("stripe", 24),
    "gitlab": "glpat-" + fake("gitlab", 20),
    "aws": f"aws_access_key_id = AKIA{fake('id', 16, string.ascii_uppercase + '234567')}\n"
    f"aws_secret_access_key = {fake('key', 40)}",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join(fake(f"line {n}", 64) for n in range(12))
    + "\n-----END RSA PRIVATE KEY-----",
}


def scan(text: str, environ: dict[str, str] | None = None, allowed: frozenset[str] = frozenset()) -> Scan:
    return scan_texts([Text("row", "column", text)], allowed, environ or {})


@pytest.mark.parametrize("name", PLANTED)
def test_every_kind_is_found_in_an_agents_log(name: str) -> None:
    log = f"<returncode>0</returncode>\n<output>\n$ env\nPATH=/usr/bin\nX={PLANTED[name]}\n</output>"
    leaks = scan(log).leaks
    assert leaks
    assert all(PLANTED[name] not in repr(leak) for leak in leaks)


def test_a_secret_behind_base64_is_found() -> None:
    hidden = base64.b64encode(f"token={PLANTED['github']}".encode()).decode()
    assert scan(f"echo {hidden} | base64 -d").leaks


@pytest.mark.parametrize(
    "text",
    [
        f"commit {hashlib.sha1(b'a').hexdigest()}\nindex {hashlib.sha1(b'b').hexdigest()}..{'0' * 40} 100644",
        f"sha256:{hashlib.sha256(b'layer').hexdigest()}",
        f'PNG = "{base64.b64encode(bytes(range(256)) * 4).decode()}"',
        'def login(password="secret", token=None):\n    api_key = os.environ["API_KEY"]\n    return hash(password)',
        "uuid4: 9b2e7c1a-6f5d-4e3c-8b7a-1d2c3b4a5f6e",
        'assert quote("hunter2") == "hunter2"; SECRET_KEY = "test"',
    ],
    ids=["git", "digest", "base64", "code", "uuid", "test"],
)
def test_what_looks_like_a_secret_in_code_and_is_none_passes(text: str) -> None:
    assert scan(text).leaks == []


def test_the_same_secret_has_one_mark_everywhere_and_other_secrets_have_others() -> None:
    first, second = (scan(f"{before} {PLANTED['github']}").leaks[0] for before in ("export X=", "echo"))
    assert first.mark == second.mark != scan(PLANTED["hugging face"]).leaks[0].mark
    assert len(first.mark) == 12


def test_this_machines_own_secrets_are_found_as_they_are() -> None:
    environ = {
        "LITELLM_MASTER_KEY": "correct-horse-battery",
        "GPG_KEY": "E3FF2839C048B25C084D",
        "KEY_DIR": "/home/me/keys/of/mine",
    }
    text = f"the key is {environ['LITELLM_MASTER_KEY']}, {environ['GPG_KEY']}, {environ['KEY_DIR']}"
    leaks = scan(text, environ).leaks
    assert [leak.kind for leak in leaks] == ["value of LITELLM_MASTER_KEY on this machine"]
    assert scan(text, environ, frozenset({leaks[0].mark})).leaks == []


def test_a_short_value_in_the_environment_is_not_looked_for() -> None:
    assert scan("a short word", {"MY_TOKEN": "short"}).leaks == []


def planted(column: str, secret: str) -> tuple[RowList, str]:
    """The corpus with a secret in one row's column; a path such as `context_pos.2.content` goes into a message list."""
    rows = corpus(5)
    row: Any = rows[3]
    name, *deeper = column.split(".")
    if deeper:
        row[name] = [dict(one) for one in row[name]]
        row[name][int(deeper[0])][deeper[1]] += f"\n{secret}\n"
    else:
        row[name] = f"{row[name]}\n{secret}\n"
    return rows, row["id"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("question", "question"),
        ("answer", "answer"),
        ("context_pos.2.content", "context_pos[2].content"),
        ("context_neg.0.content", "context_neg[0].content"),
        ("checks.1.detail", "checks[1].detail"),
        ("problem_statement_neg", "problem_statement_neg"),
    ],
)
def test_a_publication_is_refused_and_names_row_column_and_kind(
    publishing: Publisher, hub: HubServer, changed: Callable[..., Path], column: str, said: str
) -> None:
    rows, row_id = planted(column, PLANTED["hugging face"])
    with pytest.raises(InputError) as caught:
        publishing(changed(rows))
    assert f"row {row_id}, column {said}, huggingface-access-token" in str(caught.value)
    assert f"{row_id}  {said}  " in publishing.said
    assert PLANTED["hugging face"] not in str(caught.value) + publishing.said
    assert {method for method, _, _ in hub.calls} == {"GET"}


def test_a_hostile_row_id_does_not_reach_the_terminal(publishing: Publisher, changed: Callable[..., Path]) -> None:
    rows, _ = planted("answer", PLANTED["github"])
    rows[3]["id"] = "two\nlines \x1b[2J and more" + "x" * 500
    with pytest.raises(InputError) as caught:
        publishing(changed(rows))
    for said in (str(caught.value), publishing.said):
        assert "two?lines ?[2J and more" in said
        assert "\x1b" not in said
        assert "x" * 300 not in said
    assert "\n" not in str(caught.value)


def test_a_dry_run_says_that_it_would_be_refused(publishing: Publisher, changed: Callable[..., Path]) -> None:
    rows, row_id = planted("answer", PLANTED["github"])
    publishing(changed(rows), dry_run=True)
    assert "it would be refused" in publishing.said
    assert row_id in publishing.said


@pytest.mark.parametrize("how", ["mark", "row", "file"])
def test_a_reviewed_finding_lets_the_publication_go_on(
    publishing: Publisher, changed: Callable[..., Path], tmp_path: Path, how: str
) -> None:
    rows, row_id = planted("context_pos.2.content", PLANTED["github"])
    folder = changed(rows)
    mark = publishing(folder, dry_run=True).report.scan.leaks[0].mark
    reviewed = tmp_path / "reviewed.txt"
    reviewed.write_text(f"# seen on Monday\n{mark}  # a fixture of the test suite\n")
    done = publishing(folder, allow_secrets=[{"mark": mark, "row": row_id, "file": str(reviewed)}[how]])
    assert done.committed
    assert done.report.scan.allowed == 1


def test_letting_one_pass_does_not_let_others_pass(publishing: Publisher, changed: Callable[..., Path]) -> None:
    rows, _ = planted("answer", PLANTED["github"])
    rows[5]["question"] += PLANTED["gitlab"]
    folder = changed(rows)
    mark = next(one.mark for one in publishing(folder, dry_run=True).report.scan.leaks if one.column == "answer")
    with pytest.raises(InputError, match=r"1 secret would be published, first: row .*, column question"):
        publishing(folder, allow_secrets=[mark])


def test_a_key_in_the_recorded_settings_is_found(publishing: Publisher, tmp_path: Path) -> None:
    folder = write(tmp_path / "dataset", corpus(5))
    write_card(folder, config={"rollouts": {"api": {"model_kwargs": {"api_key": PLANTED["anthropic"]}}}})
    with pytest.raises(InputError, match=r"row (README\.md|provenance\.json)"):
        publishing(folder)


def test_a_list_of_reviewed_secrets_must_be_readable(publishing: Publisher, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "reviewed").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="list of reviewed secrets"):
        publishing(dataset, allow_secrets=[str(tmp_path / "reviewed")])


def strings(value: Any) -> list[str]:
    """Every string inside, by another way than the walk under test."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


@given(
    st.lists(st.fixed_dictionaries({"texts": st.lists(st.text(max_size=8)), "one": st.text() | st.none()}), min_size=1)
)
def test_no_text_of_a_parquet_file_is_missed(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    message = pa.struct(
        [("role", pa.string()), ("parts", pa.list_(pa.struct([("text", pa.large_string()), ("n", pa.int64())])))]
    )
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("messages", pa.list_(message)),
            ("extra", pa.map_(pa.string(), pa.string())),
            ("kind", pa.dictionary(pa.int32(), pa.string())),
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ]
    )
    made = [
        {
            "id": f"row-{n}",
            "messages": [{"role": text, "parts": [{"text": text, "n": n}]} for text in row["texts"]],
            "extra": [(text, row["one"]) for text in dict.fromkeys(row["texts"])],
            "kind": row["one"],
            "image": {"bytes": b"never read", "path": row["one"]},
        }
        for n, row in enumerate(rows)
    ]
    path = tmp_path_factory.mktemp("texts") / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(made, schema=schema), path)
    found = list(texts_of([path]))
    wanted = []
    for row in made:
        pairs = [list(pair) for pair in row["extra"]]
        image = row["image"]["path"]
        wanted += [(row["id"], text) for text in strings([row["id"], row["messages"], pairs, row["kind"], image])]
    assert sorted((text.row, text.value) for text in found) == sorted(wanted)
