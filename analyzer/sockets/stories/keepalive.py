"""Keepalive probes and probes of a closed window: nobody answers, or the window stays closed.

RFC 9293 sections 3.8.4 and 3.8.6.1.
"""

from __future__ import annotations

from analyzer.model.event import Doubt, KeepaliveTimeout, ProbesUnanswered, ProbeView, ZeroWindow
from analyzer.model.flow import SIDES, Segment, Totals
from analyzer.model.socket import Step
from analyzer.model.times import utc
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.pair import COPY_NS, Pair
from analyzer.sockets.probes import (
    KEEPALIVE,
    STALL_NS,
    is_answered,
    keepalive_gave_up,
    keepalive_gives_up_at,
    unanswered_run,
    window_is_closed,
)
from analyzer.sockets.retries import SECOND, Run


class Probes:
    """Who asks whether the other end is still there, or whether it has room again."""

    __slots__ = ("_pair", "_stalled")

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._stalled: dict[int, int] = {}
        """By side: the frame of the last probe that a stall was told of."""

    def catch_up(self) -> None:
        """What plain segments have changed meanwhile."""
        for socket in self._pair.sockets:
            if socket.probing and is_answered(socket.probing, self._pair.sent(socket)[1]):
                self._forget(socket)

    def stalls(self) -> None:
        """A window that stays closed although there is data for it, which the probes show."""
        client, server = self._pair.sockets
        if client.zero_time or server.zero_time:
            self._tell_stalls()

    def _tell_stalls(self) -> None:
        for socket in self._pair.sockets:
            own, peer = self._pair.sent(socket)
            other = self._pair.other(socket)
            key = f"window {SIDES[socket.side]}"
            closed = window_is_closed(peer) and other.zero_time > 0
            if not closed and self._stalled.pop(socket.side, 0):
                self._pair.withdraw(key)
            elapsed = own.probe_time - other.zero_time
            if closed and elapsed >= STALL_NS and own.probe_number != self._stalled.get(socket.side):
                self._stalled[socket.side] = own.probe_number
                frames = (other.zero_number, own.probe_number)
                view = ProbeView(own.probes, 0.0, elapsed / SECOND, gives_up_at="", soft_errno="")
                self._pair.tell(
                    self._pair.event(ZeroWindow, socket, own.probe_time, frames, key, set(), probe=view)
                )

    def asked(self, sender: ShadowSocket, segment: Segment) -> None:
        """This end sent another probe."""
        own, peer = self._pair.sent(sender)
        if segment.time - own.probe_time >= COPY_NS:
            sender.probing = unanswered_run(sender.probing, segment, own, peer)
            self._keeps_asking(sender, sender.probing, peer)

    def gave_up(self, sender: ShadowSocket, reset: Segment) -> bool:
        """Whether this reset says that its sender's keepalive had no answer."""
        return keepalive_gave_up(reset, sender.probing, *self._pair.sent(sender))

    def timeout(self, socket: ShadowSocket, reset: Segment) -> None:
        """It has: this end got no answer, and reset the connection."""
        event = self._timeout_event(socket, reset, *self._pair.sent(socket))
        self._forget(socket)
        self._pair.end(socket, event.key, reset.time, COPY_NS, Step.GIVE_UP, number=reset.number)
        self._pair.tell(event)

    def _keeps_asking(self, socket: ShadowSocket, run: Run, peer: Totals) -> None:
        """Keepalive probes without an answer; where one direction was not captured, none is to be seen."""
        if run.what == KEEPALIVE and peer.last_number:
            end = keepalive_gives_up_at(run, socket.profile.retry)
            view = ProbeView(
                count=run.count,
                interval=run.last_interval / SECOND,
                seconds=(run.last - peer.last_time) / SECOND,
                gives_up_at=utc(end) if end else "",
                soft_errno=socket.soft_errno,
            )
            key = _probes_key(socket)
            self._pair.tell(
                self._pair.event(ProbesUnanswered, socket, run.last, run.frames, key, set(), probe=view)
            )

    def _forget(self, socket: ShadowSocket) -> None:
        """They were answered, or are over."""
        if socket.probing and socket.probing.what == KEEPALIVE:
            self._pair.withdraw(_probes_key(socket))
        socket.probing = None

    def _timeout_event(
        self, socket: ShadowSocket, reset: Segment, own: Totals, peer: Totals
    ) -> KeepaliveTimeout:
        probes = socket.probing.frames if socket.probing else (own.probe_number,)
        heard = peer.last_time
        view = ProbeView(
            count=own.probes,
            interval=(reset.time - own.probe_time) / SECOND,
            seconds=(reset.time - heard) / SECOND if heard else 0.0,
            gives_up_at="",
            soft_errno=socket.soft_errno,
        )
        doubts = set() if socket.probing else {Doubt.INTERVAL_UNPROVEN}
        key = f"keepalive {SIDES[socket.side]}"
        frames = (*probes, reset.number)
        return self._pair.event(KeepaliveTimeout, socket, reset.time, frames, key, doubts, probe=view)


def _probes_key(socket: ShadowSocket) -> str:
    return f"probes {SIDES[socket.side]}"
