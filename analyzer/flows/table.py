"""The open flows, one slot each, in one growing array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]
"""A structured array: SLOT rows, mostly."""

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
    ]
)


def put(rows: Rows, index: NDArray[np.int64], values: Rows) -> None:
    """Overwrite these rows."""
    opaque = f"V{rows.dtype.itemsize}"
    rows.view(opaque)[index] = values.view(opaque)


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
