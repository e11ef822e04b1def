"""Decoded packets as columns: one row a packet that belongs to a flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray


class Flag:
    """TCP header flags, RFC 9293 section 3.1: plain numbers, which are quick."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


class Option:
    """TCP options of a header, as bits of a mask: plain numbers, which are quick."""

    MSS = 0x0001
    SCALE = 0x0002
    SACK_PERMITTED = 0x0004
    SACK = 0x0008
    TIMESTAMPS = 0x0010
    SIGNED = 0x0020  # MD5 signature or TCP-AO: RFC 2385, RFC 5925
    USER_TIMEOUT = 0x0040  # RFC 5482
    FAST_OPEN = 0x0080  # RFC 7413
    MPTCP = 0x0100  # RFC 8684, any of its subtypes
    FAST_CLOSE = 0x0200  # ... MP_FASTCLOSE
    MPTCP_RESET = 0x0400  # ... MP_TCPRST

    RESET_REASON_SHIFT = 12
    """The four bits from here on: the reason in MP_TCPRST, RFC 8684 section 3.6; 15 for larger ones."""


class Layout:
    """The order of a SYN's options as an octal number, a digit an option, its first one the highest digit."""

    DIGITS: ClassVar = {"nop": 1, "mss": 2, "ws": 3, "sok": 4, "ts": 5, "eol": 6, "other": 7}
    MOST = 10
    """Options beyond the tenth are left out."""


TCP, UDP = 6, 17
"""IP protocol numbers."""

UNKNOWN_END = -1
"""In the column ``promised``: what says how much there will be was cut off by the capture."""


class Undecoded(IntEnum):
    """Why a frame became no row. ``OTHER_PROTOCOL`` is ordinary (ARP, LLDP ...), the rest is doubt."""

    OTHER_PROTOCOL = 0
    UNKNOWN_LINK_TYPE = 1
    TRUNCATED = 2
    BAD_IP_HEADER = 3
    BAD_TRANSPORT_HEADER = 4
    LATER_FRAGMENT = 5
    ENCRYPTED = 6
    LENGTH_BEYOND_FRAME = 7


NEIGHBOUR = np.dtype(
    [
        ("frame", "i8"),
        ("clock", "i8"),
        ("version", "u1"),
        ("asks", "?"),
        ("asker_hi", "u8"),
        ("asker_lo", "u8"),
        ("target_hi", "u8"),
        ("target_lo", "u8"),
    ]
)
"""ARP or neighbour discovery: ``asker`` asks all for ``target``, or ``target`` answers (``asker`` is 0).
The frame's number, clock (nanoseconds) and addresses as in PacketColumns."""


def _nobody() -> NDArray[np.void]:
    return np.zeros(0, NEIGHBOUR)


