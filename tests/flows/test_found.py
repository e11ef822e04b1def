"""Rows that have something in common, against loops over one row after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.flows import found
from analyzer.flows.found import Found, Sums

SETTINGS = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Row:
    chosen: bool
    since: bool
    number: int


@st.composite
def groups(draw: st.DrawFn) -> list[list[Row]]:
    """At least one group, of at least one row each."""
    row = st.builds(Row, st.booleans(), st.booleans(), st.integers(0, 1 << 40))
    return draw(st.lists(st.lists(row, min_size=1, max_size=12), min_size=1, max_size=6))


class Case:
    """Rows of groups as arrays."""

    def __init__(self, groups: list[list[Row]]) -> None:
        self.rows = [row for group in groups for row in group]
        self.every = np.arange(len(self.rows))
        sizes = np.array([len(group) for group in groups])
        self.ends = np.cumsum(sizes)
        self.starts = self.ends - sizes
        self.floors = np.repeat(self.starts, sizes)
        self.chosen = Found(np.array([row.chosen for row in self.rows]))
        self.since = Found(np.array([row.since for row in self.rows]))

    def chosen_of(self, begin: int, end: int) -> list[int]:
        return [index for index in range(begin, end) if self.rows[index].chosen]


@pytest.fixture(params=[1, 1 << 30], ids=["one by one", "counted"], autouse=True)
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are looked up in the same way whether they are few or many."""
    monkeypatch.setattr(found, "_CLOSE", 0 if request.param == 1 else request.param)


@SETTINGS
@given(groups())
def test_rows_of_groups(groups: list[list[Row]]) -> None:
    case = Case(groups)
    n = len(case.rows)
    floors = case.floors.tolist()
    last = [max(case.chosen_of(floor, row), default=-1) for row, floor in enumerate(floors)]
    assert case.chosen.last_before(case.every, case.floors).tolist() == last
    bounds = list(zip(case.starts.tolist(), case.ends.tolist(), strict=True))
    firsts = [min(case.chosen_of(*bound), default=n) for bound in bounds]
    assert case.chosen.firsts(case.starts, case.ends).tolist() == firsts
    lasts = [max(case.chosen_of(*bound), default=-1) for bound in bounds]
    assert case.chosen.lasts(case.starts, case.ends).tolist() == lasts
    assert case.chosen.rows.tolist() == case.chosen_of(0, n)
    assert case.chosen.holds(case.every).tolist() == [row.chosen for row in case.rows]


@SETTINGS
@given(groups(), st.data())
def test_count_since_is_the_loop(groups: list[list[Row]], data: st.DataObject) -> None:
    case = Case(groups)
    carried = data.draw(st.lists(st.integers(0, 9), min_size=len(groups), max_size=len(groups)))
    expected = []
    for group, count in zip(groups, carried, strict=True):
        for row in group:
            expected.append(count)
            count = row.chosen if row.since else count + row.chosen
    carry = np.repeat(np.array(carried, np.uint32), case.ends - case.starts)
    counted = case.chosen.count_since(case.since, case.every, case.floors, carry)
    assert counted.tolist() == expected


@SETTINGS
@given(groups())
def test_sums_are_the_loop(groups: list[list[Row]]) -> None:
    case = Case(groups)
    sums = Sums(np.array([row.number for row in case.rows]))
    before, whole = [], []
    for group in groups:
        numbers = [row.number for row in group]
        before += [sum(numbers[:index]) for index in range(len(numbers))]
        whole.append(sum(numbers))
    assert sums.between(case.floors, case.every).tolist() == before
    assert sums.between(case.starts, case.ends).tolist() == whole
    counts = Sums(np.array([row.chosen for row in case.rows]))
    assert counts.between(case.starts, case.ends).tolist() == [
        sum(row.chosen for row in group) for group in groups
    ]
