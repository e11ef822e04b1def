"""What both ends of some flows said, put together from their packets when a capture is read once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.members import SLACK_NS, Members
from analyzer.model.columns import UDP, Flag, PacketColumns
from analyzer.model.flow import SERVER
from analyzer.model.seq import distance
from analyzer.model.summary import Summary
from analyzer.model.talk import KEPT, LAST, Said, Talk

_BUDGET = 256 << 20
"""Bytes kept of all flows that are open at a time."""
_FAR = 1 << 30
_LONGEST_REASON = 255
"""Bytes of a reset's payload that are looked at."""
_EARLY = 256
"""Segments of a direction that are kept although one before them is missing."""


class Talks:
    """Takes rows in file order, and gives each flow's talk once its time is over.

    ``unread``: flows of which too much else was kept at that time.
    """

    def __init__(self, flows: Sequence[Summary]) -> None:
        self.unread = 0
        self._members = Members(flows)
        self._flows = flows
        self._open: dict[int, _Pair] = {}
        self._ends = sorted(((flow.end + SLACK_NS, index) for index, flow in enumerate(flows)), reverse=True)
        self._begin = min((flow.start for flow in flows), default=0) - SLACK_NS
        self._end = max((flow.end for flow in flows), default=0) + SLACK_NS
        self._kept = 0

    def wants(self, times: NDArray[np.int64]) -> bool:
        """Whether some of the frames with these times, int64 (n,), may belong to one of the flows."""
        return bool(((times >= self._begin) & (times <= self._end)).any())

    def add(
        self,
        columns: PacketColumns,
        buffer: NDArray[np.uint8],
        places: NDArray[np.int64],
        captured: NDArray[np.int64],
    ) -> None:
        """Take the rows' payload, at ``places`` in the buffer; ``captured`` bytes of it: int64 (n,)."""
        memory = buffer.data
        for index, found in self._members.rows_of(columns):
            rows = found[~columns.is_icmp[found]]
            if not len(rows):
                continue
            pair = self._open.get(index)
            if pair is None:
                if self._kept > _BUDGET:
                    self.unread += 1
                    continue
                first = (columns.capture, int(columns.number[rows[0]]))
                pair = self._open[index] = _Pair(first, datagrams=self._flows[index].protocol == UDP)
            flow = self._flows[index]
            server = ~(
                (columns.src_hi[rows] == np.uint64(flow.client_hi))
                & (columns.src_lo[rows] == np.uint64(flow.client_lo))
                & (columns.sport[rows] == flow.client_port)
            )
            values = zip(
                server.tolist(),
                *(getattr(columns, name)[rows].tolist() for name in ("seq", "ack", "flags", "payload")),
                places[rows].tolist(),
                captured[rows].tolist(),
                strict=True,
            )
            for side, seq, ack, flags, payload, at, length in values:
                self._kept += pair.add(side, seq, ack, flags, payload, memory[at : at + length])

    def over(self, clock: int) -> Iterator[tuple[Summary, Talk]]:
        """The flows that ended before that time (nanoseconds)."""
        while self._ends and self._ends[-1][0] < clock:
            _, index = self._ends.pop()
            pair = self._open.pop(index, None)
            if pair:
                self._kept -= pair.kept
                yield self._flows[index], pair.talk()


class _Direction:
    """The payload of one end, put in order."""

    def __init__(self) -> None:
        self.base: int | None = None
        self.other: int | None = None
        self.data = bytearray()
        self.total = 0
        self.heard: int | None = None
        self.whole = True
        self.cut = False
        self.placed = True
        self.early: dict[int, bytes] = {}
        self.tail = b""

    def add(self, seq: int, payload: int, data: memoryview) -> int:
        """Take a segment; how many bytes more are kept."""
        if self.base is None:
            self.placed = False
            return 0
        begin = distance(self.base, seq)
        if not -_FAR < begin < _FAR:
            return 0
        if begin + payload > self.total:
            self._end(self.total - begin, payload, data)
            self.total = begin + payload
        before = self._held()
        if len(data) < payload and len(self.data) < begin + payload and begin + len(data) < KEPT:
            self.cut = True
        if begin <= len(self.data):
            self._append(begin, payload, data)
            while self.early and self.whole and (begin := min(self.early)) <= len(self.data):
                piece = self.early.pop(begin)
                self._append(begin, len(piece), memoryview(piece))
        elif begin < KEPT and len(data) == payload and len(self.early) < _EARLY:
            self.early.setdefault(begin, bytes(data))
        return self._held() - before

    def _end(self, skip: int, payload: int, data: memoryview) -> None:
        """Bytes that are the last by now; ``skip`` of them were there before, negative: some are missing."""
        if len(data) < payload:
            self.tail = b""
        elif skip < 0 or payload - skip >= LAST:
            self.tail = bytes(data[-LAST:])
        else:
            self.tail = (self.tail + bytes(data[skip:]))[-LAST:]

    def _held(self) -> int:
        return len(self.data) + sum(map(len, self.early.values()))

    def _append(self, begin: int, payload: int, data: memoryview) -> None:
        skip = len(self.data) - begin
        if self.whole and skip < payload:
            self.data += data[skip : skip + KEPT - len(self.data)]
            self.whole = len(data) == payload and len(self.data) < KEPT


class _Pair:
    """Both directions of a flow."""

    def __init__(self, first: tuple[int, int], *, datagrams: bool) -> None:
        self._begin = first
        self._datagrams = datagrams
        self._sides = (_Direction(), _Direction())
        self._first: int | None = None
        self._reset = b""
        self.kept = 0

    def add(self, side: int, seq: int, ack: int, flags: int, payload: int, data: memoryview) -> int:
        """Take a segment of an end; how many bytes more are kept."""
        own, other = self._sides[side], self._sides[1 - side]
        if self._datagrams:
            own.base = seq if not own.total else None  # the first alone
        if flags & Flag.SYN:
            if own.base is None:
                own.base = (seq + 1) % 2**32
                seq = own.base
            if flags & Flag.ACK and other.base is None:
                other.base = ack
        if flags & Flag.RST and len(data):
            self._reset = bytes(data[:_LONGEST_REASON])
        if flags & Flag.RST or not payload:
            return 0
        self._first = side if self._first is None else self._first
        if flags & Flag.ACK and other.base is not None:
            heard = distance(other.base, ack)
            own.heard = heard if own.heard is None else max(own.heard, heard)
        more = own.add(seq, payload, data)
        self.kept += more
        return more

    def talk(self) -> Talk:
        """What was said."""
        if not self._datagrams and not all(side.placed for side in self._sides):
            return Talk(Said(), Said(), reset=self._reset, placed=False, first=self._begin)
        client, server = (
            Said(bytes(side.data), max(side.total, 0), side.heard or 0, side.tail, cut=side.cut)
            for side in self._sides
        )
        return Talk(
            client,
            server,
            server_first=self._first == SERVER,
            reset=self._reset,
            first=self._begin,
            datagrams=self._datagrams,
        )
