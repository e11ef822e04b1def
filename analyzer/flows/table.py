"""The open flows, one slot each, in one growing array; and the significant rows kept for quiet ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]
"""A structured array: SLOT or SEGMENT rows."""

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
        *((name, kind, (2,)) for name, kind in _TOTALS),  # by side, from here on
        ("reset_by", "?", (2,)),
        ("largest", "u4", (2,)),  # the largest payload of a segment
        ("fatal", "i8", (2,)),  # the longest pause before a segment that nobody has answered yet
        ("stuck", "?", (2,)),  # sent something again, and no more was acknowledged since
        ("repeating", "?", (2,)),  # ... and that not for the first time, or a SYN or FIN
    ]
)

SEGMENT = np.dtype(
    [
        ("flow", "i8"),
        ("number", "u4"),
        ("capture", "i4"),
        ("time", "i8"),
        ("clock", "i8"),
        ("side", "u1"),
        ("kinds", "u2"),
        ("seq", "u4"),
        ("ack", "u4"),
        ("flags", "u1"),
        ("window", "u2"),
        ("payload", "u4"),
        ("ttl", "u1"),
        ("ip_id", "u2"),
        ("has_ts", "?"),
        ("mss", "u2"),
        ("scale", "i1"),
        ("layout", "u4"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("version", "u1"),
        ("reporter_hi", "u8"),
        ("reporter_lo", "u8"),
        ("client", TOTALS),
        ("server", TOTALS),
    ]
)
"""model.flow.Segment as an array row; the names and their order are the same."""


def take(rows: Rows, index: NDArray[np.int64]) -> Rows:
    """These rows, in this order. As opaque bytes: field by field NumPy takes thirty times as long."""
    opaque = rows.view(f"V{rows.dtype.itemsize}")
    return opaque.take(index).view(rows.dtype)


def put(rows: Rows, index: NDArray[np.int64], values: Rows) -> None:
    """Overwrite these rows."""
    opaque = f"V{rows.dtype.itemsize}"
    rows.view(opaque)[index] = values.view(opaque)


def together(parts: Sequence[Rows]) -> Rows:
    """The rows of one or more arrays of one dtype, one after the other."""
    dtype = parts[0].dtype
    return np.concatenate([part.view(f"V{dtype.itemsize}") for part in parts]).view(dtype)


class FlowTable:
    """Slots of the open flows; ``by_key`` finds the newest flow of a pair of endpoints."""

    def __init__(self) -> None:
        self.slots: Rows = np.zeros(1024, SLOT)
        self.by_key: dict[int, int] = {}
        self._free: list[int] = []
        self._used = 0

    @property
    def used(self) -> int:
        """How many slots are in use."""
        return self._used - len(self._free)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Slot of each key, -1 where there is none: int64 (n,)."""
        get = self.by_key.get
        return np.array([get(key, -1) for key in keys.tolist()], np.int64)

    def allocate(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """A new, zeroed slot for each key, which it is found by from now on: int64 (n,)."""
        reused = [self._free.pop() for _ in range(min(len(keys), len(self._free)))]
        fresh = range(self._used, self._used + len(keys) - len(reused))
        self._used = fresh.stop
        while self._used > len(self.slots):
            self.slots.resize(2 * len(self.slots), refcheck=False)  # in place where the system can
        found = np.array([*reused, *fresh], np.int64)
        put(self.slots, found, np.zeros(1, SLOT))
        self.slots["key"][found] = keys
        self.slots["live"][found] = True
        self.by_key.update(zip(keys.tolist(), found.tolist(), strict=True))
        return found

    def release(self, slots: NDArray[np.int64]) -> None:
        """Forget these flows."""
        self.slots["live"][slots] = False
        for key, slot in zip(self.slots["key"][slots].tolist(), slots.tolist(), strict=True):
            if self.by_key.get(key) == slot:
                del self.by_key[key]
        self._free.extend(slots.tolist())

    @property
    def count(self) -> int:
        """How many slots are in use."""
        return self._used - len(self._free)

    def live(self) -> NDArray[np.int64]:
        """Slots in use: int64 (n,)."""
        return np.flatnonzero(self.slots["live"][: self._used])


class QuietRows:
    """Significant rows of flows in which nothing was triggered so far, oldest first.

    The first ones of a flow, a SYN mostly, have no totals yet: those are kept without the room for them.
    """

    def __init__(self) -> None:
        self._first = _Kept(_HEAD)
        self._others = _Kept(SEGMENT.itemsize)
        self._left = 0

    def add(self, rows: Rows) -> None:
        """Keep these SEGMENT rows."""
        flows = rows["flow"].copy()
        plain = rows.view(np.uint8).reshape(len(rows), SEGMENT.itemsize)
        has_totals = plain[:, _HEAD:].any(axis=1)
        for kept, index in ((self._first, ~has_totals), (self._others, has_totals)):
            chosen = np.flatnonzero(index)
            if len(chosen):
                kept.chunks.append(np.ascontiguousarray(plain[:, : kept.width]).view(kept.dtype)[chosen, 0])
                kept.flows.append(flows[chosen])

    def take(self, flows: NDArray[np.int64]) -> Rows:
        """The rows of these flows; those of each in the order in which they were added."""
        if not len(flows):
            return np.zeros(0, SEGMENT)
        marks = _marked(flows)
        parts = []
        for kept in (self._first, self._others):  # totals never become nothing again
            found = kept.take(marks)
            rows = np.zeros((len(found), SEGMENT.itemsize), np.uint8)
            rows[:, : kept.width] = found.view(np.uint8).reshape(len(found), kept.width)
            parts.append(rows.view(SEGMENT)[:, 0])
        return together(parts)

    def keep_only(self, flows: NDArray[np.int64]) -> None:
        """Drop what belongs to other flows: those that ended, or whose rows were taken.

        Nothing happens until half as much again was added as was left the last time: so this stays cheap.
        """
        if len(self) < self._left + self._left // 2 + _LEAST:
            return
        marks = _marked(flows)
        self._first.keep_only(marks)
        self._others.keep_only(marks)
        self._left = len(self)

    def __len__(self) -> int:
        return len(self._first) + len(self._others)


_HEAD = SEGMENT.itemsize - 2 * TOTALS.itemsize
"""Bytes of a SEGMENT row before its totals."""
_LEAST = 10_000
"""Rows that are not worth looking through."""
_CHUNK = 65_536
"""Rows of a chunk that is not put together with the next one."""


class _Kept:
    """Rows of so many bytes, in chunks; and beside each of them the flow of each of its rows."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.dtype = np.dtype(f"V{width}")
        self.chunks: list[NDArray[np.void]] = []
        self.flows: list[NDArray[np.int64]] = []

    def take(self, marks: NDArray[np.bool_]) -> NDArray[np.void]:
        """The rows of marked flows."""
        parts = [np.zeros(0, self.dtype)]
        for chunk, of in zip(self.chunks, self.flows, strict=True):
            found = np.flatnonzero(marks.take(of, mode="clip"))
            if len(found):
                parts.append(chunk.take(found))
        return np.concatenate(parts)

    def keep_only(self, marks: NDArray[np.bool_]) -> None:
        """Drop the rows of other flows; chunk by chunk, so that never all of them are there twice."""
        chunks, flows = self.chunks, self.flows
        self.chunks, self.flows = [], []
        while chunks:
            parts: list[NDArray[np.void]] = []
            of: list[NDArray[np.int64]] = []
            count = 0
            while chunks and count < _CHUNK:
                chunk, its_flows = chunks.pop(0), flows.pop(0)
                found = np.flatnonzero(marks.take(its_flows, mode="clip"))
                parts.append(chunk.take(found))
                of.append(its_flows.take(found))
                count += len(found)
            self.chunks.append(np.concatenate(parts))
            self.flows.append(np.concatenate(of))

    def __len__(self) -> int:
        return sum(map(len, self.flows))


def _marked(flows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True at the number of each of these flows, False at the last place and all others."""
    marks = np.zeros(int(flows.max(initial=-1)) + 2, np.bool_)
    marks[flows] = True
    return marks
