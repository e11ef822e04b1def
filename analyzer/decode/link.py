"""From a frame's first byte to its IP header, for each link type (https://www.tcpdump.org/linktypes.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.spans import Bools, Rejects, Spans, gather
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import Undecoded

Located = tuple[Spans, NDArray[np.uint8]]
"""Spans that stand at the IP header, and the IP version that the link layer names, uint8 (k,): 4 or 6."""

IPV4, IPV6 = 0x0800, 0x86DD  # EtherTypes, IEEE 802 numbers
ETHERNET = 0x6558  # a whole frame in a tunnel ("transparent Ethernet bridging")
_TAGS = (0x8100, 0x88A8, 0x9100)  # IEEE 802.1Q, 802.1ad, and QinQ as it was before the standard
_MAX_TAGS = 4

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


def _by_ethertype(spans: Spans, rejects: Rejects, size: int, ethertype: int) -> Located:
    """A header of ``size`` bytes with an EtherType at ``ethertype``, then any VLAN tags."""
    short = spans.lack(size)
    kinds = spans.gather(">u2", ahead=ethertype).astype(np.uint16)
    at = spans.at + size
    version, cut = behind_ethertype(spans, at, kinds)
    return _found(spans, at, version, rejects, short if cut is None else short | cut)


def behind_ethertype(
    spans: Spans, at: NDArray[np.int64], kinds: NDArray[np.uint16]
) -> tuple[NDArray[np.uint8], Bools | None]:
    """The IP version behind these EtherTypes, uint8 (k,), 0 for no IP; and which frames end before that.

    Moves ``at``, int64 (k,), to the IP header, and changes ``kinds``. No mask where no frame can be cut.
    """
    cut = _untag(spans, at, kinds)
    return _version(kinds == IPV4, kinds == IPV6), cut


def _untag(spans: Spans, at: NDArray[np.int64], kinds: NDArray[np.uint16]) -> Bools | None:
    """Step over VLAN tags (2 bytes of tag, the next EtherType): moves ``at`` and ``kinds`` in place.

    Returns the mask of frames that end inside a tag, None where no frame has any tag.
    """
    rows = np.flatnonzero(_is_tag(kinds))
    if not len(rows):
        return None
    cut = np.zeros(len(spans), dtype=np.bool_)
    for _ in range(_MAX_TAGS):
        lacking = at[rows] + 4 > spans.end[rows]
        cut[rows[lacking]] = True
        rows = rows[~lacking]
        kinds[rows] = gather(spans.buffer, ">u2", at[rows] + 2)
        at[rows] += 4
        rows = rows[_is_tag(kinds[rows])]
    return cut


def _is_tag(kinds: NDArray[np.uint16]) -> Bools:
    first, second, third = _TAGS
    mask: Bools = (kinds == first) | (kinds == second) | (kinds == third)
    return mask


def _null(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_NULL: 4 bytes of address family in the byte order of the machine that captured."""
    family = spans.gather(">u4").astype(np.uint32)
    return _by_family(spans, rejects, np.minimum(family, family.byteswap()))


def _loop(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPE_LOOP: 4 bytes of address family in network byte order."""
    return _by_family(spans, rejects, spans.gather(">u4").astype(np.uint32))


def _by_family(spans: Spans, rejects: Rejects, family: NDArray[np.uint32]) -> Located:
    version = _version(np.isin(family, _NULL_IPV4), np.isin(family, _NULL_IPV6))
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


def _raw6(spans: Spans, rejects: Rejects) -> Located:
    """LINKTYPEIPV6: nothing."""
    return spans, np.full(len(spans), 6, dtype=np.uint8)


def _version(is4: Bools, is6: Bools) -> NDArray[np.uint8]:
    """4, 6, or 0 for what is no IP."""
    return is4 * np.uint8(4) + is6 * np.uint8(6)


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
    101: _raw,
    108: _loop,
    113: _sll,
    228: _raw4,
    229: _raw6,
    276: _sll2,
}
"""By LINKTYPE_ value. To read another link type, write its function and name it here."""
