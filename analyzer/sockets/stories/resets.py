"""A reset: what it does to its receiver, and what it says of its sender.

RFC 9293 sections 3.5.2 and 3.10.7; RFC 5961 section 3.2.
"""

from __future__ import annotations

from analyzer.model.columns import Flag
from analyzer.model.event import Doubt, ResetReceived, ResetView
from analyzer.model.flow import CLIENT, Segment, Totals
from analyzer.model.seq import add, distance
from analyzer.model.socket import State, Step
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.pair import COPY_NS, Pair
from analyzer.sockets.resets import DELAYED_ACK_NS, Judged, grace, judge
from analyzer.sockets.retries import SECOND
from analyzer.sockets.stories.answers import Answers
from analyzer.sockets.stories.keepalive import Probes
from analyzer.sockets.stories.retransmissions import Retransmissions

_FAR_NS = SECOND // 100
"""A handshake that took so long did not do so because a machine was busy, as a rule."""
_RETURNS_S = 0.001
"""connect() returns within this time, as a rule: its program must be woken first."""
_AFTER_FIN = (State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK)


class Resets:
    """Every reset of a flow."""

    __slots__ = ("_answers", "_pair", "_probes", "_retransmissions")

    def __init__(
        self, pair: Pair, retransmissions: Retransmissions, probes: Probes, answers: Answers
    ) -> None:
        self._pair = pair
        self._retransmissions = retransmissions
        self._probes = probes
        self._answers = answers

    def received(self, segment: Segment) -> None:
        """A RST came."""
        sender = self._pair.sockets[segment.side]
        receiver = self._pair.other(sender)
        if _answers_another_connection(sender, receiver, segment):
            return
        unseen_syn = _answers_unseen_syn(segment, receiver, *self._pair.totals)
        if unseen_syn:
            receiver.state, receiver.initial = State.SYN_SENT, add(segment.ack, -1)
        sender.reset_late = sender.fatal is not None
        sender_before = sender.state
        # a proxy may have finished the handshake in its name: the segments since then count as well
        known = {sender.ttl, self._pair.sent(sender)[0].last_ttl} - {0}
        ttl_differs = bool(known) and segment.ttl not in known
        if segment.flags & Flag.ACK and was_reset(sender) and not ttl_differs:
            self._pair.revive(sender)  # a dead socket sends bare RSTs only: this one aborts
        if not ttl_differs:
            self._says_of_its_sender(sender, segment)
        if receiver.state is State.CLOSED:
            sender.closed |= not ttl_differs
            if receiver.fatal and receiver.fatal.reset == segment.seq:
                receiver.fatal.alike += 1
            return
        self._answers.fin_crossed(sender, segment)
        round_trip = self._pair.round_trip(receiver)
        own, peer = self._pair.sent(receiver)
        judged = judge(segment, receiver, sender, own, peer, round_trip)
        if unseen_syn:
            judged.doubts.add(Doubt.SYN_NOT_SEEN)
        self._pair.tell(
            self._event(segment, receiver, judged, ttl_differs=ttl_differs, sender_before=sender_before)
        )
        if judged.accepted:
            late = 0 if receiver.state is State.SYN_SENT else grace(round_trip)
            limit = _limit(segment.seq, own, sender.fin_end if judged.state in _AFTER_FIN else None)
            self._pair.end(
                receiver,
                _key(segment),
                segment.time,
                late,
                Step.RECV_RST,
                number=segment.number,
                reset=segment.seq,
                limit=limit,
            )
            if not ttl_differs:  # else a device sent it, which may reset the other end as well
                self._ends_its_sender(sender, segment)

    def _event(
        self,
        segment: Segment,
        receiver: ShadowSocket,
        judged: Judged,
        *,
        ttl_differs: bool,
        sender_before: State,
    ) -> ResetReceived:
        """The reset as its receiver takes it, in the state in which it came."""
        sender = self._pair.other(receiver)
        own, peer = self._pair.sent(receiver)
        receiver.challenged |= judged.challenged
        view = ResetView(
            accepted=judged.accepted,
            form=judged.form,
            challenged=judged.challenged,
            answers=judged.answers,
            after_probes=peer.probes > 0,
            ttl_differs=ttl_differs,
            sender_state=sender_before.value,
            new_syn=sender.new_syn,
            sender_took_part=bool(peer.opened_time) or self._pair.flow.client_guessed,
            left_data=own.has_ack and peer.has_seq and distance(own.ack, peer.seq_end) > 0,
            left_out_timestamps=_left_out_timestamps(segment, sender, receiver),
            too_soon=self._too_soon(segment, receiver, judged),
            receiver_unseen=not own.last_number,
            since_open=self._since_open(segment, receiver),
            silence=(segment.time - peer.last_time) / SECOND if peer.last_number else 0.0,
            payload=segment.payload,
            after_farewell="unknown",
            handshake="unknown",
            told="",
            says="",
        )
        right_after = receiver.side == CLIENT and 0 < view.since_open < _RETURNS_S
        if right_after and view.answers != "syn-ack" and not own.last_data_number:
            judged.doubts.add(Doubt.CONNECT_MAY_HAVE_RETURNED)
        before, receiver.state = receiver.state, judged.state
        event = self._pair.event(
            ResetReceived, receiver, segment.time, judged.frames, _key(segment), judged.doubts, segment=view
        )
        receiver.state = before
        return event

    def _too_soon(self, segment: Segment, receiver: ShadowSocket, judged: Judged) -> bool:
        """It answers the first data after a pause, so that there is nothing else that it could answer.

        The handshake's round trip may have been the longer one, as when an address had to be looked up first:
        therefore a quarter of it, and only where that end is far away.
        """
        if judged.answers != "data":
            return False
        own, peer = self._pair.sent(receiver)
        round_trip = self._pair.round_trip(self._pair.other(receiver))
        if round_trip is None or round_trip < _FAR_NS:
            return False
        alone = own.turn_time == own.last_data_time == own.last_time
        paused = own.last_time - peer.last_time > round_trip + DELAYED_ACK_NS
        return alone and paused and segment.time - own.last_time < round_trip // 4

    def _since_open(self, segment: Segment, receiver: ShadowSocket) -> float:
        """As long as the receiver had been open when it arrived, in seconds; 0 where nothing tells."""
        own, _ = self._pair.sent(receiver)
        if not own.opened_time:
            return 0.0
        away = self._pair.round_trip(receiver) or 0
        return (segment.time - own.opened_time + away) / SECOND

    def _says_of_its_sender(self, sender: ShadowSocket, segment: Segment) -> None:
        """What a reset says about its own sender's wait."""
        if not segment.flags & Flag.ACK:
            if sender.side == CLIENT:
                self._answers.refuses_late_answer(segment)
            return
        if not self._retransmissions.gives_up_by(segment) and not sender.closed:
            if self._probes.gave_up(sender, segment):
                self._probes.timeout(sender, segment)
            elif sender.side == CLIENT:
                self._answers.left_unanswered(sender, segment)

    def _ends_its_sender(self, sender: ShadowSocket, segment: Segment) -> None:
        if sender.fatal is None or sender.fatal.time < segment.time:  # else its keepalive gave up
            self._pair.end(
                sender, "", segment.time, COPY_NS, Step.SEND_RST, number=segment.number
            )  # it sends nothing new now
        sender.closed = True


