"""The packets of a flow as its pictures show them."""

from __future__ import annotations

from collections import deque

from analyzer.model.columns import Flag
from analyzer.model.flow import Flow, Kind, Segment
from analyzer.model.picture import Picture, Seen
from analyzer.model.seq import distance
from analyzer.verdicts.ladder import icmp_label, segment_label

_MOST = 3000
"""Packets in the middle of a flow that are shown; beyond that only its end is."""


class Painter:
    """Takes the packets of a flow in their order. ``last`` of those at its end are shown in any case."""

    def __init__(self, flow: Flow, last: int) -> None:
        self._is_tcp = flow.protocol == "tcp"
        self._first: dict[int, int] = {}
        self._scales: dict[int, int] = {}
        self._heard: set[int] = set()
        self._kept: list[tuple[int, Seen]] = []
        self._last: deque[tuple[int, Seen]] = deque(maxlen=last)

    def add(self, segment: Segment, states: tuple[str, str], place: int, *, sampled: bool) -> None:
        """The next packet, the states after it, which of its flow it is, and whether it is shown anyway."""
        if segment.flags & Flag.SYN:
            self._scales[segment.side] = segment.scale
        if not segment.kinds & (Kind.ICMP | Kind.RST):
            self._first.setdefault(segment.side, segment.seq)
            if segment.flags & Flag.ACK and not segment.flags & Flag.SYN:
                self._first.setdefault(1 - segment.side, segment.ack)
        if not segment.kinds & Kind.ICMP:
            self._heard.add(segment.side)
        entry = (place, self._seen(segment, self._known(states)))
        matters = segment.kinds & ~(Kind.SHOWN | Kind.COPY | Kind.PROBE)
        if (sampled or matters) and len(self._kept) < _MOST:
            self._kept.append(entry)
        else:
            self._last.append(entry)

    def picture(self) -> Picture:
        """All that is shown."""
        entries = sorted([*self._kept, *self._last], key=lambda entry: entry[0])
        before, shown = -1, []
        for place, seen in entries:
            shown.append(seen._replace(skipped=max(0, place - before - 1)))
            before = place
        return tuple(shown)

    def _known(self, states: tuple[str, str]) -> tuple[str, str]:
        """Nothing is known of an end that has not been heard."""
        client, server = (state if side in self._heard else "" for side, state in enumerate(states))
        return (client, server) if self._is_tcp else ("", "")

    def _seen(self, segment: Segment, states: tuple[str, str]) -> Seen:
        icmp = bool(segment.kinds & Kind.ICMP)
        label, reporter = icmp_label(segment) if icmp else (self._label(segment), "")
        acks = bool(segment.flags & Flag.ACK)
        return Seen(
            number=segment.number,
            capture=segment.capture,
            time=segment.time,
            side=1 - segment.side if icmp else segment.side,
            kinds=segment.kinds & ~Kind.SHOWN,
            flags=segment.flags,
            seq=self._relative(segment.side, segment.seq) if self._is_tcp and not icmp else None,
            ack=self._relative(1 - segment.side, segment.ack) if acks else None,
            payload=segment.payload,
            window=self._window(segment) if self._is_tcp and not icmp else None,
            label=label,
            reporter=reporter,
            states=states,
            skipped=0,
        )

    def _relative(self, side: int, number: int) -> int | None:
        return distance(self._first[side], number) if side in self._first else None

    def _window(self, segment: Segment) -> int | None:
        """In bytes: the scale counts if both ends offered one, and not in a SYN (RFC 7323 section 2.2)."""
        if segment.flags & Flag.RST or not segment.flags & Flag.ACK:
            return None
        if segment.flags & Flag.SYN:
            return segment.window
        if len(self._scales) < 2:
            return None if segment.window else 0
        scaled = min(self._scales.values()) >= 0
        return segment.window << self._scales[segment.side] if scaled else segment.window

    def _label(self, segment: Segment) -> str:
        if not self._is_tcp:
            return f"datagram of {segment.payload} bytes"
        label = segment_label(segment, self._first)
        if segment.payload and not segment.kinds & Kind.PROBE:
            label += f", {segment.payload:,} bytes"
        acked = self._relative(1 - segment.side, segment.ack)
        if segment.flags & Flag.ACK and acked is not None and not label.startswith("ack"):
            label += f", ack {acked}"
        if not segment.window and "window 0" not in label and self._window(segment) == 0:
            label += ", window 0"
        push = "PSH " if segment.flags & Flag.PSH and segment.payload else ""
        urgent = ", URG" if segment.flags & Flag.URG else ""
        gap = ", after a gap" if self._leaves_gap(segment) else ""
        copy = ", copy" if segment.kinds & Kind.COPY else ""
        return f"{push}{label}{urgent}{gap}{copy}"

    def _leaves_gap(self, segment: Segment) -> bool:
        """Whether bytes before it are not in the capture, or come later."""
        own = segment.totals(segment.side)
        plain = not segment.flags & (Flag.SYN | Flag.RST)
        return plain and own.has_seq and distance(own.seq_end, segment.seq) > 0
