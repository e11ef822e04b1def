"""IPv4 (RFC 791) and IPv6 (RFC 8200): from the IP header to the transport header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.rows import Values
from analyzer.decode.spans import Bools, Rejects, Spans, gather, take
from analyzer.model.columns import Undecoded

IPV4, TCP, UDP, IPV6, GRE = 4, 6, 17, 41, 47
ICMP = {4: 1, 6: 58}
"""Protocol number of ICMP, by IP version."""

_V4 = np.dtype(
    [
        ("first", "u1"),  # version, header length in words
        ("tos", "u1"),
        ("total", ">u2"),
        ("id", ">u2"),
        ("fragment", ">u2"),  # flags, offset in units of 8 bytes
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("src", ">u4"),
        ("dst", ">u4"),
    ]
)
_V6 = np.dtype(
    [
        ("first", "u1"),  # version, half of the traffic class
        ("label", "V3"),
        ("length", ">u2"),  # of what follows this header
        ("next", "u1"),
        ("ttl", "u1"),
        ("src_hi", ">u8"),
        ("src_lo", ">u8"),
        ("dst_hi", ">u8"),
        ("dst_lo", ">u8"),
    ]
)
_BEGIN = np.dtype([("first", "u1"), ("tos", "u1"), ("total", ">u2"), ("length", ">u2")])  # of either version
_MORE, _OFFSET = 0x2000, 0x1FFF  # in ``fragment``
_EXTENSION = np.dtype([("next", "u1"), ("length", "u1"), ("offset", ">u2"), ("ident", ">u4")])

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AH, _DESTINATION = 0, 43, 44, 51, 60
_IS_EXTENSION = np.zeros(256, dtype=np.bool_)
_IS_EXTENSION[[_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AH, _DESTINATION]] = True
_MAX_EXTENSIONS = 8  # RFC 8200 section 4.1 expects each at most once, destination options twice

_MAX_UNSTATED = 8 * 65_536
"""The longest packet that does not state its length: Linux hands no longer one to a card (GSO_MAX_SIZE)."""

ANY_LENGTH = 2 * _MAX_UNSTATED
"""More than any packet has: added where the end of what carries it says nothing of its length."""


@dataclass(frozen=True, slots=True)
class Packets:
    """IP packets of one version, in file order.

    spans: stand at the transport header, and stop where the IP packet ends; header: (k,) of ``_V4`` or
    ``_V6``; protocol: uint8 (k,), of the transport header; more: those that are a fragment behind which
    others follow, and ident: int64 (k,), the datagrams' identification; None where there is no fragment.
    later: fragments of TCP that are not the first, with ``offset`` int64 (k,), bytes into the datagram.
    """

    version: int
    spans: Spans
    header: NDArray[np.void]
    protocol: NDArray[np.uint8]
    more: Bools | None = None
    ident: NDArray[np.int64] | None = None
    offset: NDArray[np.int64] | None = None
    later: Packets | None = None

    def __len__(self) -> int:
        return len(self.spans)

    def take(self, keep: NDArray[np.intp]) -> Packets:
        """The packets at the positions ``keep``."""
        return Packets(
            self.version,
            self.spans.take(keep),
            take(self.header, keep),
            self.protocol.take(keep),
            None if self.more is None else self.more.take(keep),
            None if self.ident is None else self.ident.take(keep),
        )

    def of_protocol(self, protocol: int) -> Packets:
        """The packets with that transport protocol."""
        mask = self.protocol == protocol
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def endpoints(self) -> Values:
        """Columns: who sent this to whom, in which tunnel."""
        tunnel: Values = {} if self.spans.tunnel is None else {"tunnel": self.spans.tunnel}
        if self.version == 4:
            return {"version": 4, "src_lo": self.header["src"], "dst_lo": self.header["dst"], **tunnel}
        return {
            "version": 6,
            **{name: self.header[name] for name in ("src_hi", "src_lo", "dst_hi", "dst_lo")},
            **tunnel,
        }

    def reporter(self) -> Values:
        """Columns: who sent this, for an ICMP message."""
        if self.version == 4:
            return {"reporter_lo": self.header["src"]}
        return {"reporter_hi": self.header["src_hi"], "reporter_lo": self.header["src_lo"]}

    def carrier(self) -> Values:
        """Columns: what a router or a copy can be told by."""
        if self.version == 4:
            return {"ttl": self.header["ttl"], "ip_id": self.header["id"]}
        return {"ttl": self.header["ttl"]}


def decode(spans: Spans, version: NDArray[np.uint8], rejects: Rejects) -> Iterator[Packets]:
    """IP packets that carry TCP, UDP, ICMP or another packet, by IP version; refuses the others.

    ``spans`` stand at the IP header, ``version`` (k,) is what the link layer says that it is.
    """
    for number in (4, 6):
        mask = version == number
        if mask.all():
            part = spans
        elif mask.any():
            part = spans.take(np.flatnonzero(mask))
        else:
            continue
        yield packets(part, number, rejects)


def makes_sense(spans: Spans, version: NDArray[np.uint8]) -> Bools:
    """Whether an IP header of ``version`` (k,) stands at each place, whose packet ends where it can."""
    header = spans.gather(_BEGIN)
    room = spans.stop - spans.at
    size = (header["first"] & 0x0F).astype(np.int64) * 4
    total = header["total"].astype(np.int64)
    is4 = (size >= _V4.itemsize) & ((total == 0) | (total >= size)) & (np.maximum(total, size) <= room)
    is6 = header["length"].astype(np.int64) + _V6.itemsize <= room
    least = np.where(version == 4, _V4.itemsize, _V6.itemsize)
    said = (version != 0) & (header["first"] >> 4 == version)
    good: Bools = said & ~spans.lack(least) & np.where(version == 4, is4, is6)
    return good


def packets(spans: Spans, version: int, rejects: Rejects, quoted: bool = False) -> Packets:
    """Read IP headers of one version.

    ``quoted`` packets stand in an ICMP error: the length that they state is that of the whole packet, of
    which only the begin is there (and some hosts spoil it), so it is not judged; they stop where the
    message does.
    """
    return _packets4(spans, rejects, quoted) if version == 4 else _packets6(spans, rejects, quoted)


def _packets4(spans: Spans, rejects: Rejects, quoted: bool) -> Packets:
    """RFC 791 section 3.1."""
    header = spans.gather(_V4)
    first = header["first"].copy()
    size = (first & 0x0F).astype(np.int64) * 4
    total, beyond = _wire_length(header["total"].astype(np.int64), spans, quoted)
    protocol = header["protocol"].copy()
    fragment = header["fragment"] & (_MORE | _OFFSET)
    bad = (first >> 4 != 4) | (size < _V4.itemsize) | (total < size)
    keep = rejects.sift(
        spans,
        (spans.lack(_V4.itemsize), Undecoded.TRUNCATED),
        (bad, Undecoded.BAD_IP_HEADER),
        (spans.lack(size), Undecoded.TRUNCATED),
        (beyond, Undecoded.LENGTH_BEYOND_FRAME),
        (_is_other(protocol, 4), Undecoded.OTHER_PROTOCOL),
        (fragment & _OFFSET != 0, Undecoded.LATER_FRAGMENT),
    )
    result = Packets(4, spans.moved(spans.at + size, spans.at + total), header, protocol)
    if fragment.any():
        offset = (fragment & _OFFSET).astype(np.int64) * 8
        more, ident = fragment & _MORE != 0, header["id"].astype(np.int64)
        result = _with_fragments(replace(result, more=more, ident=ident), offset, rejects)
    return result if keep is None else replace(result.take(keep), later=result.later)


def _with_fragments(packets: Packets, offset: NDArray[np.int64], rejects: Rejects) -> Packets:
    """The same, with the later fragments of TCP beside them."""
    refused = rejects.has_refused(packets.spans, Undecoded.LATER_FRAGMENT)
    rows = np.flatnonzero(refused & (packets.protocol == TCP) & (offset > 0))
    return replace(packets, later=replace(packets.take(rows), offset=offset[rows]) if len(rows) else None)


def _packets6(spans: Spans, rejects: Rejects, quoted: bool) -> Packets:
    """RFC 8200 section 3. A jumbogram (RFC 2675) states the length 0 and is as long as its frame."""
    header = spans.gather(_V6)
    length = header["length"].astype(np.int64)
    total, beyond = _wire_length(length + 40 * (length > 0), spans, quoted)
    bad = (header["first"] >> 4 != 6) | (total < _V6.itemsize)
    chain = _walk(spans, spans.at + total, header["next"].copy())
    keep = rejects.sift(
        spans,
        (spans.lack(_V6.itemsize), Undecoded.TRUNCATED),
        (bad | chain.bad, Undecoded.BAD_IP_HEADER),
        (chain.cut, Undecoded.TRUNCATED),
        (beyond, Undecoded.LENGTH_BEYOND_FRAME),
        (_is_other(chain.protocol, 6) & ~_IS_EXTENSION[chain.protocol], Undecoded.OTHER_PROTOCOL),
        (chain.later, Undecoded.LATER_FRAGMENT),
    )
    result = Packets(6, spans.moved(chain.at, spans.at + total), header, chain.protocol)
    if chain.more.any() or chain.later.any():
        result = replace(result, more=chain.more, ident=chain.ident)
        result = _with_fragments(result, chain.offset, rejects)
    return result if keep is None else replace(result.take(keep), later=result.later)


def _wire_length(stated: NDArray[np.int64], spans: Spans, quoted: bool) -> tuple[NDArray[np.int64], Bools]:
    """Bytes of each IP packet on the wire, int64 (k,), -1 where that cannot be; and which cannot be whole.

    A packet captured before the card splits it (TSO) can be too long for its length field, which is 0
    then: it is as long as its frame. A kernel drops a packet that states more than its frame has. But
    where all of a frame was captured, it was cut by something that did not note its length: believed.
    """
    rest = spans.stop - spans.at
    if quoted:
        return rest, np.zeros(len(spans), dtype=np.bool_)
    unstated = stated == 0
    if unstated.any():
        stated = np.where(unstated, np.where(rest <= _MAX_UNSTATED, rest, -1), stated)
    beyond = stated > rest
    if spans.tunnel is None and beyond.any():
        beyond &= spans.stop > spans.end
    return stated, beyond


def _is_other(protocol: NDArray[np.uint8], version: int) -> Bools:
    mask: Bools = (protocol != TCP) & (protocol != UDP) & (protocol != ICMP[version])
    return mask & ~is_carrier(protocol) if mask.any() else mask


def is_carrier(protocol: NDArray[np.uint8]) -> Bools:
    """Which of these IP protocols carry whole packets."""
    mask: Bools = (protocol == GRE) | (protocol == IPV4) | (protocol == IPV6)
    return mask


@dataclass(frozen=True, slots=True)
class _Chain:
    """What extension headers lead to, (k,) each: the transport header, or why there is none.

    later: a fragment but the first; more: others follow; offset: int64, of a fragment in its datagram of
    this ident.
    """

    at: NDArray[np.int64]
    protocol: NDArray[np.uint8]
    bad: Bools
    cut: Bools
    later: Bools
    more: Bools
    offset: NDArray[np.int64]
    ident: NDArray[np.int64]


def _walk(spans: Spans, stop: NDArray[np.int64], protocol: NDArray[np.uint8]) -> _Chain:
    """Step over the extension headers of all packets at once; ``protocol`` is the first next header.

    Writes to ``protocol``. What it finds behind a header that is bad or cut means nothing.
    """
    count = len(spans)
    chain = _Chain(
        spans.at + _V6.itemsize,
        protocol,
        *np.zeros((4, count), dtype=np.bool_),
        *np.zeros((2, count), dtype=np.int64),
    )
    rows = np.flatnonzero(_IS_EXTENSION[protocol])
    for _ in range(_MAX_EXTENSIONS):
        if not len(rows):
            break
        rows = _step(spans, stop, chain, rows)
    chain.bad[rows] = True
    return chain


def _step(spans: Spans, stop: NDArray[np.int64], chain: _Chain, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Step over one extension header of each of ``rows``; returns those that stand at another."""
    behind = chain.at[rows] + _EXTENSION.itemsize
    bad, cut = behind > stop[rows], behind > spans.end[rows]
    chain.bad[rows[bad]] = True
    chain.cut[rows[cut & ~bad]] = True
    rows = rows[~(bad | cut)]
    header = gather(spans.buffer, _EXTENSION, chain.at[rows])
    kind = chain.protocol[rows]
    chain.at[rows] += _extension_size(kind, header["length"])
    chain.protocol[rows] = header["next"]
    bad = chain.at[rows] > stop[rows]
    later = ~bad & (kind == _FRAGMENT) & (header["offset"] >> 3 != 0)
    chain.bad[rows[bad]] = True
    chain.later[rows[later]] = True
    fragment = np.flatnonzero(kind == _FRAGMENT)
    if len(fragment):
        which = rows[fragment]
        chain.more[which] = header["offset"][fragment] & 1 != 0
        chain.offset[which] = header["offset"][fragment] & 0xFFF8
        chain.ident[which] = header["ident"][fragment]
    rows = rows[~(bad | later)]
    return rows[_IS_EXTENSION[chain.protocol[rows]]]


def _extension_size(kind: NDArray[np.uint8], length: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bytes of an extension header: RFC 8200 sections 4.3 to 4.6, RFC 4302 section 2.2 (AH)."""
    units = length.astype(np.int64)
    size: NDArray[np.int64] = np.where(kind == _AH, (units + 2) * 4, (units + 1) * 8)
    size[kind == _FRAGMENT] = 8
    return size
