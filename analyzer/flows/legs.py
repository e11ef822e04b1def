"""Connections that the capture shows twice: before and after a NAT, inside and outside of a tunnel.

Their SYNs are one packet: the same initial sequence number, window and timestamp (or IP ID), seen again
within LEG_NS between other addresses, or in another tunnel. A NAT that changes sequence numbers hides it, and
so does whatever makes a connection of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch
from analyzer.flows.copies import COPY_NS
from analyzer.flows.keys import scramble
from analyzer.flows.table import Slots
from analyzer.model.columns import Flag, PacketColumns
from analyzer.model.records import Records, take, where
from analyzer.model.summary import ENDS, LEG, LegRows

LEG_NS = COPY_NS
"""A packet passes a NAT, or is put into a tunnel, as quickly as it passes a bridge."""

_RECENT = np.dtype(
    [
        *(("hash", "u8"), ("number", "i8"), ("time", "i8"), ("clock", "i8")),
        *((name, kind, (2,)) for name, kind in (("flow", "i8"), ("key", "u8"), *ENDS)),
    ]
)
"""A SYN; of its flow (index 1), and of that which showed the same SYN first (index 0)."""
_FIRST = ("flow", "key", *(name for name, _ in ENDS))


class Legs:
    """Remembers the SYNs of all flows from batch to batch, as long as another one may be the same packet."""

    def __init__(self) -> None:
        self._recent: Records = np.zeros(0, _RECENT)

    def find(self, batch: Batch, slots: Slots) -> LegRows:
        """The flows that begin in this batch with a SYN which another flow showed before: LEG rows.

        Writes the number of that flow, plus one, into ``first_leg`` of the slots (g,).
        """
        noted, rows = self._noted(batch, slots)
        sizes = np.diff(np.append(batch.starts, len(batch.rows)))
        legs = np.zeros(0, LEG)
        if len(noted):
            every = np.concatenate([self._recent, noted])
            order = np.lexsort([every["number"], every["hash"]])
            every = take(every, order)
            near = _near(every)
            head = np.maximum.accumulate(np.where(near, 0, np.arange(len(every))))
            for name in _FIRST:
                every[name][:, 0] = every[name][head, 0]
            at = np.flatnonzero(
                near & (order >= len(self._recent)) & (every["key"][:, 0] != every["key"][:, 1])
            )
            own = rows[order[at] - len(self._recent)]
            begins = np.isin(own, batch.starts[slots["rows"] == sizes])
            legs = _legs(every[at[begins]])
            slots["first_leg"][batch.group[own[begins]]] = legs["flow"][:, 0] + 1
            self._recent = every
        if len(self._recent):
            self._recent = where(self._recent, self._recent["clock"] > batch.rows.clock.max() - LEG_NS)
        return legs

    def _noted(self, batch: Batch, slots: Slots) -> tuple[Records, NDArray[np.int64]]:
        """The SYNs of the batch that may be one packet with another one, and their rows: int64 (k,).

        That is those of which a second one is known, and those of the end, whose second one may follow.
        """
        columns = batch.rows
        syn = (columns.flags & (Flag.SYN | Flag.ACK)) == Flag.SYN
        syn[batch.handed] = False
        telling = (columns.seq != 0) & (columns.has_ts | (columns.ip_id != 0))  # made packets often have 0
        rows = np.flatnonzero(syn & ~columns.is_icmp & telling)
        hashes = _hashes(columns, rows)
        chosen = _is_twice(np.concatenate([self._recent["hash"], hashes]))[len(self._recent) :]
        chosen |= columns.clock[rows] > columns.clock.max() - LEG_NS
        rows = rows[chosen]
        noted = np.zeros(len(rows), _RECENT)
        group = batch.group[rows]
        for name in _FIRST:
            noted[name] = slots[name][group][:, None]
        for name in ("number", "time", "clock"):
            noted[name] = getattr(columns, name)[rows]
        noted["hash"] = hashes[chosen]
        return noted, rows


def _is_twice(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of them occur more than once: bool (n,)."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    at = np.flatnonzero(ordered[1:] == ordered[:-1])
    twice = np.zeros(len(hashes), np.bool_)
    twice[order[at]] = twice[order[at + 1]] = True
    return twice


def _hashes(columns: PacketColumns, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 bits of what neither a NAT nor a tunnel changes (the MSS may be clamped): uint64 (k,)."""

    def column(name: str) -> NDArray[np.uint64]:
        values: NDArray[np.uint64] = getattr(columns, name)[rows].astype(np.uint64)
        return values

    has_ts = columns.has_ts[rows]
    stamp = np.where(has_ts, column("tsval"), column("ip_id"))
    first = column("seq") | stamp << np.uint64(32)
    shape = column("window") | column("version") << np.uint64(16) | has_ts.astype(np.uint64) << np.uint64(20)
    shape |= (column("scale") & np.uint64(0xFF)) << np.uint64(24) | column("payload") << np.uint64(32)
    return scramble(scramble(first) ^ shape)


def _near(every: Records) -> NDArray[np.bool_]:
    """Which rows (sorted) are the same SYN as the one before them: bool (n,)."""
    near = np.zeros(len(every), np.bool_)
    near[1:] = every["hash"][1:] == every["hash"][:-1]
    for name in ("clock", "time"):
        near[1:] &= np.abs(every[name][1:] - every[name][:-1]) < LEG_NS
    return near


def _legs(rows: Records) -> LegRows:
    legs = np.zeros(len(rows), LEG)
    for name in ("flow", *(name for name, _ in ENDS)):
        legs[name] = rows[name]
    return legs
