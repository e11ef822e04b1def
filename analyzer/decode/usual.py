"""What nearly every packet is: IP without options or fragments, and TCP with timestamps or no option.

Both headers are gathered and checked at once. What differs in any way is left to the decoders that know
everything; they would give the same rows for all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode import ip, tcp
from analyzer.decode.promised import promised
from analyzer.decode.rows import PLACE, Rows, Values
from analyzer.decode.spans import Bools, Spans
from analyzer.model.columns import Flag, Option

_HEADERS = {
    version: np.dtype([("ip", header), ("tcp", tcp.HEADER)]) for version, header in ((4, ip.V4), (6, ip.V6))
}
_DIRECT = {
    4: {"src_lo": "src", "dst_lo": "dst", "ip_id": "id"},
    6: {name: name for name in ("src_hi", "src_lo", "dst_hi", "dst_lo")},
}
"""Columns that are a field of the IP header, by IP version; beside those of TCP."""
_NO_OPTIONS, _TWELVE_BYTES = 5, 8  # the header length in words
_FEWEST = 64
"""Packets below which the array operations cost more than they save."""


def decode(spans: Spans, version: NDArray[np.uint8], rows: Rows) -> NDArray[np.intp] | None:
    """Add a row for each packet that is as usual; the positions (k,) in ``spans`` of the rest.

    None: none was looked at, as they are few, or of both IP versions, or most of them are unusual.

    ``spans`` stand at the IP header, ``version`` (k,) is what the link layer says that it is.
    """
    if len(spans) < _FEWEST or (version != version[0]).any():
        return None
    number = int(version[0])
    headers = spans.gather(_HEADERS[number])
    carrier, header = headers["ip"], headers["tcp"]
    length, is_plain = _ipv4(carrier) if number == 4 else _ipv6(carrier)
    words = header["offset"] >> 4
    is_syn = header["flags"] & Flag.SYN != 0  # the order of its options matters
    has_ts = (words == _TWELVE_BYTES) & (header["option"] == tcp.NOP_NOP_TIMESTAMPS) & ~is_syn
    sizes = carrier.itemsize + words.astype(np.int64) * 4
    is_usual = is_plain & (has_ts | (words == _NO_OPTIONS))
    is_usual &= (length >= sizes) & (length <= spans.stop - spans.at) & ~spans.lack(sizes)
    rest = np.flatnonzero(~is_usual)
    if len(rest) * 2 > len(spans):
        return None
    begin, end = spans.at + sizes, np.minimum(spans.end, spans.at + length)
    payload = length - sizes
    values: Values = {
        "version": number,
        "protocol": ip.TCP,
        "ttl": carrier["ttl"],
        "payload": payload,
        PLACE: begin,
        "has_ts": has_ts,
        "tsval": header["tsval"] * has_ts,
        "tsecr": header["tsecr"] * has_ts,
        "options": has_ts * np.uint16(Option.TIMESTAMPS),
        **{name: header[name] for name in tcp.DIRECT},
        **{name: carrier[field] for name, field in _DIRECT[number].items()},
    }
    if spans.tunnel is not None:
        values = {**values, "tunnel": spans.tunnel}
    payload[rest] = 0
    told = promised(spans.buffer, begin, end * is_usual, payload)
    if told is not None:
        values = {**values, "promised": told}
    rows.add(spans.index, values)
    if len(rest):
        rows.remove(spans.index[rest])
    return rest


def _ipv4(header: NDArray[np.void]) -> tuple[NDArray[np.int64], Bools]:
    """Bytes of each packet, int64 (k,), and which have neither options nor fragments, and hold TCP."""
    is_plain = (header["first"] == 0x45) & (header["protocol"] == ip.TCP)
    is_plain &= header["fragment"] & (ip.MORE | ip.OFFSET) == 0
    return header["total"].astype(np.int64), is_plain


def _ipv6(header: NDArray[np.void]) -> tuple[NDArray[np.int64], Bools]:
    """The same; a jumbogram states the length 0 and is never as usual."""
    is_plain = (header["first"] >> 4 == 6) & (header["next"] == ip.TCP)
    return header["length"].astype(np.int64) + ip.V6.itemsize, is_plain
