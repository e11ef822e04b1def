"""What each end had sent before each row, and which rows matter therefore."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.running import (
    FAR,
    RunningMax,
    last_before,
    last_of_groups,
    running_max,
    sum_before,
)
from analyzer.flows.table import Rows
from analyzer.model.columns import TCP, Flag, PacketColumns
from analyzer.model.flow import CLIENT, SERVER, Kind

Mask = NDArray[np.bool_]

LAST = (
    # family, name in Totals, column of the row that it is taken from
    ("last", "last_number", "number"),
    ("last", "last_time", "time"),
    ("data", "last_data_number", "number"),
    ("data", "last_data_time", "time"),
    ("data", "last_data_seq", "seq"),
    ("data", "last_data_length", "payload"),
    ("turn", "turn_time", "time"),
    ("resent", "resent_number", "number"),
    ("resent", "resent_time", "time"),
    ("resent", "resent_seq", "seq"),
    ("resent", "resent_length", "payload"),
)
"""Totals that are a column's value in the last row of some kind that this end sent."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows sorted by flow.

    group: int64 (n,), starts: int64 (g,), slot: int64 (g,), side: uint8 (n,); forward: bool (n,), sent by
    the endpoint that sorts first; superseded: int64 (k,), slots whose flow is over because another took
    its endpoints, and superseded_at: int64 (k,), the clock at that one's first row.
    """

    rows: PacketColumns
    group: NDArray[np.int64]
    starts: NDArray[np.int64]
    slot: NDArray[np.int64]
    side: NDArray[np.uint8]
    forward: Mask
    superseded: NDArray[np.int64]
    superseded_at: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Side:
    """One end just before each row.

    ``sums`` are int64 (n,) each by their name in Totals, counted from the begin of the batch; ``found``
    int64 (k,) each by their family in LAST, the rows of that kind; ``opened`` int64 (g,) the first row of
    the batch without SYN, n where there is none.
    """

    seq: RunningMax
    ack: RunningMax
    sums: dict[str, NDArray[np.int64]]
    found: dict[str, NDArray[np.int64]]
    opened: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class State:
    """Both ends just before each row, and Kind bits of each row: uint16 (n,)."""

    sides: tuple[Side, Side]
    kinds: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class _Marks:
    """What each row is, by itself and by what was sent before it: bool (n,) each."""

    counted: Mask  # a TCP or UDP packet, not ICMP
    sent: Mask  # ... and not a reset
    fresh: Mask  # carries payload that was not sent before
    turn: Mask  # ... and the last such row came from the other end, or there was none
    resent: Mask  # carries nothing that was not sent before
    moves_on: Mask  # acknowledges more than was acknowledged before
    unseen: Mask  # acknowledges bytes that were not captured
    gap: Mask  # begins beyond all that was sent before


def follow(batch: Batch, before: Rows, after: Rows) -> State:
    """Both ends' state before each row; writes what it is after the last one into ``after`` (slots, (g,))."""
    rows = batch.rows
    ends = seq_ends(rows)
    counted = ~rows.is_icmp
    sent = counted & ((rows.flags & Flag.RST) == 0)
    seqs = _both(batch, before, after, ends, sent & (rows.protocol == TCP), "seq_end", "has_seq")
    acks = _both(batch, before, after, rows.ack, sent & ((rows.flags & Flag.ACK) != 0), "ack", "has_ack")
    marks = _marks(batch, before, seqs, acks, ends, counted, sent)
    client, server = (
        Side(
            seqs[side],
            acks[side],
            *_side(batch, marks, before, after, side),
            _opened(batch, marks, after, side),
        )
        for side in (CLIENT, SERVER)
    )
    return State((client, server), _kinds(batch, marks, before, after))


def seq_ends(rows: PacketColumns) -> NDArray[np.uint32]:
    """Sequence number after each row's segment, SYN and FIN counted: uint32 (n,)."""
    length = rows.payload + ((rows.flags & Flag.SYN) != 0) + ((rows.flags & Flag.FIN) != 0)
    ends: NDArray[np.uint32] = rows.seq + length.astype(np.uint32)
    return ends


