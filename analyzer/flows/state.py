"""What each end had sent before each row, and which rows matter therefore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.running import FAR, RunningMax, last_index, running_max, sum_before
from analyzer.flows.table import Rows
from analyzer.model.columns import TCP, Flag, PacketColumns
from analyzer.model.flow import CLIENT, SERVER, Kind

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows sorted by flow.

    group: int64 (n,), starts: int64 (g,), slot: int64 (g,), side: uint8 (n,); forward: bool (n,), sent by
    the endpoint that sorts first; superseded: int64 (k,), slots whose flow is over because another took
    its endpoints.
    """

    rows: PacketColumns
    group: NDArray[np.int64]
    starts: NDArray[np.int64]
    slot: NDArray[np.int64]
    side: NDArray[np.uint8]
    forward: NDArray[np.bool_]
    superseded: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Running:
    """State of one side just before each row (n,)."""

    packets: NDArray[np.int64]
    payload: NDArray[np.int64]
    seq_end: NDArray[np.uint32]
    has_seq: NDArray[np.bool_]
    ack: NDArray[np.uint32]
    has_ack: NDArray[np.bool_]
    last_number: NDArray[np.int64]
    last_time: NDArray[np.int64]
    last_data_number: NDArray[np.int64]
    last_data_time: NDArray[np.int64]
    last_data_seq: NDArray[np.uint32]
    last_data_length: NDArray[np.int64]
    turn_time: NDArray[np.int64]


def run_sides(batch: Batch, before: Rows, after: Rows) -> tuple[Running, Running]:
    """Running state of both sides before each row; writes its end into ``after``."""
    rows = batch.rows
    sent = ~rows.is_icmp & ((rows.flags & Flag.RST) == 0)
    ends = seq_ends(rows)
    seqs = tuple(
        running_max(
            ends,
            sent & (batch.side == side) & (rows.protocol == TCP),
            batch.group,
            batch.starts,
            before["seq_end"][:, side],
            before["has_seq"][:, side],
        )
        for side in (CLIENT, SERVER)
    )
    own_end, own_known = (
        _by_side(batch, seqs[CLIENT].before, seqs[SERVER].before),
        _by_side(batch, seqs[CLIENT].known, seqs[SERVER].known),
    )
    fresh = sent & (rows.payload > 0) & (~own_known | (_ahead(ends, own_end) > 0))
    turns = fresh & _turns(batch, fresh, before)
    return (
        _run_side(batch, before, after, CLIENT, seqs[CLIENT], sent, fresh, turns),
        _run_side(batch, before, after, SERVER, seqs[SERVER], sent, fresh, turns),
    )


def _run_side(
    batch: Batch,
    before: Rows,
    after: Rows,
    side: int,
    seq: RunningMax,
    sent: NDArray[np.bool_],
    fresh: NDArray[np.bool_],
    turns: NDArray[np.bool_],
) -> Running:
    rows, group, starts = batch.rows, batch.group, batch.starts
    own = batch.side == side
    data = fresh & own
    acks = sent & own & ((rows.flags & Flag.ACK) != 0)
    ack = running_max(rows.ack, acks, group, starts, before["ack"][:, side], before["has_ack"][:, side])
    counted = own & ~rows.is_icmp
    packets, all_packets = sum_before(counted.astype(np.int64), group, starts)
    payload, all_payload = sum_before(np.where(counted, rows.payload, 0), group, starts)
    after["seq_end"][:, side], after["has_seq"][:, side] = seq.after, seq.after_known
    after["ack"][:, side], after["has_ack"][:, side] = ack.after, ack.after_known
    after["packets"][:, side] += all_packets
    after["payload"][:, side] += all_payload
    return Running(
        packets=packets + before["packets"][:, side][group],
        payload=payload + before["payload"][:, side][group],
        seq_end=seq.before,
        has_seq=seq.known,
        ack=ack.before,
        has_ack=ack.known,
        last_number=_last(batch, sent & own, rows.number, before, after, side, "last_number"),
        last_time=_last(batch, sent & own, rows.time, before, after, side, "last_time"),
        last_data_number=_last(batch, data, rows.number, before, after, side, "last_data_number"),
        last_data_time=_last(batch, data, rows.time, before, after, side, "last_data_time"),
        last_data_seq=_last(batch, data, rows.seq, before, after, side, "last_data_seq"),
        last_data_length=_last(batch, data, rows.payload, before, after, side, "last_data_length"),
        turn_time=_last(batch, turns & own, rows.time, before, after, side, "turn_time"),
    )


def _by_side(batch: Batch, client: NDArray[T], server: NDArray[T]) -> NDArray[T]:
    """Of each row's own side: (n,)."""
    return np.where(batch.side == SERVER, server, client)


