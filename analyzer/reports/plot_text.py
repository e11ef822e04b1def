"""The time-sequence plot in characters: what one end sent, and what the other had acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analyzer.model.flow import Kind
from analyzer.model.picture import Picture, Seen

LEGEND = "| sent R again - acked . window 0 closed ? probe S F X I: SYN FIN RST ICMP"
_MARGIN = 11
_LEAST_NS = 1000
_DECIMALS = ((10**8, 3), (10**5, 6), (0, 9))
"""Of seconds, for spans of so many nanoseconds: both ends of a short one are told apart."""


class Span(NamedTuple):
    """Nanoseconds since the epoch."""

    begin: int
    end: int


def whole(picture: Picture) -> Span:
    """All of it."""
    return Span(picture[0].time, max(picture[-1].time, picture[0].time + _LEAST_NS))


class _Mark(NamedTuple):
    time: int
    low: int
    high: int
    sign: str


def plot_lines(picture: Picture, side: int, width: int, height: int, span: Span) -> list[str]:
    """``height`` lines of ``width`` characters at most, of what the end ``side`` sent within the span."""
    marks = [mark for mark in _marks(picture, side) if span.begin <= mark.time <= span.end]
    columns, rows = max(8, width - _MARGIN), max(3, height - 2)
    solid = [mark for mark in marks if mark.sign != "."]
    low = min((mark.low for mark in solid), default=0)
    high = max(max((mark.high for mark in solid), default=1), low + 1)
    grid = [[" "] * columns for _ in range(rows)]

    def row(value: int) -> int:
        return rows - 1 - (value - low) * (rows - 1) // (high - low)

    def column(time: int) -> int:
        return (time - span.begin) * (columns - 1) // max(1, span.end - span.begin)

    for mark, until in _steps(marks, span):
        grid[row(mark.low)][column(mark.time) : column(until)] = "-" * (column(until) - column(mark.time))
    for mark in marks:
        if mark.low <= high:
            for at in range(row(min(mark.high, high)), row(mark.low) + 1):
                grid[at][column(mark.time)] = mark.sign
    labels = {0: f"{high:,}", rows - 1: f"{low:,}"}
    if high - low > 1:
        labels[row((low + high) // 2)] = f"{(low + high) // 2:,}"
    lines = [
        f"{labels.get(at, ''):>{_MARGIN - 2}} |{''.join(cells).rstrip()}" for at, cells in enumerate(grid)
    ]
    start = picture[0].time
    decimals = next(digits for length, digits in _DECIMALS if span.end - span.begin >= length)
    first, last = (f"{(time - start) / 1e9:.{decimals}f} s" for time in span)
    axis = f"{'':>{_MARGIN - 2}} +{'-' * columns}"
    return [*lines, axis, f"{'':>{_MARGIN}}{first}{last:>{max(1, columns - len(first))}}"]


def _steps(marks: Sequence[_Mark], span: Span) -> Iterator[tuple[_Mark, int]]:
    """What is acknowledged stays so until more is."""
    acked = [mark for mark in marks if mark.sign in "-0"]
    acked.sort(key=lambda mark: mark.time)
    ends = [*(mark.time for mark in acked[1:]), span.end] if acked else []
    return zip(acked, ends, strict=True)


def _marks(picture: Picture, side: int) -> Sequence[_Mark]:
    """In the order in which they are drawn: the later ones stand above."""
    marks: list[_Mark] = []
    top = 0
    for seen in picture:
        if seen.reporter:
            marks.append(_Mark(seen.time, top, top, "I"))
        elif seen.side == side:
            begin = top if seen.seq is None else seen.seq
            end = begin + seen.payload
            sign = _sign(seen)
            at = (top, top) if sign == "X" else (begin, end)
            top = max(top, end)
            if sign:
                marks.append(_Mark(seen.time, *at, sign))
        else:
            marks += _answers(seen, top)
    order = ".-|R0?SFIX"
    return sorted(marks, key=lambda mark: order.index(mark.sign))


def _answers(seen: Seen, top: int) -> Sequence[_Mark]:
    """What the other end says of the data."""
    if seen.kinds & Kind.RST:
        return [_Mark(seen.time, top, top, "X")]
    if seen.ack is None or seen.kinds & Kind.COPY:
        return []
    if seen.window is None:
        return [_Mark(seen.time, seen.ack, seen.ack, "-")]
    edge = seen.ack + seen.window
    return [
        _Mark(seen.time, seen.ack, seen.ack, "-" if seen.window else "0"),
        _Mark(seen.time, edge, edge, "."),
    ]


def _sign(seen: Seen) -> str:
    signs = ((Kind.RST, "X"), (Kind.COPY, ""), (Kind.SYN, "S"), (Kind.PROBE, "?"), (Kind.RESENT, "R"))
    for kind, sign in (*signs, (Kind.FIN, "F")):
        if seen.kinds & kind:
            return sign
    return "|" if seen.payload else ""
