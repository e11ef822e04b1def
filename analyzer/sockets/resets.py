"""What a RST means to the socket that it is sent to.

RFC 9293 sections 3.5.2 and 3.10.7; RFC 5961 section 3.2; Linux tcp_validate_incoming() and tcp_reset().
"""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.model.columns import Flag
from analyzer.model.event import Doubt
from analyzer.model.flow import Segment, Totals
from analyzer.model.seq import add, distance
from analyzer.model.socket import State
from analyzer.sockets.machine import INITIAL_TTLS, ShadowSocket
from analyzer.sockets.retries import SECOND

_MARGIN_NS = SECOND // 20
"""By how much one packet may take longer than another on the same way."""
_UNKNOWN_GRACE_NS = SECOND
_NEAR_NS = SECOND // 500
"""An end that answers within 2 ms is so near that what is captured has as good as arrived."""
DELAYED_ACK_NS = SECOND // 5
"""An end acknowledges data that it has received within this time, as a rule (Linux TCP_DELACK_MAX)."""
_SILENT_NS = SECOND // 2
"""An end that lives acknowledges within half a second (RFC 9293 section 3.8.6.3)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A reset as its receiver takes it.

    ``state`` is the receiver's when it came, which is not that of the capture where a FIN was lost before;
    ``challenged``: it is answered by a challenge ACK; ``frames``: the segment that it answers, and itself.
    """

    state: State
    accepted: bool
    challenged: bool
    doubts: set[Doubt]
    form: str
    answers: str
    frames: tuple[int, ...]


def grace(round_trip: int | None) -> int:
    """How long after a reset segments may come that its receiver had sent before it came (nanoseconds).

    ``round_trip`` lies between the place of the capture and that receiver, None where unknown.
    """
    return _UNKNOWN_GRACE_NS if round_trip is None else 2 * round_trip + _MARGIN_NS


def is_near(round_trip: int | None) -> bool:
    """What is captured has as good as arrived at that end."""
    return round_trip is not None and round_trip <= _NEAR_NS


def judge(
    segment: Segment,
    receiver: ShadowSocket,
    sender: ShadowSocket,
    own: Totals,
    peer: Totals,
    round_trip: int | None,
) -> Judged:
    """What a RST does; ``own`` and ``peer`` are the totals of its receiver and its sender.

    ``round_trip`` as for ``grace``.
    """
    state, doubts = _state(segment, receiver, sender, own, round_trip)
    form = _form(segment, state)
    frames, answers = _answered(segment, receiver, form, own)
    if state is State.SYN_SENT:
        accepted, challenged = _refuses_syn(segment, receiver, own), False
    else:
        number, doubt = _number(segment, own, peer, state, receiver, round_trip)
        if sender.new_syn and own.has_ack and segment.seq == own.ack:
            number, doubt = "next", None  # it answers the challenge ACK that its SYN met
        result = receiver.profile.reset_result(number, state.value)
        accepted, challenged = result == "reset", result == "challenge_ack"
        if doubt and not receiver.challenged:  # RST, challenge ACK, RST: the second one cannot be wrong
            doubts.add(doubt)
    if sender.ttl in INITIAL_TTLS and receiver.ttl not in (0, *INITIAL_TTLS):
        doubts.add(Doubt.MAY_NOT_HAVE_ARRIVED)  # captured near its sender alone
    if peer.last_time - own.last_time > _SILENT_NS:
        doubts.add(Doubt.SENDER_UNANSWERED)
    if receiver.resets_in_vain:
        doubts.add(Doubt.EARLIER_RESET_IN_VAIN)
    return Judged(state, accepted, challenged, doubts, form, answers, frames)


def _state(
    segment: Segment, receiver: ShadowSocket, sender: ShadowSocket, own: Totals, round_trip: int | None
) -> tuple[State, set[Doubt]]:
    """The receiver's state, were the FIN that the capture shows never to have reached it."""
    if receiver.state is not State.CLOSE_WAIT or sender.fin_end is None:
        return receiver.state, set()
    missing = distance(own.ack, sender.fin_end) if own.has_ack else 0
    if missing <= 0:
        return State.CLOSE_WAIT, set()
    if own.ack == segment.seq:
        # It answers a segment that asks for what came before the FIN, or was sent when that should be there.
        patience = _MARGIN_NS * 2 if round_trip is None else round_trip + _MARGIN_NS
        if missing > 1 or own.last_time - sender.fin_time > patience:
            return State.ESTABLISHED, {Doubt.FIN_UNPROVEN}
    return State.CLOSE_WAIT, set() if is_near(round_trip) else {Doubt.FIN_UNPROVEN}


