"""Connections that the capture shows twice: before and after a NAT, inside and outside of a tunnel.

Their SYNs are one packet: the same initial sequence number, window and timestamp (or IP ID), seen again
within LEG_NS between other addresses, or in another tunnel. A NAT that changes sequence numbers hides it, and
so does whatever makes a connection of its own.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch
from analyzer.flows.copies import COPY_NS, any_twice
from analyzer.flows.keys import scramble
from analyzer.flows.table import Slots
from analyzer.model.columns import Flag, PacketColumns
from analyzer.model.records import Records, joined, take, where
from analyzer.model.summary import ENDS, LEG, LegRows

LEG_NS = COPY_NS
"""A packet passes a NAT, or is put into a tunnel, as quickly as it passes a bridge."""

_RECENT = np.dtype(
    [
        *(("hash", "u8"), ("number", "i8"), ("time", "i8"), ("clock", "i8")),
        *((name, kind, (2,)) for name, kind in (("flow", "i8"), ("key", "u8"), *ENDS)),
    ]
)
"""A SYN; of its flow (index 1), and of that which showed the same SYN first (index 0)."""
_FIRST = ("flow", "key", *(name for name, _ in ENDS))

SYN = np.dtype([("hash", "u8"), ("number", "i8"), ("time", "i8"), ("clock", "i8"), ("key", "u8")])
"""A SYN that may be one packet with another one, in whatever flow."""

_SYN_AND_FIRST = np.dtype(
    [*((name, SYN[name]) for name in SYN.names or ()), ("first", "i8"), ("first_key", "u8")]
)
_SHOWN = np.dtype([("number", "i8"), ("clock", "i8"), ("leg", LEG)])
"""A SYN, and of which flow it is: index 0 of a LEG row."""

ELSEWHERE = 1 << 40
"""Added to the number of a SYN's frame in ``first_leg``, where the flow that it is of is not known."""


class FindsLegs(Protocol):
    """What a tracker asks."""

    def find(self, batch: Batch, slots: Slots) -> LegRows:
        """See Legs."""


Twin: TypeAlias = tuple[int, int, int, int]
"""Number and key of a SYN that another flow showed first, and number and key of that one."""


class Twins(NamedTuple):
    """SYNs that are one packet with another one.

    again: of flows, the number of each one's frame and that of the frame that showed it first; firsts: the
    numbers of those.
    """

    again: tuple[tuple[int, int], ...] = ()
    firsts: tuple[int, ...] = ()


NO_TWINS = Twins()


class FindsTwins:
    """Remembers the SYNs of all flows from batch to batch, as long as another one may be the same packet."""

    def __init__(self) -> None:
        self._recent: Records = np.zeros(0, _SYN_AND_FIRST)
        self._clock = 0

    def find(self, columns: PacketColumns, keys: NDArray[np.uint64]) -> list[Twin]:
        """As ``twins`` of all SYNs up to the end of these rows, what it did not give before.

        ``keys`` uint64 (n,) are those of the rows.
        """
        noted = self._noted(columns, keys)
        self._clock = max(self._clock, columns.clock_end)
        every = joined([self._recent, noted])
        order = np.lexsort([every["number"], every["hash"]])
        every = take(every, order)
        near = _near(every)
        head = _heads(near)
        for name in ("first", "first_key"):
            every[name] = every[name][head]
        fresh = near & (order >= len(self._recent))
        self._recent = where(every, every["clock"] > self._clock - LEG_NS)
        found = where(every, fresh & (every["first_key"] != every["key"]))
        names = ("number", "key", "first", "first_key")
        return list(zip(*(found[name].tolist() for name in names), strict=True))

    def _noted(self, columns: PacketColumns, keys: NDArray[np.uint64]) -> Records:
        """The SYNs among the rows that may be one packet with one before them, or with one that follows."""
        rows = _syns(columns)
        hashes = _hashes(columns, rows)
        chosen = _is_twice(np.concatenate([self._recent["hash"], hashes]))[len(self._recent) :]
        clock = np.maximum(columns.clock[rows], self._clock)
        chosen |= clock > max(self._clock, columns.clock_end) - LEG_NS
        rows = rows[chosen]
        noted = np.zeros(len(rows), _SYN_AND_FIRST)
        noted["hash"], noted["key"], noted["first_key"] = hashes[chosen], keys[rows], keys[rows]
        noted["number"] = noted["first"] = columns.number[rows]
        noted["time"], noted["clock"] = columns.time[rows], clock[chosen]
        return noted


