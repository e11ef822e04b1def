"""The open flows, one slot each, in growing columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.index import KeyIndex

_TOTALS = (
    ("payload", "i8"),
    ("seq_end", "u4"),
    ("has_seq", "?"),
    ("ack", "u4"),
    ("has_ack", "?"),
    ("unseen", "u4"),
    ("unseen_number", "u4"),
    ("gaps", "u4"),
    ("opened_time", "i8"),
    ("last_number", "u4"),
    ("last_time", "i8"),
    ("last_ttl", "u1"),
    ("last_data_number", "u4"),
    ("last_data_time", "i8"),
    ("last_data_seq", "u4"),
    ("last_data_length", "u4"),
    ("turn_time", "i8"),
    ("resent_number", "u4"),
    ("resent_time", "i8"),
    ("resent_seq", "u4"),
    ("resent_length", "u4"),
    ("window", "u2"),
    ("window_number", "u4"),
    ("probe_number", "u4"),
    ("probe_time", "i8"),
    ("probes", "u4"),
)
TOTALS = np.dtype(list(_TOTALS))
"""model.flow.Totals as an array row; the names and their order are the same."""

SLOT = np.dtype(
    [
        ("key", "u8"),
        ("flow", "i8"),
        ("live", "?"),
        ("watched", "?"),  # a rule's trigger occurred: its significant rows go to the shadow sockets
        ("protocol", "u1"),
        ("version", "u1"),
        ("client_guessed", "?"),
        ("client_forward", "?"),  # the client is the endpoint that sorts first in the key
        ("client_hi", "u8"),
        ("client_lo", "u8"),
        ("client_port", "u2"),
        ("server_hi", "u8"),
        ("server_lo", "u8"),
        ("server_port", "u2"),
        ("tunnel", "u8"),
        ("capture", "i4"),
        ("first_leg", "i8"),  # the flow that showed its SYN before, plus one; 0: none
        ("again", "?"),  # its endpoints had another connection shortly before
        ("start", "i8"),
        ("end", "i8"),  # the largest time of its rows
        ("clock", "i8"),  # clock at the last row
        ("rows", "i8"),
        ("significant", "i8"),  # rows that matter, so far
        ("reset", "?"),
        ("has_stray", "?"),  # a SYN came that may begin another flow
        ("opened", "u4", (2,)),  # number of the last SYN of the endpoint that sorts last, first
        ("has_opened", "?", (2,)),
        ("finished", "?", (2,)),  # a FIN from them
        ("answered", "i8"),  # time of the first SYN+ACK
        ("survived", "i8"),  # the longest pause after which both ends went on
        ("idle_close", "i8"),  # from the server's last byte to its FIN, which nothing had asked for
        *((name, kind, (2,)) for name, kind in _TOTALS),  # by side, from here on
        ("reset_by", "?", (2,)),
        ("ttl", "u1", (2,)),  # of the first segment but RST
        ("reset_ttl", "u1", (2,)),  # of the first RST
        ("largest", "u4", (2,)),  # the largest payload of a segment
        ("mss", "u2", (2,)),  # what it said that it takes at once, 0 where it said nothing
        ("fatal", "i8", (2,)),  # the longest pause before a segment that nobody has answered yet
        ("stuck", "?", (2,)),  # sent something again, and no more was acknowledged since
        ("repeating", "?", (2,)),  # ... and that not for the first time, or a SYN or FIN
        ("promise", "u1", (2,)),  # see promises.py
        ("promise_end", "u4", (2,)),
    ]
)


Values = NDArray[Any]


class Slots:
    """Some slots of a table as they are, or are to be; each column is copied when it is asked for.

    A column has one value a slot, (k,), or two, (k, 2), one of each side, each side's in one piece. All that
    is computed of a batch goes through these columns dozens of times: in one array of structures every value
    would lie in a cache line of its own.
    """

    def __init__(self, source: Mapping[str, Values] | Slots, index: NDArray[np.int64] | None = None) -> None:
        """The slots ``index`` of a table, or a copy of other slots that may be changed."""
        self._source = source
        self._index = index
        self._columns: dict[str, Values] = {}
        self._written: list[tuple[str, int | None, NDArray[np.int64] | slice, Any]] = []

    def __len__(self) -> int:
        return len(self._source) if self._index is None else len(self._index)

    def __getitem__(self, name: str) -> Values:
        column = self._columns.get(name)
        if column is None:
            source = self._source[name]
            column = source.copy("K") if self._index is None else _taken(source, self._index)
            self._columns[name] = column
        return column

    def __setitem__(self, name: str, values: Values) -> None:
        if values is not self._columns.get(name):  # what += has changed in place
            self[name][...] = values

    def some(self, name: str, index: NDArray[np.int64], side: int | None = None) -> Values:
        """Values (m,) of the slots at these places (m,), of one side where there are two."""
        if name in self._columns:
            return _of_side(self._columns[name], side).take(index)
        if self._index is not None:
            return _of_side(self._source[name], side).take(self._index.take(index))
        if isinstance(self._source, Slots):
            return self._source.some(name, index, side)
        return _of_side(self._source[name], side).take(index)

    def side(self, name: str, side: int) -> Values:
        """Values (k,) of one of the two sides."""
        if self._index is None or name in self._columns:
            return self[name][:, side]
        return self._source[name][:, side].take(self._index)

    def take(self, index: NDArray[np.int64]) -> Slots:
        """The slots at these places (m,), as they are in the table."""
        return Slots(self._source, index if self._index is None else self._index.take(index))

    def write(
        self, name: str, index: NDArray[np.int64] | slice, values: Any, side: int | None = None
    ) -> None:
        """Let the slots at these places have these values once they are put; what was there is not needed."""
        self._written.append((name, side, index, values))

    def put(self, columns: Mapping[str, Values], index: NDArray[np.int64]) -> set[str]:
        """Overwrite the slots ``index`` of a table with what was changed here; in which columns that was."""
        for name, values in self._columns.items():
            for column, piece in zip(_pieces(columns[name]), _pieces(values), strict=True):
                column[index] = piece
        changed = set(self._columns)
        last, slots = None, index
        for name, side, places, values in self._written:
            if places is not last:  # mostly several columns follow each other of the same ones
                last, slots = places, index[places]
            if len(slots):
                column = _of_side(columns[name], side)
                column[slots] = np.asarray(values, column.dtype)  # which is quicker than as another type
                changed.add(name)
        return changed


ALL = slice(None)
"""All places, for ``Slots.write``."""


def _of_side(column: Values, side: int | None) -> Values:
    return column if side is None else column[:, side]


def _taken(column: Values, index: NDArray[np.int64]) -> Values:
    """``column[index]``, each side's values in one piece."""
    return column.take(index) if column.ndim == 1 else column.T.take(index, axis=1).T


