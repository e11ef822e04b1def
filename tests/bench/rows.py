"""From flows to packets: one row a packet, made for many flows at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.bench.flows import (
    COPIES,
    MSS,
    SYN_TIMES,
    Ending,
    Floats,
    Ints,
    Opening,
    Plan,
    Table,
    opening_time,
)

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
NO_OPTION, STAMP_OPTION, SYN_OPTION, SACK_OPTION = range(4)
_CLIENT, _SERVER = 0, 1
_WIRE = 12e-6  # a full frame at 1 Gbit/s
_NOW = 4e-6  # what a kernel takes to answer
_MASK = 0xFFFFFFFF

ROW = np.dtype(
    [
        ("time", "f8"),
        ("flow", "i4"),  # row in the table of the open flows
        ("side", "u1"),  # who sends: 0 client, 1 server
        ("flags", "u1"),
        ("option", "u1"),
        ("length", "u2"),
        ("window", "u2"),
        ("seq", "u4"),
        ("ack", "u4"),
        ("sack", "u4", 2),
    ]
)


def make(flows: Table, until: float, plan: Plan, rng: np.random.Generator) -> Table:
    """The packets of every opening, exchange and ending that that is due; notes that in the table."""
    parts = _openings(flows, until)
    parts += _exchanges(flows, until, plan, rng)
    parts += _endings(flows, until)
    return np.concatenate(parts)


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """For each of ``counts``, that many rows: the index of their owner and their position in it."""
    owner = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - starts[owner]


def _rows(
    flows: Table, flow: Ints, side: Any, time: Any, flags: Any, sent: Any, got: Any, **more: Any
) -> Table:
    """Rows of ``flow``; ``sent`` and ``got`` count the bytes of the sender and of its peer, SYN included."""
    rows = np.zeros(len(flow), ROW)
    rows["flow"], rows["side"], rows["time"], rows["flags"] = flow, side, time, flags
    isn = flows["isn"][flow].astype(np.int64)
    pick = np.arange(len(flow))
    rows["seq"] = (isn[pick, rows["side"]] + sent) & _MASK
    rows["ack"] = np.where(rows["flags"] & ACK, (isn[pick, 1 - rows["side"]] + got) & _MASK, 0)
    rows["window"] = np.where(rows["side"] == _CLIENT, 502, 509)
    rows["option"] = STAMP_OPTION
    for name, value in more.items():
        rows[name] = value
    return rows


def sent_per_exchange(flows: Table) -> Ints:
    """Bytes that the client and the server send in one exchange."""
    answer = (flows["segments"] - 1) * MSS + flows["tail"]
    upload = flows["upload"]
    return np.stack([np.where(upload, answer, flows["request"]), np.where(upload, 0, answer)], axis=1)


def _openings(flows: Table, until: float) -> list[Table]:
    due = np.flatnonzero(~flows["opened"] & (flows["start"] < until))
    flows["opened"][due] = True
    start, rtt, kind = flows["start"][due], flows["rtt"][due], flows["opening"][due]
    owner, number = expand(flows["syns"][due])
    syn_times = start[owner] + SYN_TIMES[number]
    syn = _rows(flows, due[owner], _CLIENT, syn_times, SYN, 0, 0, window=64240, option=SYN_OPTION)
    no, yes = kind == Opening.REFUSED, kind == Opening.ANSWERED
    refusal = _rows(
        flows,
        due[no],
        _SERVER,
        (start + rtt)[no],
        RST | ACK,
        -_isn(flows, due[no]),
        1,
        window=0,
        option=NO_OPTION,
    )
    flow, answered = due[yes], (start + rtt)[yes]
    syn_ack = _rows(flows, flow, _SERVER, answered, SYN | ACK, 0, 1, window=65160, option=SYN_OPTION)
    ack = _rows(flows, flow, _CLIENT, answered + _NOW, ACK, 1, 1)
    flows["closed"][due[~yes]] = True
    return [syn, refusal, syn_ack, ack]


def _isn(flows: Table, flow: Ints) -> Ints:
    """The server's, to be taken away again: a refusal has the sequence number zero."""
    isn: Ints = flows["isn"][flow, _SERVER].astype(np.int64)
    return isn


def _endings(flows: Table, until: float) -> list[Table]:
    time = flows["start"] + opening_time(flows) + flows["exchanges"] * flows["gap"]
    done = flows["exchanged"] == flows["exchanges"]
    due = np.flatnonzero(flows["opened"] & ~flows["closed"] & done & (time < until))
    flows["closed"][due] = True
    sent = 1 + sent_per_exchange(flows) * flows["exchanges"][:, None]
    parts = []
    for ending in Ending:
        flow = due[flows["ending"][due] == ending]
        parts += _ENDINGS[ending](flows, flow, time[flow], sent[flow], flows["rtt"][flow])
    return parts


