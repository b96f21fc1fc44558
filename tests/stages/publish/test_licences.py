"""Licences: what an expression allows, what needs a decision, and that the decision counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hub_server import HubServer
from hypothesis import example, given
from hypothesis import strategies as st
from publishing import Publisher, RowList, corpus

from contextrl_data.pipeline.errors import InputError
from contextrl_data.stages.publish.licences import terms_of


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        ("MIT", "free"),
        ("apache-2.0", "free"),
        ("CC0-1.0", "free"),
        ("PSF-2.0", "free"),
        ("GPL-3.0-only", "copyleft"),
        ("LGPL-2.1-or-later", "copyleft"),
        ("CC-BY-SA-4.0", "copyleft"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "copyleft"),
        ("CC-BY-NC-4.0", "restricted"),
        ("CC-BY-NC-SA-4.0", "restricted"),
        ("CC-BY-ND-4.0", "restricted"),
        ("Elastic-2.0", "restricted"),
        ("MIT OR GPL-3.0-only", "free"),
        ("MIT AND GPL-3.0-only", "copyleft"),
        ("(MIT OR CC-BY-NC-4.0) AND GPL-3.0-only", "copyleft"),
        ("BSD", "unknown"),
        ("MIT License", "unknown"),
        ("MIT OR (", "unknown"),
        ("NOASSERTION", "unknown"),
    ],
)
def test_terms(expression: str, terms: str) -> None:
    assert terms_of(expression) == terms


@example("()")
@given(st.text(max_size=30) | st.text("()MITGPLANDORWITH -.+0123456789", max_size=40))
def test_any_text_has_terms(text: str) -> None:
    assert terms_of(text) in ("free", "copyleft", "restricted", "unknown")


def under(**licences: int) -> RowList:
    """A corpus whose first rows stand under the licences named (`_` for `-`, `none` for an empty one)."""
    rows = corpus(10)
    names = [name.replace("_", "-") for name, count in licences.items() for _ in range(count)]
    for row, name in zip(rows, names, strict=False):
        row["licence"] = "" if name == "none" else name.replace("-3-0-", "-3.0-").replace("-4-0", "-4.0")
    return rows


@pytest.mark.parametrize(
    ("rows", "kind", "said"),
    [
        (under(none=3), "missing", r"\(none\): 3 rows, first pair-00000-forward: no known licence"),
        (under(proprietary=2), "unknown", "proprietary: 2 rows"),
        (under(CC_BY_NC_4_0=4), "restricted", r"CC-BY-NC-4\.0: 4 rows"),
        (under(GPL_3_0_only=5), "copyleft", r"GPL-3\.0-only: 5 rows.*beside rows under other licences"),
    ],
    ids=["missing", "unknown", "restricted", "copyleft"],
)
def test_a_licence_that_needs_a_decision_is_refused_until_it_is_accepted(
    publishing: Publisher, hub: HubServer, changed: Callable[..., Path], rows: RowList, kind: str, said: str
) -> None:
    folder = changed(rows)
    with pytest.raises(InputError, match=said) as caught:
        publishing(folder)
    assert caught.value.remedy.endswith(f"--accept-licence {kind}")
    assert {method for method, _, _ in hub.calls} == {"GET"}
    assert publishing(folder, accept_licences=[kind]).committed
    assert "accepted: " in publishing.said


def test_accepting_one_kind_does_not_accept_another(publishing: Publisher, changed: Callable[..., Path]) -> None:
    folder = changed(under(none=1, CC_BY_NC_4_0=1))
    with pytest.raises(InputError, match="CC-BY-NC"):
        publishing(folder, accept_licences=["missing"])
    assert publishing(folder, accept_licences=["missing", "restricted"]).committed


def test_one_copyleft_licence_alone_is_no_problem(publishing: Publisher, changed: Callable[..., Path]) -> None:
    rows = corpus(5)
    for row in rows:
        row["licence"] = "GPL-3.0-only"
    assert publishing(changed(rows)).committed


def test_a_kind_that_is_none(publishing: Publisher, dataset: Path) -> None:
    with pytest.raises(InputError, match="--accept-licence everything is not known"):
        publishing(dataset, accept_licences=["everything"])
