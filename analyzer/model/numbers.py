"""Sets of whole numbers. NumPy's ``unique`` and ``isin`` import all of numpy.ma first, which takes 8 ms."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.integer[Any])


def distinct(numbers: NDArray[T]) -> NDArray[T]:
    """Each once, of numbers (n,) in ascending order, none of them negative."""
    once: NDArray[T] = numbers[np.diff(numbers, prepend=-1) != 0]
    return once


def among(numbers: NDArray[T], wanted: NDArray[T]) -> NDArray[np.bool_]:
    """Which of them are wanted: bool (n,). Of many ``numbers`` and few that are wanted, in any order."""
    if not len(wanted):
        return np.zeros(len(numbers), np.bool_)
    known = np.sort(wanted)
    found: NDArray[np.bool_] = known[np.searchsorted(known[:-1], numbers)] == numbers
    return found