def _both(
    batch: Batch,
    before: Rows,
    after: Rows,
    values: NDArray[np.uint32],
    eligible: Mask,
    name: str,
    known: str,
) -> tuple[RunningMax, RunningMax]:
    """The running maximum of each side's own rows."""
    found = []
    for side in (CLIENT, SERVER):
        own = eligible & (batch.side == side)
        top = running_max(
            values, own, batch.group, batch.starts, before[name][:, side], before[known][:, side]
        )
        after[name][:, side], after[known][:, side] = top.after, top.after_known
        found.append(top)
    return found[CLIENT], found[SERVER]


def _ahead(numbers: NDArray[np.uint32], of: NDArray[np.uint32]) -> NDArray[np.int32]:
    """How far ``numbers`` lie ahead of ``of`` on the circle: int32 (n,)."""
    return (numbers - of).view(np.int32)


def _marks(
    batch: Batch,
    before: Rows,
    seqs: tuple[RunningMax, RunningMax],
    acks: tuple[RunningMax, RunningMax],
    ends: NDArray[np.uint32],
    counted: Mask,
    sent: Mask,
) -> _Marks:
    rows = batch.rows
    server = batch.side == SERVER
    own_end = np.where(server, seqs[SERVER].before, seqs[CLIENT].before)
    own_known = np.where(server, seqs[SERVER].known, seqs[CLIENT].known)
    other_end = np.where(server, seqs[CLIENT].before, seqs[SERVER].before)
    other_known = np.where(server, seqs[CLIENT].known, seqs[SERVER].known)
    own_ack = np.where(server, acks[SERVER].before, acks[CLIENT].before)
    own_acked = np.where(server, acks[SERVER].known, acks[CLIENT].known)
    other_ack = np.where(server, acks[CLIENT].before, acks[SERVER].before)
    other_acked = np.where(server, acks[CLIENT].known, acks[SERVER].known)
    tcp = sent & (rows.protocol == TCP)
    opens = (rows.flags & (Flag.SYN | Flag.FIN)) != 0
    ahead = _ahead(ends, own_end)
    probe = (rows.payload == 1) & ~opens & (ahead == 0) & other_acked & (other_ack == own_end)
    behind = own_known & (ahead <= 0) & (ahead > -FAR)
    has_ack = tcp & ((rows.flags & Flag.ACK) != 0)
    unseen_by = _ahead(rows.ack, other_end)
    begins_ahead = _ahead(rows.seq, own_end)
    more = _ahead(rows.ack, own_ack)
    fresh = sent & (rows.payload > 0) & (~own_known | ((ahead > 0) & (ahead < FAR)))
    return _Marks(
        counted=counted,
        sent=sent,
        fresh=fresh,
        turn=_turns(batch, fresh, before),
        resent=tcp & ((rows.payload > 0) | opens) & behind & ~probe,
        moves_on=has_ack & (~own_acked | ((more > 0) & (more < FAR))),
        unseen=has_ack & other_known & (unseen_by > 0) & (unseen_by < FAR),
        gap=tcp & own_known & (begins_ahead > 0) & (begins_ahead < FAR),
    )


def _turns(batch: Batch, fresh: Mask, before: Rows) -> Mask:
    """New data before which the last new data came from the other end, or from none: bool (n,)."""
    numbers = before["last_data_number"]
    carried = np.where(numbers.any(axis=1), numbers[:, SERVER] > numbers[:, CLIENT], -1)
    rows = np.flatnonzero(fresh)
    group = batch.group[rows]
    previous = last_before(rows, rows, batch.starts[group])
    other = np.where(previous >= 0, batch.side[previous], carried[group]) != batch.side[rows]
    turns = np.zeros(len(fresh), np.bool_)
    turns[rows[other]] = True
    return turns


