"""Packets that the capture holds more than once: mirror ports, all interfaces, both sides of a router.

A copy has the same flow, direction, headers and IP ID as a packet before it, or the same timestamps where
there is no IP ID (IPv6, and IPv4's answers without a socket), and comes within COPY_NS. Its TTL may differ.
It counts as a packet of its flow and changes nothing else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch, Mask
from analyzer.model.columns import Flag, PacketColumns
from analyzer.model.records import Records

COPY_NS = 10**7
"""A packet passes a bridge, a router or a mirror port within 10 ms; what is sent again has another IP ID."""
COPY_NUMBERS = 1 << 16
"""No more frames than this lie between a packet and its copy, so that what is remembered is bounded."""

_RECENT = np.dtype(
    [("hash", "u8"), ("tag", "u4"), ("sender", "i8"), ("number", "i8"), ("time", "i8"), ("clock", "i8")]
)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_QUARTER = np.uint32(16)


class Copies:
    """Remembers the last rows of all flows from batch to batch."""

    def __init__(self) -> None:
        self._recent: Records = np.zeros(0, _RECENT)
        self.count = 0

    def find(self, batch: Batch, flows: NDArray[np.int64], idle: Mask, asks: Mask) -> Mask:
        """The rows that are copies: bool (n,).

        ``flows`` are the numbers of the batch's flows, int64 (g,). Only ``idle`` rows, which carry nothing
        new, can be copies; ``asks`` tells those of them that ask only for an answer.
        """
        rows = batch.rows
        tags = _tags(rows)
        copies = np.zeros(len(rows), np.bool_)
        exact = rows.ip_id != 0
        # An acknowledgement that repeats another one may differ in its SACK blocks, which are not known here.
        telling = (rows.payload > 0) | ((rows.flags & (Flag.SYN | Flag.FIN | Flag.RST)) != 0) | asks
        able = idle & (exact | (rows.has_ts & telling))
        marked = np.zeros(1 << 16, np.bool_)
        marked[tags[able] >> _QUARTER] = True
        pool = np.flatnonzero(marked[tags >> _QUARTER])
        known = self._recent[marked[self._recent["tag"] >> _QUARTER]]
        if any_twice(np.concatenate([known["tag"], tags[pool]])):
            found, originals = _same(known, _noted(batch, flows, tags, pool), pool)
            chosen = able[found]
            found, originals = found[chosen], originals[chosen]
            doubtful = ~exact[found] & _may_be_sent_again(rows, found)
            if doubtful.any():
                answered = self._answered(batch, flows, tags, found[doubtful], originals[doubtful])
                found = np.concatenate([found[~doubtful], found[doubtful][~answered]])
            copies[found] = True
            self.count += len(found)
        self._remember(batch, flows, tags)
        return copies

    def _answered(
        self,
        batch: Batch,
        flows: NDArray[np.int64],
        tags: NDArray[np.uint32],
        found: NDArray[np.int64],
        originals: NDArray[np.int64],
    ) -> Mask:
        """The other end sent something between these rows and the packets (frame numbers) that they equal.

        Without an IP ID a fast retransmission within one tick of the timestamps looks the same, but that is
        what acknowledgements ask for. So where there was one in between it is not called a copy.
        """
        pool = np.flatnonzero(np.isin(batch.group, batch.group[found]))
        noted = np.concatenate([self._recent, _noted(batch, flows, tags, pool)])
        places = np.sort(_place(noted["sender"], noted["number"]))
        other = _senders(batch, flows, found) ^ 1
        before = np.searchsorted(places, _place(other, batch.rows.number[found])) - 1
        last = places[np.maximum(before, 0)]
        answered: Mask = (before >= 0) & (last > _place(other, originals))
        return answered

    def _remember(self, batch: Batch, flows: NDArray[np.int64], tags: NDArray[np.uint32]) -> None:
        """Keep what a later row may be a copy of."""
        clock, number = batch.rows.clock.max() - COPY_NS, batch.rows.number.max() - COPY_NUMBERS
        kept = np.flatnonzero((batch.rows.clock > clock) & (batch.rows.number > number))
        old = self._recent
        old = old[(old["clock"] > clock) & (old["number"] > number)]
        self._recent = np.concatenate([old, _noted(batch, flows, tags, kept)])


def _tags(rows: PacketColumns) -> NDArray[np.uint32]:
    """Equal for equal packets, cheap, and mostly different for others: uint32 (n,)."""
    tags: NDArray[np.uint32] = (rows.seq + rows.ack * np.uint32(0x9E3779B1) + rows.ip_id) * np.uint32(
        0x85EBCA77
    )
    return tags


def any_twice(values: NDArray[np.unsignedinteger]) -> bool:
    """Whether any of these occurs more than once."""
    values = np.sort(values)
    return bool((values[1:] == values[:-1]).any())


def _senders(batch: Batch, flows: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each end of each flow, and another for the ICMP errors to it: int64 (k,)."""
    icmp = batch.rows.is_icmp[rows].astype(np.int64) << 1
    return flows[batch.group[rows]] << 2 | icmp | batch.side[rows]


