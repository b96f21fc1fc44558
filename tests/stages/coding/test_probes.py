"""What the probes write into rows must be the same in every run."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from contextrl_data.stages.coding.probes.failures import plain, shown


@pytest.mark.parametrize("thing", [MagicMock(name="main"), object()])
def test_addresses_are_not_recorded(thing: object) -> None:
    assert str(id(thing)) not in plain(f"expected {thing!r}")
    assert hex(id(thing)) not in plain(f"expected {thing!r}")
    assert shown(thing) == ""


def test_plain_values_stay() -> None:
    assert plain("got 0x1f, id='12'") == "got 0x1f, id='12'"
    assert shown([1, "id='7'"]) == """[1, "id='7'"]"""
