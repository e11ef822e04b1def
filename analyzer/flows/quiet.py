"""The rows that matter, as columns; and those kept of flows in which nothing was triggered so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from analyzer.flows.table import TOTALS
from analyzer.model.flow import SIDES, Segment, Totals

_HEAD: Mapping[str, DTypeLike] = {
    "flow": np.int64,
    "number": np.uint32,
    "capture": np.int32,
    "time": np.int64,
    "clock": np.int64,
    "side": np.uint8,
    "kinds": np.uint16,
    "seq": np.uint32,
    "ack": np.uint32,
    "flags": np.uint8,
    "window": np.uint16,
    "payload": np.uint32,
    "ttl": np.uint8,
    "ip_id": np.uint16,
    "has_ts": np.bool_,
    "mss": np.uint16,
    "scale": np.int8,
    "layout": np.uint32,
    "icmp_type": np.uint8,
    "icmp_code": np.uint8,
    "version": np.uint8,
    "reporter_hi": np.uint64,
    "reporter_lo": np.uint64,
}
"""Columns of model.flow.Segment but its totals; the names and their order are the same."""


def totals_column(side: int, name: str) -> str:
    """The column of that name of Totals, of one end."""
    return f"{SIDES[side]}.{name}"


_TOTALS = {totals_column(side, name): TOTALS[name] for side in range(len(SIDES)) for name in Totals._fields}
_DTYPES: Mapping[str, DTypeLike] = {**_HEAD, **_TOTALS}


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """``count`` segments, (count,) a column; a column that is 0 in every row may be missing.

    So most of them are: a SYN has no totals, and few segments were sent again.
    """

    count: int
    columns: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, count: int, columns: Mapping[str, NDArray[Any]]) -> SegmentRows:
        """Columns of any integer type, as narrow as they are kept."""
        return cls(
            count, {name: values.astype(_DTYPES[name], copy=False) for name, values in columns.items()}
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, name: str) -> NDArray[Any]:
        values = self.columns.get(name)
        return np.zeros(self.count, _DTYPES[name]) if values is None else values

    def take(self, index: NDArray[np.int64]) -> SegmentRows:
        """These rows, in this order."""
        return SegmentRows(len(index), {name: values.take(index) for name, values in self.columns.items()})

    def segments(self) -> list[Segment]:
        """The rows as plain values."""
        client, server = (
            map(Totals._make, self._rows([totals_column(side, name) for name in Totals._fields]))
            for side in range(len(SIDES))
        )
        heads = self._rows(list(_HEAD))
        return [Segment._make((*head, *both)) for head, *both in zip(heads, client, server, strict=True)]

    def _rows(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """A tuple for each row, of plain values."""
        return zip(*map(self._values, names), strict=True)

    def _values(self, name: str) -> Iterable[Any]:
        values = self.columns.get(name)
        if values is None:
            return repeat(np.dtype(_DTYPES[name]).type(0).item(), self.count)
        plain: list[Any] = values.tolist()
        return plain


def together(parts: Sequence[SegmentRows]) -> SegmentRows:
    """The rows of all parts, one after the other."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return SegmentRows(sum(map(len, parts)), columns)


class QuietRows:
    """Significant rows of flows in which nothing was triggered so far, oldest first."""

    def __init__(self) -> None:
        self._chunks: list[SegmentRows] = []
        self._left = 0

    def add(self, rows: SegmentRows) -> None:
        """Keep these rows."""
        if len(rows):
            self._chunks.append(rows)

    def take(self, flows: NDArray[np.int64]) -> SegmentRows:
        """The rows of these flows; those of each in the order in which they were added."""
        if not len(flows):
            return together([])
        marks = _marked(flows)
        return together([chunk.take(rows) for chunk in self._chunks if len(rows := _of(chunk, marks))])

    @property
    def has_grown(self) -> bool:
        """Whether half as much was added as was left the last time: only then it pays to look for more."""
        return len(self) >= self._left + self._left // 2 + _LEAST

    def keep_only(self, flows: NDArray[np.int64]) -> None:
        """Drop what belongs to other flows: those that ended, or whose rows were taken.

        Chunk by chunk, so that never all of them are there twice. A large one stays whole while most of it is
        left: nobody asks for the rest.
        """
        marks = _marked(flows)
        chunks, self._chunks = self._chunks[::-1], []
        while chunks:
            parts: list[SegmentRows] = []
            while chunks and sum(map(len, parts)) < _CHUNK:
                rows = chunks.pop()
                index = _of(rows, marks)
                parts.append(rows if len(index) > len(rows) // 4 * 3 else rows.take(index))
            self.add(together(parts))
        self._left = len(self)

    def __len__(self) -> int:
        return sum(map(len, self._chunks))


_LEAST = 10_000
"""Rows that are not worth looking through."""
_CHUNK = 32_768
"""Rows of a chunk that is not put together with the next one."""


def _of(rows: SegmentRows, marks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which rows are of marked flows: int64 (k,)."""
    return np.flatnonzero(marks.take(rows["flow"], mode="clip"))


def _marked(flows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True at the number of each of these flows, False at the last place and all others."""
    marks = np.zeros(int(flows.max(initial=-1)) + 2, np.bool_)
    marks[flows] = True
    return marks
