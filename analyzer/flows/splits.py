"""Where one connection between two endpoints ends and the next begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.data import load
from analyzer.flows.found import Found
from analyzer.flows.table import Slots
from analyzer.model.columns import ROW_FIELDS, TCP, Flag, PacketColumns
from analyzer.model.seq import add

LINGER_NS = 2 * int(load("profiles/linux")["time_wait"]["length_s"]) * 10**9
"""A closed flow waits so long for late segments: twice Linux's TIME_WAIT, which no other system's exceeds."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A SYN on a connection that is open: of its own number, and by which end (who sorts first).

    Either that is challenged and tells nothing (RFC 9293 section 3.10.7.4), or the other end acknowledges it:
    then it was the first packet of another connection. ``columns`` are its values, in the order of
    ROW_FIELDS.
    """

    seq: int
    forward: bool
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Splits:
    """begins: int64 (k,), rows that begin another connection; handed: the SYN that each of them acknowledges.

    strays: int64 (m,), the rows that are such SYNs; open: for pairs of endpoints, by their index, what their
    last connection has of them.
    """

    begins: NDArray[np.int64]
    handed: dict[int, Stray]
    strays: NDArray[np.int64]
    open: dict[int, Stray]


def find_splits(
    rows: PacketColumns,
    forward: NDArray[np.bool_],
    starts: NDArray[np.int64],
    is_carried: NDArray[np.bool_],
    carried: Slots,
    strays: Mapping[int, Stray],
) -> Splits:
    """Look where another connection begins between the same endpoints.

    That is a pause longer than LINGER_NS after the end, a SYN with a new initial sequence number after a FIN
    or RST, or the acknowledgement of one that came before the end. ``starts`` int64 (g,) are the first rows
    of each pair of endpoints, ``carried`` (g,) the slots of their newest flow where ``is_carried``,
    ``strays`` what is remembered of such flows by number. Looked at one by one are only control rows of pairs
    where a split is possible.
    """
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(rows))))
    previous = np.empty(len(rows), np.int64)
    previous[1:] = rows.clock[:-1]
    previous[starts] = np.where(is_carried, carried["clock"], rows.clock[starts])
    pause = rows.clock - previous > LINGER_NS

    def with_earlier(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Those of the rows before which another one of the same endpoints is known."""
        at = np.flatnonzero(chosen)
        index = group.take(at)
        return at.compress(is_carried.take(index) | (starts.take(index) < at))

    candidates = is_carried & carried["has_stray"]
    syns = with_earlier((rows.flags & (Flag.SYN | Flag.ACK)) == Flag.SYN)
    candidates[group.take(syns)] = True
    long = with_earlier(pause)
    if len(long):
        was_over = is_carried & (carried["reset"] | carried["finished"][:, 0] | carried["finished"][:, 1])
        ended = Found((rows.flags & (Flag.FIN | Flag.RST)) != 0).last_before(long, starts[group[long]]) >= 0
        over = ended | was_over[group[long]] | (rows.protocol[long] != TCP)  # all others are only idle
        candidates[group[long[over]]] = True
    ends = np.append(starts[1:], len(rows))
    begins: list[int] = []
    handed: dict[int, Stray] = {}
    found: list[int] = []
    left: dict[int, Stray] = {}
    chosen = np.flatnonzero(candidates)
    carried = carried.take(chosen)
    for place, index in enumerate(chosen.tolist()):
        start, end = int(starts[index]), int(ends[index])
        life = Life(start)
        if is_carried[index]:
            life = Life.carried(carried, place, start, strays.get(int(carried["flow"][place])))
        control = pause[start:end] | ((rows.flags[start:end] & (Flag.SYN | Flag.FIN | Flag.RST)) != 0)
        life.walk(rows, forward, start + np.flatnonzero(control), pause)
        begins.extend(life.begins)
        handed.update(life.handed)
        found.extend(life.strays)
        if life.stray:
            left[index] = life.stray
    return Splits(np.array(begins, np.int64), handed, np.array(found, np.int64), left)