class ToldLegs:
    """Takes the place of Legs in a share of a capture, whose flows may be shown by other shares as well.

    Who sees all SYNs says in ``tell`` which are one packet. ``again`` are the flows that begin with one that
    another flow showed before: LEG rows, of which those of the other flow have its SYN's number as ``flow``;
    ``firsts`` those other flows, as such rows, by the numbers of their SYNs.
    """

    def __init__(self) -> None:
        self.again: list[LegRows] = []
        self.firsts: dict[int, np.void] = {}
        self._again: dict[int, int] = {}
        self._firsts: set[int] = set()
        self._recent: Records = np.zeros(0, _SHOWN)

    def tell(self, twins: Twins) -> LegRows:
        """Of the next batches. Gives what ``find`` would have, had it known, of those before."""
        self._again, self._firsts = dict(twins.again), set(twins.firsts)
        return self._first(self._recent)

    def find(self, batch: Batch, slots: Slots) -> LegRows:
        """See Legs; the rows name only the flows of this share that another one goes on from."""
        rows = _syns(batch.rows, batch.handed)
        self._note_again(batch, slots, rows)
        numbers, clock = batch.rows.number[rows], batch.rows.clock[rows]
        late = int(batch.rows.clock.max()) - LEG_NS
        asked = (clock > late) | np.isin(numbers, np.fromiter(self._firsts, np.int64))
        shown = np.zeros(np.count_nonzero(asked), _SHOWN)
        shown["number"], shown["clock"] = numbers[asked], clock[asked]
        shown["leg"] = _of_slots(slots, batch.group[rows[asked]], 0)
        every = joined([self._recent, shown])
        self._recent = where(every, every["clock"] > late)
        return self._first(shown)

    def _note_again(self, batch: Batch, slots: Slots, syns: NDArray[np.int64]) -> None:
        """Note the flows that begin with a SYN (``syns`` are rows) which another one showed before."""
        again = self._again
        if not again:
            return
        own = syns[np.isin(batch.rows.number[syns], np.fromiter(again, np.int64))]
        begins = own[_begins(batch, slots, own)]
        if len(begins):
            found = _of_slots(slots, batch.group[begins], 1)
            found["flow"][:, 0] = [again[number] for number in batch.rows.number[begins].tolist()]
            slots.write("first_leg", batch.group[begins], ELSEWHERE + found["flow"][:, 0] + 1)
            self.again.append(found)

    def _first(self, shown: Records) -> LegRows:
        """Note the SYNs that another flow shows as well; the LEG rows of those that were not known."""
        wanted = [number for number in self._firsts if number not in self.firsts]
        if not wanted:
            return np.zeros(0, LEG)
        chosen = where(shown, np.isin(shown["number"], wanted))
        legs = chosen["leg"].copy()
        self.firsts.update(zip(chosen["number"].tolist(), legs, strict=True))
        return legs


