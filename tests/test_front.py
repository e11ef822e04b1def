"""What is done with frames before their flows are known: no row is lost, whatever the blocks and batches."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.model.columns import RARE, ROW_FIELDS, PacketColumns, constant, is_constant, joined
from analyzer.pipeline import front as front_module
from analyzer.pipeline.front import Front
from tests.flows.columns import batches_of, columns_of
from tests.flows.conversations import many_actions, packets_of

PACKETS = packets_of(many_actions(3, 200))


def same(one: PacketColumns, other: PacketColumns) -> bool:
    return all(
        np.array_equal(getattr(one, entry.name), getattr(other, entry.name))
        for entry in fields(PacketColumns)
    )


@pytest.mark.parametrize("value", [np.uint8(6), np.int64(-1), np.bool_(True), np.uint64(1 << 63)])
def test_a_column_of_one_value(value: np.generic) -> None:
    column = constant(value, 5)
    assert is_constant(column)
    assert not column.flags.writeable
    assert column.dtype == value.dtype
    assert column.tolist() == [value.item()] * 5
    assert not is_constant(constant(value, 0))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, len(PACKETS) - 1), max_size=6))
def test_joined_blocks_are_one_block(cuts: list[int]) -> None:
    assert same(joined(list(batches_of(PACKETS, cuts))), columns_of(PACKETS))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=30), st.integers(1, 29), st.integers(0, 60))
def test_the_clock_is_the_largest_time_so_far(times: list[int], cut: int, last: int) -> None:
    packets = [replace(PACKETS[0], time=time) for time in times]
    parts = list(batches_of(packets, [min(cut, len(times) - 1)]))
    parts[0] = replace(parts[0], clock_end=max(parts[0].clock_end, last))  # a frame of another protocol
    parts = [replace(part, clock=part.time) if (part.clock == part.time).all() else part for part in parts]
    rows = joined(parts)
    clocks = np.maximum.accumulate(times).tolist()
    first = len(parts[0])
    assert rows.clock.tolist() == clocks[:first] + [max(last, clock) for clock in clocks[first:]]
    assert rows.clock_end == max(last, *times)
    assert [part.clock.tolist() for part in parts] == [
        np.maximum.accumulate(part.time).tolist() for part in parts
    ]


def test_the_clock_is_the_column_of_times_where_these_are_in_order() -> None:
    parts = [replace(part, clock=part.time) for part in batches_of(PACKETS, [100, 150])]
    rows = joined(parts)
    assert rows.clock is rows.time
    taken = rows.take(np.array([3, 1, 7]))
    assert taken.clock is taken.time
    assert taken.time.tolist() == rows.time[[3, 1, 7]].tolist()


def test_columns_in_order_later_read_as_if_they_were() -> None:
    whole = columns_of(PACKETS)
    order = np.random.default_rng(1).permutation(len(whole))
    rows, taken = whole.in_order(order), whole.take(order)
    assert same(rows, taken)
    assert same(rows.part(7, 90), taken.part(7, 90))
    assert same(rows.take(order), taken.take(order))
    some = np.array([5, 5, 0])
    for name in RARE:
        column, expected = getattr(rows, name), getattr(taken, name)
        assert (len(column), column.dtype) == (len(expected), expected.dtype)
        assert column[some].tolist() == column.take(some).tolist() == expected[some].tolist()
        assert column[3] == expected[3]
        if not is_constant(column):
            with pytest.raises(TypeError, match="rows"):
                column == column[3]  # noqa: B015  (this is what raises)


@pytest.mark.parametrize("count", [2, 3, 200])
def test_halves_are_the_whole(count: int) -> None:
    whole = columns_of(PACKETS[:count])
    first, second = whole.halves()
    assert (first.packets, second.packets) == (0, whole.packets)
    assert same(joined([first, second]), whole)


@pytest.mark.parametrize("most", [1, 5_000, 100_000])
def test_batches_have_little_payload(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(front_module, "_BATCH_BYTES", most)
    whole = columns_of(PACKETS)
    front = Front(10_000)
    batches = [keyed.sorted() for keyed in (*front.put(whole), *front.rest())]
    assert all(batch.rows.payload.sum() <= most or len(batch.rows) == 1 for batch in batches)
    assert sum(batch.rows.packets for batch in batches) == len(PACKETS)
    numbers = np.concatenate([np.sort(batch.rows.number) for batch in batches])
    assert numbers.tolist() == whole.number.tolist()
    order = np.argsort(np.concatenate([batch.rows.number for batch in batches]), kind="stable")
    for name in ROW_FIELDS:
        column = np.concatenate([getattr(batch.rows, name) for batch in batches])
        assert np.array_equal(column[order], getattr(whole, name))
