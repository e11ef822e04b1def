"""TCP segments in IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5).

The first fragment has the TCP header and becomes the row of a segment as long as it goes; each later one
becomes the row of a segment that goes on where its place in the datagram says. So every byte counts from
the frame on that brought it, and nothing waits for fragments that a capture filter may have left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.decode import tcp
from analyzer.decode.ip import TCP, Packets
from analyzer.decode.rows import Rows
from analyzer.decode.spans import Rejects
from analyzer.model.columns import Flag

Datagram = tuple[int, ...]
"""What the fragments of one datagram have in common."""

_MOST = 4096
"""Datagrams whose first fragment is remembered."""
_LIFETIME_NS = 30 * 10**9
"""Linux drops what is not whole by then: net.ipv4.ipfrag_time (IPv6: 60 s)."""
_ENDS = ("src_hi", "src_lo", "dst_hi", "dst_lo")


class First(NamedTuple):
    """A first fragment: what its later ones need; ``data`` is where in the datagram its payload begins.

    ``frame`` is the frame's index in the block.
    """

    frame: int
    datagram: Datagram
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    data: int


class Later(NamedTuple):
    """A fragment that begins ``offset`` bytes into its datagram; ``more`` follow."""

    frame: int
    datagram: Datagram
    offset: int
    length: int
    more: bool
    ttl: int
    ip_id: int


def first_fragments(packets: Packets, rejects: Rejects) -> Iterator[First]:
    """Those of these TCP packets that are one, and became a row."""
    if packets.more is None:
        return
    rows = np.flatnonzero(packets.more & ~rejects.has_refused(packets.spans))
    part = packets.take(rows)
    header = part.spans.gather(tcp.HEADER)
    size = (header["offset"] >> 4) * 4
    names = ("sport", "dport", "seq", "ack", "flags", "window")
    columns = (part.spans.index, *(header[name] for name in names), size)
    values = zip(*(column.tolist() for column in columns), strict=True)
    for datagram, (index, *facts) in zip(_datagrams(part), values, strict=True):
        yield First(index, datagram, *facts)


def later_fragments(packets: Packets) -> Iterator[Later]:
    """Those that IP refused, if they are of TCP."""
    part = packets.later
    if part is None or part.offset is None or part.more is None:
        return
    spans, header = part.spans, part.header
    carrier = part.carrier()
    ids = carrier.get("ip_id", np.zeros(len(part), np.uint16))
    columns = (spans.index, part.offset, spans.stop - spans.at, part.more, header["ttl"], ids)
    values = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    for datagram, (index, *facts) in zip(_datagrams(part), values, strict=True):
        yield Later(index, datagram, *facts)


def _datagrams(packets: Packets) -> list[Datagram]:
    """IP version, tunnel, both addresses and the identification of each."""
    count = len(packets)
    endpoints = {"tunnel": 0, **packets.endpoints()}
    names = ("version", "tunnel", *_ENDS)
    columns = [np.broadcast_to(np.asarray(endpoints.get(name, 0)), count).tolist() for name in names]
    ids = [] if packets.ident is None else packets.ident.tolist()
    return list(zip(*columns, ids, strict=True))


class Fragments:
    """Remembers first fragments from block to block."""

    def __init__(self) -> None:
        self._known: dict[Datagram, tuple[First, int]] = {}

    def add(self, seen: list[First | Later], times: NDArray[np.int64], rejects: Rejects, rows: Rows) -> None:
        """Take the fragments of a block; adds a row for each later one whose first one came before it."""
        found: list[tuple[First, Later]] = []
        for fragment in sorted(seen, key=lambda one: one.frame):
            time = int(times[fragment.frame])
            if isinstance(fragment, First):
                self.remember(fragment, time)
                continue
            if first := self.first_of(fragment, time):
                found.append((first, fragment))
        if found:
            index = np.array([later.frame for _, later in found], np.int64)
            rejects.accept(index)
            add_rows(rows, index, found)

    def first_of(self, later: Later, time: int) -> First | None:
        """The first fragment of the same datagram, if it came before."""
        first, began = self._known.get(later.datagram, (None, 0))
        if first and abs(time - began) <= _LIFETIME_NS and later.offset >= first.data:
            return first
        return None

    def remember(self, first: First, time: int) -> None:
        """A first fragment came then (nanoseconds)."""
        self._known.pop(first.datagram, None)  # so that it counts as the newest
        self._known[first.datagram] = (first, time)
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]


def add_rows(rows: Rows, index: NDArray[np.int64], found: Sequence[tuple[First, Later]]) -> None:
    """Add the row of each later fragment, at ``index`` int64 (k,), by what its first one said."""
    values = [_row(first, later) for first, later in found]
    columns = {name: np.array([row[name] for row in values], np.uint64) for name in values[0]}
    rows.add(index, {"protocol": TCP, **columns})


def _row(first: First, later: Later) -> dict[str, int]:
    """The columns of a later fragment. A FIN counts from either end of the segment on."""
    version, tunnel, *ends, _ = later.datagram
    ahead = later.offset - first.data + bool(first.flags & Flag.SYN)
    return {
        "version": version,
        "tunnel": tunnel,
        **dict(zip(_ENDS, ends, strict=True)),
        "sport": first.sport,
        "dport": first.dport,
        "ttl": later.ttl,
        "ip_id": later.ip_id,
        "payload": later.length,
        "seq": (first.seq + ahead) % 2**32,
        "ack": first.ack,
        "flags": first.flags & (Flag.ACK if later.more else Flag.ACK | Flag.FIN),
        "window": first.window,
    }
