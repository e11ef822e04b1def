"""How long an HTTP response says it is: RFC 9112 sections 4 and 6.3."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.spans import Bools, gather
from analyzer.model.columns import UNKNOWN_END

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]

_STATUS = re.compile(rb"HTTP/1\.[01] [2-5][0-9]{2}[ \r]")
_LENGTH = re.compile(rb"\n(?i:content-length)[ \t]*:[ \t]*([0-9]{1,15})[ \t]*\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
SHORTEST, _LONGEST = 12, 4096
"""Bytes of a status line that are looked at, and of a head."""

_USUAL = 512
"""Bytes in which nearly every head ends."""
_FEW, _AT_ONCE = 32, 1024
"""Heads that are looked at one by one, and so many at most together."""
_MOST_LINES = 64
"""Lines of a head, on average, beyond which looking at them together is the slow way."""
_ASKED = -2
"""In place of a length: look at it alone."""

_CR, _LF, _SPACE, _ZERO = b"\r\n 0"
_NAME = b"content-length"
_AS_LOWER = np.frombuffer(bytes(0x20 * bytes([byte]).isalpha() for byte in _NAME) + b"\xff\xff", np.uint64)
"""The bit that a small letter has, and a capital has not, where the name has letters; all bits behind it."""
_LINE = np.frombuffer(_NAME + b"\xff\xff", np.uint64)
_VERSION = np.frombuffer(b"HTTP/1.\0", np.uint64)[0]
_ALL_BUT_ONE = np.frombuffer(b"\xff" * 7 + b"\0", np.uint64)[0]
_DIGITS = 15


def response_sizes(buffer: Bytes, at: Places, end: Places) -> Places:
    """Bytes of each response from ``at`` on, int64 (n,), of which ``end`` is one behind the last captured.

    0 where it does not say, or is none; UNKNOWN_END where its head is not all there.
    """
    sizes = np.full(len(at), _ASKED)
    if len(at) >= _FEW:
        seen = np.minimum(end - at, _LONGEST)
        is_response = _is_response(_bytes(buffer, at, 16)) & (seen > SHORTEST)
        sizes[~is_response] = 0
        rows = np.flatnonzero(is_response)
        for begin in range(0, len(rows), _AT_ONCE):
            part = rows[begin : begin + _AT_ONCE]
            sizes[part] = _usual(buffer, at[part], seen[part])
    memory = buffer.data
    for row in np.flatnonzero(sizes == _ASKED).tolist():
        first = int(at[row])
        sizes[row] = response_size(memory[first : min(int(end[row]), first + _LONGEST)])
    return sizes


def response_size(data: memoryview) -> int:
    """The same of one, of which there are SHORTEST bytes at least."""
    if not _STATUS.match(data):
        return 0
    head = _HEAD_END.search(data)
    if not head and len(data) < _LONGEST:
        return UNKNOWN_END
    length = _LENGTH.search(data, 0, head.end()) if head else None
    return head.end() + int(length[1]) if head and length else 0


def _usual(buffer: Bytes, at: Places, seen: Places) -> Places:
    """The same of heads as most servers write them, ``seen`` bytes of each; _ASKED of others: int64 (n,)."""
    places = np.flatnonzero(_bytes(buffer, at, _USUAL) == _LF)
    if len(places) > _MOST_LINES * len(at):
        return np.full(len(at), _ASKED)
    row, column = np.divmod(places, _USUAL)
    line = _bytes(buffer, at[row] + column + 1, 16)
    blank = np.where(line[:, 0] == _LF, 1, 2)
    last = (blank == 1) | ((line[:, 0] == _CR) & (line[:, 1] == _LF))
    last &= column + 1 + blank <= seen[row]
    stop, size = _first(len(at), row[last], column[last], (column + 1 + blank)[last])
    named = _is_length(line) & (column < stop[row])
    (begin,) = _first(len(at), row[named], column[named] + 1 + len(_NAME))
    sizes = np.where(stop >= 0, 0, _ASKED)
    stated = np.flatnonzero(begin >= 0)
    length = _number(buffer, at[stated] + begin[stated])
    sizes[stated] = np.where(length >= 0, size[stated] + length, _ASKED)
    return sizes


def _bytes(buffer: Bytes, at: Places, count: int) -> Bytes:
    """So many bytes from each place: uint8 (n, count)."""
    return gather(buffer, f"V{count}", at).view(np.uint8).reshape(len(at), count)


def _first(count: int, row: Places, *columns: Places) -> tuple[Places, ...]:
    """The first value of each row, which are ascending, -1 where there is none: int64 (count,) each."""
    firsts = []
    for values in columns:
        first = np.full(count, -1)
        first[row[::-1]] = values[::-1]  # of several the last that is written stays
        firsts.append(first)
    return tuple(firsts)


def _is_response(first: Bytes) -> Bools:
    """Which begin with a status line, of 16 bytes each: bool (n,)."""
    found: Bools = first.view(np.uint64)[:, 0] & _ALL_BUT_ONE == _VERSION
    digits = first[:, 7:12] - np.uint8(_ZERO)
    found &= (digits[:, 0] <= 1) & (first[:, 8] == _SPACE) & (digits[:, 2] - np.uint8(2) <= 3)
    found &= (digits[:, 3] <= 9) & (digits[:, 4] <= 9)
    found &= (first[:, 12] == _SPACE) | (first[:, 12] == _CR)
    return found


def _is_length(line: Bytes) -> Bools:
    """Which lines, of 16 bytes each, begin with that name: bool (n,)."""
    same = line.view(np.uint64) | _AS_LOWER == _LINE
    found: Bools = same[:, 0] & same[:, 1]
    return found


def _number(buffer: Bytes, at: Places) -> Places:
    """The number behind a colon, at most one space before it and the line's end after it; -1: no such one."""
    colon = _bytes(buffer, at, 2)
    text = _bytes(buffer, at + 1 + (colon[:, 1] == _SPACE), _DIGITS + 2)
    digits = text - np.uint8(_ZERO)
    count = (digits <= 9).argmin(axis=1)  # 0 where all are
    count[count > _DIGITS] = 0
    behind = np.arange(len(at)) * text.shape[1] + count
    number = np.zeros(len(at), np.int64)
    for place in range(count.max(initial=0)):
        number = np.where(place < count, number * 10 + digits[:, place], number)
    is_usual = (colon[:, 0] == ord(":")) & (count > 0)
    is_usual &= (text.take(behind) == _CR) & (text.take(behind + 1) == _LF)
    return np.where(is_usual, number, -1)
