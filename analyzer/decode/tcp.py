"""TCP headers: RFC 9293 section 3.1, with the timestamps of RFC 7323 where they stand as recommended."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.ip import TCP, Packets
from analyzer.decode.options import Options, walk
from analyzer.decode.promised import promised
from analyzer.decode.rows import PLACE, Columns, Rows
from analyzer.decode.spans import Bools, Rejects, Spans, take
from analyzer.model.columns import Flag, Option, Undecoded

_FIXED = 20
HEADER = np.dtype(
    [
        ("sport", ">u2"),
        ("dport", ">u2"),
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("offset", "u1"),  # header length in words, 4 reserved bits
        ("flags", "u1"),
        ("window", ">u2"),
        ("checksum", ">u2"),
        ("urgent", ">u2"),
        # Not of the fixed header, but gathered with it: nearly always these are the options.
        ("option", ">u4"),
        ("tsval", ">u4"),
        ("tsecr", ">u4"),
    ]
)
_DIRECT = ("sport", "dport", "seq", "ack", "flags", "window")

_NOP_NOP_TIMESTAMPS = 0x0101080A  # the layout that RFC 7323 appendix A recommends


def decode(packets: Packets, rejects: Rejects, rows: Rows) -> None:
    """Add a row for each TCP packet; refuses those whose header is damaged."""
    spans = packets.spans
    header = spans.gather(HEADER)
    room = spans.stop - spans.at
    size = (header["offset"] >> 4).astype(np.int64) * 4
    keep = rejects.sift(
        spans,
        (room < _FIXED, Undecoded.BAD_TRANSPORT_HEADER),
        (spans.lack(_FIXED), Undecoded.TRUNCATED),
        ((size < _FIXED) | (size > room), Undecoded.BAD_TRANSPORT_HEADER),
    )
    if keep is not None:
        packets, header = packets.take(keep), take(header, keep)
        room, size = room.take(keep), size.take(keep)
    spans = packets.spans
    begin, payload = spans.at + size, room - size
    told = promised(spans.buffer, begin, np.minimum(spans.end, spans.stop), payload)
    rows.add(
        spans.index,
        {"protocol": TCP, "payload": payload, **{name: header[name] for name in _DIRECT}},
        {PLACE: begin},
        packets.endpoints(),
        packets.carrier(),
        _options(spans, header, size),
        {} if told is None else {"promised": told},
    )


def _options(spans: Spans, header: NDArray[np.void], size: NDArray[np.int64]) -> Columns:
    """Columns of the options in headers of ``size`` bytes, int64 (k,)."""
    is_syn = header["flags"] & Flag.SYN != 0  # whose options are all looked at, for their order
    usual = (size >= 32) & (header["option"] == _NOP_NOP_TIMESTAMPS) & ~is_syn & ~spans.lack(32)
    if usual.all():
        values = {"has_ts": usual, "tsval": header["tsval"], "tsecr": header["tsecr"]}
    else:
        # Native byte order: written to below.
        tsval, tsecr = (header[name].astype(np.uint32) * usual for name in ("tsval", "tsecr"))
        values = {"has_ts": usual, "tsval": tsval, "tsecr": tsecr}
    values["options"] = usual * np.uint16(Option.TIMESTAMPS)
    rest = np.flatnonzero((size > _FIXED) & ~(usual & (size == 32)))
    if not len(rest):
        return values
    begin = spans.at[rest]
    found = walk(
        spans.buffer,
        begin + np.where(usual[rest], 32, _FIXED),
        np.minimum(begin + size[rest], spans.end[rest]),
    )
    return _merge(values, rest, found, is_syn)


def _merge(values: Columns, rest: NDArray[np.intp], found: Options, is_syn: Bools) -> Columns:
    """Add to the columns what was found in the packets ``rest``; mss, scale and layout are those of SYNs.

    Writes to the columns that have the machine's byte order.
    """
    columns = {
        name: column.astype(column.dtype.newbyteorder("="), copy=False) for name, column in values.items()
    }
    timed = rest[found.has_ts]
    columns["has_ts"][timed] = True
    columns["tsval"][timed] = found.tsval[found.has_ts]
    columns["tsecr"][timed] = found.tsecr[found.has_ts]
    columns["options"][rest] |= found.options
    every = Options.none(len(is_syn))
    sacked = np.flatnonzero(found.sack_edge)
    syn = np.flatnonzero(is_syn[rest])
    for which, names in ((sacked, ("sack_edge",)), (syn, ("mss", "scale", "layout"))):
        if len(which):
            for name in names:
                columns[name] = getattr(every, name)
                columns[name][rest[which]] = getattr(found, name)[which]
    return columns
