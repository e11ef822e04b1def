"""What each row is, by itself and by what was sent before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch, Mask
from analyzer.flows.copies import Copies
from analyzer.flows.found import Found
from analyzer.flows.running import FAR, RunningMax, pick
from analyzer.flows.table import Slots
from analyzer.model.columns import TCP, Flag, PacketColumns
from analyzer.model.flow import CLIENT, SERVER

Tops = tuple[RunningMax, RunningMax]


@dataclass(frozen=True, slots=True)
class Marks:
    """bool (n,) each."""

    copy: Mask  # in the capture already: none of the others
    counted: Mask  # a TCP or UDP packet, not ICMP
    sent: Mask  # ... and not a reset, nor a stray SYN
    fresh: Mask  # carries payload that was not sent before
    turn: Mask  # ... and the last such row came from the other end, or there was none
    resent: Mask  # carries nothing that was not sent before, and is no probe
    moves_on: Mask  # acknowledges more than was acknowledged before
    unseen: Mask  # acknowledges bytes that were not captured
    gap: Mask  # begins beyond all that was sent before
    announces: Mask  # says how much room its sender has: no SYN
    probe: Mask  # a keepalive or zero-window probe


def mark(
    batch: Batch,
    before: Slots,
    copies: Copies,
    seqs: Tops,
    acks: Tops,
    ends: NDArray[np.uint32],
    sent: Mask,
) -> Marks:
    """Look at each row; ``ends`` are the numbers after it, ``sent`` tells what is no ICMP, RST, stray SYN."""
    rows = batch.rows
    server = batch.side == SERVER
    own_end, own_known, other_end, other_known = _by_sender(server, seqs)
    own_ack, own_acked, other_ack, other_acked = _by_sender(server, acks)
    tcp = sent & (rows.protocol == TCP)
    has_ack = tcp & ((rows.flags & Flag.ACK) != 0)
    ahead, more = _ahead(ends, own_end), _ahead(rows.ack, own_ack)
    advances = (ahead > 0) & (ahead < FAR)
    moves_on = has_ack & (~own_acked | ((more > 0) & (more < FAR)))
    idle = ~tcp | (own_known & ~advances & ~moves_on)
    asks = tcp & (rows.seq == own_end - np.uint32(1))
    copy = copies.find(batch, before["flow"], idle, asks)
    if copy.any():
        sent, tcp, has_ack, moves_on = (mask & ~copy for mask in (sent, tcp, has_ack, moves_on))
    opens = (rows.flags & (Flag.SYN | Flag.FIN)) != 0
    behind = own_known & (ahead <= 0) & (ahead > -FAR)
    unseen_by = _ahead(rows.ack, other_end)
    begins_ahead = _ahead(rows.seq, own_end)
    fresh = sent & (rows.payload > 0) & (~own_known | advances)
    announces = has_ack & ((rows.flags & Flag.SYN) == 0)
    probe = _probes(
        batch,
        before,
        announces,
        announces & ~opens & (rows.payload <= 1) & own_known & other_acked,
        _ahead(rows.seq, other_ack),
        other_ack == own_end,
    )
    return Marks(
        copy=copy,
        counted=~rows.is_icmp & ~copy,
        sent=sent,
        fresh=fresh,
        turn=_turns(batch, fresh, before),
        resent=tcp & ((rows.payload > 0) | opens) & behind & ~probe,
        moves_on=moves_on,
        unseen=has_ack & other_known & (unseen_by > 0) & (unseen_by < FAR),
        gap=tcp & own_known & (begins_ahead > 0) & (begins_ahead < FAR),
        announces=announces,
        probe=probe,
    )


def seq_ends(rows: PacketColumns) -> NDArray[np.uint32]:
    """Sequence number after each row's segment, SYN and FIN counted: uint32 (n,)."""
    controls = ((rows.flags & Flag.SYN) != 0).view(np.uint8) + ((rows.flags & Flag.FIN) != 0)
    ends: NDArray[np.uint32] = rows.seq + rows.payload.astype(np.uint32) + controls
    return ends


def _by_sender(server: Mask, tops: Tops) -> tuple[NDArray[np.uint32], Mask, NDArray[np.uint32], Mask]:
    """What the sender of each row had reached, and if that is known; what the other end had, and if."""
    (client, client_known), (other, other_known) = ((top.before, top.known) for top in tops)
    own, own_known = pick(server, other, client), pick(server, other_known, client_known)
    return own, own_known, client ^ other ^ own, client_known ^ other_known ^ own_known


def _ahead(numbers: NDArray[np.uint32], of: NDArray[np.uint32]) -> NDArray[np.int32]:
    """How far ``numbers`` lie ahead of ``of`` on the circle: int32 (n,)."""
    return (numbers - of).view(np.int32)


def _probes(
    batch: Batch, before: Slots, announces: Mask, able: Mask, offset: NDArray[np.int32], all_acked: Mask
) -> Mask:
    """Keepalives and zero-window probes: bool (n,). ``offset`` lies between SND.UNA and the row's number.

    A keepalive carries the byte before SND.UNA (Windows) or none (Linux, BSD) while nothing is outstanding
    (RFC 9293 section 3.8.4). To a closed window Linux sends the same (tcp_xmit_probe_skb()), others the first
    byte beyond (RFC 9293 section 3.8.6.1).
    """
    payload = batch.rows.payload
    behind, beyond = able & (offset == -1), able & (offset == 0) & (payload == 1)
    probe: Mask = behind & all_acked
    rows = np.flatnonzero(beyond | (behind & (payload == 0) & ~probe))
    if len(rows):
        other = 1 - batch.side[rows]
        closed = np.zeros(len(rows), np.bool_)
        for side in (CLIENT, SERVER):
            found = Found(announces & (batch.side == side))
            number, window = batch.last_values(before, found, rows, side, "window_number", "window")
            closed |= (other == side) & (number != 0) & (window == 0)
        probe[rows[np.flatnonzero(closed)]] = True
    return probe


_NOBODY = 2


def _turns(batch: Batch, fresh: Mask, before: Slots) -> Mask:
    """New data before which the last new data came from the other end, or from none: bool (n,)."""
    client, server = (before.side("last_data_number", side) for side in (CLIENT, SERVER))
    carried = np.where((client | server) != 0, server > client, np.uint8(_NOBODY))
    rows = np.flatnonzero(fresh)
    group, side = batch.group.take(rows), batch.side.take(rows)
    last = np.append(np.uint8(_NOBODY), side[:-1])
    first = np.flatnonzero(group != np.append(-1, group[:-1]))
    last[first] = carried[group[first]]
    other = last != side
    turns = np.zeros(len(fresh), np.bool_)
    turns[rows.compress(other)] = True
    return turns
