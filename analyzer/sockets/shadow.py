"""The two shadow sockets of a flow: segments in, events out. Does no I/O and touches nothing else.

RFC 9293 sections 3.5, 3.6 and 3.10; RFC 5961 section 3.2; RFC 6298 section 5; RFC 5927 section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from analyzer.model.columns import Flag
from analyzer.model.event import (
    Doubt,
    Event,
    FlowView,
    IcmpReceived,
    IcmpView,
    ResetReceived,
    ResetView,
    Retransmission,
    RetransmissionTimeout,
    RetryView,
    Withdrawn,
)
from analyzer.model.flow import (
    CLIENT,
    NOTHING,
    SERVER,
    SIDES,
    Flow,
    FlowEnd,
    Kind,
    Segment,
    Totals,
    address_text,
)
from analyzer.model.seq import distance
from analyzer.model.socket import State, Step
from analyzer.sockets.facts import quotes_syn, quotes_unacknowledged
from analyzer.sockets.machine import Fatal, ShadowSocket, what_is_sent
from analyzer.sockets.profiles import Profile
from analyzer.sockets.resets import grace, judge
from analyzer.sockets.retries import (
    SECOND,
    Run,
    gives_up_at,
    is_exhausted,
    looks_orphaned,
    missing_at,
    next_interval,
)

_COPY_NS = SECOND // 100
"""No timer retransmits so soon: a copy of the packet whose headers do not prove that it is one."""
_CONNECT_HOLDS_NS = SECOND // 1000
"""Linux keeps an ICMP error only as soft while connect() itself holds the socket (tcp_v4_err())."""

_AFTER_FIN = (State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK)

Told = Event | Withdrawn
E = TypeVar("E", bound=Event)


class ShadowFlow:
    """Steps both ends' sockets with each significant segment of a flow, in order."""

    def __init__(self, flow: Flow, client: Profile, server: Profile) -> None:
        self.flow = flow
        self._sockets = (ShadowSocket(CLIENT, client), ShadowSocket(SERVER, server))
        self._totals = (NOTHING, NOTHING)
        if flow.client_guessed:
            for socket in self._sockets:
                socket.state = State.ESTABLISHED

    @property
    def deadline(self) -> int | None:
        """The next moment at which silence means something (nanoseconds since the epoch)."""
        due = [missing_at(run, socket.profile.retry) for socket, run in self._running()]
        return min(due, default=None)

    def receive(self, segment: Segment) -> Iterator[Told]:
        """The next significant segment."""
        yield from self.tick(segment.clock)
        yield from self._catch_up((segment.client, segment.server))
        if segment.kinds & Kind.ICMP:
            yield from self._icmp(segment)
        elif segment.kinds & Kind.RST:
            yield from self._reset(segment)
        else:
            yield from self._sent(segment)

    def tick(self, clock: int) -> Iterator[Told]:
        """The capture's clock has come this far."""
        for socket, run in self._running():
            if missing_at(run, socket.profile.retry) <= clock:
                yield self._gave_up(socket, run, stopped=True)

    def finish(self, end: FlowEnd) -> Iterator[Told]:
        """No more segments will come."""
        yield from self.tick(end.clock)  # with what was known then, as if the clock alone had come so far
        yield from self._catch_up((end.client, end.server))
        for socket in self._sockets:
            if _was_heard(socket, end.totals(1 - socket.side)):
                yield from self._revive(socket)
        for socket, run in self._running():
            if is_exhausted(run, socket.profile.retry):
                yield self._gave_up(socket, run, stopped=False)

    def _running(self) -> list[tuple[ShadowSocket, Run]]:
        """Runs of retransmissions whose end would mean something to a program."""
        return [(s, s.run) for s in self._sockets if s.run and s.run.count and not s.closed]

    def _catch_up(self, totals: tuple[Totals, Totals]) -> Iterator[Told]:
        """What plain segments, which are not looked at one by one, have changed meanwhile."""
        self._totals = totals
        yield from self._signs_of_life()
        for socket in self._sockets:
            peer = self._sockets[1 - socket.side]
            socket.catch_up(totals[socket.side], totals[peer.side], peer.fin_end)
        yield from self._recoveries(max(totals[CLIENT].last_time, totals[SERVER].last_time))

    def _recoveries(self, time: int) -> Iterator[Told]:
        """Runs of retransmissions that were acknowledged at last."""
        for socket in self._sockets:
            run, socket.recovered = socket.recovered, None
            if run and _is_told(run):
                yield Withdrawn(self.flow.id, _run_key(socket, run, "retry"))
                view = _retry_view(run, socket, stopped=False, recovered=True)
                key = f"recovered {SIDES[socket.side]}"  # the last one stands for all of them
                yield self._event(Retransmission, socket, time, run.frames, key, set(), retry=view)

    def _signs_of_life(self) -> Iterator[Told]:
        """An end that goes on after what should have ended it was not ended."""
        for socket, totals in zip(self._sockets, self._totals, strict=True):
            if socket.fatal and _shows_life(socket.fatal, totals):
                yield from self._revive(socket)

    def _revive(self, socket: ShadowSocket) -> Iterator[Told]:
        fatal, socket.fatal = socket.fatal, None
        if fatal:
            socket.resets_in_vain += fatal.reset is not None
            socket.state, socket.closed, socket.run = (
                fatal.state_before,
                fatal.closed_before,
                fatal.run_before,
            )
            if fatal.key:
                yield Withdrawn(self.flow.id, fatal.key)

    def _sent(self, segment: Segment) -> Iterator[Told]:
        """SYN, FIN and retransmissions."""
        sender, receiver = self._sockets[segment.side], self._sockets[1 - segment.side]
        sender.ttl = segment.ttl
        if sender.fatal and segment.time > sender.fatal.time + sender.fatal.grace:
            yield from self._revive(sender)
        if segment.flags & Flag.SYN:
            self._handshake(sender, receiver, segment)
        if segment.flags & Flag.FIN:
            yield from self._closed_before_the_reset(sender)
            sender.send_fin(segment, self._totals[receiver.side])
            receiver.receive_fin(self._totals[receiver.side])
        if segment.kinds & Kind.RESENT:
            yield from self._resent(sender, segment)
        if segment.flags & Flag.ACK:
            receiver.acknowledged(segment.ack)
            yield from self._recoveries(segment.time)

    def _closed_before_the_reset(self, sender: ShadowSocket) -> Iterator[Told]:
        """A FIN that passes a reset on the way: the program had closed when the reset came."""
        if _was_reset(sender):
            yield from self._revive(sender)

    def _handshake(self, sender: ShadowSocket, receiver: ShadowSocket, segment: Segment) -> None:
        if segment.flags & Flag.ACK:
            if receiver.state is State.CLOSED and sender.state is State.CLOSED:
                receiver.state, sender.state = State.SYN_SENT, State.SYN_RCVD  # its SYN was not captured
            if sender.initial is None:
                sender.initial, sender.syn_time, sender.syn_number = segment.seq, segment.time, segment.number
            if receiver.initial is None or segment.ack == (receiver.initial + 1) % 2**32:
                receiver.take(Step.SYN_ACKED)
        elif sender.initial is None:
            if sender.state is State.SYN_RCVD:
                # No listener: it calls connect() as well, and had not got our SYN.
                sender.state = State.CLOSED
            sender.send_syn(segment)
            if receiver.state is State.SYN_SENT:
                sender.take(Step.RECV_SYN)
            receiver.take(Step.RECV_SYN)

    def _resent(self, sender: ShadowSocket, segment: Segment) -> Iterator[Told]:
        """A run counts from the first transmission; single retransmissions are not looked at one by one."""
        run, what, own = sender.run, what_is_sent(segment), self._totals[sender.side]
        if run is None or run.seq != segment.seq or run.what != what:
            syn = what in ("syn", "syn-ack")
            time = sender.syn_time if syn else own.last_data_time
            number = sender.syn_number if syn else own.last_data_number
            run = sender.run = Run(what, segment.seq, time if number else segment.time, number)
            known = (
                own.resent_number and own.resent_seq == segment.seq and own.resent_time > run.last + _COPY_NS
            )
            if segment.kinds & Kind.REPEATED and known:
                run.again(own.resent_time, own.resent_number)
        if segment.time - run.last < _COPY_NS:
            return
        run.answers += self._totals[1 - sender.side].last_time > run.last
        run.again(segment.time, segment.number)
        if _is_told(run):
            view = _retry_view(run, sender, stopped=False)
            key = _run_key(sender, run, "retry")
            yield self._event(Retransmission, sender, segment.time, run.frames, key, set(), retry=view)

    def _gave_up(self, socket: ShadowSocket, run: Run, *, stopped: bool) -> Event:
        schedule = socket.profile.retry
        time = run.last + next_interval(run, schedule)
        doubts = set()
        if not stopped:
            doubts.add(Doubt.NO_LATER_FRAME)
        elif not is_exhausted(run, schedule):
            doubts.add(Doubt.OWN_LIMIT)
            if looks_orphaned(run, schedule):
                doubts.add(Doubt.MAYBE_CLOSED)
        key = _run_key(socket, run, "timeout")
        view = _retry_view(run, socket, stopped=stopped)
        event = self._event(RetransmissionTimeout, socket, time, run.frames, key, doubts, retry=view)
        self._end(socket, key, time, 0, Step.GIVE_UP)
        return event

    def _reset(self, segment: Segment) -> Iterator[Told]:
        sender, receiver = self._sockets[segment.side], self._sockets[1 - segment.side]
        sender.reset_late = sender.fatal is not None
        sender_before = sender.state
        ttl_differs = sender.ttl not in (0, segment.ttl)
        if segment.flags & Flag.ACK and _was_reset(sender) and not ttl_differs:
            yield from self._revive(sender)  # a dead socket sends bare RSTs only: this one lived, and aborts
        if receiver.state is State.CLOSED:
            sender.closed = True
            return
        round_trip = self._round_trip(receiver)
        own, peer = self._totals[receiver.side], self._totals[sender.side]
        judged = judge(segment, receiver, sender, own, peer, round_trip)
        receiver.challenged |= judged.challenged
        before, receiver.state = receiver.state, judged.state
        view = ResetView(
            accepted=judged.accepted,
            form=judged.form,
            answers=judged.answers,
            ttl_differs=ttl_differs,
            sender_state=sender_before.value,
            sender_took_part=bool(peer.opened_time) or self.flow.client_guessed,
            left_data=own.has_ack and peer.has_seq and distance(own.ack, peer.seq_end) > 0,
            silence=(segment.time - peer.last_time) / SECOND if peer.last_number else 0.0,
        )
        key = f"reset {segment.number}"
        yield self._event(
            ResetReceived, receiver, segment.time, judged.frames, key, judged.doubts, segment=view
        )
        receiver.state = before
        if judged.accepted:
            late = 0 if before is State.SYN_SENT else grace(round_trip)
            limit = _limit(segment.seq, own, sender.fin_end if judged.state in _AFTER_FIN else None)
            self._end(receiver, key, segment.time, late, Step.RECV_RST, reset=segment.seq, limit=limit)
            if not ttl_differs:  # else a device sent it, which may reset the other end as well
                self._end(sender, "", segment.time, _COPY_NS, Step.SEND_RST)  # it sends nothing new now
                sender.closed = True

    def _round_trip(self, socket: ShadowSocket) -> int | None:
        """From the place of the capture to that end and back, as the handshake shows it."""
        syn, syn_ack = self._sockets[CLIENT].syn_time, self._sockets[SERVER].syn_time
        opened = self._totals[CLIENT].opened_time
        begin, end = (syn_ack, opened) if socket.side == CLIENT else (syn, syn_ack)
        known = self._sockets[SERVER].syn_number and (opened or socket.side == SERVER)
        return end - begin if known and end >= begin else None

    def _icmp(self, segment: Segment) -> Iterator[Told]:
        socket, other = self._sockets[segment.side], self._sockets[1 - segment.side]
        own, peer = self._totals[segment.side], self._totals[1 - segment.side]
        if other.fatal and other.fatal.reset == segment.seq:
            yield from self._revive(other)  # what could not be delivered is the reset
        effect = socket.profile.icmp_effect(segment.version, segment.icmp_type, segment.icmp_code)
        view = IcmpView(
            version=segment.version,
            type=segment.icmp_type,
            code=segment.icmp_code,
            meaning=effect.meaning,
            errno=effect.errno,
            fatal=effect.fatal,
            soft=effect.soft,
            quotes_our_syn=quotes_syn(segment, own, socket.initial),
            in_window=quotes_unacknowledged(segment, own, peer),
            reporter=address_text(segment.version, segment.reporter_hi, segment.reporter_lo),
        )
        connecting = socket.state is State.SYN_SENT
        soon = connecting and segment.time - own.last_time < _CONNECT_HOLDS_NS
        doubts = {Doubt.CONNECT_MAY_HOLD_THE_SOCKET} if soon else set()
        key = f"icmp {segment.number}"
        yield self._event(IcmpReceived, socket, segment.time, (segment.number,), key, doubts, icmp=view)
        if view.quotes_our_syn if connecting else view.in_window and effect.soft:
            socket.soft_errno, socket.soft_time = effect.errno, segment.time
        if connecting and view.quotes_our_syn and effect.fatal:
            self._end(socket, key, segment.time, 0, Step.GIVE_UP)

    def _end(
        self,
        socket: ShadowSocket,
        key: str,
        time: int,
        grace: int,
        taken: Step,
        *,
        reset: int | None = None,
        limit: int | None = None,
    ) -> None:
        """The socket is over, unless it shows life after ``grace``."""
        socket.fatal = Fatal(key, time, grace, reset, limit, socket.state, socket.closed, socket.run)
        socket.run = None
        socket.take(taken)

    def _doubts(self, socket: ShadowSocket) -> set[Doubt]:
        """What is doubtful about this flow altogether."""
        doubts = set()
        if socket.ttl > socket.profile.ttl:
            doubts.add(Doubt.ANOTHER_SYSTEM)
        if self.flow.client_guessed:
            doubts.add(Doubt.HANDSHAKE_NOT_SEEN)
        client, server = self._totals
        missing = (
            client.unseen_number > server.last_data_number,
            server.unseen_number > client.last_data_number,
        )
        if any(missing):  # else the other end has said more since, and that was captured
            doubts.add(Doubt.BYTES_NOT_CAPTURED)
        connecting = self._sockets[CLIENT].state is State.SYN_SENT
        if not connecting and not all(totals.last_number for totals in self._totals):
            doubts.add(Doubt.ONE_DIRECTION)
        return doubts

    def _event(
        self,
        kind: type[E],
        socket: ShadowSocket,
        time: int,
        frames: tuple[int, ...],
        key: str,
        doubts: set[Doubt],
        **views: IcmpView | ResetView | RetryView,
    ) -> E:
        own, peer = self._totals[socket.side], self._totals[1 - socket.side]
        make: Callable[..., E] = kind
        return make(
            flow_id=self.flow.id,
            side=socket.side,
            time=time,
            frames=frames,
            key=key,
            doubts=frozenset(doubts | self._doubts(socket)),
            socket=socket.view(own, peer),
            flow=FlowView(
                ip_version=self.flow.version,
                handshake_seen=not self.flow.client_guessed,
                age=(time - self.flow.start) / SECOND,
            ),
            **views,
        )