@dataclass(slots=True)
class Life:
    """What decides whether a row begins another connection between the same endpoints.

    ``start`` is its first row, ``talked`` whether one with ACK and without SYN is known; ``opened`` the
    number of each end's last SYN, ``finished`` who sent FIN (True: who sorts first).
    """

    start: int
    talked: bool = False
    opened: dict[bool, int] = field(default_factory=dict)
    finished: set[bool] = field(default_factory=set)
    reset: bool = False
    stray: Stray | None = None
    begins: list[int] = field(default_factory=list)
    handed: dict[int, Stray] = field(default_factory=dict)
    strays: list[int] = field(default_factory=list)

    @classmethod
    def carried(cls, slots: Slots, index: int, start: int, stray: Stray | None) -> Life:
        """As a slot remembers it."""
        opened = zip(
            (False, True), slots["opened"][index].tolist(), slots["has_opened"][index].tolist(), strict=True
        )
        return cls(
            start,
            talked=bool(slots["window_number"][index].any()),
            opened={end: number for end, number, is_known in opened if is_known},
            finished={end for end in (False, True) if slots["finished"][index, int(end)]},
            reset=bool(slots["reset"][index]),
            stray=stray,
        )

    def walk(
        self,
        rows: PacketColumns,
        forward: NDArray[np.bool_],
        control: NDArray[np.int64],
        pause: NDArray[np.bool_],
    ) -> None:
        """Look at the rows ``control``, in order."""
        for row in control.tolist():
            flags, seq, sender = int(rows.flags[row]), int(rows.seq[row]), bool(forward[row])
            syn = flags & (Flag.SYN | Flag.ACK) == Flag.SYN
            if self._begins_another(syn, seq, sender, bool(pause[row]), int(rows.protocol[row])):
                self._begin(row)
            elif self.stray and self._acknowledges(self.stray, flags, int(rows.ack[row]), sender):
                handed = self.handed[row] = self.stray
                self._begin(row)
                self.opened[handed.forward] = handed.seq
            if syn and self._is_stray(rows, row, seq, sender):
                self.strays.append(row)
                if self.stray is None or (self.stray.seq, self.stray.forward) != (seq, sender):
                    values = tuple(getattr(rows, name)[row].item() for name in ROW_FIELDS)
                    self.stray = Stray(seq, sender, values)
            elif syn:
                self.opened[sender] = seq
            if flags & Flag.FIN:
                self.finished.add(sender)
            self.reset |= bool(flags & Flag.RST)

    def _begin(self, row: int) -> None:
        self.begins.append(row)
        self.start, self.talked, self.opened, self.finished = row, False, {}, set()
        self.reset, self.stray = False, None

    def _begins_another(self, syn: bool, seq: int, sender: bool, pause: bool, protocol: int) -> bool:
        if pause and (self.reset or len(self.finished) == 2 or protocol != TCP):
            return True
        new = syn and seq != self.opened.get(sender)
        return new and (self.reset or bool(self.finished))

    @staticmethod
    def _acknowledges(stray: Stray, flags: int, ack: int, sender: bool) -> bool:
        """SYN-ACK, or RST where nobody listens."""
        answer = flags & Flag.ACK and flags & (Flag.SYN | Flag.RST)
        return bool(answer) and sender != stray.forward and ack == add(stray.seq, 1)

    def _is_stray(self, rows: PacketColumns, row: int, seq: int, sender: bool) -> bool:
        """It is not the SYN of this connection, nor the other end's of a simultaneous open."""
        if sender in self.opened:
            return seq != self.opened[sender]
        if not self.talked:
            before = slice(self.start, row)
            plain = (rows.flags[before] & (Flag.SYN | Flag.RST | Flag.ACK)) == Flag.ACK
            self.talked = bool((plain & ~rows.is_icmp[before]).any())  # as window_number tells it
        return self.talked


def hand_over(
    rows: PacketColumns, at: NDArray[np.int64], handed: list[Stray]
) -> tuple[PacketColumns, NDArray[np.int64]]:
    """Put each SYN before the row ``at`` that acknowledges it, with that row's clock.

    Returns the rows, and the row that each of them stands for: an acknowledgement twice where it has a SYN.
    """
    added = [stray.columns for stray in handed]
    values: dict[str, Any] = {}
    for index, name in enumerate(ROW_FIELDS):
        column = getattr(rows, name)
        values[name] = np.append(column, np.array([columns[index] for columns in added], column.dtype))
    order = np.insert(np.arange(len(rows)), at, len(rows) + np.arange(len(at)))
    stands_for = np.insert(np.arange(len(rows)), at, at)
    together = replace(rows, **values).take(order)
    return replace(together, clock=rows.clock[stands_for]), stands_for
