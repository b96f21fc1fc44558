"""The choice is balanced, within its limits, and the same for any order of the pairs."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from contextrl_data.stages.audit import wilson_interval
from contextrl_data.stages.balance import Choice, Limits, Unit, band, choose

NAMES = ["identifiers", "removed_lines", "longer"]
TILTS = st.tuples(*[st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])] * 3)


@st.composite
def unit_lists(draw: st.DrawFn) -> list[Unit]:
    count = draw(st.integers(0, 40))
    return [
        Unit(
            id=f"u{number}",
            rows=2,
            kinds=(draw(st.sampled_from(["sibling", "outcome"])),),
            source=draw(st.sampled_from(["r1", "r2", "r3"])),
            members=(f"group {draw(st.integers(0, 5))}", f"context {draw(st.integers(0, 9))}"),
            tilt=draw(TILTS),
        )
        for number in range(count)
    ]


def limits_of(units: list[Unit], rows: int, slack: float = 1.0) -> Limits:
    members = {member for unit in units for member in unit.members}
    return Limits(
        rows, dict.fromkeys(members, 3), rows // 2 + 1, {"sibling": rows // 2, "outcome": rows // 2}, slack=slack
    )


def taken(units: list[Unit], choice: Choice) -> list[Unit]:
    chosen = set(choice.chosen)
    return [unit for unit in units if unit.id in chosen]


@given(unit_lists(), st.integers(2, 60), st.integers(0, 3), st.booleans(), st.sampled_from([0.3, 0.5, 1.0]))
@settings(max_examples=150, deadline=None)
def test_balanced_within_limits_and_nothing_forgotten(
    units: list[Unit], rows: int, seed: int, fill: bool, slack: float
) -> None:
    limits = limits_of(units, rows, slack)
    choice = choose(units, NAMES, limits, seed, fill)
    chosen = taken(units, choice)
    assert choice.rows == sum(unit.rows for unit in chosen) <= rows
    assert max(Counter(unit.source for unit in chosen).values(), default=0) * 2 <= limits.per_source
    assert all(count <= 3 for count in Counter(member for unit in chosen for member in unit.members).values())
    if not fill:
        kinds = Counter(kind for unit in chosen for kind in unit.kinds)
        assert all(kinds[kind] * 2 <= quota for kind, quota in limits.per_kind.items())
    for place in range(len(NAMES)):
        hits = choice.rows / 2 + sum(unit.tilt[place] for unit in chosen)
        low, high = wilson_interval(hits, choice.rows)
        assert low <= 0.5 <= high
    assert choice.reasons.keys() == {unit.id for unit in units} - set(choice.chosen)


@given(unit_lists(), st.randoms(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_input_does_not_matter(units: list[Unit], random: object, seed: int) -> None:
    shuffled = units[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    limits = limits_of(units, 20)
    assert choose(units, NAMES, limits, seed) == choose(shuffled, NAMES, limits, seed)


@given(unit_lists())
@settings(max_examples=60, deadline=None)
def test_no_single_pair_could_still_be_added(units: list[Unit]) -> None:
    limits = Limits(200, {}, 200, {})
    choice = choose(units, NAMES, limits, 0)
    totals = [sum(unit.tilt[place] for unit in taken(units, choice)) for place in range(3)]
    for unit in units:
        if unit.id in choice.reasons:
            after = [total + tilt for total, tilt in zip(totals, unit.tilt, strict=True)]
            assert any(abs(value) > band(choice.rows + 2) for value in after)


def test_opposite_tilts_cancel_although_each_alone_would_not_pass() -> None:
    units = [Unit(f"u{n}", 2, ("sibling",), "r", (), (3.0 if n % 2 else -3.0, 0.0, 0.0)) for n in range(20)]
    choice = choose(units, NAMES, Limits(40, {}, 40, {}), 0)
    assert choice.rows == 40


def test_a_one_sided_set_keeps_what_the_interval_allows_and_names_the_baseline() -> None:
    units = [Unit(f"u{n}", 2, ("sibling",), "r", (), (1.0, 0.0, 0.0)) for n in range(200)]
    choice = choose(units, NAMES, Limits(400, {}, 400, {}), 0)
    assert 0 < choice.rows < 10
    assert choice.tilted == {"identifiers": 200 - choice.rows // 2}
    assert set(choice.reasons.values()) == {"would tilt identifiers"}


def test_room_left_by_one_kind_goes_to_the_other_only_with_fill() -> None:
    units = [Unit(f"u{n}", 2, ("sibling" if n else "outcome",), "r", (), (0.0,) * 3) for n in range(20)]
    limits = Limits(20, {}, 20, {"sibling": 10, "outcome": 10})
    assert choose(units, NAMES, limits, 0, fill=True).rows == 20
    strict = choose(units, NAMES, limits, 0, fill=False)
    assert strict.rows == 12
    assert set(strict.reasons.values()) == {"share of its kind reached"}


def test_soft_shares_are_lifted_before_the_others() -> None:
    units = [Unit(f"u{n}", 2, ("chart" if n < 10 else "math", "mined"), "r", (), (0.0,) * 3) for n in range(40)]
    caps = {"chart": 10, "math": 10, "mined": 4}
    limits = Limits(20, {}, 20, caps, soft=frozenset({"mined"}))
    chosen = taken(units, choose(units, NAMES, limits, 0))
    assert Counter(unit.kinds[0] for unit in chosen) == {"chart": 5, "math": 5}
    assert choose(units, NAMES, limits, 0, fill=False).rows == 4