class FlowTable:
    """Slots of the open flows, a column a value; ``find`` gives the newest flow of a pair of endpoints."""

    def __init__(self) -> None:
        self._columns: dict[str, Values] = {name: _zeros(1024, SLOT[name]) for name in SLOT.names or ()}
        self._written: set[str] = set()
        """Columns that are not 0 in all slots: of many captures a third stays so."""
        self._index = KeyIndex()
        self._free: NDArray[np.int64] = np.zeros(0, np.int64)
        self._used = 0
        self._room = 1024

    def __getitem__(self, name: str) -> Values:
        """The column of all slots, those that are free included: (room,) or (room, 2)."""
        return self._columns[name]

    def at(self, index: NDArray[np.int64]) -> Slots:
        """These slots; to be read before the table is changed."""
        return Slots(self._columns, index)

    def put(self, index: NDArray[np.int64], slots: Slots) -> None:
        """Overwrite these slots with what was changed in them."""
        self._written |= slots.put(self._columns, index)

    def write(self, name: str, index: NDArray[np.int64], values: Any) -> None:
        """Overwrite one column of these slots."""
        self._written.add(name)
        self._columns[name][index] = values

    @property
    def used(self) -> int:
        """How many slots are in use."""
        return self._used - len(self._free)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Slot of each key, -1 where there is none: int64 (n,)."""
        return self._index.find(keys)

    def allocate(self, keys: NDArray[np.uint64], order: NDArray[np.int64]) -> NDArray[np.int64]:
        """A new, zeroed slot for each key (ascending), which it is found by from now on: int64 (n,).

        They are handed out in that order of the keys, int64 (n,).
        """
        left = max(len(self._free) - len(keys), 0)
        reused, self._free = self._free[left:][::-1], self._free[:left]
        fresh = np.arange(self._used, self._used + len(keys) - len(reused))
        self._used += len(fresh)
        self._make_room()
        for name in self._written if len(reused) else ():
            for piece in _pieces(self._columns[name]):
                piece[reused] = 0
        found = np.empty(len(keys), np.int64)
        found[order] = np.concatenate([reused, fresh])
        self.write("key", found, keys)
        self.write("live", found, True)
        self._index.add(keys, found)
        return found

    def _make_room(self) -> None:
        """Let every column have as many rows as there are slots, one column after the other."""
        if self._used <= self._room:
            return
        while self._used > self._room:
            self._room *= 2
        for name, column in self._columns.items():
            grown = self._columns[name] = _zeros(self._room, SLOT[name])
            if name in self._written:
                for piece, values in zip(_pieces(grown), _pieces(column), strict=True):
                    piece[: len(values)] = values

    def release(self, slots: NDArray[np.int64]) -> None:
        """Forget these flows."""
        self.write("live", slots, False)
        self._index.remove(self["key"][slots], slots)
        self._free = np.concatenate([self._free, slots])

    def live(self) -> NDArray[np.int64]:
        """Slots in use: int64 (n,)."""
        return np.flatnonzero(self["live"][: self._used])


def _zeros(count: int, dtype: np.dtype[Any]) -> Values:
    """A column of so many slots, each side's values in one piece."""
    return np.zeros((count, *dtype.shape), dtype.base, order="F")


def _pieces(column: Values) -> Sequence[Values]:
    """The values of all slots, or those of each side: arrays in one piece."""
    return (column,) if column.ndim == 1 else (column[:, 0], column[:, 1])
