"""From a frame's first byte to its IP header, for each link type (https://www.tcpdump.org/linktypes.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from analyzer.decode import wireless
from analyzer.decode.ethertype import LLC, PPPOE, find_ip, from_ppp, version_of
from analyzer.decode.spans import Bools, Rejects, Spans, words
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import Undecoded

Located = tuple[Spans, NDArray[np.uint8]]
"""Spans that stand at the IP header, and the IP version that the link layer names, uint8 (k,): 4 or 6."""

_PPP = np.dtype([("first", "u1"), ("second", "u1")])

_NULL_IPV4 = (2,)  # AF_INET is 2 everywhere
_NULL_IPV6 = (24, 28, 30)  # AF_INET6 of NetBSD and OpenBSD, FreeBSD, Darwin


def locate(block: FrameBlock, rejects: Rejects) -> Iterator[Located]:
    """The frames of a block that carry IP, by link type; refuses the others."""
    spans = Spans.of(block)
    if not len(spans):
        return
    kinds = block.link_types
    if int(kinds[0]) in _READERS and (kinds == kinds[0]).all():
        yield _READERS[int(kinds[0])](spans, rejects)
        return
    rejects.sift(spans, (~np.isin(kinds, list(_READERS)), Undecoded.UNKNOWN_LINK_TYPE))
    for kind, reader in _READERS.items():
        part = spans.take(np.flatnonzero(kinds == kind))
        if len(part):
            yield reader(part, rejects)


def _ethernet(spans: Spans, rejects: Rejects) -> Located:
    """IEEE 802.3: two addresses of 6 bytes, EtherType."""
    return _by_ethertype(spans, rejects, size=14, ethertype=12)


def _sll(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_LINUX_SLL: 14 bytes on the sender, EtherType. libpcap puts a VLAN tag behind it."""
    return _by_ethertype(spans, rejects, size=16, ethertype=14)


