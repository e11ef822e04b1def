"""Into tunnels: IP in IP, GRE (RFC 2784, RFC 2890), ERSPAN, VXLAN (RFC 7348), Geneve (RFC 8926).

What is found inside is decoded like any packet, with ``Spans.tunnel`` set. A UDP port proves nothing, so
that VXLAN and Geneve are believed only where all headers down to the inner IP header make sense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.decode import ip
from analyzer.decode.ethertype import ETHERNET, IPV4, IPV6, NO_IP, find_ip
from analyzer.decode.ip import Packets
from analyzer.decode.link import Located
from analyzer.decode.spans import Bools, Rejects, Spans, gather, take
from analyzer.model.columns import Undecoded
from analyzer.model.tunnel import HAS_ID, KIND_SHIFT, NESTED_SHIFT, Tunnel

MAX_DEPTH = 4
"""Tunnels inside of each other that are looked into."""

_UDP_SIZE = 8
_ETHERTYPE = 12  # where it stands in an Ethernet header, and the size of that
_ETHERNET_SIZE = 14

_VXLAN = np.dtype([("flags", "u1"), ("rest", "V2"), ("next", "u1"), ("vni", ">u4")])  # VNI: the upper 24 bits
_VXLAN_HAS_VNI, _VXLAN_HAS_NEXT = 0x08, 0x04
_VXLAN_NEXT = np.full(256, NO_IP, dtype=np.uint16)
_VXLAN_NEXT[[1, 2, 3]] = IPV4, IPV6, ETHERNET  # draft-ietf-nvo3-vxlan-gpe section 3.2
_GENEVE = np.dtype([("first", "u1"), ("flags", "u1"), ("protocol", ">u2"), ("vni", ">u4")])
_GENEVE_CONTROL = 0x80

_GRE = np.dtype([("flags", ">u2"), ("protocol", ">u2")])
_CHECKSUM, _ROUTING, _KEY, _SEQUENCE, _VERSION = 0x8000, 0x4000, 0x2000, 0x1000, 0x0007
_ERSPAN_2, _ERSPAN_3 = 0x88BE, 0x22EB
_ERSPAN = np.dtype([("vlan", ">u2"), ("session", ">u2"), ("rest", "V6"), ("type", "u1"), ("last", "u1")])
_SESSION, _IS_CUT, _FRAME_TYPE, _HAS_SUBHEADER = 0x03FF, 0x0400, 0x7C, 0x01


@dataclass(frozen=True, slots=True)
class _Inside:
    """What tunnel headers lead to, (k,) each.

    at: int64, behind the tunnel's header; ethertype: uint16, of what stands there, ETHERNET for a frame;
    tunnel: uint64; alien: this is no such tunnel; is_part: not all of what is inside is in this packet.
    """

    at: NDArray[np.int64]
    ethertype: NDArray[np.uint16]
    tunnel: NDArray[np.uint64]
    alien: Bools
    is_part: Bools | None = None


def open_carriers(packets: Packets, rejects: Rejects) -> list[Located]:
    """What GRE and IP in IP carry; refuses what is no IP."""
    readers = {ip.IPV4: _open_ip, ip.IPV6: _open_ip, ip.GRE: _open_gre}
    parts = ((packets.of_protocol(protocol), reader) for protocol, reader in readers.items())
    return [reader(part, rejects) for part, reader in parts if len(part)]


def _open_ip(packets: Packets, rejects: Rejects) -> Located:
    """IP packets right behind an IP header, whose protocol number says the version."""
    del rejects  # the inner IP header is judged like any
    spans = packets.spans
    version = np.where(packets.protocol == ip.IPV4, 4, 6).astype(np.uint8)
    nothing = np.zeros(len(spans), np.uint64)
    return _enter(packets, spans.at, _value(spans, Tunnel.IPIP, nothing)), version


def _open_gre(packets: Packets, rejects: Rejects) -> Located:
    """RFC 2784, with the key and the sequence number of RFC 2890."""
    spans = packets.spans
    header = spans.gather(_GRE)
    keep = rejects.sift(spans, *_short(spans, spans.at + _GRE.itemsize))
    if keep is not None:
        packets, header = packets.take(keep), take(header, keep)
        spans = packets.spans
    inside = _gre(spans, header)
    inner, version, cut = _link(packets, inside)
    keep = rejects.sift(
        inner,
        (inside.alien, Undecoded.OTHER_PROTOCOL),
        (cut & (spans.stop <= spans.end), Undecoded.BAD_TRANSPORT_HEADER),
        (cut, Undecoded.TRUNCATED),
        (version == 0, Undecoded.OTHER_PROTOCOL),
    )
    return (inner, version) if keep is None else (inner.take(keep), version.take(keep))


def open_udp(packets: Packets) -> tuple[list[Located], Packets]:
    """What is inside of UDP packets, and the packets that hold no tunnel."""
    ports = packets.spans.gather(">u2", ahead=2)
    opened = np.zeros(len(packets), dtype=np.bool_)
    found = []
    for port, reader in _BY_PORT.items():
        chosen = np.flatnonzero(ports == port)
        if not len(chosen):
            continue
        part = packets.take(chosen)
        inside = reader(part.spans)
        inner, version, cut = _link(part, inside)
        good = np.flatnonzero(~inside.alien & ~cut & ip.makes_sense(inner, version))
        if len(good):
            found.append((inner.take(good), version.take(good)))
            opened[chosen[good]] = True
    return found, packets.take(np.flatnonzero(~opened)) if found else packets


def _vxlan(spans: Spans) -> _Inside:
    header = spans.gather(_VXLAN, ahead=_UDP_SIZE)
    return _Inside(
        spans.at + _UDP_SIZE + _VXLAN.itemsize,
        np.where(header["flags"] & _VXLAN_HAS_NEXT, _VXLAN_NEXT[header["next"]], np.uint16(ETHERNET)),
        _value(spans, Tunnel.VXLAN, _identified(header["vni"] >> 8)),
        header["flags"] & _VXLAN_HAS_VNI == 0,
    )


def _geneve(spans: Spans) -> _Inside:
    header = spans.gather(_GENEVE, ahead=_UDP_SIZE)
    options = (header["first"] & 0x3F).astype(np.int64) * 4
    return _Inside(
        spans.at + _UDP_SIZE + _GENEVE.itemsize + options,
        header["protocol"].astype(np.uint16),
        _value(spans, Tunnel.GENEVE, _identified(header["vni"] >> 8)),
        (header["first"] >> 6 != 0) | (header["flags"] & _GENEVE_CONTROL != 0),
    )


_BY_PORT: dict[int, Callable[[Spans], _Inside]] = {4789: _vxlan, 8472: _vxlan, 4790: _vxlan, 6081: _geneve}
"""By destination port; 8472 is what Linux used before VXLAN had a port of its own, and flannel still does;
4790 is that of the generic protocol extension."""


def _gre(spans: Spans, header: NDArray[np.void]) -> _Inside:
    """The optional fields come in this order: checksum, key, sequence number, 4 bytes each."""
    flags, ethertype = header["flags"], header["protocol"].astype(np.uint16)
    has_key = flags & _KEY != 0
    key_at = spans.at + 4 + 4 * (flags & _CHECKSUM != 0)
    key = gather(spans.buffer, ">u4", key_at)
    inside = _Inside(
        key_at + 4 * has_key + 4 * (flags & _SEQUENCE != 0),
        ethertype,
        _value(spans, Tunnel.GRE, np.where(has_key, _identified(key), np.uint64(0))),
        flags & (_ROUTING | _VERSION) != 0,
        np.zeros(len(spans), dtype=np.bool_),
    )
    mirrors = np.flatnonzero((ethertype == _ERSPAN_2) | (ethertype == _ERSPAN_3))
    if len(mirrors):
        _erspan(spans, inside, mirrors, flags[mirrors] & _SEQUENCE != 0)
    return inside


def _erspan(spans: Spans, inside: _Inside, rows: NDArray[np.intp], numbered: Bools) -> None:
    """Step over the ERSPAN header of these rows; type I has none, and no sequence number in GRE."""
    header = gather(spans.buffer, _ERSPAN, inside.at[rows])
    third = inside.ethertype[rows] == _ERSPAN_3
    headed = numbered | third
    subheader = 8 * (header["last"] & _HAS_SUBHEADER)
    inside.at[rows] += np.where(third, 12 + subheader, 8 * numbered)
    is_frame = ~third | (header["type"] & _FRAME_TYPE == 0)
    inside.ethertype[rows] = np.where(is_frame, ETHERNET, NO_IP)
    session = np.where(headed, _identified(header["session"] & _SESSION), np.uint64(0))
    inside.tunnel[rows] = _value(spans.take(rows), Tunnel.ERSPAN, session)
    if inside.is_part is not None:
        inside.is_part[rows] = headed & (header["session"] & _IS_CUT != 0)


def _identified(number: NDArray[Any]) -> NDArray[np.uint64]:
    """The part of a tunnel's value that is its id: uint64 (k,)."""
    return number.astype(np.uint64) | np.uint64(HAS_ID)


