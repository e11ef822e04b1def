"""The index of keys, against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.flows.index import KeyIndex

KEYS = st.sampled_from([0, 1, 2, 4096, 8192, 1 << 63, (1 << 64) - 1, *range(40_960, 41_000)])
"""Many of them begin their search at the same place."""
STEPS = st.lists(st.tuples(st.booleans(), st.lists(KEYS, max_size=12)), max_size=12)


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_it_is_a_dictionary(steps: list[tuple[bool, list[int]]]) -> None:
    index, known, fresh = KeyIndex(), dict[int, int](), 0
    for adds, keys in steps:
        if adds:
            keys = sorted(keys)
            slots = list(range(fresh, fresh + len(keys)))
            fresh += len(keys)
            index.add(np.array(keys, np.uint64), np.array(slots, np.int64))
            known.update(zip(keys, slots, strict=True))
        else:
            removed = {key: known.get(key, 7) for key in keys}
            index.remove(np.array(list(removed), np.uint64), np.array(list(removed.values()), np.int64))
            known = {key: slot for key, slot in known.items() if key not in removed}
        asked = [*known, 3, 5]
        assert index.find(np.array(asked, np.uint64)).tolist() == [known.get(key, -1) for key in asked]


def test_a_newer_slot_stays() -> None:
    index = KeyIndex()
    index.add(np.array([5, 5], np.uint64), np.array([1, 2], np.int64))
    index.remove(np.array([5], np.uint64), np.array([1], np.int64))
    assert index.find(np.array([5], np.uint64)).tolist() == [2]


@pytest.mark.parametrize("at_once", [1000, 30_000])
def test_many_come_and_go(at_once: int) -> None:
    random = np.random.default_rng(at_once)
    index = KeyIndex()
    for begin in range(0, 200_000, at_once):
        keys = np.sort(random.integers(0, 1 << 64, at_once, np.uint64))
        slots = np.arange(begin, begin + at_once)
        index.add(keys, slots)
        assert (index.find(keys) == slots).all()
        index.remove(keys[: at_once - 10], slots[: at_once - 10])
        assert (index.find(keys[: at_once - 10]) == -1).all()
        assert (index.find(keys[at_once - 10 :]) == slots[at_once - 10 :]).all()
