"""TCP options: RFC 9293 section 3.2, RFC 7323 (scale, timestamps), RFC 2018 (SACK), RFC 8684 (MPTCP)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.spans import Bools, gather, words
from analyzer.model.columns import Layout, Option

_END, _NOP, _MSS, _SCALE, _SACK, _TIMESTAMPS, _MPTCP = 0, 1, 2, 3, 5, 8, 30
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

_TIMESTAMPS_VALUES = np.dtype([("tsval", ">u4"), ("tsecr", ">u4")])
_SACK_BLOCK = np.dtype([("left", ">u4"), ("right", ">u4")])
_FAST_CLOSE, _RESET = 7, 8  # MPTCP subtypes
_MAX_STEPS = 40  # a header has at most 40 bytes of options
_MAX_SCALE = 14  # RFC 7323 section 2.3: a larger one counts as 14


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """By kind and size, as one number of 16 bits: the bytes that the option takes, and its bit.

    0 bytes: nothing can follow it; no bit: of this size it is none of those that are known.
    """
    length, bit = np.zeros((256, 256), np.uint8), np.zeros((256, 256), np.uint16)
    length[_END + 1 :, 2:] = np.arange(2, 256)
    length[_NOP] = 1
    bit[_SACK, 10::8] = Option.SACK
    for kind, (stated, value) in _SIZES.items():
        bit[kind, slice(2, None) if stated is None else stated] = value
    return length.ravel(), bit.ravel()


_LENGTH, _BIT = _tables()
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


@dataclass(frozen=True, slots=True)
class Options:
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
    def none(cls, count: int) -> Options:
        """Those of packets without options."""
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


def walk(buffer: NDArray[np.uint8], at: NDArray[np.int64], limit: NDArray[np.int64]) -> Options:
    """Read the options from ``at`` to ``limit``, int64 (k,), one option of each packet a step.

    Ends without complaint at what is cut or makes no sense. Of several options of one kind the last
    counts, as in Linux.
    """
    found = Options.none(len(at))
    rows = np.arange(len(at))
    for step in range(_MAX_STEPS):
        inside = at < limit
        if not inside.all():
            rows, at, limit = rows[inside], at[inside], limit[inside]
        if not len(rows):
            break
        option = words(buffer, at)
        following = at + _LENGTH.take(option)
        is_whole = (following > at) & (following <= limit)
        if step < Layout.MOST:
            kind = option >> 8
            digit = np.where(is_whole | (kind == _END), _DIGIT.take(kind), _DIGIT[-1])
            found.layout[rows] = found.layout[rows] * 8 + digit
        _read(buffer, at, option * is_whole, rows, found)
        at = np.where(is_whole, following, limit)
    return found


def _read(
    buffer: NDArray[np.uint8],
    at: NDArray[np.int64],
    option: NDArray[np.uint16],
    rows: NDArray[np.intp],
    found: Options,
) -> None:
    """Note the option at ``at``, of this kind and size, of each of the packets ``rows``."""
    bits = _BIT.take(option)
    found.options[rows] |= bits
    present = int(np.bitwise_or.reduce(bits))
    for bit, read in _READERS.items():
        if present & bit:
            which = np.flatnonzero(bits == bit)
            read(_Bodies(buffer, at[which] + 2, option[which] & np.uint16(0xFF)), rows[which], found)


@dataclass(frozen=True, slots=True)
class _Bodies:
    """Where options of one kind have their values, int64 (k,); ``size``: uint16 (k,), of the whole option."""

    buffer: NDArray[np.uint8]
    at: NDArray[np.int64]
    size: NDArray[np.uint16]


def _read_mss(bodies: _Bodies, rows: NDArray[np.intp], found: Options) -> None:
    found.mss[rows] = gather(bodies.buffer, ">u2", bodies.at)


def _read_scale(bodies: _Bodies, rows: NDArray[np.intp], found: Options) -> None:
    found.scale[rows] = np.minimum(bodies.buffer[bodies.at], _MAX_SCALE)


def _read_timestamps(bodies: _Bodies, rows: NDArray[np.intp], found: Options) -> None:
    values = gather(bodies.buffer, _TIMESTAMPS_VALUES, bodies.at)
    found.has_ts[rows] = True
    found.tsval[rows] = values["tsval"]
    found.tsecr[rows] = values["tsecr"]


def _read_sack(bodies: _Bodies, rows: NDArray[np.intp], found: Options) -> None:
    """Note the highest right edge, as numbers on the circle go."""
    blocks = bodies.size // _SACK_BLOCK.itemsize
    best = gather(bodies.buffer, _SACK_BLOCK, bodies.at)["right"].astype(np.uint32)
    for number in range(1, int(blocks.max())):
        edge = gather(bodies.buffer, _SACK_BLOCK, bodies.at + 8 * number)["right"].astype(np.uint32)
        higher = (number < blocks) & ((edge - best).view(np.int32) > 0)
        best = np.where(higher, edge, best)
    found.sack_edge[rows] = best


def _read_mptcp(bodies: _Bodies, rows: NDArray[np.intp], found: Options) -> None:
    """Note how an MPTCP connection is torn down: RFC 8684 sections 3.5 and 3.6."""
    is_long = bodies.size >= 4
    at, rows = bodies.at[is_long], rows[is_long]
    subtype = bodies.buffer[at] >> 4
    reason = np.minimum(bodies.buffer[at + 1], 15).astype(np.uint16) << np.uint16(Option.RESET_REASON_SHIFT)
    bits = np.where(subtype == _FAST_CLOSE, Option.FAST_CLOSE, 0)
    bits = np.where(subtype == _RESET, Option.MPTCP_RESET | reason, bits)
    found.options[rows] |= bits.astype(np.uint16)


_READERS: dict[int, Callable[[_Bodies, NDArray[np.intp], Options], None]] = {
    Option.MSS: _read_mss,
    Option.SCALE: _read_scale,
    Option.TIMESTAMPS: _read_timestamps,
    Option.SACK: _read_sack,
    Option.MPTCP: _read_mptcp,
}
"""By bit: what notes more of an option than that it is there."""
