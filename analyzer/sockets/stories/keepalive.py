"""Keepalive probes and probes of a closed window: nobody answers, or the window stays closed.

RFC 9293 sections 3.8.4 and 3.8.6.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.model.event import Doubt, KeepaliveTimeout, ProbesUnanswered, ProbeView, Withdrawn, ZeroWindow
from analyzer.model.flow import SIDES, Segment, Totals
from analyzer.model.socket import Step
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.pair import COPY_NS, Pair, Told
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
from analyzer.sockets.stories.retransmissions import utc


class Probes:
    """Who asks whether the other end is still there, or whether it has room again."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._stalled: dict[int, int] = {}
        """By side: the frame of the last probe that a stall was told of."""

    def catch_up(self) -> Iterator[Told]:
        """What plain segments have changed meanwhile."""
        for socket in self._pair.sockets:
            _, peer = self._pair.sent(socket)
            if socket.probing and is_answered(socket.probing, peer):
                yield from self._forget(socket)

    def stalls(self) -> Iterator[Told]:
        """A window that stays closed although there is data for it, which the probes show."""
        for socket in self._pair.sockets:
            own, peer = self._pair.sent(socket)
            other = self._pair.other(socket)
            key = f"window {SIDES[socket.side]}"
            closed = window_is_closed(peer) and other.zero_time > 0
            if not closed and self._stalled.pop(socket.side, 0):
                yield Withdrawn(self._pair.flow.id, key)
            elapsed = own.probe_time - other.zero_time
            if closed and elapsed >= STALL_NS and own.probe_number != self._stalled.get(socket.side):
                self._stalled[socket.side] = own.probe_number
                frames = (other.zero_number, own.probe_number)
                view = ProbeView(own.probes, 0.0, elapsed / SECOND, gives_up_at="", soft_errno="")
                yield self._pair.event(ZeroWindow, socket, own.probe_time, frames, key, set(), probe=view)

    def asked(self, sender: ShadowSocket, segment: Segment) -> Iterator[Told]:
        """This end sent another probe."""
        own, peer = self._pair.sent(sender)
        if segment.time - own.probe_time >= COPY_NS:
            sender.probing = unanswered_run(sender.probing, segment, own, peer)
            yield from self._keeps_asking(sender, sender.probing, peer)

    def gave_up(self, sender: ShadowSocket, reset: Segment) -> bool:
        """Whether this reset says that its sender's keepalive had no answer."""
        return keepalive_gave_up(reset, sender.probing, *self._pair.sent(sender))

    def timeout(self, socket: ShadowSocket, reset: Segment) -> Iterator[Told]:
        """It has: this end got no answer, and reset the connection."""
        event = self._timeout_event(socket, reset, *self._pair.sent(socket))
        yield from self._forget(socket)
        self._pair.end(socket, event.key, reset.time, COPY_NS, Step.GIVE_UP)
        yield event

    def _keeps_asking(self, socket: ShadowSocket, run: Run, peer: Totals) -> Iterator[Told]:
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
            yield self._pair.event(ProbesUnanswered, socket, run.last, run.frames, key, set(), probe=view)

    def _forget(self, socket: ShadowSocket) -> Iterator[Told]:
        """They were answered, or are over."""
        if socket.probing and socket.probing.what == KEEPALIVE:
            yield Withdrawn(self._pair.flow.id, _probes_key(socket))
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
