"""TCP headers and options: RFC 9293 section 3.1, RFC 7323 (window scale, timestamps), RFC 2018 (SACK)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.ip import TCP, Packets
from analyzer.decode.promised import promised
from analyzer.decode.rows import PLACE, Columns, Rows
from analyzer.decode.spans import Bools, Rejects, Spans, gather, take
from analyzer.model.columns import Flag, Layout, Option, Undecoded

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

_TIMESTAMPS_VALUES = np.dtype([("tsval", ">u4"), ("tsecr", ">u4")])

_END, _NOP, _MSS, _SCALE, _SACK, _TIMESTAMPS, _MPTCP, _OTHER = 0, 1, 2, 3, 5, 8, 30, 255
_SACK_BLOCK = np.dtype([("left", ">u4"), ("right", ">u4")])
_SIZES = {
    # kind: its size (None: any), and the bit
    _MSS: (4, Option.MSS),
    _SCALE: (3, Option.SCALE),
    4: (2, Option.SACK_PERMITTED),
    _TIMESTAMPS: (10, Option.TIMESTAMPS),
    19: (18, Option.SIGNED),
    28: (4, Option.USER_TIMEOUT),
    29: (None, Option.SIGNED),
    _MPTCP: (None, Option.MPTCP),
    34: (None, Option.FAST_OPEN),
}
"""IANA's TCP option kinds; SACK stands apart, since its size tells how many blocks there are."""
_SIZE, _ANY_SIZE, _BIT = (np.zeros(256, dtype=kind) for kind in (np.int64, np.bool_, np.uint16))
for _kind, (_size, _bit) in _SIZES.items():
    _SIZE[_kind], _ANY_SIZE[_kind], _BIT[_kind] = _size or 0, _size is None, _bit
_DIGIT = np.full(256, Layout.DIGITS["other"], dtype=np.uint32)
"""By kind: what stands for it in a layout."""
for _name, _kind in {
    "eol": _END,
    "nop": _NOP,
    "mss": _MSS,
    "ws": _SCALE,
    "sok": 4,
    "ts": _TIMESTAMPS,
}.items():
    _DIGIT[_kind] = Layout.DIGITS[_name]
_FAST_CLOSE, _RESET = 7, 8  # MPTCP subtypes
_NOP_NOP_TIMESTAMPS = 0x0101080A  # the layout that RFC 7323 appendix A recommends
_MAX_STEPS = 40  # a header has at most 40 bytes of options
_MAX_SCALE = 14  # RFC 7323 section 2.3: a larger one counts as 14


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
    told = promised(spans.buffer, spans.at + size, np.minimum(spans.end, spans.stop), room - size)
    rows.add(
        spans.index,
        {"protocol": TCP, "payload": room - size, **{name: header[name] for name in _DIRECT}},
        {PLACE: spans.at + size},
        packets.endpoints(),
        packets.carrier(),
        _options(spans, header, size),
        {} if told is None else {"promised": told},
    )