@dataclass(frozen=True, slots=True)
class PacketColumns:
    """Rows in file order. TCP, UDP, and ICMP errors that quote a TCP or UDP packet.

    Columns are read, never written; one that has the same value in every row may be ``constant``. Where the
    times are in order ``clock`` is the array ``time``.

    An ICMP row (``is_icmp``) carries addresses, ports, protocol and ``seq`` of the packet that it quotes, so
    that it is keyed as a row of that flow, sent by the quoted packet's source; ``reporter`` is who sent it.
    A packet in a tunnel is a row by its inner headers, and nothing is said of the outer ones but ``tunnel``.
    IPv4 addresses are in the low 32 bits of ``*_lo`` with ``*_hi`` 0; ``version`` tells the two apart.

    ``packets`` is the number of frames of the block, decoded or not; ``clock_end`` the largest time seen in
    the block (nanoseconds); ``undecoded`` int64 (len(Undecoded),) counts the frames that became no row;
    ``shortened`` those that are shorter than the IP packet in them states, although captured whole;
    ``neighbours`` are NEIGHBOUR rows (any number) of those that look for a hardware address.
    """

    capture: int
    packets: int
    clock_end: int
    undecoded: NDArray[np.int64]
    shortened: int

    number: NDArray[np.int64]  # of the frame, from 1; in several files that are one capture it runs on
    time: NDArray[np.int64]  # nanoseconds since the epoch
    clock: NDArray[np.int64]  # largest time of this block's frames up to this one, decoded or not
    version: NDArray[np.uint8]  # 4 or 6
    protocol: NDArray[np.uint8]  # 6 TCP, 17 UDP
    src_hi: NDArray[np.uint64]
    src_lo: NDArray[np.uint64]
    dst_hi: NDArray[np.uint64]
    dst_lo: NDArray[np.uint64]
    sport: NDArray[np.uint16]
    dport: NDArray[np.uint16]
    ttl: NDArray[np.uint8]  # or hop limit; of the ICMP message, or else of the packet itself
    ip_id: NDArray[np.uint16]  # 0 for IPv6
    payload: NDArray[np.int64]  # bytes of payload on the wire, by the IP length
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    flags: NDArray[np.uint8]  # Flag bits; 0 for UDP and ICMP rows
    window: NDArray[np.uint16]  # as in the header, unscaled
    mss: NDArray[np.uint16]  # option of a SYN, or of that which an ICMP row quotes; 0 where absent
    scale: NDArray[np.int8]  # window scale option of a SYN, -1 where absent
    has_ts: NDArray[np.bool_]  # timestamps option present
    tsval: NDArray[np.uint32]
    tsecr: NDArray[np.uint32]
    options: NDArray[np.uint16]  # Option bits of those that are whole
    layout: NDArray[np.uint32]  # order of the options of a SYN, see Layout; 0 without any, and otherwise
    sack_edge: NDArray[np.uint32]  # the highest right edge of its SACK blocks, 0 without any
    is_icmp: NDArray[np.bool_]
    icmp_type: NDArray[np.uint8]
    icmp_code: NDArray[np.uint8]
    reporter_hi: NDArray[np.uint64]  # source address of the ICMP message, 0 otherwise
    reporter_lo: NDArray[np.uint64]
    tunnel: NDArray[np.uint64]  # what the packet travels in, see model.tunnel; 0 for none
    promised: NDArray[
        np.int64
    ]  # bytes that its sender says there will be from this payload's begin on; 0, UNKNOWN_END
    neighbours: NDArray[np.void] = field(default_factory=_nobody)

    def __len__(self) -> int:
        return len(self.number)

    def take(self, index: NDArray[np.int64]) -> PacketColumns:
        """These rows, in this order."""
        columns: dict[str, Any] = {
            name: take(getattr(self, name), index) for name in ROW_FIELDS if name != "clock"
        }
        columns["clock"] = columns["time"] if self.clock is self.time else self.clock.take(index)
        return replace(self, **columns)

    def in_order(self, order: NDArray[np.int64]) -> PacketColumns:
        """The same as ``take(order)``; columns in RARE are put in order only where they are looked at."""
        rare: dict[str, Any] = {name: late(getattr(self, name), order) for name in RARE}
        columns: dict[str, Any] = {
            name: take(getattr(self, name), order) for name in ROW_FIELDS if name not in {*rare, "clock"}
        }
        columns["clock"] = columns["time"] if self.clock is self.time else self.clock.take(order)
        return replace(self, **columns, **rare)

    def part(self, begin: int, end: int) -> PacketColumns:
        """The rows from one place to another, nothing copied."""
        columns: dict[str, Any] = {
            name: getattr(self, name)[begin:end] for name in ROW_FIELDS if name != "clock"
        }
        columns["clock"] = columns["time"] if self.clock is self.time else self.clock[begin:end]
        return replace(self, **columns)

    def halves(self) -> tuple[PacketColumns, PacketColumns]:
        """The rows, two at least, as of two blocks; what is counted of all frames is told by the second.

        Who asks for whom is told by the first, as it may matter to its rows.
        """
        half = len(self) // 2
        first, second = self.part(0, half), self.part(half, len(self))
        nothing = np.zeros_like(self.undecoded)
        clock = int(first.clock[-1])
        first = replace(first, packets=0, clock_end=clock, undecoded=nothing, shortened=0)
        return first, replace(second, neighbours=_nobody())


ROW_FIELDS = tuple(
    f.name
    for f in fields(PacketColumns)
    if f.name not in ("capture", "packets", "clock_end", "undecoded", "shortened", "neighbours")
)
"""Names of the columns with one value a row."""


