"""The segments of a flow that are worth showing, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from sys import intern

from analyzer.model.columns import Flag
from analyzer.model.finding import LadderLine
from analyzer.model.flow import CLIENT, SERVER, Kind, Segment, Totals, address_text
from analyzer.model.seq import add, distance

_KEPT_FIRST, _KEPT_LAST = 6, 24
"""Segments of a flow that are shown."""
_NO_START = Kind.ICMP | Kind.RST
"""Their numbers are not where those of an end begin."""


class Ladder:
    """The lines of a flow, made as its segments come: a line takes a fifth of the room of its segment."""

    __slots__ = ("_data", "_first", "_shown")

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        """By side: the sequence number that those of that end count from."""
        self._data: dict[int, LadderLine] = {}
        """By side: its last new data."""
        self._shown: list[tuple[LadderLine, ...]] = []
        """Of each segment: what is shown before it, and itself."""

    def add(self, segment: Segment) -> None:
        """The next significant segment."""
        if len(self._shown) == _KEPT_FIRST + _KEPT_LAST:
            del self._shown[_KEPT_FIRST]
        before = []
        if segment.client.last_data_number:
            before.append(self._last_data(segment.client, CLIENT))
        if segment.server.last_data_number:
            before.append(self._last_data(segment.server, SERVER))
        if not segment.kinds & _NO_START:
            self._first.setdefault(segment.side, segment.seq)
        if (
            segment.kinds & Kind.REPEATED
            and not segment.kinds & Kind.PROBE
            and segment.totals(segment.side).resent_number
        ):
            before.append(_resent_line(segment, self._first))
        self._shown.append((*before, _line(segment, self._first)))

    def lines(self) -> tuple[LadderLine, ...]:
        """Significant segments, and the last new data of each end before each of them; relative numbers."""
        found: dict[int, LadderLine] = {}
        for lines in self._shown:
            for line in lines:
                found.setdefault(line.number, line)  # data that is significant stands there by itself already
        return tuple([found[number] for number in sorted(found)])

    def _last_data(self, totals: Totals, side: int) -> LadderLine:
        line = self._data.get(side)
        if line is None or line.number != totals.last_data_number:
            first = self._first.setdefault(side, totals.last_data_seq)
            line = self._data[side] = _data_line(totals, side, first)
        return line


def _data_line(totals: Totals, side: int, first: int) -> LadderLine:
    label = intern(f"data {_range(totals.last_data_seq, totals.last_data_length, first)}")
    return LadderLine(totals.last_data_number, totals.last_data_time, side, label)


def _resent_line(segment: Segment, first: dict[int, int]) -> LadderLine:
    """The first retransmission of what this segment repeats; it was not looked at by itself."""
    before = segment.totals(segment.side)
    label = segment_label(segment._replace(payload=before.resent_length), first)
    return LadderLine(before.resent_number, before.resent_time, segment.side, label)


def _range(seq: int, length: int, first: int) -> str:
    start = distance(first, seq)
    return f"{start}:{start + length}"


def _line(segment: Segment, first: dict[int, int]) -> LadderLine:
    if segment.kinds & Kind.ICMP:
        label, reporter = icmp_label(segment)
        return LadderLine(segment.number, segment.time, 1 - segment.side, label, reporter)
    return LadderLine(segment.number, segment.time, segment.side, segment_label(segment, first))


def icmp_label(segment: Segment) -> tuple[str, str]:
    """Type and code of an ICMP message, and the address of its sender."""
    reporter = address_text(segment.version, segment.reporter_hi, segment.reporter_lo)
    return f"ICMP{'v6' if segment.version == 6 else ''} {segment.icmp_type}/{segment.icmp_code}", reporter


_NAMES = ((Flag.SYN, "SYN"), (Flag.FIN, "FIN"), (Flag.RST, "RST"), (Flag.ACK, "ACK"))


@cache
def _signs(flags: int) -> str:
    """The flags of a SYN or RST, as people write them."""
    return "+".join(name for flag, name in _NAMES if flags & flag)


def segment_label(segment: Segment, first: Mapping[int, int]) -> str:
    """What a segment carries; ``first`` are the sequence numbers that those of each end count from.

    Equal ones are one object: many flows have the same.
    """
    return intern(_label(segment, first))


def _label(segment: Segment, first: Mapping[int, int]) -> str:
    own = first.get(segment.side, segment.seq)
    again = " again" if segment.kinds & Kind.RESENT else ""
    if segment.kinds & Kind.PROBE:
        return "probe"
    if segment.flags & Flag.SYN:
        return _signs(segment.flags) + again
    at = distance(own, segment.seq)
    if segment.flags & Flag.RST:
        return _signs(segment.flags) + (f" {at}" if segment.side in first else "")
    parts = [f"data {_range(segment.seq, segment.payload, own)}"] if segment.payload else []
    if segment.flags & Flag.FIN:
        end = distance(own, add(segment.seq, segment.payload))
        parts.append("FIN" if parts else f"FIN {end}")
    closed = ", window 0" if segment.kinds & Kind.ZERO_WINDOW else ""
    return (", ".join(parts) + again if parts else _acknowledges(segment, first)) + closed


def _acknowledges(segment: Segment, first: Mapping[int, int]) -> str:
    other = first.get(1 - segment.side)
    return "ack" if other is None else f"ack {distance(other, segment.ack)}"