@dataclass(frozen=True, slots=True)
class _Options:
    """What the options of some packets say, all (k,): zeros (scale: -1) where an option is absent."""

    has_ts: Bools
    tsval: NDArray[np.uint32]
    tsecr: NDArray[np.uint32]
    mss: NDArray[np.uint16]
    scale: NDArray[np.int8]
    options: NDArray[np.uint16]
    layout: NDArray[np.uint32]
    sack_edge: NDArray[np.uint32]

    @classmethod
    def none(cls, count: int) -> _Options:
        return cls(
            has_ts=np.zeros(count, dtype=np.bool_),
            tsval=np.zeros(count, dtype=np.uint32),
            tsecr=np.zeros(count, dtype=np.uint32),
            mss=np.zeros(count, dtype=np.uint16),
            scale=np.full(count, -1, dtype=np.int8),
            options=np.zeros(count, dtype=np.uint16),
            layout=np.zeros(count, dtype=np.uint32),
            sack_edge=np.zeros(count, dtype=np.uint32),
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
    found = _walk(
        spans.buffer,
        begin + np.where(usual[rest], 32, _FIXED),
        np.minimum(begin + size[rest], spans.end[rest]),
        is_syn[rest],
    )
    return _merge(values, rest, found, is_syn)


def _merge(values: Columns, rest: NDArray[np.intp], found: _Options, is_syn: Bools) -> Columns:
    """Add to the columns what was found in the packets ``rest``; mss, scale and layout are those of SYNs."""
    native = {name: np.array(column, dtype=column.dtype.newbyteorder("=")) for name, column in values.items()}
    timed = rest[found.has_ts]
    native["has_ts"][timed] = True
    native["tsval"][timed] = found.tsval[found.has_ts]
    native["tsecr"][timed] = found.tsecr[found.has_ts]
    native["options"][rest] |= found.options
    sack_edge = np.zeros(len(is_syn), dtype=np.uint32)
    sack_edge[rest] = found.sack_edge
    columns = {**native, "sack_edge": sack_edge}
    syn = is_syn[rest]
    if syn.any():
        every = _Options.none(len(is_syn))
        every.mss[rest[syn]] = found.mss[syn]
        every.scale[rest[syn]] = found.scale[syn]
        every.layout[rest[syn]] = found.layout[syn]
        columns |= {"mss": every.mss, "scale": every.scale, "layout": every.layout}
    return columns


def _walk(
    buffer: NDArray[np.uint8], at: NDArray[np.int64], limit: NDArray[np.int64], is_syn: Bools
) -> _Options:
    """Read the options from ``at`` to ``limit``, int64 (k,), one option of each packet a step.

    Ends without complaint at what is cut or makes no sense. Of several options of one kind the last
    counts, as in Linux. Their order is noted of SYNs only.
    """
    found = _Options.none(len(at))
    rows = np.arange(len(at))
    for step in range(_MAX_STEPS):
        inside = at < limit
        if not inside.all():
            rows, at, limit = rows[inside], at[inside], limit[inside]
        if not len(rows):
            break
        kind = buffer[at]
        size = buffer[np.minimum(at + 1, limit - 1)].astype(np.int64)
        size[kind == _NOP] = 1
        is_whole = (kind != _END) & ((size >= 2) | (kind == _NOP)) & (at + size <= limit)
        syn = np.flatnonzero(is_syn[rows]) if step < Layout.MOST else ()
        if len(syn):
            digit = _DIGIT[np.where(is_whole[syn] | (kind[syn] == _END), kind[syn], _OTHER)]
            found.layout[rows[syn]] = found.layout[rows[syn]] * 8 + digit
        _read(buffer, at, np.where(is_whole, kind, _END), size, rows, found)
        at = np.where(is_whole, at + size, limit)
    return found


def _read(
    buffer: NDArray[np.uint8],
    at: NDArray[np.int64],
    kind: NDArray[np.uint8],
    size: NDArray[np.int64],
    rows: NDArray[np.intp],
    found: _Options,
) -> None:
    """Note the option at ``at`` of each of the packets ``rows``; one of a wrong size is none."""
    which = np.flatnonzero((kind == _MSS) & (size == 4))
    if len(which):
        found.mss[rows[which]] = gather(buffer, ">u2", at[which] + 2)
    which = np.flatnonzero((kind == _SCALE) & (size == 3))
    if len(which):
        found.scale[rows[which]] = np.minimum(buffer[at[which] + 2], _MAX_SCALE)
    which = np.flatnonzero((kind == _TIMESTAMPS) & (size == 10))
    if len(which):
        values = gather(buffer, _TIMESTAMPS_VALUES, at[which] + 2)
        found.has_ts[rows[which]] = True
        found.tsval[rows[which]] = values["tsval"]
        found.tsecr[rows[which]] = values["tsecr"]
    is_known = _ANY_SIZE[kind] | (size == _SIZE[kind])
    found.options[rows] |= np.where(is_known, _BIT[kind], 0)
    which = np.flatnonzero((kind == _SACK) & (size >= 10) & (size % 8 == 2))
    if len(which):
        _read_sack(buffer, at[which] + 2, (size[which] - 2) // 8, rows[which], found)
    which = np.flatnonzero((kind == _MPTCP) & (size >= 4))
    if len(which):
        _read_mptcp(buffer, at[which] + 2, rows[which], found)


def _read_sack(
    buffer: NDArray[np.uint8],
    at: NDArray[np.int64],
    blocks: NDArray[np.int64],
    rows: NDArray[np.intp],
    found: _Options,
) -> None:
    """Note the highest right edge, as numbers on the circle go."""
    best = gather(buffer, _SACK_BLOCK, at)["right"].astype(np.uint32)
    for number in range(1, int(blocks.max())):
        edge = gather(buffer, _SACK_BLOCK, at + 8 * number)["right"].astype(np.uint32)
        higher = (number < blocks) & ((edge - best).view(np.int32) > 0)
        best = np.where(higher, edge, best)
    found.options[rows] |= np.uint16(Option.SACK)
    found.sack_edge[rows] = best


def _read_mptcp(
    buffer: NDArray[np.uint8], at: NDArray[np.int64], rows: NDArray[np.intp], found: _Options
) -> None:
    """Note how an MPTCP connection is torn down: RFC 8684 sections 3.5 and 3.6."""
    subtype = buffer[at] >> 4
    reason = np.minimum(buffer[at + 1], 15).astype(np.uint16) << np.uint16(Option.RESET_REASON_SHIFT)
    bits = np.where(subtype == _FAST_CLOSE, Option.FAST_CLOSE, 0)
    bits = np.where(subtype == _RESET, Option.MPTCP_RESET | reason, bits)
    found.options[rows] |= bits.astype(np.uint16)