def was_reset(socket: ShadowSocket) -> bool:
    """It is taken to have been ended by a reset."""
    return socket.fatal is not None and socket.fatal.reset is not None


def _answers_another_connection(sender: ShadowSocket, receiver: ShadowSocket, segment: Segment) -> bool:
    """An end in SYN_SENT that gets an ACK of an earlier connection resets that, and goes on with its own.

    RFC 9293 section 3.10.7.3; Linux tcp_rcv_synsent_state_process().
    """
    return (
        sender.state is State.SYN_SENT
        and sender.initial is not None
        and receiver.initial is None
        and not segment.flags & Flag.ACK
        and segment.seq != add(sender.initial, 1)
    )


def _answers_unseen_syn(segment: Segment, receiver: ShadowSocket, client: Totals, server: Totals) -> bool:
    """The first segment of a flow has the form of an answer to a SYN, and has crossed no router.

    Sequence number 0: what it answers had no ACK (RFC 9293 section 3.10.7.1; Linux tcp_v4_send_reset(), and
    nf_reject_ip_tcphdr_put(), with which a host's own firewall refuses a SYN before a capture sees it). What
    answers somebody else's SYN, sent in this host's name, comes from afar.
    """
    return (
        receiver.side == CLIENT
        and receiver.state is State.ESTABLISHED
        and not client.last_number
        and not server.last_number
        and segment.flags == Flag.RST | Flag.ACK
        and segment.seq == segment.window == segment.payload == 0
        and segment.ttl == receiver.profile.ttl
    )


def _left_out_timestamps(segment: Segment, sender: ShadowSocket, receiver: ShadowSocket) -> bool:
    """Linux tcp_send_active_reset() puts the options of the connection into it."""
    return bool(segment.flags & Flag.ACK) and sender.has_ts and receiver.has_ts and not segment.has_ts


def _key(segment: Segment) -> str:
    return f"reset {segment.number}"


def _limit(seq: int, own: Totals, fin_end: int | None) -> int:
    """What the receiver of a believed reset may acknowledge: as far as it did, and an earlier FIN."""
    limits = [seq, *([own.ack] if own.has_ack else []), *([fin_end] if fin_end is not None else [])]
    return max(limits, key=lambda number: distance(seq, number))