def _turns(batch: Batch, fresh: NDArray[np.bool_], before: Rows) -> NDArray[np.bool_]:
    """Rows before which the last new data came from the other side, or from none: bool (n,)."""
    numbers = before["last_data_number"]
    carried = np.where(numbers.any(axis=1), numbers[:, SERVER] > numbers[:, CLIENT], -1)
    previous, _ = last_index(fresh, batch.group, batch.starts)
    turns: NDArray[np.bool_] = (
        np.where(previous >= 0, batch.side[previous], carried[batch.group]) != batch.side
    )
    return turns


def seq_ends(rows: PacketColumns) -> NDArray[np.uint32]:
    """Sequence number after each row's segment, SYN and FIN counted: uint32 (n,)."""
    length = rows.payload + (rows.flags & Flag.SYN != 0) + (rows.flags & Flag.FIN != 0)
    ends: NDArray[np.uint32] = rows.seq + length.astype(np.uint32)
    return ends


def _last(
    batch: Batch,
    condition: NDArray[np.bool_],
    values: NDArray[T],
    before: Rows,
    after: Rows,
    side: int,
    name: str,
) -> NDArray[T]:
    """Value of the last row that met the condition, before each row; the end's goes into ``after``."""
    previous, last = last_index(condition, batch.group, batch.starts)
    found = last >= 0
    after[name][found, side] = values[last[found]]
    return np.where(previous >= 0, values[previous], before[name][:, side][batch.group])


def _ahead(numbers: NDArray[np.uint32], of: NDArray[np.uint32]) -> NDArray[np.int32]:
    """How far ``numbers`` lie ahead of ``of`` on the circle: int32 (n,)."""
    return (numbers - of).astype(np.int32)


def row_kinds(batch: Batch, sides: tuple[Running, Running], before: Rows, after: Rows) -> NDArray[np.int64]:
    """Kind bits of each row: int64 (n,). Writes which side is recovering into ``after``."""
    rows = batch.rows
    client, server = sides
    own_end = _by_side(batch, client.seq_end, server.seq_end)
    own_known = _by_side(batch, client.has_seq, server.has_seq)
    own_ack = _by_side(batch, client.ack, server.ack)
    own_acked = _by_side(batch, client.has_ack, server.has_ack)
    other_end = _by_side(batch, server.seq_end, client.seq_end)
    other_known = _by_side(batch, server.has_seq, client.has_seq)
    other_ack = _by_side(batch, server.ack, client.ack)
    flags = rows.flags
    plain = ((flags & Flag.RST) == 0) & ~rows.is_icmp & (rows.protocol == TCP)
    carries = plain & ((rows.payload > 0) | ((flags & (Flag.SYN | Flag.FIN)) != 0))
    behind = _ahead(seq_ends(rows), own_end)
    probe = (
        (rows.payload == 1) & ((flags & (Flag.SYN | Flag.FIN)) == 0) & (behind == 0) & (other_ack == own_end)
    )
    resent = carries & own_known & (behind <= 0) & (behind > -FAR) & ~probe
    acks = plain & ((flags & Flag.ACK) != 0)
    moves_on = acks & own_acked & (_ahead(rows.ack, own_ack) > 0)
    unseen_by = _ahead(rows.ack, other_end)
    unseen = acks & other_known & (unseen_by > 0) & (unseen_by < FAR)
    recovered = np.zeros(len(rows), np.bool_)
    for side in (CLIENT, SERVER):
        recovered |= _recovered(batch, resent, moves_on, before, after, side)
    kinds = np.zeros(len(rows), np.int64)
    for kind, condition in (
        (Kind.SYN, (flags & Flag.SYN) != 0),
        (Kind.FIN, (flags & Flag.FIN) != 0),
        (Kind.RST, (flags & Flag.RST) != 0),
        (Kind.ICMP, rows.is_icmp),
        (Kind.RESENT, resent),
        (Kind.RECOVERED, recovered),
        (Kind.UNSEEN, unseen),
    ):
        kinds[condition] |= int(kind)
    return kinds


def _recovered(
    batch: Batch,
    resent: NDArray[np.bool_],
    moves_on: NDArray[np.bool_],
    before: Rows,
    after: Rows,
    side: int,
) -> NDArray[np.bool_]:
    """Rows by which the other end first acknowledges more after ``side`` had to send again: bool (n,)."""
    own = batch.side == side
    sent_again, moved_on = resent & own, moves_on & ~own
    previous, last = last_index(sent_again | moved_on, batch.group, batch.starts)
    carried = before["recovering"][:, side]
    after["recovering"][:, side] = np.where(last >= 0, sent_again[last], carried)
    recovering: NDArray[np.bool_] = np.where(previous >= 0, sent_again[previous], carried[batch.group])
    first: NDArray[np.bool_] = moved_on & recovering
    return first
