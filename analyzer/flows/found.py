"""The rows of a batch that have something in common, and where they stand among the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CLOSE = 32
"""Rows so far apart, on average, are looked up one by one."""

Rows = NDArray[np.int64]


class Found:
    """The rows where a mask, bool (n,), holds: int64 (k,), ascending.

    Rows of a batch are sorted by group; ``starts`` int64 (g,) are the first row of each group, ``ends`` those
    behind the last. "Before a row" never includes the row itself; ``floors`` are the first rows of the groups
    of the rows that are asked for: what stands before them is another group's.
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self._mask = mask
        self._last = np.append(np.int64(-1), np.flatnonzero(mask))
        """By how many stand before a row, the last of these."""
        self.rows: Rows = self._last[1:]
        self._counts: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def holds(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of these rows are among them: bool (m,)."""
        return self._mask.take(rows)

    def count_before(self, rows: Rows) -> NDArray[np.int64]:
        """How many of them stand before each of these rows, or before n: (m,)."""
        if self._counts is None:
            n = len(self._mask)
            if len(rows) * _CLOSE < n:
                return np.searchsorted(self.rows, rows)
            self._counts = np.zeros(n + 1, np.int32)
            np.cumsum(self._mask, dtype=np.int32, out=self._counts[1:])
        return self._counts.take(rows).astype(np.int64)

    def last_before(self, rows: Rows, floors: Rows) -> Rows:
        """The last of them before each of these rows: int64 (m,), -1 where there is none."""
        if not len(self.rows):
            return np.full(len(rows), -1)
        last = self._last.take(self.count_before(rows))
        last |= -(last < floors).view(np.int8)  # all bits of those: -1
        return last

    def lasts(self, starts: Rows, ends: Rows) -> Rows:
        """The last of them in each group: int64 (g,), -1 where there is none."""
        return self.last_before(ends, starts)

    def firsts(self, starts: Rows, ends: Rows) -> Rows:
        """The first of them in each group: int64 (g,), n where there is none."""
        n = len(self._mask)
        if not len(self.rows):
            return np.full(len(starts), n)
        first = self.rows.take(self.count_before(starts), mode="clip")
        return np.where((first >= starts) & (first < ends), first, n)

    def count_since(self, since: Found, rows: Rows, floors: Rows, carry: NDArray[np.int64]) -> Rows:
        """How many of them stand before each of these rows and after the last of ``since``: int64 (m,).

        ``carry`` (m,) is how many stood before the batch with none of ``since`` after them.
        """
        if not len(self.rows) and not carry.any():
            return np.zeros(len(rows), np.int64)
        last = since.last_before(rows, floors)
        count = self.count_before(rows) - self.count_before(np.maximum(last, floors))
        counted: Rows = count + np.where(last < 0, carry, 0)
        return counted


class Sums:
    """Sums of numbers of rows, (n,) of any integer type or bools, from one row to another."""

    def __init__(self, values: NDArray[np.integer] | NDArray[np.bool_]) -> None:
        self._totals = np.zeros(len(values) + 1, np.int64)
        np.cumsum(values, out=self._totals[1:])

    def between(self, begins: Rows, ends: Rows) -> NDArray[np.int64]:
        """The sum from each of the rows ``begins`` to the one before that of ``ends``: int64 (m,)."""
        sums: NDArray[np.int64] = self._totals.take(ends) - self._totals.take(begins)
        return sums
