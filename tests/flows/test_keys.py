"""Keys of flows, and how rows are sorted by them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.flows.keys import flow_keys, key_order, scramble
from analyzer.model.columns import PacketColumns


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_the_order_of_keys_is_numpys(halves: list[tuple[int, int]]) -> None:
    keys = np.array([begin << 48 | end for begin, end in halves], np.uint64)
    assert key_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("flows", [1, 50, 5_000, 50_000])
def test_so_it_is_of_many_keys(flows: int) -> None:
    random = np.random.default_rng(flows)
    keys = random.integers(0, 1 << 64, flows, np.uint64)[random.integers(0, flows, 60_000)]
    assert (key_order(keys) == np.argsort(keys, kind="stable")).all()


def test_no_address_can_be_chosen_so_that_flows_fall_together() -> None:
    """Without a secret in both halves of an address what one changes in the key the other takes back."""

    def unscrambled(value: int) -> int:
        back = pow(0xD6E8FEB86659FD93, -1, 1 << 64)
        for _ in range(2):
            value ^= value >> 32
            value = value * back % (1 << 64)
        return value ^ value >> 32

    change = 1 << 63
    halves = np.array([0x20010DB8 << 32, 0], np.uint64)
    halves[1] = unscrambled(int(scramble(halves[:1])[0]) ^ change)
    assert int(scramble(halves[1:])[0]) == int(scramble(halves[:1])[0]) ^ change
    ends = {
        "src_hi": halves,
        "src_lo": np.array([5, 5 ^ change], np.uint64),
        "dst_hi": np.zeros(2, np.uint64),
        "dst_lo": np.ones(2, np.uint64),
        "sport": np.full(2, 5000, np.uint16),
        "dport": np.full(2, 80, np.uint16),
        "protocol": np.full(2, 6, np.uint8),
        "version": np.full(2, 6, np.uint8),
        "tunnel": np.zeros(2, np.uint64),
    }
    keys, _ = flow_keys(cast(PacketColumns, SimpleNamespace(**ends)))
    assert keys[0] != keys[1]