RARE = frozenset(
    {
        *("version", "src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "tunnel", "ttl"),
        *("mss", "scale", "options", "layout", "sack_edge", "tsval", "tsecr"),
        *("icmp_type", "icmp_code", "reporter_hi", "reporter_lo"),
    }
)
"""Columns of which only a few rows are looked at, once the rows are sorted by flow."""


class Reordered:
    """A column that is put in order only where it is looked at: row k of it is ``values[order[k]]``.

    Rows of it are read as of any column: ``column[rows]``, ``column.take(rows)``; all of it is
    ``np.asarray(column)``. ``values`` (m,), ``order`` int64 (n,).
    """

    __slots__ = ("_order", "_values", "dtype", "strides")

    def __init__(self, values: NDArray[Any], order: NDArray[np.int64]) -> None:
        self._values, self._order = values, order
        self.dtype, self.strides = values.dtype, values.strides

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: Any) -> Any:
        order = self._order[index]
        return Reordered(self._values, order) if isinstance(index, slice) else self._values[order]

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """The values of these rows."""
        return self._values.take(self._order.take(index))

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("of a column that is in order later, rows are compared: column[rows] == ...")

    # An array has none either.
    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._values.take(self._order).astype(dtype or self.dtype, copy=False)


def constant(value: Any, count: int) -> NDArray[Any]:
    """A column with this NumPy value in every row, (count,), which takes no room."""
    return np.ndarray((count,), value.dtype, value.tobytes(), strides=(0,))


def late(values: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any] | Reordered:
    """``values[order]``, to be put in order where that is looked at."""
    return constant(values[0], len(order)) if is_constant(values) else Reordered(values, order)


def is_constant(column: NDArray[Any]) -> bool:
    """Whether it is such a column."""
    return column.strides == (0,) and len(column) > 0


def take(column: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """``column.take(index)``."""
    return constant(column[0], len(index)) if is_constant(column) else column.take(index)


def _concatenated(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    first = parts[0]
    if all(is_constant(part) and part[0] == first[0] for part in parts):
        return constant(first[0], sum(map(len, parts)))
    return np.concatenate(parts)


def joined(parts: Sequence[PacketColumns]) -> PacketColumns:
    """The rows of several blocks that follow each other in one capture, as of one block."""
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: _concatenated([getattr(part, name) for part in parts]) for name in ROW_FIELDS if name != "clock"
    }
    return PacketColumns(
        capture=parts[0].capture,
        packets=sum(part.packets for part in parts),
        clock_end=max(part.clock_end for part in parts),
        undecoded=np.sum([part.undecoded for part in parts], axis=0),
        shortened=sum(part.shortened for part in parts),
        neighbours=_joined_neighbours(parts),
        clock=_joined_clock(parts, columns["time"]),
        **columns,
    )


def _joined_neighbours(parts: Sequence[PacketColumns]) -> NDArray[np.void]:
    ends = np.maximum.accumulate([0, *(part.clock_end for part in parts)]).tolist()
    return np.concatenate([after(part.neighbours, 0, end) for part, end in zip(parts, ends, strict=False)])


def after(neighbours: NDArray[np.void], frames: int, clock: int) -> NDArray[np.void]:
    """NEIGHBOUR rows (k,), where so many frames and that clock stand before those they were decoded with."""
    if not len(neighbours):
        return neighbours
    moved = neighbours.copy()
    moved["frame"] += frames
    moved["clock"] = np.maximum(moved["clock"], clock)
    return moved


def _joined_clock(parts: Sequence[PacketColumns], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """The column ``clock`` of the rows of these blocks, whose times are ``times``."""
    ends = np.maximum.accumulate([part.clock_end for part in parts]).tolist()
    clocks = [part.clock for part in parts]
    late = [place for place in range(1, len(parts)) if (clocks[place][:1] < ends[place - 1]).any()]
    if not late and all(part.clock is part.time for part in parts):
        return times
    for place in late:
        clocks[place] = np.maximum(clocks[place], ends[place - 1])
    return np.concatenate(clocks)
