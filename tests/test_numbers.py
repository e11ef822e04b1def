"""Sets of whole numbers are those that NumPy finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.model.numbers import among, distinct

numbers = st.lists(st.integers(0, 9) | st.integers(0, 2**62))


@given(numbers, numbers)
def test_among(some: list[int], wanted: list[int]) -> None:
    rows, others = np.array(some, np.int64), np.array(wanted, np.int64)
    assert among(rows, others).tolist() == np.isin(rows, others).tolist()


@given(numbers)
def test_distinct(some: list[int]) -> None:
    rows = np.array(sorted(some), np.int64)
    assert distinct(rows).tolist() == np.unique(rows).tolist()