def _noted(
    batch: Batch, flows: NDArray[np.int64], tags: NDArray[np.uint32], chosen: NDArray[np.int64]
) -> Records:
    """What must be known of these rows to find their copies."""
    rows = batch.rows
    noted = np.zeros(len(chosen), _RECENT)
    if not len(chosen):
        return noted
    noted["sender"] = _senders(batch, flows, chosen)
    noted["hash"] = _hashes(rows, chosen, noted["sender"])
    noted["tag"] = tags[chosen]
    for name in ("number", "time", "clock"):
        noted[name] = getattr(rows, name)[chosen]
    return noted


def _hashes(rows: PacketColumns, chosen: NDArray[np.int64], senders: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 bits of all that is equal in copies: uint64 (k,)."""

    def column(name: str) -> NDArray[np.uint64]:
        values: NDArray[np.uint64] = getattr(rows, name)[chosen].astype(np.uint64)
        return values

    value = senders.astype(np.uint64)
    for parts in (
        (("seq", 0), ("ack", 32)),
        (("flags", 0), ("icmp_type", 8), ("icmp_code", 16), ("has_ts", 24), ("ip_id", 32), ("window", 48)),
        (("tsval", 0), ("tsecr", 32)),
        (("payload", 0),),
        (("reporter_hi", 0),),
        (("reporter_lo", 0),),
    ):
        word = column(parts[0][0])
        for name, shift in parts[1:]:
            word |= column(name) << np.uint64(shift)
        value = (value ^ word) * _MIX
        value ^= value >> _HALF
    return value * _ODD


def _same(
    known: Records, noted: Records, pool: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Records of ``pool`` that equal an earlier one near by, and that one's frame number: int64 (k,) each."""
    every = np.concatenate([known, noted])
    order = np.argsort(every["hash"], kind="stable")
    every = every[order]
    first, second = every[:-1], every[1:]
    near = (
        (first["hash"] == second["hash"])
        & (second["clock"] - first["clock"] < COPY_NS)
        & (np.abs(second["time"] - first["time"]) < COPY_NS)
        & (second["number"] - first["number"] < COPY_NUMBERS)
    )
    at = np.flatnonzero(near & (order[1:] >= len(known)))
    return pool[order[1:][at] - len(known)], first["number"][at]


def _may_be_sent_again(rows: PacketColumns, chosen: NDArray[np.int64]) -> Mask:
    """Data and FIN: bool (k,). Nobody sends a SYN, a reset or a probe again so soon."""
    flags = rows.flags[chosen]
    again: Mask = ((rows.payload[chosen] > 0) | ((flags & Flag.FIN) != 0)) & (
        (flags & (Flag.SYN | Flag.RST)) == 0
    )
    return again


def _place(senders: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorts by sender, then by frame: int64 (k,)."""
    return senders << 32 | numbers
