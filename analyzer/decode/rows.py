"""The columns while they are being filled, one kind of packet after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from analyzer.model.columns import constant

_COLUMNS: dict[str, DTypeLike] = {
    "version": np.uint8,
    "protocol": np.uint8,
    "src_hi": np.uint64,
    "src_lo": np.uint64,
    "dst_hi": np.uint64,
    "dst_lo": np.uint64,
    "sport": np.uint16,
    "dport": np.uint16,
    "ttl": np.uint8,
    "ip_id": np.uint16,
    "payload": np.int64,
    "seq": np.uint32,
    "ack": np.uint32,
    "flags": np.uint8,
    "window": np.uint16,
    "mss": np.uint16,
    "scale": np.int8,
    "has_ts": np.bool_,
    "tsval": np.uint32,
    "tsecr": np.uint32,
    "options": np.uint16,
    "layout": np.uint32,
    "sack_edge": np.uint32,
    "is_icmp": np.bool_,
    "icmp_type": np.uint8,
    "icmp_code": np.uint8,
    "reporter_hi": np.uint64,
    "reporter_lo": np.uint64,
    "tunnel": np.uint64,
    "promised": np.int64,
    "cut": np.bool_,
}

PLACE = "payload_at"
"""A column made only where it is asked for: where in the buffer the payload begins; -1: it has none."""

_EVERY: dict[str, DTypeLike] = {**_COLUMNS, PLACE: np.int64}

_DEFAULTS = {"scale": -1, PLACE: -1}

Columns = Mapping[str, NDArray[Any]]
"""Values by name of their column, (k,) each."""

Values = Mapping[str, "NDArray[Any] | int"]
"""The same; a number stands for k equal ones."""


class Rows:
    """Rows of one block: each ``add`` appends some, ``finish`` puts all into the order of the frames."""

    def __init__(self, capacity: int, *, places: bool = False) -> None:
        self._capacity = capacity
        self._kinds = _EVERY if places else _COLUMNS
        self._count = 0
        self._index: list[NDArray[np.int64]] = []
        self._columns: dict[str, NDArray[Any]] = {}

    def add(self, index: NDArray[np.int64], *parts: Values) -> None:
        """Append a row for each frame of ``index``, int64 (k,); a column that no part names stays default.

        The values may have any byte order and stride: the one copy into the column sets that right.
        """
        if not len(index):
            return
        begin, self._count = self._count, self._count + len(index)
        self._index.append(index)
        for values in parts:
            for name, value in values.items():
                if name not in self._kinds:
                    continue
                if name not in self._columns:
                    self._columns[name] = self._blank(name, self._capacity)
                self._columns[name][begin : self._count] = value

    def finish(self) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """The frames' indices, int64 (rows,), ascending, and every column that is wanted, (rows,)."""
        index, order = self._order()
        columns = {}
        for name in self._kinds:
            column = self._columns.get(name)
            if column is None:
                columns[name] = constant(_default(name), self._count)
            else:
                column = column[: self._count]
                columns[name] = column if order is None else column.take(order)
        return index, columns

    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.intp] | None]:
        """The indices in order, and the permutation that puts rows there; None where they are already."""
        if len(self._index) == 1:  # every stage keeps the order of what it is given
            return self._index[0], None
        index = np.concatenate([np.empty(0, dtype=np.int64), *self._index])
        order = np.argsort(index, kind="stable")
        return index.take(order), order

    @staticmethod
    def _blank(name: str, size: int) -> NDArray[Any]:
        default = _default(name)
        return np.full(size, default) if default else np.zeros(size, default.dtype)


def _default(name: str) -> np.generic:
    return np.dtype(_EVERY[name]).type(_DEFAULTS.get(name, 0))