def _begins(batch: Batch, slots: Slots, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these rows are the first of their flow: bool (k,)."""
    group = batch.group[rows]
    begins: NDArray[np.bool_] = batch.starts[group] == rows
    begins &= slots["rows"][group] == (batch.ends - batch.starts)[group]
    return begins


def _of_slots(slots: Slots, index: NDArray[np.int64], leg: int) -> LegRows:
    """LEG rows with what is known of these slots, as that leg."""
    rows = np.zeros(len(index), LEG)
    for name in ("flow", *(name for name, _ in ENDS)):
        rows[name][:, leg] = slots.some(name, index)
    return rows


def syns(columns: PacketColumns, keys: NDArray[np.uint64], begin: int) -> Records:
    """SYN rows that may be one packet with one before ``begin``, with each other, or with one that follows.

    ``keys`` uint64 (n,) are those of the rows. Others cannot be: nothing passes a NAT more slowly.
    """
    rows = _syns(columns)
    hashes = _hashes(columns, rows)
    chosen = _is_twice(hashes)
    clock = columns.clock[rows]
    chosen |= (clock > columns.clock_end - LEG_NS) | (clock < begin + 2 * LEG_NS)
    rows = rows[chosen]
    found = np.zeros(len(rows), SYN)
    found["hash"], found["key"] = hashes[chosen], keys[rows]
    for name in ("number", "time", "clock"):
        found[name] = getattr(columns, name)[rows]
    return found


def twins(every: Records) -> list[Twin]:
    """Of SYN rows, those that another flow showed first."""
    every = take(every, np.lexsort([every["number"], every["hash"]]))
    near = _near(every)
    head = _heads(near)
    first = take(every, head)
    at = np.flatnonzero(near & (first["key"] != every["key"]))
    columns = (every["number"], every["key"], first["number"], first["key"])
    return list(zip(*(column[at].tolist() for column in columns), strict=True))


def _syns(columns: PacketColumns, handed: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """The rows that are a SYN by which a packet can be told, but those that were handed over: int64 (k,)."""
    syn = (columns.flags & (Flag.SYN | Flag.ACK)) == Flag.SYN
    if handed is not None:
        syn[handed] = False
    telling = (columns.seq != 0) & (columns.has_ts | (columns.ip_id != 0))  # made packets often have 0
    return np.flatnonzero(syn & ~columns.is_icmp & telling)


class Legs:
    """Remembers the SYNs of all flows from batch to batch, as long as another one may be the same packet."""

    def __init__(self) -> None:
        self._recent: Records = np.zeros(0, _RECENT)

    def find(self, batch: Batch, slots: Slots) -> LegRows:
        """The flows that begin in this batch with a SYN which another flow showed before: LEG rows.

        Writes the number of that flow, plus one, into ``first_leg`` of the slots (g,).
        """
        noted, rows = self._noted(batch, slots)
        legs = np.zeros(0, LEG)
        if len(noted):
            every = joined([self._recent, noted])
            order = np.lexsort([every["number"], every["hash"]])
            every = take(every, order)
            near = _near(every)
            head = _heads(near)
            for name in _FIRST:
                every[name][:, 0] = every[name][head, 0]
            at = np.flatnonzero(
                near & (order >= len(self._recent)) & (every["key"][:, 0] != every["key"][:, 1])
            )
            own = rows[order[at] - len(self._recent)]
            begins = _begins(batch, slots, own)
            legs = _legs(every[at[begins]])
            slots.write("first_leg", batch.group[own[begins]], legs["flow"][:, 0] + 1)
            self._recent = every
        if len(self._recent):
            self._recent = where(self._recent, self._recent["clock"] > batch.rows.clock.max() - LEG_NS)
        return legs

    def _noted(self, batch: Batch, slots: Slots) -> tuple[Records, NDArray[np.int64]]:
        """The SYNs of the batch that may be one packet with another one, and their rows: int64 (k,).

        That is those of which a second one is known, and those of the end, whose second one may follow.
        """
        columns = batch.rows
        rows = _syns(columns, batch.handed)
        hashes = _hashes(columns, rows)
        chosen = _is_twice(np.concatenate([self._recent["hash"], hashes]))[len(self._recent) :]
        chosen |= columns.clock[rows] > columns.clock.max() - LEG_NS
        rows = rows[chosen]
        noted = np.zeros(len(rows), _RECENT)
        group = batch.group[rows]
        for name in _FIRST:
            noted[name] = slots.some(name, group)[:, None]
        for name in ("number", "time", "clock"):
            noted[name] = getattr(columns, name)[rows]
        noted["hash"] = hashes[chosen]
        return noted, rows


def _is_twice(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of them occur more than once: bool (n,)."""
    twice = np.zeros(len(hashes), np.bool_)
    if not any_twice(hashes.astype(np.uint32)):  # as nearly always: to sort half of each alone is quicker
        return twice
    order = np.argsort(hashes)
    ordered = hashes[order]
    at = np.flatnonzero(ordered[1:] == ordered[:-1])
    twice[order[at]] = twice[order[at + 1]] = True
    return twice


def _hashes(columns: PacketColumns, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 bits of what neither a NAT nor a tunnel changes (the MSS may be clamped): uint64 (k,)."""

    def column(name: str) -> NDArray[np.uint64]:
        values: NDArray[np.uint64] = getattr(columns, name)[rows].astype(np.uint64)
        return values

    has_ts = columns.has_ts[rows]
    stamp = np.where(has_ts, column("tsval"), column("ip_id"))
    first = column("seq") | stamp << np.uint64(32)
    shape = column("window") | column("version") << np.uint64(16) | has_ts.astype(np.uint64) << np.uint64(20)
    shape |= (column("scale") & np.uint64(0xFF)) << np.uint64(24) | column("payload") << np.uint64(32)
    return scramble(scramble(first) ^ shape)


def _near(every: Records) -> NDArray[np.bool_]:
    """Which rows (sorted) are the same SYN as the one before them: bool (n,)."""
    near = np.zeros(len(every), np.bool_)
    near[1:] = every["hash"][1:] == every["hash"][:-1]
    for name in ("clock", "time"):
        near[1:] &= np.abs(every[name][1:] - every[name][:-1]) < LEG_NS
    return near


def _heads(near: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of rows as of ``_near``, the first one of those that are the same SYN: int64 (n,)."""
    return np.maximum.accumulate(np.where(near, 0, np.arange(len(near))))


def _legs(rows: Records) -> LegRows:
    legs = np.zeros(len(rows), LEG)
    for name in ("flow", *(name for name, _ in ENDS)):
        legs[name] = rows[name]
    return legs