def _client_fin(flows: Table, flow: Ints, time: Floats, sent: Ints, rtt: Floats) -> list[Table]:
    c, s = sent.T
    return [
        _rows(flows, flow, _CLIENT, time, FIN | ACK, c, s),
        _rows(flows, flow, _SERVER, time + rtt, FIN | ACK, s, c + 1),
        _rows(flows, flow, _CLIENT, time + rtt + _NOW, ACK, c + 1, s + 1),
    ]


def _server_fin(flows: Table, flow: Ints, time: Floats, sent: Ints, rtt: Floats) -> list[Table]:
    c, s = sent.T
    return [
        _rows(flows, flow, _SERVER, time, FIN | ACK, s, c),
        _rows(flows, flow, _CLIENT, time + 10 * _NOW, FIN | ACK, c, s + 1),
        _rows(flows, flow, _SERVER, time + 10 * _NOW + rtt, ACK, s + 1, c + 1),
    ]


def _server_reset(flows: Table, flow: Ints, time: Floats, sent: Ints, rtt: Floats) -> list[Table]:
    c, s = sent.T
    size = np.maximum(flows["request"][flow], 1)
    return [
        _rows(flows, flow, _CLIENT, time, PSH | ACK, c, s, length=size),
        _rows(flows, flow, _SERVER, time + rtt, RST | ACK, s, c + size, window=0),
    ]


def _client_abort(flows: Table, flow: Ints, time: Floats, sent: Ints, rtt: Floats) -> list[Table]:
    c, s = sent.T
    return [_rows(flows, flow, _CLIENT, time, RST | ACK, c, s, window=0)]


def _reset_after_fin(flows: Table, flow: Ints, time: Floats, sent: Ints, rtt: Floats) -> list[Table]:
    c, s = sent.T
    return [
        _rows(flows, flow, _CLIENT, time, FIN | ACK, c, s),
        _rows(flows, flow, _SERVER, time + rtt, PSH | ACK, s, c + 1, length=MSS),
        _rows(flows, flow, _CLIENT, time + rtt + _NOW, RST, c + 1, 0, window=0, option=NO_OPTION),
    ]


_ENDINGS = {
    Ending.CLIENT_FIN: _client_fin,
    Ending.SERVER_FIN: _server_fin,
    Ending.SERVER_RESET: _server_reset,
    Ending.CLIENT_ABORT: _client_abort,
    Ending.RESET_AFTER_FIN: _reset_after_fin,
}


class _Due:
    """The exchanges that are due, one entry each, with the columns that their packets need."""

    def __init__(self, flows: Table, until: float, rng: np.random.Generator) -> None:
        first = flows["start"] + opening_time(flows)
        begun = np.ceil((until - first) / np.maximum(flows["gap"], 1e-9)).astype(np.int64)
        begun = np.where(flows["opened"] & ~flows["closed"], np.clip(begun, 0, flows["exchanges"]), 0)
        owner, position = expand(np.maximum(begun - flows["exchanged"], 0))
        number = flows["exchanged"][owner] + position
        flows["exchanged"] = np.maximum(begun, flows["exchanged"])
        self.flow = owner
        of = flows[owner]
        self.rtt, self.rto, self.service = of["rtt"], of["rto"], of["service"]
        self.request, self.segments, self.tail = of["request"], of["segments"], of["tail"]
        self.sender = np.where(of["upload"], _CLIENT, _SERVER)
        self.acked = of["acked"]
        each = sent_per_exchange(of)
        before = 1 + each * number[:, None]
        pick = np.arange(len(owner))
        self.asker_sent = before[pick, 1 - self.sender]
        self.sender_sent = before[pick, self.sender]
        self.answer = each[pick, self.sender]
        self.has_request = self.request > 0
        self.slot = first[owner] + number * of["gap"]
        self.slack = np.maximum(of["gap"] - 3 * self.rtt - self.service - self.segments * _WIRE, 0)
        self.chance = rng.random(len(owner))

    def __len__(self) -> int:
        return len(self.flow)


def _exchanges(flows: Table, until: float, plan: Plan, rng: np.random.Generator) -> list[Table]:
    due = _Due(flows, until, rng)
    if plan.repeats:
        asked, told = (rng.integers(COPIES[0], COPIES[1] + 1, len(due)) for _ in range(2))
        lost = np.full(len(due), -1)
        begin = due.slot + due.chance * np.maximum(due.slack - 14 * due.rto, 0)
    else:
        roomy = due.slack > 2 * (due.rto + due.rtt)
        asked = 1 + ((rng.random(len(due)) < plan.loss) & roomy & due.has_request)
        told = np.ones(len(due), np.int64)
        any_lost = roomy & (rng.random(len(due)) < plan.loss * due.segments)
        lost = np.where(any_lost, rng.integers(0, due.segments), -1)
        begin = due.slot + due.chance * np.maximum(due.slack - 2 * (due.rto + due.rtt), 0)
    requests, begin = _requests(flows, due, begin, asked)
    data = _data(flows, due, begin, told)
    begin = begin + _waited(told) * due.rto
    return [*requests, data, *_acks(flows, due, begin, lost)]


