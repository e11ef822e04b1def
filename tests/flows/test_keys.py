"""Keys of flows, and how rows are sorted by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.flows.keys import key_order


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
