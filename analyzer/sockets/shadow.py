"""The two shadow sockets of a flow: segments in, events out. Does no I/O and touches nothing else.

RFC 9293 sections 3.5, 3.6 and 3.10. What may happen stands in ``stories``, one module a subject.
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.model.columns import Flag
from analyzer.model.flow import CLIENT, Flow, FlowEnd, Kind, Segment, Totals
from analyzer.model.host import Host, System
from analyzer.model.neighbour import InVain, nobody_asked
from analyzer.model.seq import add
from analyzer.model.socket import State, Step
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.pair import Pair, Told
from analyzer.sockets.stories.answers import Answers
from analyzer.sockets.stories.icmp import IcmpErrors
from analyzer.sockets.stories.keepalive import Probes
from analyzer.sockets.stories.resets import Resets, was_reset
from analyzer.sockets.stories.retransmissions import Retransmissions


class ShadowFlow:
    """Steps both ends' sockets with each significant segment of a flow, in order."""

    __slots__ = ("_answers", "_icmp", "_pair", "_probes", "_resets", "_retransmissions")

    def __init__(self, flow: Flow, client: Host, server: Host, in_vain: InVain = nobody_asked) -> None:
        self._pair = Pair(flow, client, server, in_vain)
        self._retransmissions = Retransmissions(self._pair)
        self._probes = Probes(self._pair)
        self._answers = Answers(self._pair)
        self._icmp = IcmpErrors(self._pair)
        self._resets = Resets(self._pair, self._retransmissions, self._probes, self._answers)

    @property
    def flow(self) -> Flow:
        """The flow whose ends they are."""
        return self._pair.flow

    @property
    def states(self) -> tuple[str, str]:
        """The TCP states of client and server, as they are now."""
        client, server = self._pair.sockets
        return client.state.value, server.state.value

    @property
    def systems(self) -> tuple[System, System]:
        """What client and server are taken to run."""
        client, server = self._pair.sockets
        return client.system, server.system

    @property
    def deadline(self) -> int | None:
        """The next moment at which silence means something (nanoseconds since the epoch)."""
        return self._retransmissions.deadline

    def receive(self, segment: Segment) -> Sequence[Told]:
        """The next significant segment."""
        self._retransmissions.pass_deadlines(segment.clock)
        self._catch_up((segment.client, segment.server))
        if segment.kinds & Kind.ICMP:
            self._icmp.received(segment)
        elif segment.kinds & Kind.RST:
            self._resets.received(segment)
        else:
            self._sent(segment)
        return self._pair.take_told()

    def tick(self, clock: int) -> Sequence[Told]:
        """The capture's clock has come this far."""
        self._retransmissions.pass_deadlines(clock)
        return self._pair.take_told()

    def finish(self, end: FlowEnd) -> Sequence[Told]:
        """No more segments will come."""
        # with what was known then, as if the clock alone had come so far
        self._retransmissions.pass_deadlines(end.clock)
        self._catch_up((end.client, end.server))
        self._pair.heard_after_all()
        self._retransmissions.finish(end)
        return self._pair.take_told()

    def _catch_up(self, totals: tuple[Totals, Totals]) -> None:
        """What plain segments, which are not looked at one by one, have changed meanwhile."""
        self._pair.totals = of_client, of_server = totals
        self._pair.signs_of_life()
        client, server = self._pair.sockets
        client.catch_up(of_client, of_server, server.fin_end)
        server.catch_up(of_server, of_client, client.fin_end)
        self._probes.catch_up()
        self._retransmissions.recoveries(max(of_client.last_time, of_server.last_time))
        self._probes.stalls()
        self._answers.catch_up()

    def _sent(self, segment: Segment) -> None:
        """Anything but a RST."""
        sender = self._pair.sockets[segment.side]
        receiver = self._pair.other(sender)
        sender.recognise(segment)
        if sender.fatal and segment.time > sender.fatal.time + sender.fatal.grace:
            self._pair.revive(sender)
        if segment.flags & Flag.SYN:
            if not segment.flags & Flag.ACK and segment.seq == sender.initial:
                sender.connects_on(segment, self._pair.sent(sender)[0], receiver)
            _handshake(sender, receiver, segment)
        if segment.kinds & Kind.ZERO_WINDOW:
            sender.zero_time, sender.zero_number = segment.time, segment.number
        if segment.kinds & Kind.PROBE:
            self._probes.asked(sender, segment)
        if segment.flags & Flag.FIN:
            self._fin(sender, receiver, segment)
        if segment.kinds & Kind.RESENT:
            self._retransmissions.again(sender, segment)
        if segment.flags & Flag.ACK:
            receiver.acknowledged(segment.ack, self._pair.sent(receiver)[0])
            self._retransmissions.recoveries(segment.time)
            if sender.side == CLIENT:
                self._answers.fin_arrived(segment.ack)

    def _fin(self, sender: ShadowSocket, receiver: ShadowSocket, segment: Segment) -> None:
        """Its program closed, or will not send any more."""
        if was_reset(sender):  # a FIN that passes a reset on the way: it had closed when the reset came
            self._pair.revive(sender)
        self._answers.left_unanswered(sender, segment)
        _, peer = self._pair.sent(sender)
        sender.send_fin(segment, peer)
        receiver.receive_fin(peer)


def _handshake(sender: ShadowSocket, receiver: ShadowSocket, segment: Segment) -> None:
    """A SYN or SYN-ACK."""
    sender.has_ts |= segment.has_ts
    if segment.flags & Flag.ACK:
        if receiver.state is State.CLOSED and sender.state is State.CLOSED:
            receiver.state, sender.state = State.SYN_SENT, State.SYN_RCVD  # its SYN was not captured
        if sender.initial is None:
            sender.initial, sender.syn_time, sender.syn_number = segment.seq, segment.time, segment.number
        if not receiver.unheard and receiver.initial in (None, add(segment.ack, -1)):
            receiver.take(Step.SYN_ACKED)
    elif sender.initial is None:
        if sender.state is State.SYN_RCVD:
            sender.state = State.CLOSED  # no listener: it calls connect() as well, and had not got our SYN
        sender.send_syn(segment)
        sender.connects = True
        if receiver.state is State.SYN_SENT:
            sender.take(Step.RECV_SYN)
        receiver.take(Step.RECV_SYN)
    elif segment.seq != sender.initial:
        sender.new_syn = True  # its system was restarted, or its port is used again: RFC 9293 section 3.5.1