def _waited(copies: Ints) -> Ints:
    """Retransmission timeouts that pass before the last of so many copies, each twice the one before."""
    return (1 << (copies - 1)) - 1


def _requests(flows: Table, due: _Due, begin: Floats, copies: Ints) -> tuple[list[Table], Floats]:
    """The request, its copies, its own ACK if it gets one; and when the answer begins."""
    owner, number = expand(np.where(due.has_request, copies, 0))
    time = begin[owner] + _waited(number + 1) * due.rto[owner]
    size = due.request[owner]
    sent, got = due.asker_sent[owner], due.sender_sent[owner]
    request = _rows(flows, due.flow[owner], 1 - due.sender[owner], time, PSH | ACK, sent, got, length=size)
    arrived = begin + np.where(due.has_request, _waited(copies) * due.rto + due.rtt, 0)
    own = np.flatnonzero(due.acked)
    sent, got = due.sender_sent[own], (due.asker_sent + due.request)[own]
    ack = _rows(flows, due.flow[own], due.sender[own], arrived[own], ACK, sent, got)
    return [request, ack], arrived + np.where(due.has_request, due.service, 0)


def _data(flows: Table, due: _Due, begin: Floats, rounds: Ints) -> Table:
    """The answer, as often as it is sent."""
    owner, place = expand(due.segments * rounds)
    turn, place = np.divmod(place, due.segments[owner])
    time = begin[owner] + _waited(turn + 1) * due.rto[owner] + (place + 1) * _WIRE
    return _segment(flows, due, owner, place, time)


def _segment(flows: Table, due: _Due, owner: Ints, place: Ints, time: Floats) -> Table:
    last = place == due.segments[owner] - 1
    sent = due.sender_sent[owner] + place * MSS
    got = (due.asker_sent + due.request)[owner]
    flags = np.where(last, PSH | ACK, ACK)
    size = np.where(last, due.tail[owner], MSS)
    return _rows(flows, due.flow[owner], due.sender[owner], time, flags, sent, got, length=size)


def _acks(flows: Table, due: _Due, begin: Floats, lost: Ints) -> list[Table]:
    """An ACK for two segments; after a loss the same again and again, the segment once more, and its ACK."""
    owner, number = expand((due.segments + 1) // 2)
    heard = np.minimum(2 * number + 2, due.segments[owner])  # segments that have left the sender
    delay = np.where(due.sender == _SERVER, _NOW, due.rtt)
    time = begin[owner] + heard * _WIRE + delay[owner]
    hole = (lost[owner] >= 0) & (heard > lost[owner])
    right = np.minimum(heard * MSS, due.answer[owner])
    got = due.sender_sent[owner] + np.where(hole, lost[owner] * MSS, right)
    acks = _ack(flows, due, owner, time, got)
    beyond = hole & (heard > lost[owner] + 1)
    isn = flows["isn"][due.flow[owner], due.sender[owner]] + due.sender_sent[owner]
    edges = np.stack([isn + (lost[owner] + 1) * MSS, isn + right], axis=1) & _MASK
    acks["option"][beyond] = SACK_OPTION
    acks["sack"][beyond] = edges[beyond]
    return [acks, *_repairs(flows, due, begin + due.segments * _WIRE + delay, delay, lost)]


def _repairs(flows: Table, due: _Due, last_ack: Floats, delay: Floats, lost: Ints) -> list[Table]:
    hurt = np.flatnonzero(lost >= 0)
    fast = (due.segments - lost)[hurt] > 7  # three duplicate ACKs at least
    back = np.where(due.sender == _SERVER, due.rtt, _NOW)[hurt]
    time = last_ack[hurt] + np.where(fast, back, np.maximum(due.rto[hurt], back))
    again = _segment(flows, due, hurt, lost[hurt], time)
    done = _ack(flows, due, hurt, time + delay[hurt], (due.sender_sent + due.answer)[hurt])
    return [again, done]


def _ack(flows: Table, due: _Due, owner: Ints, time: Floats, got: Ints) -> Table:
    sent = (due.asker_sent + due.request)[owner]
    return _rows(flows, due.flow[owner], 1 - due.sender[owner], time, ACK, sent, got)