def _value(spans: Spans, kind: Tunnel, number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Column ``tunnel`` for a tunnel inside of ``spans.tunnel``: uint64 (k,)."""
    value: NDArray[np.uint64] = number | np.uint64(kind << KIND_SHIFT)
    if spans.tunnel is None:
        return value
    around = (spans.tunnel * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(NESTED_SHIFT) | np.uint64(1)
    return value | around << np.uint64(NESTED_SHIFT)


def _short(spans: Spans, behind: NDArray[np.int64]) -> list[tuple[Bools, Undecoded]]:
    """The tests of a header that ends ``behind``: the packet's fault, or the capture's."""
    return [(behind > spans.stop, Undecoded.BAD_TRANSPORT_HEADER), (behind > spans.end, Undecoded.TRUNCATED)]


def _enter(
    packets: Packets, at: NDArray[np.int64], tunnel: NDArray[np.uint64], is_part: Bools | None = None
) -> Spans:
    """Spans of what is inside, which ends where the packet does, unless that is only a part of it."""
    spans = packets.spans
    stop = spans.stop
    for part in (packets.more, is_part):
        if part is not None:
            stop = np.where(part, stop + ip.ANY_LENGTH, stop)
    return Spans(spans.buffer, spans.index, at, np.minimum(spans.end, spans.stop), stop, tunnel)


def _link(packets: Packets, inside: _Inside) -> tuple[Spans, NDArray[np.uint8], Bools]:
    """Spans at the inner IP header, its version (0 for no IP), and where the headers before it are cut."""
    spans = _enter(packets, inside.at.copy(), inside.tunnel, inside.is_part)
    ethertype = inside.ethertype.copy()
    framed = np.flatnonzero(ethertype == ETHERNET)
    ethertype[framed] = gather(spans.buffer, ">u2", spans.at[framed] + _ETHERTYPE)
    spans.at[framed] += _ETHERNET_SIZE
    cut = spans.lack(0)
    version, deeper_cut = find_ip(spans, spans.at, ethertype)
    return spans, version, cut if deeper_cut is None else cut | deeper_cut