def _side(
    batch: Batch, marks: _Marks, before: Rows, after: Rows, side: int
) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
    """Sums and last rows of one end."""
    own = batch.side == side
    sums = {}
    for name, values in (
        ("payload", np.where(marks.counted & own, batch.rows.payload, 0)),
        ("unseen", (marks.unseen & own).astype(np.int64)),
        ("gaps", (marks.gap & own).astype(np.int64)),
    ):
        sums[name], whole = sum_before(values, batch.group, batch.starts)
        after[name][:, side] += whole.astype(after[name].dtype)
    families = {"last": marks.sent, "data": marks.fresh, "turn": marks.turn, "resent": marks.resent}
    found = {family: np.flatnonzero(mask & own) for family, mask in families.items()}
    final = {family: last_of_groups(rows, batch.starts, len(own)) for family, rows in found.items()}
    for family, name, column in LAST:
        known = final[family] >= 0
        after[name][known, side] = getattr(batch.rows, column)[final[family][known]]
    return sums, found


def _opened(batch: Batch, marks: _Marks, after: Rows, side: int) -> NDArray[np.int64]:
    """First row of one end without SYN in each group, n where there is none: int64 (g,)."""
    n = len(batch.side)
    plain = marks.sent & (batch.side == side) & ((batch.rows.flags & Flag.SYN) == 0)
    first = np.minimum.reduceat(np.where(plain, np.arange(n), n), batch.starts)
    new = (first < n) & (after["opened_time"][:, side] == 0)
    after["opened_time"][new, side] = batch.rows.time[first[new]]
    return first


def _kinds(batch: Batch, marks: _Marks, before: Rows, after: Rows) -> NDArray[np.uint16]:
    """Kind bits of each row. Writes what is going on at each side into ``after``."""
    flags = batch.rows.flags
    repeated, recovered = _repetitions(batch, marks, before, after)
    kinds = np.zeros(len(flags), np.uint16)
    for kind, condition in (
        (Kind.SYN, (flags & Flag.SYN) != 0),
        (Kind.FIN, (flags & Flag.FIN) != 0),
        (Kind.RST, (flags & Flag.RST) != 0),
        (Kind.ICMP, batch.rows.is_icmp),
        (Kind.RESENT, marks.resent),
        (Kind.REPEATED, repeated | (marks.resent & ((flags & Flag.SYN) != 0))),
        (Kind.RECOVERED, recovered),
    ):
        kinds[condition] |= kind
    return kinds


def _repetitions(batch: Batch, marks: _Marks, before: Rows, after: Rows) -> tuple[Mask, Mask]:
    """Rows that send again what had been sent again already, and those that end a run: bool (n,).

    A run that is worth its end being told is such a repetition, or a SYN or FIN sent again.
    """
    n = len(batch.side)
    opens = (batch.rows.flags & (Flag.SYN | Flag.FIN)) != 0
    repeated, recovered = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for side in (CLIENT, SERVER):
        own = batch.side == side
        again = marks.resent & own
        rows = np.flatnonzero(again | (marks.moves_on & ~own))
        group = batch.group[rows]
        previous = last_before(rows, rows, batch.starts[group])
        inside = previous >= 0
        stuck = np.where(inside, again[previous], before["stuck"][:, side][group])
        same = np.where(inside, batch.rows.seq[previous], before["resent_seq"][:, side][group])
        repeats = again[rows] & stuck & (same == batch.rows.seq[rows])
        repeated[rows[repeats]] = True
        told = np.zeros(n, np.bool_)  # of this side alone: a row may also move on what the other one sent
        told[rows[repeats | (again[rows] & opens[rows])]] = True
        telling = np.where(inside, told[previous], before["repeating"][:, side][group])
        recovered[rows[~again[rows] & telling]] = True
        final = last_of_groups(rows, batch.starts, n)
        known = final >= 0
        after["stuck"][known, side] = again[final[known]]
        after["repeating"][known, side] = told[final[known]]
    return repeated, recovered
