"""The two shadow sockets of a flow: segments in, events out. Does no I/O and touches nothing else.

RFC 9293 sections 3.5, 3.6 and 3.10; RFC 5961 section 3.2; RFC 6298 section 5; RFC 5927 section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from analyzer.model.columns import Flag
from analyzer.model.event import (
    DatagramError,
    Doubt,
    EndOfFile,
    Event,
    FlowView,
    GaveUp,
    IcmpReceived,
    IcmpView,
    KeepaliveTimeout,
    ProbesUnanswered,
    ProbeView,
    ResetReceived,
    ResetView,
    Retransmission,
    RetransmissionTimeout,
    RetryView,
    WaitView,
    Withdrawn,
    ZeroWindow,
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
from analyzer.model.host import Host, Likeness, System
from analyzer.model.seq import distance
from analyzer.model.socket import State, Step
from analyzer.sockets.facts import quotes_syn, quotes_unacknowledged
from analyzer.sockets.machine import Fatal, ShadowSocket, what_is_sent
from analyzer.sockets.probes import (
    KEEPALIVE,
    STALL_NS,
    WINDOW,
    is_answered,
    keepalive_gave_up,
    keepalive_gives_up_at,
    unanswered_run,
    window_is_closed,
)
from analyzer.sockets.profiles import IcmpEffect
from analyzer.sockets.resets import grace, is_near, judge
from analyzer.sockets.retries import (
    SECOND,
    Run,
    gives_up_at,
    is_exhausted,
    looks_orphaned,
    missing_at,
    next_timer,
)
from analyzer.sockets.waits import (
    doubts_of_patience,
    doubts_that_an_answer_was_due,
    roles_are_known,
    wait_view,
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

    def __init__(self, flow: Flow, client: Host, server: Host) -> None:
        self.flow = flow
        self._sockets = (ShadowSocket(CLIENT, client), ShadowSocket(SERVER, server))
        self._totals = (NOTHING, NOTHING)
        self._ended: EndOfFile | None = None
        self._crossed: EndOfFile | None = None
        self._impatient: GaveUp | None = None
        self._stalled: dict[int, int] = {}
        self._refused_datagrams: set[tuple[int, ...]] = set()
        if flow.client_guessed:
            for socket in self._sockets:
                socket.state = State.ESTABLISHED

    @property
    def systems(self) -> tuple[System, System]:
        """What client and server are taken to run."""
        client, server = self._sockets
        return client.system, server.system

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
        """Runs of retransmissions and window probes whose end would mean something to a program."""
        live = [s for s in self._sockets if not s.closed]
        return [
            *((s, s.run) for s in live if s.run and s.run.count),
            *((s, s.probing) for s in live if s.probing and s.probing.what == WINDOW),
        ]

    def _given_up(self, sender: ShadowSocket) -> Run | None:
        """What the sender of a reset tried in vain, if its system sends one when it gives up."""
        if not sender.profile.retry.reset_at_end:
            return None
        schedule = sender.profile.retry
        runs = [run for socket, run in self._running() if socket is sender and is_exhausted(run, schedule)]
        return runs[0] if runs else None

    def _catch_up(self, totals: tuple[Totals, Totals]) -> Iterator[Told]:
        """What plain segments, which are not looked at one by one, have changed meanwhile."""
        self._totals = totals
        yield from self._signs_of_life()
        for socket in self._sockets:
            peer = self._sockets[1 - socket.side]
            socket.catch_up(totals[socket.side], totals[peer.side], peer.fin_end)
            if socket.probing and is_answered(socket.probing, totals[peer.side]):
                yield from self._forget_probes(socket)
        yield from self._recoveries(max(totals[CLIENT].last_time, totals[SERVER].last_time))
        yield from self._stalls()
        yield from self._answered_after_all()

    def _stalls(self) -> Iterator[Told]:
        """A window that stays closed although there is data for it, which the probes show."""
        for socket in self._sockets:
            own, peer = self._totals[socket.side], self._totals[1 - socket.side]
            other = self._sockets[1 - socket.side]
            key = f"window {SIDES[socket.side]}"
            closed = window_is_closed(peer) and other.zero_time > 0
            if not closed and self._stalled.pop(socket.side, 0):
                yield Withdrawn(self.flow.id, key)
            elapsed = own.probe_time - other.zero_time
            if closed and elapsed >= STALL_NS and own.probe_number != self._stalled.get(socket.side):
                self._stalled[socket.side] = own.probe_number
                frames = (other.zero_number, own.probe_number)
                view = ProbeView(count=own.probes, interval=0.0, seconds=elapsed / SECOND, gives_up_at="")
                yield self._event(ZeroWindow, socket, own.probe_time, frames, key, set(), probe=view)

    def _fin_arrived(self, ack: int) -> Iterator[Told]:
        """The client acknowledges the server's FIN: no doubt is left that its program can read the end."""
        fin_end, event = self._sockets[SERVER].fin_end, self._crossed or self._ended
        unsure = event and (event is self._crossed or Doubt.FIN_UNPROVEN in event.doubts)
        if event and unsure and fin_end is not None and distance(fin_end, ack) >= 0:
            self._ended = replace(event, doubts=event.doubts - {Doubt.FIN_UNPROVEN})
            self._crossed = None
            yield self._ended

    def _answered_after_all(self) -> Iterator[Told]:
        """Data of the server that was captured after its FIN, or read by a client that had sent its own."""
        client, server = self._sockets
        if self._totals[CLIENT].has_ack:
            yield from self._fin_arrived(self._totals[CLIENT].ack)
        if self._ended and self._totals[SERVER].last_data_number > server.fin_number:
            yield Withdrawn(self.flow.id, self._ended.key)
            self._ended = None
        if self._impatient and client.fin_end is not None and not client.closed:
            yield Withdrawn(self.flow.id, self._impatient.key)
            self._impatient = None

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
            if socket.run and socket.run.what in (WINDOW, KEEPALIVE):
                socket.run, socket.probing = None, socket.run
            if fatal.key:
                yield Withdrawn(self.flow.id, fatal.key)

    def _sent(self, segment: Segment) -> Iterator[Told]:
        """SYN, FIN and retransmissions."""
        sender, receiver = self._sockets[segment.side], self._sockets[1 - segment.side]
        sender.recognise(segment)
        if sender.fatal and segment.time > sender.fatal.time + sender.fatal.grace:
            yield from self._revive(sender)
        if segment.flags & Flag.SYN:
            self._handshake(sender, receiver, segment)
        if segment.kinds & Kind.ZERO_WINDOW:
            sender.zero_time, sender.zero_number = segment.time, segment.number
        if segment.kinds & Kind.PROBE:
            own, peer = self._totals[sender.side], self._totals[receiver.side]
            if segment.time - own.probe_time >= _COPY_NS:
                sender.probing = unanswered_run(sender.probing, segment, own, peer)
                yield from self._keeps_asking(sender, sender.probing, peer)
        if segment.flags & Flag.FIN:
            yield from self._closed_before_the_reset(sender)
            yield from self._left_unanswered(sender, segment)
            sender.send_fin(segment, self._totals[receiver.side])
            receiver.receive_fin(self._totals[receiver.side])
        if segment.kinds & Kind.RESENT:
            yield from self._resent(sender, segment)
        if segment.flags & Flag.ACK:
            receiver.acknowledged(segment.ack)
            yield from self._recoveries(segment.time)
            if sender.side == CLIENT:
                yield from self._fin_arrived(segment.ack)

    def _closed_before_the_reset(self, sender: ShadowSocket) -> Iterator[Told]:
        """A FIN that passes a reset on the way: the program had closed when the reset came."""
        if _was_reset(sender):
            yield from self._revive(sender)

    def _keeps_asking(self, socket: ShadowSocket, run: Run, peer: Totals) -> Iterator[Told]:
        """Keepalive probes without an answer; where one direction was not captured, none is to be seen."""
        if run.what == KEEPALIVE and peer.last_number:
            end = keepalive_gives_up_at(run, socket.profile.retry)
            view = ProbeView(
                count=run.count,
                interval=run.last_interval / SECOND,
                seconds=(run.last - peer.last_time) / SECOND,
                gives_up_at=_utc(end) if end else "",
            )
            key = _probes_key(socket)
            yield self._event(ProbesUnanswered, socket, run.last, run.frames, key, set(), probe=view)

    def _forget_probes(self, socket: ShadowSocket) -> Iterator[Told]:
        """They were answered, or are over."""
        if socket.probing and socket.probing.what == KEEPALIVE:
            yield Withdrawn(self.flow.id, _probes_key(socket))
        socket.probing = None

    def _left_unanswered(self, sender: ShadowSocket, segment: Segment) -> Iterator[Told]:
        """A FIN, or the client's reset, in place of an answer."""
        if not segment.kinds & Kind.UNANSWERED or not roles_are_known(self.flow):
            return
        own, peer = self._totals
        if sender.side == CLIENT:
            if (
                peer.has_seq and own.has_ack and distance(peer.seq_end, own.ack) <= 0
            ):  # else an answer is missing
                yield self._gave_up_waiting(segment)
        elif segment.seq == peer.seq_end:  # else an answer was lost, and will come
            acknowledged = segment.ack if segment.flags & Flag.ACK else None
            self._ended = self._end_of_file(segment.time, (segment.number,), acknowledged)
            yield self._ended

    def _end_of_file(self, time: int, frames: tuple[int, ...], acknowledged: int | None) -> EndOfFile:
        client = self._sockets[CLIENT]
        own, peer = self._totals
        view = wait_view(time, own, peer, acknowledged)
        doubts = doubts_that_an_answer_was_due(view, own, peer)
        if not is_near(self._round_trip(client)):
            doubts.add(Doubt.FIN_UNPROVEN)
        told = tuple(sorted({own.last_data_number, *frames}))
        return self._event(EndOfFile, client, time, told, "end of file", doubts, wait=view)

    def _gave_up_waiting(self, segment: Segment) -> Event:
        own, peer = self._totals
        reset = bool(segment.flags & Flag.RST)
        view = wait_view(segment.time, own, peer, peer.ack if peer.has_ack else None, reset=reset)
        doubts = doubts_that_an_answer_was_due(view, own, peer) | doubts_of_patience(view)
        frames = (own.last_data_number, segment.number)
        client = self._sockets[CLIENT]
        self._impatient = self._event(GaveUp, client, segment.time, frames, "gave up", doubts, wait=view)
        return self._impatient

    def _refuses_late_answer(self, segment: Segment) -> Iterator[Told]:
        """A client that had closed has no use for the answer that comes now."""
        event, peer = self._impatient, self._totals[SERVER]
        if event and not event.wait.refused and peer.last_data_time > event.time:
            wait = replace(event.wait, refused=True)
            doubts = event.doubts - {Doubt.NO_ROUND_TIME, Doubt.MAYBE_FAREWELL, Doubt.NEVER_ANSWERED}
            frames = (*event.frames, segment.number)
            self._impatient = replace(event, wait=wait, doubts=doubts, frames=frames)
            yield self._impatient

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
        elif segment.seq != sender.initial:
            sender.new_syn = (
                True  # its system was restarted, or its port is used again: RFC 9293 section 3.5.1
            )

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

    def _gave_up(
        self, socket: ShadowSocket, run: Run, *, stopped: bool, reset: Segment | None = None
    ) -> Event:
        schedule = socket.profile.retry
        time = reset.time if reset else next_timer(run, schedule)
        frames = (*run.frames, reset.number) if reset else run.frames
        doubts = set()
        if not stopped:
            doubts.add(Doubt.NO_LATER_FRAME)
        elif not is_exhausted(run, schedule):
            doubts.add(Doubt.OWN_LIMIT)
            if looks_orphaned(run, schedule):
                doubts.add(Doubt.MAYBE_CLOSED)
        key = _run_key(socket, run, "timeout")
        view = _retry_view(run, socket, stopped=stopped)
        event = self._event(RetransmissionTimeout, socket, time, frames, key, doubts, retry=view)
        self._end(socket, key, time, 0, Step.GIVE_UP)
        return event

    def _reset(self, segment: Segment) -> Iterator[Told]:
        sender, receiver = self._sockets[segment.side], self._sockets[1 - segment.side]
        sender.reset_late = sender.fatal is not None
        sender_before = sender.state
        ttl_differs = sender.ttl not in (0, segment.ttl)
        if segment.flags & Flag.ACK and _was_reset(sender) and not ttl_differs:
            yield from self._revive(sender)  # a dead socket sends bare RSTs only: this one lived, and aborts
        if segment.flags & Flag.ACK and not ttl_differs and (run := self._given_up(sender)):
            yield self._gave_up(sender, run, stopped=True, reset=segment)
        elif not ttl_differs:
            yield from self._resets_by_itself(sender, segment)
        if receiver.state is State.CLOSED:
            sender.closed = True
            return
        self._fin_crossed(sender, receiver, segment)
        round_trip = self._round_trip(receiver)
        own, peer = self._totals[receiver.side], self._totals[sender.side]
        judged = judge(segment, receiver, sender, own, peer, round_trip)
        receiver.challenged |= judged.challenged
        before, receiver.state = receiver.state, judged.state
        view = ResetView(
            accepted=judged.accepted,
            form=judged.form,
            answers=judged.answers,
            after_probes=peer.probes > 0,
            ttl_differs=ttl_differs,
            sender_state=sender_before.value,
            new_syn=sender.new_syn,
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
                if sender.fatal is None or sender.fatal.time < segment.time:  # its keepalive gave up
                    self._end(sender, "", segment.time, _COPY_NS, Step.SEND_RST)  # it sends nothing new now
                sender.closed = True

    def _resets_by_itself(self, sender: ShadowSocket, segment: Segment) -> Iterator[Told]:
        """What a reset says about its own sender's wait."""
        if not segment.flags & Flag.ACK:
            if sender.side == CLIENT:
                yield from self._refuses_late_answer(segment)
        elif not sender.closed:
            own, peer = self._totals[sender.side], self._totals[1 - sender.side]
            if keepalive_gave_up(segment, sender.probing, own, peer):
                event = self._keepalive_timeout(sender, segment, own, peer)
                yield from self._forget_probes(sender)
                self._end(sender, event.key, segment.time, _COPY_NS, Step.GIVE_UP)
                yield event
            elif sender.side == CLIENT:
                yield from self._left_unanswered(sender, segment)

    def _keepalive_timeout(
        self, socket: ShadowSocket, reset: Segment, own: Totals, peer: Totals
    ) -> KeepaliveTimeout:
        probes = socket.probing.frames if socket.probing else (own.probe_number,)
        heard = peer.last_time
        view = ProbeView(
            count=own.probes,
            interval=(reset.time - own.probe_time) / SECOND,
            seconds=(reset.time - heard) / SECOND if heard else 0.0,
            gives_up_at="",
        )
        doubts = set() if socket.probing else {Doubt.INTERVAL_UNPROVEN}
        key = f"keepalive {SIDES[socket.side]}"
        frames = (*probes, reset.number)
        return self._event(KeepaliveTimeout, socket, reset.time, frames, key, doubts, probe=view)

    def _fin_crossed(self, sender: ShadowSocket, receiver: ShadowSocket, segment: Segment) -> None:
        """A request that was sent before the FIN reached its sender, captured where the FIN was sent.

        Nothing is told of it before the FIN is acknowledged.
        """
        own = self._totals[CLIENT]
        if (
            sender.side == SERVER
            and not segment.flags & Flag.ACK
            and self._ended is None
            and self._crossed is None
            and sender.fin_end is not None
            and receiver.fin_end is None
            and own.last_data_number > sender.fin_number
            and own.has_ack
            and distance(own.ack, sender.fin_end) > 0
            and roles_are_known(self.flow)
        ):
            frames = (sender.fin_number, segment.number)
            self._crossed = self._end_of_file(segment.time, frames, None)

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
        if self.flow.protocol == "udp":
            yield from self._datagram(socket, segment, effect, own)
            return
        view = _icmp_view(
            segment,
            effect,
            quotes_our_syn=quotes_syn(segment, own, socket.initial),
            in_window=quotes_unacknowledged(segment, own, peer),
        )
        connecting = socket.state is State.SYN_SENT
        soon = connecting and segment.time - own.last_time < _CONNECT_HOLDS_NS
        doubts = {Doubt.CONNECT_MAY_HOLD_THE_SOCKET} if soon else set()
        key = f"icmp {segment.number}"
        yield self._event(IcmpReceived, socket, segment.time, (segment.number,), key, doubts, icmp=view)
        if view.quotes_our_syn and effect.kept if connecting else view.in_window and effect.soft:
            socket.soft_errno, socket.soft_time = effect.errno, segment.time
        if connecting and view.quotes_our_syn and effect.fatal:
            self._end(socket, key, segment.time, 0, Step.GIVE_UP)

    def _datagram(
        self, socket: ShadowSocket, segment: Segment, effect: IcmpEffect, own: Totals
    ) -> Iterator[Told]:
        """The first ICMP error of its kind for a datagram."""
        kind = (segment.side, segment.icmp_type, segment.icmp_code)
        if kind not in self._refused_datagrams:
            self._refused_datagrams.add(kind)
            view = _icmp_view(segment, effect, quotes_our_syn=False, in_window=own.last_data_number > 0)
            frames = tuple(number for number in (own.last_data_number, segment.number) if number)
            key = f"datagram {' '.join(map(str, kind))}"
            doubts = {Doubt.NOT_CONNECTED}
            yield self._event(DatagramError, socket, segment.time, frames, key, doubts, icmp=view)

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
        run = socket.run or socket.probing
        socket.fatal = Fatal(key, time, grace, reset, limit, socket.state, socket.closed, run)
        socket.run = socket.probing = None
        socket.take(taken)

    def _doubts(self, socket: ShadowSocket) -> set[Doubt]:
        """What is doubtful about this flow altogether."""
        doubts = set()
        if socket.ttl > socket.profile.ttl or socket.system.likeness is Likeness.OTHER:
            doubts.add(Doubt.ANOTHER_SYSTEM)
        if socket.system.likeness is Likeness.TTL:
            doubts.add(Doubt.SYSTEM_GUESSED)
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
        if (
            self.flow.protocol == "tcp"
            and not connecting
            and not all(totals.last_number for totals in self._totals)
        ):
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
        **views: IcmpView | ResetView | RetryView | ProbeView | WaitView,
    ) -> E:
        own, peer = self._totals[socket.side], self._totals[1 - socket.side]
        make: Callable[..., E] = kind
        return make(
            flow_id=self.flow.id,
            side=socket.side,
            system=socket.system.name,
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
    if run and run.what in (WINDOW, KEEPALIVE):
        return run.what == WINDOW and not socket.reset_late and is_answered(run, peer)
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


def _probes_key(socket: ShadowSocket) -> str:
    return f"probes {SIDES[socket.side]}"


def _icmp_view(segment: Segment, effect: IcmpEffect, *, quotes_our_syn: bool, in_window: bool) -> IcmpView:
    return IcmpView(
        version=segment.version,
        type=segment.icmp_type,
        code=segment.icmp_code,
        meaning=effect.meaning,
        errno=effect.errno,
        fatal=effect.fatal,
        soft=effect.soft,
        quotes_our_syn=quotes_our_syn,
        in_window=in_window,
        datagram=effect.datagram,
        reporter=address_text(segment.version, segment.reporter_hi, segment.reporter_lo),
    )


def _retry_view(run: Run, socket: ShadowSocket, *, stopped: bool, recovered: bool = False) -> RetryView:
    schedule = socket.profile.retry
    end = gives_up_at(run, schedule)
    return RetryView(
        what=run.what,
        count=run.count,
        elapsed=run.elapsed / SECOND,
        last_interval=run.last_interval / SECOND,
        next_due=_utc(next_timer(run, schedule)),
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
