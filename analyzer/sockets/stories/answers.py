"""An answer that was due: the server's FIN in its place, or a client that waits no longer."""

from __future__ import annotations

from dataclasses import replace

from analyzer.model.columns import Flag
from analyzer.model.event import UNREAD, Doubt, EndOfFile, Event, GaveUp
from analyzer.model.flow import CLIENT, SERVER, Kind, Segment
from analyzer.model.seq import distance
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.pair import Pair
from analyzer.sockets.resets import is_near
from analyzer.sockets.waits import (
    doubts_of_patience,
    doubts_that_an_answer_was_due,
    roles_are_known,
    wait_view,
)


class Answers:
    """What became of the client's wait for the server's answer."""

    __slots__ = ("_crossed", "_ended", "_impatient", "_pair")

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._ended: EndOfFile | None = None
        self._crossed: EndOfFile | None = None
        """An end that is told of only once the FIN is acknowledged."""
        self._impatient: GaveUp | None = None

    def fin_arrived(self, ack: int) -> None:
        """The client acknowledges the server's FIN: no doubt is left that its program can read the end."""
        fin_end, event = self._pair.sockets[SERVER].fin_end, self._crossed or self._ended
        unsure = event and (event is self._crossed or Doubt.FIN_UNPROVEN in event.doubts)
        if event and unsure and fin_end is not None and distance(fin_end, ack) >= 0:
            self._ended = replace(event, doubts=event.doubts - {Doubt.FIN_UNPROVEN})
            self._crossed = None
            self._pair.tell(self._ended)

    def catch_up(self) -> None:
        """Data of the server that was captured after its FIN, or read by a client that had sent its own."""
        if not (self._ended or self._crossed or self._impatient):
            return
        client, server = self._pair.sockets
        own, peer = self._pair.totals
        if own.has_ack:
            self.fin_arrived(own.ack)
        if self._ended and peer.last_data_number > server.fin_number:
            self._pair.withdraw(self._ended.key)
            self._ended = None
        if self._impatient and client.fin_end is not None and not client.closed:
            self._pair.withdraw(self._impatient.key)
            self._impatient = None

    def left_unanswered(self, sender: ShadowSocket, segment: Segment) -> None:
        """A FIN, or the client's reset, in place of an answer."""
        cut = sender.side == SERVER and segment.kinds & Kind.CUT
        if not (segment.kinds & Kind.UNANSWERED or cut) or not self._roles_are_known():
            return
        own, peer = self._pair.totals
        if sender.side == CLIENT:
            if (
                peer.has_seq and own.has_ack and distance(peer.seq_end, own.ack) <= 0
            ):  # else an answer is missing
                self._pair.tell(self._gave_up(segment))
        elif segment.seq == peer.seq_end:  # else an answer was lost, and will come
            acknowledged = segment.ack if segment.flags & Flag.ACK else None
            ended = self._end_of_file(segment.time, (segment.number,), acknowledged)
            if peer.gaps and own.has_ack and distance(own.ack, segment.seq) > 0:
                self._crossed = ended  # something before it may be missing, so that nobody can read the end
                return
            self._ended = ended
            self._pair.tell(ended)

    def refuses_late_answer(self, segment: Segment) -> None:
        """A client that had closed has no use for the answer that comes now."""
        event, peer = self._impatient, self._pair.totals[SERVER]
        if event and not event.wait.refused and peer.last_data_time > event.time:
            wait = replace(event.wait, refused=True)
            doubts = event.doubts - {Doubt.NO_ROUND_TIME, Doubt.MAYBE_FAREWELL, Doubt.NEVER_ANSWERED}
            frames = (*event.frames, segment.number)
            self._impatient = replace(event, wait=wait, doubts=doubts, frames=frames)
            self._pair.tell(self._impatient)

    def fin_crossed(self, sender: ShadowSocket, reset: Segment) -> None:
        """A request that was sent before the FIN reached its sender, captured where the FIN was sent.

        Nothing is told of it before the FIN is acknowledged.
        """
        own, receiver = self._pair.totals[CLIENT], self._pair.other(sender)
        if (
            sender.side == SERVER
            and not reset.flags & Flag.ACK
            and self._ended is None
            and self._crossed is None
            and sender.fin_end is not None
            and receiver.fin_end is None
            and own.last_data_number > sender.fin_number
            and own.has_ack
            and distance(own.ack, sender.fin_end) > 0
            and self._roles_are_known()
        ):
            frames = (sender.fin_number, reset.number)
            self._crossed = self._end_of_file(reset.time, frames, None)

    def _roles_are_known(self) -> bool:
        """Where both ends call connect(), nobody knows who asks."""
        both_connect = all(socket.connects for socket in self._pair.sockets)
        return roles_are_known(self._pair.flow) and not both_connect

    def _end_of_file(self, time: int, frames: tuple[int, ...], acknowledged: int | None) -> EndOfFile:
        client = self._pair.sockets[CLIENT]
        own, peer = self._pair.totals
        view = wait_view(time, own, peer, acknowledged)
        doubts = doubts_that_an_answer_was_due(view, own, peer) | {Doubt.NOT_READ}
        if not is_near(self._pair.round_trip(client)):
            doubts.add(Doubt.FIN_UNPROVEN)
        told = tuple(sorted({own.last_data_number, *frames}))
        return self._pair.event(
            EndOfFile, client, time, told, "end of file", doubts, wait=view, message=UNREAD
        )

    def _gave_up(self, segment: Segment) -> Event:
        own, peer = self._pair.totals
        reset = bool(segment.flags & Flag.RST)
        view = wait_view(segment.time, own, peer, peer.ack if peer.has_ack else None, reset=reset)
        doubts = doubts_that_an_answer_was_due(view, own, peer) | doubts_of_patience(view)
        frames = (own.last_data_number, segment.number)
        client = self._pair.sockets[CLIENT]
        self._impatient = self._pair.event(
            GaveUp, client, segment.time, frames, "gave up", doubts, wait=view, message=UNREAD
        )
        return self._impatient