def _limit(seq: int, own: Totals, fin_end: int | None) -> int:
    """What the receiver of a believed reset may acknowledge: as far as it did, and an earlier FIN."""
    limits = [seq, *([own.ack] if own.has_ack else []), *([fin_end] if fin_end is not None else [])]
    return max(limits, key=lambda number: distance(seq, number))


def _was_heard(socket: ShadowSocket, peer: Totals) -> bool:
    """What it was taken to have given up was acknowledged after all, and no reset answered that."""
    run = socket.fatal.run_before if socket.fatal and not socket.fatal.reset else None
    return run is not None and not socket.reset_late and peer.has_ack and distance(run.seq, peer.ack) > 0


def _was_reset(socket: ShadowSocket) -> bool:
    """It is taken to have been ended by a reset."""
    return socket.fatal is not None and socket.fatal.reset is not None


def _shows_life(fatal: Fatal, own: Totals) -> bool:
    """The end sent something too late for its end, or acknowledged more than the reset left it."""
    believed_not = fatal.limit is not None and own.has_ack and distance(fatal.limit, own.ack) > 0
    return believed_not or own.last_time > fatal.time + fatal.grace


def _is_told(run: Run) -> bool:
    """One retransmission is everyday, but of a SYN."""
    return run.count > 1 or run.what == "syn"


def _run_key(socket: ShadowSocket, run: Run, name: str) -> str:
    return f"{name} {SIDES[socket.side]} {run.what} {run.seq} {run.first_time}"


def _retry_view(run: Run, socket: ShadowSocket, *, stopped: bool, recovered: bool = False) -> RetryView:
    schedule = socket.profile.retry
    end = gives_up_at(run, schedule)
    return RetryView(
        what=run.what,
        count=run.count,
        elapsed=run.elapsed / SECOND,
        last_interval=run.last_interval / SECOND,
        next_due=_utc(run.last + next_interval(run, schedule)),
        gives_up_at=_utc(end),
        gives_up_after=(end - run.first_time) / SECOND,
        answered=run.answers * 2 > run.count,
        soft_errno=socket.soft_errno,
        exhausted=is_exhausted(run, schedule),
        stopped=stopped,
        recovered=recovered,
    )


def _utc(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
