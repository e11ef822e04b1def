"""From an EtherType to the IP header behind it, over what may stand between them.

VLAN tags (IEEE 802.1Q), LLC with SNAP (IEEE 802, RFC 1042), MPLS labels (RFC 3032), PPPoE (RFC 2516).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.spans import Bools, Spans, gather

IPV4, IPV6 = 0x0800, 0x86DD  # IEEE 802 numbers
ETHERNET = 0x6558  # a whole frame in a tunnel ("transparent Ethernet bridging")
PPPOE = 0x8864
LLC = 0
"""Stands for IEEE 802.2 LLC, as every value below 0x0600: an Ethernet frame has its length there."""
NO_IP = 0xFFFF
"""Stands for what cannot be IP; reserved."""

_TAGS = (0x8100, 0x88A8, 0x9100)  # IEEE 802.1Q, 802.1ad, and QinQ as it was before the standard
_MPLS = (0x8847, 0x8848)
_LENGTHS = 0x0600
_MAX_STEPS = 8

_SNAP = bytes([0xAA, 0xAA, 3, 0, 0, 0])
_BYTES = np.dtype([("bytes", "u1", (8,))])

_PPP_TYPES = np.full(1 << 16, NO_IP, dtype=np.uint16)
_PPP_TYPES[[0x0021, 0x0057, 0x0281]] = IPV4, IPV6, _MPLS[0]


def from_ppp(protocol: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The EtherTypes of PPP protocols (RFC 1332, RFC 5072, RFC 3032), uint16 (k,)."""
    return _PPP_TYPES[protocol]


def find_ip(
    spans: Spans, at: NDArray[np.int64], kinds: NDArray[np.uint16]
) -> tuple[NDArray[np.uint8], Bools | None]:
    """The IP version behind these EtherTypes, uint8 (k,), 0 for no IP; and which frames end before that.

    Moves ``at``, int64 (k,), to the IP header, and changes ``kinds``. No mask where no frame can be cut.
    """
    is4, is6 = kinds == IPV4, kinds == IPV6
    rows = np.flatnonzero(~(is4 | is6))
    if not len(rows):
        return version_of(is4, is6), None
    cut = np.zeros(len(spans), dtype=np.bool_)
    for _ in range(_MAX_STEPS):
        rows = rows[_is_shim(kinds[rows])]
        if not len(rows):
            break
        rows = _step(spans, at, kinds, cut, rows)
    return version_of(kinds == IPV4, kinds == IPV6), cut


def version_of(is4: Bools, is6: Bools) -> NDArray[np.uint8]:
    """4, 6, or 0 for what is no IP: uint8 (k,)."""
    return is4 * np.uint8(4) + is6 * np.uint8(6)


def _is_shim(kinds: NDArray[np.uint16]) -> Bools:
    mask: Bools = (kinds < _LENGTHS) | (kinds == PPPOE) | np.isin(kinds, _TAGS + _MPLS)
    return mask


def _step(
    spans: Spans, at: NDArray[np.int64], kinds: NDArray[np.uint16], cut: Bools, rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Step over one header of each of ``rows``; returns those that go on."""
    kind = kinds[rows]
    is_llc, is_pppoe = kind < _LENGTHS, kind == PPPOE
    is_mpls = (kind == _MPLS[0]) | (kind == _MPLS[1])
    need = np.where(
        is_llc | is_pppoe, 8, 4 + is_mpls
    )  # a label does not say what follows, the IP header does
    lacking = at[rows] + need > spans.end[rows]
    ends = lacking & is_llc & (spans.stop[rows] <= spans.end[rows])  # LLC without SNAP can be shorter
    cut[rows[lacking & ~ends]] = True
    bytes_ = gather(spans.buffer, _BYTES, at[rows])["bytes"]
    second, last = _pair(bytes_, 2), _pair(bytes_, 6)
    following = second
    following = np.where(is_mpls, _behind_label(bytes_, kind), following)
    is_snap = (bytes_[:, :6] == np.frombuffer(_SNAP, dtype=np.uint8)).all(axis=1)
    following = np.where(is_llc, np.where(is_snap & (last >= _LENGTHS), last, NO_IP), following)
    is_session = (bytes_[:, 0] == 0x11) & (bytes_[:, 1] == 0)
    following = np.where(is_pppoe, np.where(is_session, from_ppp(last), NO_IP), following)
    kinds[rows] = np.where(lacking, NO_IP, following)
    at[rows] += np.where(is_llc | is_pppoe, 8, 4)
    return rows[~lacking]


def _behind_label(bytes_: NDArray[np.uint8], kind: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The next label; behind the last one only the first four bits of what follows tell."""
    version = bytes_[:, 4] >> 4
    packet = np.where(version == 4, IPV4, np.where(version == 6, IPV6, NO_IP))
    return np.where(bytes_[:, 2] & 1, packet, kind).astype(np.uint16)


def _pair(bytes_: NDArray[np.uint8], place: int) -> NDArray[np.uint16]:
    """The 16-bit number at ``place``."""
    return bytes_[:, place].astype(np.uint16) << np.uint16(8) | bytes_[:, place + 1]
