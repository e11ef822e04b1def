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
    """Rows of one block, one a frame: each ``add`` fills in some, ``finish`` gives those that are there."""

    def __init__(self, frames: int, *, places: bool = False) -> None:
        self._frames = frames
        self._kinds = _EVERY if places else _COLUMNS
        self._is_there = np.zeros(frames, np.bool_)
        self._columns: dict[str, NDArray[Any]] = {}

    def add(self, index: NDArray[np.int64], *parts: Values) -> None:
        """Fill in the rows of the frames ``index``, int64 (k,), ascending; what no part names is default.

        The values may have any byte order and stride: the one copy into the column sets that right. They
        belong to the rows from now on.
        """
        if not len(index):
            return
        given = {name: value for values in parts for name, value in values.items() if name in self._kinds}
        if len(index) == self._frames:
            self._is_there[:] = True
            self._columns = {name: self._whole(name, value) for name, value in given.items()}
            return
        self._is_there[index] = True
        for name in self._columns.keys() - given.keys():
            self._columns[name][index] = _default(name)
        for name, value in given.items():
            if name not in self._columns:
                self._columns[name] = self._blank(name)
            self._columns[name][index] = value

    def finish(self) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """The frames' indices, int64 (rows,), ascending, and every column that is wanted, (rows,)."""
        index = np.flatnonzero(self._is_there).astype(np.int64, copy=False)
        columns = {}
        for name in self._kinds:
            column = self._columns.get(name)
            if column is None:
                columns[name] = constant(_default(name), len(index))
            else:
                columns[name] = column if len(index) == self._frames else column.take(index)
        return index, columns

    def _whole(self, name: str, value: NDArray[Any] | int) -> NDArray[Any]:
        """The column where all rows are given at once, so that none can follow."""
        kind = np.dtype(_EVERY[name])
        if isinstance(value, int):
            return constant(kind.type(value), self._frames)
        return np.ascontiguousarray(value, kind)

    def _blank(self, name: str) -> NDArray[Any]:
        default = _default(name)
        return np.full(self._frames, default) if default else np.zeros(self._frames, default.dtype)


def _default(name: str) -> np.generic:
    return np.dtype(_EVERY[name]).type(_DEFAULTS.get(name, 0))
