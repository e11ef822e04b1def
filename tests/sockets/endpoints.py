"""Two TCP endpoints whose states are true, a link between them, and a capture somewhere on it.

RFC 9293 with RFC 5961's checks of a RST, as Linux makes them; windows never close, and no timer runs.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random

from analyzer.model.columns import TCP, Flag
from analyzer.model.flow import CLIENT
from analyzer.model.seq import add, distance
from analyzer.model.socket import State
from tests.flows.scalar import Packet

WINDOW = 65_535
MS = 1_000_000
BEGIN = 1_700_000_000 * 10**9
_ENDS = (((0, 0x0A000001), 40001), ((0, 0x0A000002), 443))
_SYNCHRONIZED_BUT_DONE = (State.CLOSE_WAIT, State.LAST_ACK, State.CLOSING)
_RECEIVES = (State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2)


@dataclass(frozen=True)
class Met:
    """What a RST met when it arrived: ``expected`` is RCV.NXT; whether it was acted on."""

    state: State
    acted: bool
    expected: int


@dataclass
class Sent:
    """A segment; ``met`` is set when a RST arrives."""

    side: int
    seq: int
    ack: int
    flags: int
    payload: int = 0
    met: Met | None = None

    @property
    def end(self) -> int:
        return add(self.seq, self.payload + bool(self.flags & Flag.SYN) + bool(self.flags & Flag.FIN))


@dataclass
class Endpoint:
    """One end; ``out`` is what it wants to send."""

    side: int
    initial: int
    state: State = State.CLOSED
    sent_to: int = 0  # SND.NXT
    acked: int = 0  # SND.UNA
    expected: int = 0  # RCV.NXT
    fin_end: int | None = None
    orphan: bool = False
    unread: int = 0
    unacked: list[Sent] = field(default_factory=list)
    early: list[Sent] = field(default_factory=list)  # behind a hole
    out: list[Sent] = field(default_factory=list)

    # What its program does.

    def connect(self) -> None:
        self.sent_to = self.acked = self.initial
        self._send(Flag.SYN)
        self.state = State.SYN_SENT

    def write(self, size: int) -> None:
        if self.state in (State.ESTABLISHED, State.CLOSE_WAIT):
            self._send(Flag.ACK | Flag.PSH, size)

    def read(self) -> None:
        self.unread = 0

    def shutdown(self) -> None:
        then = {State.ESTABLISHED: State.FIN_WAIT_1, State.CLOSE_WAIT: State.LAST_ACK}.get(self.state)
        if then:
            self._send(Flag.FIN | Flag.ACK)
            self.fin_end, self.state = self.sent_to, then

    def close(self) -> None:
        if self.unread:
            self.abort()
        elif self.state in (State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.FIN_WAIT_2):
            self.shutdown()
            self.orphan = True

    def abort(self) -> None:
        """Linux: tcp_need_reset(). Once both ends have finished there is nothing to abort."""
        if self.state in (State.SYN_RCVD, State.CLOSE_WAIT, *_RECEIVES):
            self.out.append(Sent(self.side, self.sent_to, self.expected, Flag.RST | Flag.ACK))
            self._forget()

    def send_again(self) -> None:
        if self.unacked and self.state is not State.CLOSED:
            first = self.unacked[0]
            flags, ack = first.flags, self.expected if first.flags & Flag.ACK else 0
            self.out.append(Sent(self.side, first.seq, ack, flags, first.payload))

    # What its system does.

    def receive(self, segment: Sent) -> None:
        if segment.flags & Flag.RST:
            state, expected = self.state, self.expected
            segment.met = Met(state, self._believes(segment), expected)
            if segment.met.acted:
                self._forget()
        elif self.state is State.CLOSED:
            self._receive_closed(segment)
        elif self.state is State.SYN_SENT:
            if segment.flags & Flag.SYN and segment.ack == self.sent_to:
                self.expected, self.state = segment.end, State.ESTABLISHED
                self._acknowledged(segment.ack)
                self._send(Flag.ACK)
        elif segment.flags & Flag.SYN:
            self._send(Flag.ACK)  # a challenge, or the handshake's last segment again
        else:
            self._acknowledged(segment.ack)
            self._take(segment)

    def _receive_closed(self, segment: Sent) -> None:
        opens = segment.flags & (Flag.SYN | Flag.ACK) == Flag.SYN
        if opens and self.sent_to == 0 and self.side != CLIENT:
            self.sent_to = self.acked = self.initial
            self.expected = segment.end
            self._send(Flag.SYN | Flag.ACK)
            self.state = State.SYN_RCVD
        elif segment.flags & Flag.ACK:
            self.out.append(Sent(self.side, segment.ack, 0, Flag.RST))
        else:
            self.out.append(Sent(self.side, 0, segment.end, Flag.RST | Flag.ACK))

    def _believes(self, reset: Sent) -> bool:
        if self.state in (State.CLOSED, State.TIME_WAIT):
            return False
        if self.state is State.SYN_SENT:
            return bool(reset.flags & Flag.ACK) and reset.ack == self.sent_to
        ahead = distance(self.expected, reset.seq)
        if ahead == 0 or (ahead == -1 and self.state in _SYNCHRONIZED_BUT_DONE):
            return True
        if self.early and self.state in _RECEIVES and reset.seq == self.early[-1].end:
            return True  # the right edge of what is announced by SACK
        if 0 < ahead <= WINDOW:
            self._send(Flag.ACK)
        return False

    def _acknowledged(self, ack: int) -> None:
        if not 0 < distance(self.acked, ack) <= distance(self.acked, self.sent_to):
            return
        self.acked = ack
        self.unacked = [sent for sent in self.unacked if distance(ack, sent.end) > 0]
        if self.state is State.SYN_RCVD:
            self.state = State.ESTABLISHED
        if ack == self.fin_end:
            then = {
                State.FIN_WAIT_1: State.FIN_WAIT_2,
                State.CLOSING: State.TIME_WAIT,
                State.LAST_ACK: State.CLOSED,
            }
            self.state = then.get(self.state, self.state)

    def _take(self, segment: Sent) -> None:
        if segment.end == segment.seq or self.state is State.CLOSED:
            return
        if self.orphan and segment.payload and distance(self.expected, segment.end) > 0:
            self.out.append(Sent(self.side, segment.ack, 0, Flag.RST))  # nobody will read it
            self._forget()
            return
        if distance(self.expected, segment.end) > 0 and self.state in (*_RECEIVES, State.SYN_RCVD):
            self.early = sorted([*self.early, segment], key=lambda s: distance(self.expected, s.end))
        while self.early and distance(self.expected, self.early[0].seq) <= 0:
            self._deliver(self.early.pop(0))
        self._send(Flag.ACK)

    def _deliver(self, segment: Sent) -> None:
        if distance(self.expected, segment.end) <= 0:
            return
        self.expected = segment.end
        self.unread += segment.payload
        if segment.flags & Flag.FIN:
            then = {
                State.ESTABLISHED: State.CLOSE_WAIT,
                State.SYN_RCVD: State.CLOSE_WAIT,
                State.FIN_WAIT_1: State.CLOSING,
                State.FIN_WAIT_2: State.TIME_WAIT,
            }
            self.state = then.get(self.state, self.state)

    def _send(self, flags: int, payload: int = 0) -> None:
        ack = self.expected if flags & Flag.ACK else 0
        segment = Sent(self.side, self.sent_to, ack, flags, payload)
        self.out.append(segment)
        if segment.end != segment.seq:
            self.unacked.append(segment)
        self.sent_to = segment.end

    def _forget(self) -> None:
        self.state, self.unacked, self.early = State.CLOSED, [], []


@dataclass
class Seen:
    """A captured frame."""

    time: int
    segment: Sent

    @property
    def packet(self) -> Packet:
        segment = self.segment
        source, target = _ENDS[segment.side], _ENDS[1 - segment.side]
        return Packet(
            self.time,
            TCP,
            *source,
            *target,
            seq=segment.seq,
            ack=segment.ack,
            flags=segment.flags,
            payload=segment.payload,
            window=0 if segment.flags == Flag.RST else WINDOW,
        )


_LOSSLESS = ("write", "write", "write", "read", "read", "shutdown", "close", "close", "abort", "forge")


def simulate(seed: int, vantage: float, *, loss: float, steps: int = 25) -> list[Seen]:
    """What a capture at ``vantage`` sees: 0 at the client, 1 at the server.

    No end retransmits where nothing is lost. A forged RST has a number that nobody believes.
    """
    random = Random(seed)
    ends = [Endpoint(side, random.choice((0, 2**32 - 5, random.randrange(2**32)))) for side in (0, 1)]
    delay = random.choice((1, 10, 40)) * MS
    queue: list[tuple[int, int, str, Sent | None]] = []
    seen: list[Seen] = []
    count = 0

    def at(time: int, what: str, segment: Sent | None = None) -> None:
        nonlocal count
        count += 1
        heapq.heappush(queue, (time, count, what, segment))

    def send(time: int, segment: Sent) -> None:
        way = vantage if segment.side == CLIENT else 1 - vantage
        lost_at = random.choice((0.0, 0.99)) if random.random() < loss else 2.0
        if way == 0:
            seen.append(Seen(time, segment))
        elif way <= lost_at:
            at(time + round(delay * way), "seen", segment)
        if lost_at > 1:
            at(time + delay, "arrives", segment)

    ends[CLIENT].connect()
    time = BEGIN
    for _ in range(steps):
        time += random.choice((1, 5, 30, 100)) * MS
        at(time, "acts")
    actions = (*_LOSSLESS, "send_again", "send_again") if loss else _LOSSLESS
    time = BEGIN
    while True:
        for end in ends:
            for segment in end.out:
                send(time, segment)
            end.out.clear()
        if not queue:
            return seen
        time, _, what, next_segment = heapq.heappop(queue)
        if what == "seen" and next_segment:
            seen.append(Seen(time, next_segment))
        elif what == "arrives" and next_segment:
            ends[1 - next_segment.side].receive(next_segment)
        else:
            _act(random, random.choice(ends), random.choice(actions))


def _act(random: Random, end: Endpoint, action: str) -> None:
    if action == "write":
        end.write(random.choice((1, 10, 1000)))
    elif action == "forge":
        off = random.choice((5, 1000, -777_777, 1 << 31))
        if end.state not in (State.CLOSED, State.SYN_SENT, State.SYN_RCVD):
            end.out.append(Sent(end.side, add(end.sent_to, off), 0, Flag.RST))
    elif action not in ("shutdown", "close", "abort") or random.random() < 0.4:
        getattr(end, action)()
