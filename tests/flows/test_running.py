"""Running values of groups, against loops over one row after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.flows.running import FAR, pick, running_max
from analyzer.model.seq import distance

SETTINGS = settings(max_examples=150, deadline=None)
TOP = 1 << 32


@dataclass(frozen=True)
class Row:
    group: int
    value: int
    chosen: bool


def near(centre: int) -> st.SearchStrategy[int]:
    """A number at most 3000 away from ``centre`` on the circle."""
    return st.integers(-3000, 3000).map(lambda offset: (centre + offset) % TOP)


sequence_numbers = st.one_of(
    near(0),
    near(0x7FFFFFFF),
    near(0xF0000000),
    st.sampled_from([0, 1, FAR - 1, FAR, FAR + 1, TOP // 2 - 1, TOP // 2, TOP // 2 + 1, TOP - FAR, TOP - 1]),
    st.integers(0, TOP - 1),
)
calm_numbers = near(0xFFFFFFFF)


@st.composite
def tables(
    draw: st.DrawFn, values: st.SearchStrategy[int] = sequence_numbers, *, most: int = 40
) -> list[Row]:
    """At least one row; rows of a group need not lie together."""
    count = draw(st.integers(1, most))
    groups = st.integers(0, draw(st.integers(0, 4)))
    return [Row(draw(groups), draw(values), draw(st.booleans())) for _ in range(count)]


def sorted_by_group(rows: list[Row]) -> tuple[list[Row], np.ndarray, np.ndarray, list[int]]:
    """The rows sorted, ``group`` and ``starts`` as the functions want them, and the names of the groups."""
    rows = sorted(rows, key=lambda row: row.group)
    names = sorted({row.group for row in rows})
    group = np.array([names.index(row.group) for row in rows], np.int64)
    starts = np.array([next(i for i, row in enumerate(rows) if row.group == name) for name in names])
    return rows, group, starts.astype(np.int64), names


def call_running_max(
    rows: list[Row], carry: dict[int, int]
) -> tuple[dict[int, list[int | None]], dict[int, int]]:
    """What stands before each row of each group, and the maxima to carry on."""
    rows, group, starts, names = sorted_by_group(rows)
    result = running_max(
        np.array([row.value for row in rows], np.uint32),
        np.array([row.chosen for row in rows]),
        group,
        starts,
        np.array([carry.get(name, 0) for name in names], np.uint32),
        np.array([name in carry for name in names]),
    )
    before: dict[int, list[int | None]] = {name: [] for name in names}
    for row, value, known in zip(rows, result.before.tolist(), result.known.tolist(), strict=True):
        before[row.group].append(value if known else None)
    after = {
        name: value
        for name, value, known in zip(names, result.after.tolist(), result.after_known.tolist(), strict=True)
        if known
    }
    return before, carry | after


def loop_running_max(
    rows: list[Row], carry: dict[int, int]
) -> tuple[dict[int, list[int | None]], dict[int, int]]:
    tops: dict[int, int] = dict(carry)
    before: dict[int, list[int | None]] = {row.group: [] for row in rows}
    for row in rows:
        top = tops.get(row.group)
        before[row.group].append(top)
        if row.chosen and (top is None or 0 < distance(top, row.value) < FAR):
            tops[row.group] = row.value
    return before, tops


carries = st.dictionaries(st.integers(0, 4), sequence_numbers)


@SETTINGS
@given(tables(), carries)
@example([Row(0, 0, True), Row(0, FAR, True), Row(0, FAR - 1, True)], {})
@example([Row(0, 5, False), Row(0, TOP - 1, True), Row(0, 3, True), Row(1, 7, True)], {1: 9})
def test_running_max_is_the_loop(rows: list[Row], carry: dict[int, int]) -> None:
    assert call_running_max(rows, carry) == loop_running_max(rows, carry)


@SETTINGS
@given(tables(calm_numbers), st.dictionaries(st.integers(0, 4), calm_numbers))
def test_running_max_around_the_turn_of_the_circle(rows: list[Row], carry: dict[int, int]) -> None:
    assert call_running_max(rows, carry) == loop_running_max(rows, carry)


@SETTINGS
@given(tables(st.one_of(sequence_numbers, calm_numbers)), carries, st.data())
def test_running_max_in_two_batches(rows: list[Row], carry: dict[int, int], data: st.DataObject) -> None:
    whole_before, whole_after = call_running_max(rows, carry)
    cut = data.draw(st.integers(0, len(rows)))
    before: dict[int, list[int | None]] = {name: [] for name in whole_before}
    for part in (rows[:cut], rows[cut:]):
        if part:
            part_before, carry = call_running_max(part, carry)
            for name, values in part_before.items():
                before[name] += values
    assert before == whole_before
    assert carry == whole_after


def test_running_max_of_one_row() -> None:
    assert call_running_max([Row(3, 17, True)], {}) == ({3: [None]}, {3: 17})
    assert call_running_max([Row(3, 17, False)], {}) == ({3: [None]}, {})
    assert call_running_max([Row(3, 17, False)], {3: TOP - 2}) == ({3: [TOP - 2]}, {3: TOP - 2})


@SETTINGS
@given(tables())
def test_nothing_is_written_into_the_arguments(rows: list[Row]) -> None:
    rows, group, starts, names = sorted_by_group(rows)
    values = np.array([row.value % TOP for row in rows], np.uint32)
    chosen = np.array([row.chosen for row in rows])
    carry = np.arange(len(names), dtype=np.uint32)
    known = np.arange(len(names)) % 2 == 0
    arguments = (values, chosen, group, starts, carry, known)
    for argument in arguments:
        argument.setflags(write=False)
    running_max(*arguments)


@SETTINGS
@given(st.lists(st.tuples(st.booleans(), st.integers(0, TOP - 1), st.integers(0, TOP - 1)), max_size=30))
def test_pick_is_where(rows: list[tuple[bool, int, int]]) -> None:
    mask = np.array([row[0] for row in rows], np.bool_)
    for kind in (np.uint32, np.int64, np.int32, np.uint8, np.bool_):
        yes, no = (np.array([row[place] for row in rows], np.uint64).astype(kind) for place in (1, 2))
        assert pick(mask, yes, no).tolist() == np.where(mask, yes, no).tolist()
        assert pick(mask, yes, no).dtype == yes.dtype
