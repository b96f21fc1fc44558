"""Names from data in a dataset card: text in its Markdown, values in its YAML, nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from factories import pair_rows
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st
from publishing import RowList

from contextrl_data.pipeline.build import FunnelRow
from contextrl_data.stages.audit.command import write_into_card
from contextrl_data.stages.audit.config import AuditConfig
from contextrl_data.stages.audit.run import audit_dataset
from contextrl_data.stages.card import write_card
from contextrl_data.stages.export import ExportConfig, write_dataset
from contextrl_data.stages.markdown import code, markdown_table, one_line, prose
from contextrl_data.stages.rows import PAIR

HOSTILE = [
    "</title><script>alert(1)</script>",
    "<img src=http://127.0.0.1:9/x onerror=alert(1)>",
    "![pixel](http://127.0.0.1:9/x.png)",
    "[click](javascript:alert(1))",
    "x\n\n# A heading of its own\n\ny",
    "x\r\n---\r\nlicense: mit\r\n---\r\n",
    "x\u2028# y",
    "x\x85---\x85license: mit",
    "`` ` ``` code",
    "a | b | c",
    "a \\| b \\\\| c",
    "~~~\nx",
    "&lt;b&gt; &#60;",
    "[x]: http://127.0.0.1:9",
    "- item\n- item",
    "x" * 5000,
    "\x1b]0;owned\x07",
    "PATH_OR_REPO",
]


def spans_removed(text: str) -> str:
    """Markdown without its code spans and blocks, in which nothing is markup."""
    text = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<![\\`])(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


def unescaped(sign: str, text: str) -> list[str]:
    """Places at which a sign stands and is markup."""
    return [
        text[max(0, m.start() - 20) : m.end() + 40] for m in re.finditer(rf"(?<!\\)(?:\\\\)*{re.escape(sign)}", text)
    ]


def no_markup(text: str) -> None:
    text = spans_removed(text)
    for sign in ("<script", "<img", "<b>"):
        assert sign not in text
    assert not unescaped("](", text)
    assert not unescaped("![", text)


@pytest.mark.parametrize("bad", HOSTILE)
def test_prose_and_code_are_one_line_without_markup(bad: str) -> None:
    for written in (prose(bad), code(bad)):
        assert len(written.splitlines()) == 1
        assert len(written) < 700
        no_markup(written)
    table = markdown_table(["a", "b"], [[prose(bad), code(bad)]])
    [_, _, row] = table.splitlines()
    assert len(unescaped("|", row)) == 3, row


@given(st.text())
def test_any_text_is_one_cell(text: str) -> None:
    [_, _, row] = markdown_table(["a", "b"], [[prose(text), code(text)]]).splitlines()
    assert len(unescaped("|", row)) == 3


def hostile_rows() -> RowList:
    """Pairs of which every field that a card counts is hostile, another kind in each."""
    rows = RowList()
    for number, bad in enumerate(HOSTILE):
        for row in pair_rows(number):
            row |= dict.fromkeys(
                ("repo", "licence", "source", "judge", "model_pos", "model_neg", "tokenizer", "kind"), bad
            )
            row["checks"] = [{"name": bad, "passed": None, "detail": bad}]
            row["blind_scores"] = [{"name": bad[:50], "value": 1.0}]
            rows.append({**row, "split": ("train", "validation", "probe")[number % 3], "group": f"{bad}{number}"})
    return rows


@pytest.mark.parametrize("title", HOSTILE)
def test_a_card_is_valid_whatever_the_names_are(title: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_dataset(folder, hostile_rows(), PAIR, ExportConfig(title=title, benchmarks=tuple(HOSTILE[:3])))
    funnel = [FunnelRow("read", "done", 9, 4, {title: 5}, {title: 1}, 4, [(title, 9)], 1.0, 0.0, {"message": title})]
    write_card(folder, funnel, {"setting": title, title: "```\n---\n# x"})
    text = (folder / "README.md").read_text()
    _, head, body = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    found = yaml.safe_load(head)
    assert found["pretty_name"] == one_line(title)
    assert found["license"] == "other" or "other" in found["license"]
    assert set(found) == {
        "pretty_name", "language", "license", "license_name", "task_categories", "tags", "size_categories", "configs",
        "dataset_info",
    }  # fmt: skip
    assert DatasetCard(text).data.to_dict()["pretty_name"] == found["pretty_name"]
    no_markup(body)
    headings = re.findall(r"^#+ .*", spans_removed(body), re.MULTILINE)
    assert headings[0].startswith("# ")
    assert [line for line in headings[1:] if not line.startswith("## ")] == []
    assert {line[3:].split()[0] for line in headings[1:]} <= {
        "Load", "Columns", "How", "Funnel", "Can", "Sources", "Limits", "Settings", "Citation",
    }  # fmt: skip
    [settings] = re.findall(r"^(`{3,})yaml\n(.*?)\n\1$", body, re.DOTALL | re.MULTILINE)
    # PyYAML writes NEL, an old line end, as it is, and reads it as a blank.
    assert yaml.safe_load(settings[1])["setting"] == (title if "\x85" not in title else " ".join(title.split("\x85")))


def test_an_audit_on_the_card_is_text_too(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    rows = RowList({**row, "licence": "", "id": f"{row['repo'][:90]}{n}"} for n, row in enumerate(hostile_rows()))
    write_dataset(folder, rows, PAIR, ExportConfig())
    audited = audit_dataset(str(folder), AuditConfig())
    assert audited.findings
    write_card(folder)
    write_into_card(folder, audited)
    no_markup((folder / "README.md").read_text().split("---\n", 2)[2])
