"""802.11 data frames that are not encrypted: IEEE 802.11 clause 9.3.2, and radiotap (www.radiotap.org)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.spans import Rejects, Spans
from analyzer.model.columns import Undecoded

_FIXED = 24
_HEADER = np.dtype([("control", "u1"), ("flags", "u1"), ("rest", "V20"), ("sequence", "u1"), ("high", "u1")])
_TYPE, _DATA, _EMPTY, _QOS = 0x0F, 0x08, 0x40, 0x80  # of the control byte
_BOTH_DS, _PROTECTED, _ORDER = 0x03, 0x40, 0x80  # of the flags
_FRAGMENT = 0x0F
_AMSDU = 0x80

_RADIOTAP = np.dtype([("version", "u1"), ("pad", "u1"), ("length", "<u2")])


def behind_radiotap(spans: Spans, rejects: Rejects) -> Spans:
    """LINKTYPE_IEEE802_11_RADIO: the frames behind the radiotap headers."""
    header = spans.gather(_RADIOTAP)
    length = header["length"].astype(np.int64)
    keep = rejects.sift(
        spans,
        (spans.lack(_RADIOTAP.itemsize), Undecoded.TRUNCATED),
        ((header["version"] != 0) | (length < 8), Undecoded.OTHER_PROTOCOL),
    )
    moved = spans.moved(spans.at + length)
    return moved if keep is None else moved.take(keep)


def behind_header(spans: Spans, rejects: Rejects) -> Spans:
    """LINKTYPE_IEEE802_11: places of the LLC headers of data frames; refuses the others."""
    header = spans.gather(_HEADER)
    control, flags = header["control"], header["flags"]
    has_qos = control & _QOS != 0
    qos_at = spans.at + _FIXED + 6 * (flags & _BOTH_DS == _BOTH_DS)  # with four addresses
    size = qos_at - spans.at + np.where(has_qos, 2 + 4 * (flags & _ORDER != 0), 0)
    qos = spans.moved(qos_at).gather("u1").view(np.uint8)
    keep = rejects.sift(
        spans,
        (spans.lack(2), Undecoded.TRUNCATED),
        ((control & _TYPE != _DATA) | (control & _EMPTY != 0), Undecoded.OTHER_PROTOCOL),
        (flags & _PROTECTED != 0, Undecoded.ENCRYPTED),
        (spans.lack(size), Undecoded.TRUNCATED),
        (header["sequence"] & _FRAGMENT != 0, Undecoded.LATER_FRAGMENT),
        (_is_amsdu(has_qos, qos), Undecoded.OTHER_PROTOCOL),
    )
    moved = spans.moved(spans.at + size)
    return moved if keep is None else moved.take(keep)


def _is_amsdu(has_qos: NDArray[np.bool_], qos: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Frames that hold several packets, which cards take apart before a capture sees them."""
    mask: NDArray[np.bool_] = has_qos & (qos & _AMSDU != 0)
    return mask
