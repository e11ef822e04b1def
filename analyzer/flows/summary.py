"""What is kept of every flow for the time after its end, and the pauses that it lived through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch, Mask, State
from analyzer.flows.running import previous
from analyzer.flows.table import ALL, Slots
from analyzer.model.columns import Flag
from analyzer.model.flow import CLIENT, SERVER, Kind
from analyzer.model.summary import ENDS, MIN_IDLE_NS, MIN_PAUSE_NS, SUMMARY, SummaryRows


def note_pauses(batch: Batch, state: State, before: Slots, after: Slots) -> None:
    """Carry the longest pause survived, and each side's longest that was not answered yet; slots (g,).

    A pause lies before a segment that is not sent again; it is survived once the other end sends anything
    but a reset.
    """
    pauses = _pauses(batch, before)
    long = np.flatnonzero(pauses >= MIN_PAUSE_NS)
    long = long[(state.kinds[long] & Kind.RESENT) == 0]
    waiting = before["fatal"]
    if not len(long) and not waiting.any():
        return
    sent = [side.found["last"] for side in state.sides]  # all but resets
    survived = before["survived"].copy()
    for side in (CLIENT, SERVER):
        answer = sent[1 - side].lasts(batch.starts, batch.ends)
        rows = long[sent[side].holds(long)]
        answered = rows < answer[batch.group[rows]]
        fatal = np.where(answer >= 0, 0, waiting[:, side])
        np.maximum(survived, waiting[:, side] - fatal, out=survived)
        for longest, those in ((survived, rows[answered]), (fatal, rows[~answered])):
            np.maximum.at(longest, batch.group[those], pauses[those])
        after.write("fatal", ALL, fatal, side)
    after.write("survived", ALL, survived)


def _pauses(batch: Batch, before: Slots) -> NDArray[np.int64]:
    """How long nothing of the flow had been seen before each row: int64 (n,)."""
    clock = batch.rows.clock
    pauses = np.empty_like(clock)
    np.subtract(clock[1:], clock[:-1], out=pauses[1:])
    first = clock[batch.starts]
    pauses[batch.starts] = first - np.where(before["rows"] > 0, before["clock"], first)
    return pauses


def note_sizes(batch: Batch, before: Slots, after: Slots) -> None:
    """Carry the largest payload of each side's segments in ``after`` (slots, (g,))."""
    payload = batch.rows.payload
    if batch.rows.is_icmp.any():
        payload = payload * ~batch.rows.is_icmp
    for side in (CLIENT, SERVER):
        largest = np.maximum.reduceat(payload * (batch.side == side), batch.starts)
        new = np.flatnonzero(largest)
        after.write("largest", new, np.maximum(before.some("largest", new, side), largest[new]), side)


def note_answers(batch: Batch, before: Slots, after: Slots) -> None:
    """Remember the first SYN+ACK of each flow, and who sent a reset, in ``after`` (slots, (g,))."""
    rows = batch.rows
    both = Flag.SYN | Flag.ACK
    answers = np.flatnonzero(((rows.flags & both) == both) & (rows.time != 0))  # 0 stands for none
    answers = answers[::-1]  # of several the first is written last
    group = batch.group[answers]
    new = before.some("answered", group) == 0
    after.write("answered", group[new], rows.time[answers[new]])
    resets = batch.having(Flag.RST)
    for side in (CLIENT, SERVER):
        after.write("reset_by", batch.group[resets[batch.side[resets] == side]], True, side)


def note_mss(batch: Batch, after: Slots) -> None:
    """Remember the MSS of each side's SYN in ``after`` (slots, (g,))."""
    told = batch.having(Flag.SYN)
    told = told.compress(batch.rows.mss.take(told) > 0)
    for side in (CLIENT, SERVER):
        own = told.compress(batch.side.take(told) == side)
        after.write("mss", batch.group[own], batch.rows.mss[own], side)


def unsplit(slots: Slots) -> int:
    """How many of these flows hold a segment that is larger than its receiver takes (its MSS)."""
    limit = slots["mss"][:, ::-1]
    return int(((limit > 0) & (slots["largest"] > limit)).any(axis=1).sum())


def note_ttls(batch: Batch, state: State, before: Slots, after: Slots) -> None:
    """Remember the first TTL of each side, and that of its first reset, in ``after`` (slots, (g,))."""
    resets = batch.having(Flag.RST)
    for side in (CLIENT, SERVER):
        first = state.sides[side].found["last"].firsts(batch.starts, batch.ends)
        new = np.flatnonzero(first < len(batch.rows))
        new = new[before.some("ttl", new, side) == 0]
        after.write("ttl", new, batch.rows.ttl[first[new]], side)
        own = resets[batch.side[resets] == side][::-1]  # of several the first is written last
        own = own[before.some("reset_ttl", batch.group[own], side) == 0]
        after.write("reset_ttl", batch.group[own], batch.rows.ttl[own], side)


def note_idle_close(batch: Batch, state: State, before: Slots, after: Slots) -> None:
    """Remember in ``after`` (slots, (g,)) how long the server had been silent when it closed first.

    That is its idle timeout, if the client had not sent anything since.
    """
    fins = batch.having(Flag.FIN)
    client, server = (side.found["last"].holds(fins) for side in state.sides)
    fins, server = fins.compress(client | server), server.compress(client | server)
    rows = fins.compress(server & (previous(fins, batch.floors(fins)) < 0))
    group = batch.group[rows]
    finished = before.some("finished", group, CLIENT) | before.some("finished", group, SERVER)
    rows, group = rows.compress(~finished), group.compress(~finished)
    if not len(rows):
        return
    asked, told = (
        batch.last_values(before, side.found["data"], rows, index, "last_data_time")[0]
        for index, side in enumerate(state.sides)
    )
    idle = batch.rows.time[rows] - told
    known = (told > 0) & (asked <= told) & (batch.rows.payload[rows] == 0) & (idle >= MIN_IDLE_NS)
    after.write("idle_close", group[known], idle[known])


_SAME = (
    *("flow", "watched", "protocol", "client_guessed", *(name for name, _ in ENDS), "first_leg"),
    *("again", "start", "end", "answered", "survived", "idle_close"),
    *("payload", "resent_length", "largest", "ttl", "reset_ttl", "fatal"),
)


def summary_rows(slots: Slots) -> SummaryRows:
    """SUMMARY rows of these slots: (n,)."""
    out = np.zeros(len(slots), SUMMARY)
    for name in _SAME:
        out[name] = slots[name]
    out["packets"] = slots["rows"]
    out["reset"] = slots["reset_by"]
    out["completed"] = np.where(slots["answered"] > 0, slots["opened_time"][:, CLIENT], 0)
    forward = np.where(slots["client_forward"], CLIENT, SERVER)
    index = np.arange(len(slots))
    for side in (CLIENT, SERVER):  # the endpoint that sorts first has index 1 in ``finished``
        out["fin"][:, side] = slots["finished"][index, (forward == side).astype(np.int64)]
        acked = slots["has_ack"][:, 1 - side] & _reached(slots["ack"][:, 1 - side], slots["seq_end"][:, side])
        out["unacknowledged"][:, side] = slots["has_seq"][:, side] & ~acked
    return out


def _reached(ack: NDArray[np.uint32], end: NDArray[np.uint32]) -> Mask:
    return (ack - end).view(np.int32) >= 0