def _number(
    segment: Segment, own: Totals, peer: Totals, state: State, receiver: ShadowSocket, round_trip: int | None
) -> tuple[str, Doubt | None]:
    """How the sequence number relates to what the receiver expects (RCV.NXT), and what is doubtful.

    ``next``, ``before_next``, ``sack_right_edge``, ``in_window`` or ``other``, as in the profiles. The
    receiver has got all that the sender sent before in the same capture (``peer.seq_end``), unless some of
    it was lost: then it expects what it last acknowledged.
    """
    asked_for = own.has_ack and segment.seq == own.ack
    if not peer.has_seq:
        return ("next", None) if asked_for else ("other", Doubt.ONE_DIRECTION)
    behind = distance(peer.seq_end, segment.seq)
    if behind == 0 and own.has_ack and not asked_for and receiver.profile.reset_at_last_ack:
        return _behind_delayed_ack(segment.time - peer.last_data_time, round_trip)
    if behind == 0:
        if not peer.gaps or not own.has_ack or asked_for:
            return "next", None
        # Bytes are missing here. If the receiver has spoken since and still asks for them, they are lost.
        if own.last_number < peer.last_number:
            return "next", Doubt.RESET_NUMBER_UNPROVEN
        ends_in_data = add(peer.last_data_seq, peer.last_data_length) == peer.seq_end
        return ("sack_right_edge", Doubt.RESET_NUMBER_UNPROVEN) if ends_in_data else ("in_window", None)
    if behind == -1 and receiver.profile.reset_result("before_next", state.value) == "reset":
        return "before_next", None
    if asked_for:
        return "next", Doubt.RESET_NUMBER_UNPROVEN
    if behind == -1:
        return "before_next", None
    return ("in_window", None) if 0 < behind <= 0xFFFF << 14 else ("other", None)


def _behind_delayed_ack(waited: int, round_trip: int | None) -> tuple[str, Doubt | None]:
    """A reset behind data whose ACK was not captured, to a receiver that wants the number it sent last.

    Captured far from it, that ACK may be on the way: it is sent soon after the data, which came ``waited``
    nanoseconds before the reset.
    """
    if is_near(round_trip):
        return "in_window", None
    is_under_way = round_trip is None or waited <= round_trip + DELAYED_ACK_NS
    acknowledged = waited > DELAYED_ACK_NS and is_under_way
    return "next" if acknowledged else "in_window", Doubt.RESET_NUMBER_UNPROVEN


def _refuses_syn(segment: Segment, receiver: ShadowSocket, own: Totals) -> bool:
    """Its ACK covers our SYN: SND.UNA < SEG.ACK <= SND.NXT (Linux tcp_rcv_synsent_state_process())."""
    if not segment.flags & Flag.ACK or receiver.initial is None:
        return False
    sent = not own.has_seq or distance(segment.ack, own.seq_end) >= 0  # that SYN itself was not captured
    return distance(receiver.initial, segment.ack) > 0 and sent


def _form(segment: Segment, state: State) -> str:
    """``reply`` to a segment (no ACK, or window 0 and the ACK of a SYN) or ``active``."""
    if not segment.flags & Flag.ACK:
        return "reply"
    return "reply" if state is State.SYN_SENT and segment.window == 0 else "active"


def _answered(
    segment: Segment, receiver: ShadowSocket, form: str, own: Totals
) -> tuple[tuple[int, ...], str]:
    """The frames of a reset: the segment that it answers, where it answers one, and itself."""
    if receiver.state is State.SYN_SENT:
        return tuple(n for n in (receiver.syn_number, segment.number) if n), "syn"
    if form == "active" or not own.has_ack or own.ack != segment.seq:
        return (segment.number,), "nothing"
    if not own.opened_time and receiver.syn_number:
        return (own.last_number, segment.number), "syn-ack"
    if own.last_data_number == own.last_number:
        return (own.last_number, segment.number), "data"
    if own.probe_number == own.last_number:
        return (own.last_number, segment.number), "probe"
    return (own.last_number, segment.number), "ack" if receiver.fin_end is None else "fin"
