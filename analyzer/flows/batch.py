"""Rows sorted by flow, and what is known of both ends just before each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.found import Found, Sums
from analyzer.flows.running import RunningMax
from analyzer.flows.table import TOTALS, Slots
from analyzer.model.columns import PacketColumns

Mask = NDArray[np.bool_]

FAMILIES = {
    "last": {"last_number": "number", "last_time": "time", "last_ttl": "ttl"},
    "data": {
        "last_data_number": "number",
        "last_data_time": "time",
        "last_data_seq": "seq",
        "last_data_length": "payload",
    },
    "turn": {"turn_time": "time"},
    "resent": {
        "resent_number": "number",
        "resent_time": "time",
        "resent_seq": "seq",
        "resent_length": "payload",
    },
    "unseen": {"unseen_number": "number"},
    "window": {"window_number": "number", "window": "window"},
    "probe": {"probe_number": "number", "probe_time": "time"},
}
"""Totals that are a column's value in the last row of some kind that this end sent: by that kind, their names
and the column that each is taken from; where the first is 0, so are the others."""

_COLUMNS = {name: column for columns in FAMILIES.values() for name, column in columns.items()}

SUMS = ("payload", "unseen", "gaps")
"""Totals that are sums over the rows that this end sent."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows sorted by flow.

    group: int64 (n,); starts and ends: int64 (g,), the first row of each group and the one behind the last;
    slot: int64 (g,), side: uint8 (n,); forward: bool (n,), sent by the endpoint that sorts first; stray: bool
    (n,), SYNs that may begin another flow; handed: int64 (h,), such SYNs once more, in the flow that they did
    begin; superseded: int64 (k,), slots whose flow is over because another took its endpoints, and
    superseded_at: int64 (k,), the clock when that one began.
    """

    rows: PacketColumns
    group: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    slot: NDArray[np.int64]
    side: NDArray[np.uint8]
    forward: Mask
    stray: Mask
    handed: NDArray[np.int64]
    superseded: NDArray[np.int64]
    superseded_at: NDArray[np.int64]
    _having: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def last_values(
        self, before: Slots, found: Found, rows: NDArray[np.int64], side: int, *names: str
    ) -> list[NDArray[Any]]:
        """Totals of one end, of one of the FAMILIES, just before each of ``rows``: (k,) each.

        ``found`` are all rows of that kind, ``before`` the slots (g,) as they were before the batch.
        """
        group = self.group.take(rows)
        last = found.last_before(rows, self.starts.take(group))
        inside, outside = np.flatnonzero(last >= 0), np.flatnonzero(last < 0)
        last, group = last.take(inside), group.take(outside)
        totals = []
        for name in names:
            values = np.empty(len(rows), TOTALS[name])
            values[inside] = getattr(self.rows, _COLUMNS[name]).take(last)
            values[outside] = before.some(name, group, side)
            totals.append(values)
        return totals

    def having(self, flags: int) -> NDArray[np.int64]:
        """The rows with any of these Flag bits: int64 (k,)."""
        if flags not in self._having:
            self._having[flags] = np.flatnonzero((self.rows.flags & flags) != 0)
        return self._having[flags]

    def floors(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first row of the flow of each of these: int64 (k,)."""
        return self.starts.take(self.group.take(rows))


@dataclass(frozen=True, slots=True)
class Side:
    """One end just before each row.

    ``sums`` are by their name, one of SUMS, counted from the begin of the batch; those that stay 0 are left
    out. ``found`` are the rows of each kind by its name in FAMILIES; ``opened`` int64 (g,) the first row of
    the batch without SYN, n where there is none.
    """

    seq: RunningMax
    ack: RunningMax
    sums: dict[str, Sums]
    found: dict[str, Found]
    opened: NDArray[np.int64]


Sides = tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class State:
    """Both ends just before each row, and Kind bits of each row: uint16 (n,).

    unknown_ends: FINs behind a promise of which the capture has cut off how much it was.
    """

    sides: Sides
    kinds: NDArray[np.uint16]
    unknown_ends: int
