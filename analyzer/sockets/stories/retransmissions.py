"""The same bytes again and again: told while it lasts, when it ends well, and when the system gives up.

RFC 6298 section 5; Linux tcp_retransmit_timer().
"""

from __future__ import annotations

from dataclasses import replace

from analyzer.model.event import Doubt, Event, Retransmission, RetransmissionTimeout
from analyzer.model.flow import SIDES, FlowEnd, Kind, Segment
from analyzer.model.seq import add, distance
from analyzer.model.socket import Step
from analyzer.sockets.machine import ShadowSocket, what_is_sent
from analyzer.sockets.pair import COPY_NS, Pair
from analyzer.sockets.probes import WINDOW
from analyzer.sockets.retries import (
    SECOND,
    Run,
    is_exhausted,
    looks_orphaned,
    missing_at,
    next_timer,
)
from analyzer.sockets.stories.next_hops import NextHops
from analyzer.sockets.stories.runs import retry_view, run_key

_CROSSING_NS = SECOND // 2
"""A SYN-ACK that is sent again so shortly after its acknowledgement may have crossed that on the way."""


class Retransmissions:
    """Runs of retransmissions, and of probes of a closed window, whose end would mean something."""

    __slots__ = ("_next_hops", "_pair")

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._next_hops = NextHops(pair)

    @property
    def deadline(self) -> int | None:
        """The next moment at which silence means something (nanoseconds since the epoch)."""
        due = [missing_at(run, socket.profile.retry) for socket, run in self._running()]
        due += self._next_hops.due
        return min(due, default=None)

    def pass_deadlines(self, clock: int) -> None:
        """The capture's clock has come this far: what was due and did not come was given up."""
        for socket, run in self._running():
            missing = missing_at(run, socket.profile.retry)
            if missing <= clock:
                self._next_hops.may_be_why(socket, run, missing)
                self._pair.tell(self._gave_up(socket, run, stopped=True))
        self._next_hops.pass_deadlines(clock)

    def finish(self, end: FlowEnd) -> None:
        """No more segments will come: what can only be given up now, and was not seen to be."""
        self._next_hops.finish(self._running(), end)
        for socket, run in self._running():
            if is_exhausted(run, socket.profile.retry):
                self._pair.tell(self._gave_up(socket, run, stopped=False))

    def again(self, sender: ShadowSocket, segment: Segment) -> None:
        """A run counts from the first transmission; single retransmissions are not looked at one by one."""
        _, peer = self._pair.sent(sender)
        run, what = sender.run, what_is_sent(segment)
        if what == "syn-ack" and peer.has_ack and distance(segment.seq, peer.ack) > 0:
            self._unaccepted(sender, segment)
        if run is None or run.seq != segment.seq or run.what != what:
            run = self._begin(sender, segment, what)
        if segment.time - run.last < COPY_NS:
            return
        run.answers += peer.last_time > run.last
        run.echoes += self._is_echo(sender, run)
        run.again(segment.time, segment.number)
        run.length = segment.payload
        if _is_told(run):
            view = retry_view(self._pair, run, sender, stopped=False)
            key = run_key(sender, run, "retry")
            self._pair.tell(
                self._pair.event(Retransmission, sender, segment.time, run.frames, key, set(), retry=view)
            )

    def recoveries(self, time: int) -> None:
        """Runs that were acknowledged at last."""
        for socket in self._pair.sockets:
            if socket.recovered is None:
                continue
            run, socket.recovered = socket.recovered, None
            if _is_told(run):
                self._pair.withdraw(run_key(socket, run, "retry"))
                view = retry_view(self._pair, run, socket, stopped=False, recovered=True)
                key = f"recovered {SIDES[socket.side]}"  # the last one stands for all of them
                self._pair.tell(
                    self._pair.event(Retransmission, socket, time, run.frames, key, set(), retry=view)
                )

    def gives_up_by(self, reset: Segment) -> bool:
        """Whether a reset tells that its sender tried in vain: its system sends one when it gives up."""
        sender = self._pair.sockets[reset.side]
        schedule = sender.profile.retry
        if not schedule.reset_at_end:
            return False
        runs = [run for socket, run in self._running() if socket is sender and is_exhausted(run, schedule)]
        if runs:
            self._pair.tell(self._gave_up(sender, runs[0], stopped=True, reset=reset))
        return bool(runs)

    def _running(self) -> list[tuple[ShadowSocket, Run]]:
        client, server = self._pair.sockets
        if not (client.run or client.probing or server.run or server.probing):
            return []  # as mostly
        live = [s for s in self._pair.sockets if not s.closed]
        runs = [(s, s.run) for s in live if s.run and s.run.count and not s.run.next_hop]
        return runs + [(s, s.probing) for s in live if s.probing and s.probing.what == WINDOW]

    def _begin(self, sender: ShadowSocket, segment: Segment, what: str) -> Run:
        own, _ = self._pair.sent(sender)
        syn = what in ("syn", "syn-ack")
        time = sender.syn_time if syn else own.last_data_time
        number = sender.syn_number if syn else own.last_data_number
        run = sender.run = Run(what, segment.seq, time if number else segment.time, number)
        known = own.resent_number and own.resent_seq == segment.seq and own.resent_time > run.last + COPY_NS
        if segment.kinds & Kind.REPEATED and known:
            run.again(own.resent_time, own.resent_number)
        return run

    def _is_echo(self, sender: ShadowSocket, run: Run) -> bool:
        """Since the last one the other end has only repeated what this end had acknowledged."""
        own, peer = self._pair.sent(sender)
        again = peer.resent_time > run.last and peer.last_data_time < run.last
        return again and own.has_ack and distance(add(peer.resent_seq, peer.resent_length), own.ack) >= 0

    def _unaccepted(self, server: ShadowSocket, segment: Segment) -> None:
        """A SYN-ACK is sent again, although the other end has acknowledged it and perhaps sent data since.

        Linux tcp_check_req() ignores that where the accept queue is full, and its timer goes on.
        """
        own, peer = self._pair.sent(server)
        if own.opened_time or segment.time - max(peer.opened_time, own.resent_time) < _CROSSING_NS:
            return
        server.synacks_in_vain += 1
        sent = self._pair.other(server).run
        run = Run("syn-ack", segment.seq, server.syn_time, server.syn_number, server.synacks_in_vain - 1)
        run.again(segment.time, segment.number)
        view = replace(
            retry_view(self._pair, run, server, stopped=False),
            in_vain=run.count,
            ignored=1 + (sent.count + 1 if sent and sent.what == "data" else peer.payload > 0),
        )
        frames, key = (server.syn_number, segment.number), f"unaccepted {SIDES[server.side]}"
        self._pair.tell(
            self._pair.event(Retransmission, server, segment.time, frames, key, set(), retry=view)
        )

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
        key = run_key(socket, run, "timeout")
        view = retry_view(self._pair, run, socket, stopped=stopped)
        event = self._pair.event(RetransmissionTimeout, socket, time, frames, key, doubts, retry=view)
        self._pair.end(socket, key, time, 0, Step.GIVE_UP)
        return event


def _is_told(run: Run) -> bool:
    """One retransmission is everyday, but of a SYN."""
    return run.count > 1 or run.what == "syn"