def _sll2(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_LINUX_SLL2: EtherType, 18 bytes on interface and sender."""
    return _by_ethertype(spans, rejects, size=20, ethertype=0)


def _cisco(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_C_HDLC: address, control, EtherType (RFC 1547 section 4.3.1)."""
    return _by_ethertype(spans, rejects, size=4, ethertype=2)


def _by_ethertype(spans: Spans, rejects: Rejects, size: int, ethertype: int) -> Located:
    """A header of ``size`` bytes with an EtherType at ``ethertype``."""
    kinds = words(spans.buffer, spans.at + ethertype)
    return _behind(spans, spans.at + size, kinds, rejects, spans.lack(size))


def _behind(
    spans: Spans, at: NDArray[np.int64], kinds: NDArray[np.uint16], rejects: Rejects, short: Bools
) -> Located:
    """What EtherTypes lead to; refuses what is ``short``."""
    version, cut = find_ip(spans, at, kinds)
    return _found(spans, at, version, rejects, short if cut is None else short | cut)


def _ppp(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_PPP and LINKTYPE_PPP_PPPD."""
    at, kinds = _ppp_protocol(spans)
    return _behind(spans, at, kinds, rejects, spans.lack(4))


def _ppp_hdlc(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_PPP_HDLC: as Cisco's HDLC where the address is one of its."""
    at, kinds = _ppp_protocol(spans)
    address = spans.gather("u1").view(np.uint8)
    is_cisco = (address == 0x0F) | (address == 0x8F)
    at = np.where(is_cisco, spans.at + 4, at)
    kinds = np.where(is_cisco, words(spans.buffer, spans.at + 2), kinds)
    return _behind(spans, at, kinds, rejects, spans.lack(4))


def _ppp_protocol(spans: Spans) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Behind address and control (RFC 1662), if they are there, and the protocol (RFC 1661); its EtherType.

    pppd writes a direction for the address, 0 or 1. A protocol below 256 can be one byte, which is odd.
    """
    begin = spans.gather(_PPP)
    framed = (begin["second"] == 3) & ((begin["first"] == 0xFF) | (begin["first"] <= 1))
    at = spans.at + 2 * framed
    protocol = words(spans.buffer, at)
    is_short = protocol & 0x0100 != 0
    return at + np.where(is_short, 1, 2), from_ppp(np.where(is_short, protocol >> 8, protocol))


def _ppp_with_direction(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_PPP_WITH_DIR: one byte before PPP."""
    return _ppp(spans.moved(spans.at + 1), rejects)


def _pppoe(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_PPP_ETHER: a PPPoE header."""
    kinds = np.full(len(spans), PPPOE, dtype=np.uint16)
    return _behind(spans, spans.at.copy(), kinds, rejects, spans.lack(0))


def _wireless(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_IEEE802_11: LLC behind a header of its own."""
    spans = wireless.behind_header(spans, rejects)
    kinds = np.full(len(spans), LLC, dtype=np.uint16)
    return _behind(spans, spans.at.copy(), kinds, rejects, spans.lack(0))


def _radiotap(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_IEEE802_11_RADIO: what the card says of the frame, then the same."""
    return _wireless(wireless.behind_radiotap(spans, rejects), rejects)


def _null(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_NULL: 4 bytes of address family in the byte order of the machine that captured."""
    family = spans.gather(">u4").astype(np.uint32)
    return _by_family(spans, rejects, np.minimum(family, family.byteswap()))


def _loop(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_LOOP: 4 bytes of address family in network byte order."""
    return _by_family(spans, rejects, spans.gather(">u4").astype(np.uint32))


def _by_family(spans: Spans, rejects: Rejects, family: NDArray[np.uint32]) -> Located:
    version = version_of(np.isin(family, _NULL_IPV4), np.isin(family, _NULL_IPV6))
    return _found(spans, spans.at + 4, version, rejects, spans.lack(4))


def _raw(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_RAW: nothing; the first four bits of the IP header say its version."""
    short = spans.lack(1)
    version = spans.gather("u1").view(np.uint8) >> np.uint8(4)
    alien = (version != 4) & (version != 6)
    keep = rejects.sift(spans, (short, Undecoded.TRUNCATED), (alien, Undecoded.BAD_IP_HEADER))
    return (spans, version) if keep is None else (spans.take(keep), version.take(keep))


def _raw4(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPEIPV4: nothing."""
    return spans, np.full(len(spans), 4, dtype=np.uint8)


def _ipnet(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_IPNET of Solaris: 24 bytes, the address family second."""
    family = spans.gather("u1", ahead=1).view(np.uint8)
    version = version_of(family == 2, family == 26)
    return _found(spans, spans.at + 24, version, rejects, spans.lack(24))


def _raw6(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPEIPV6: nothing."""
    return spans, np.full(len(spans), 6, dtype=np.uint8)


def _found(
    spans: Spans, at: NDArray[np.int64], version: NDArray[np.uint8], rejects: Rejects, short: Bools
) -> Located:
    """Refuse what is ``short`` or no IP, move the rest to ``at``."""
    moved = spans.moved(at)
    keep = rejects.sift(moved, (short, Undecoded.TRUNCATED), (version == 0, Undecoded.OTHER_PROTOCOL))
    return (moved, version) if keep is None else (moved.take(keep), version.take(keep))


_READERS: dict[int, Callable[[Spans, Rejects], Located]] = {
    0: _null,
    1: _ethernet,
    9: _ppp,
    50: _ppp_hdlc,
    51: _pppoe,
    101: _raw,
    104: _cisco,
    105: _wireless,
    108: _loop,
    113: _sll,
    127: _radiotap,
    166: _ppp,
    204: _ppp_with_direction,
    226: _ipnet,
    228: _raw4,
    229: _raw6,
    276: _sll2,
}
"""By LINKTYPE_ value. To read another link type, write its function and name it here."""

LINK_TYPES = frozenset(_READERS)
"""LINKTYPE_ values of the frames that can be read."""
