"""What a segment means to the socket that receives it, before any state changes."""

from __future__ import annotations

from analyzer.model.columns import Flag
from analyzer.model.event import Doubt
from analyzer.model.flow import Segment, Totals
from analyzer.model.seq import add, distance
from analyzer.model.socket import State


def reset_number(segment: Segment, receiver: Totals, sender: Totals) -> tuple[str, Doubt | None]:
    """How a RST's sequence number relates to what its receiver expects (RCV.NXT), and what is doubtful.

    ``next``, ``before_next``, ``in_window`` or ``other``, as in the profiles. The receiver has got all that
    the sender sent before in the same capture (``sender.seq_end``), unless some of it was lost: then it
    expects what it last acknowledged. RFC 5961 section 3.2; Linux tcp_validate_incoming().
    """
    if not sender.has_seq:
        if receiver.has_ack and segment.seq == receiver.ack:
            return "next", None
        return "other", Doubt.ONE_DIRECTION
    behind = distance(sender.seq_end, segment.seq)
    if behind == 0:
        if not sender.gaps or not receiver.has_ack or receiver.ack == segment.seq:
            return "next", None
        # Bytes are missing here. If the receiver has spoken since and still asks for them, they are lost.
        still_missing = receiver.last_number > sender.last_number
        return ("in_window", None) if still_missing else ("next", Doubt.RESET_NUMBER_UNPROVEN)
    if receiver.has_ack and segment.seq == receiver.ack:
        return "next", Doubt.RESET_NUMBER_UNPROVEN
    if behind == -1:
        return "before_next", None
    return ("in_window", None) if 0 < behind <= 0xFFFF << 14 else ("other", None)


def refuses_syn(segment: Segment, receiver: Totals) -> bool:
    """A RST that ends SYN_SENT: its ACK covers our SYN (Linux tcp_rcv_synsent_state_process())."""
    return bool(segment.flags & Flag.ACK) and receiver.has_seq and segment.ack == receiver.seq_end


def reset_form(segment: Segment, state: State) -> str:
    """``reply`` to a segment (window 0, no ACK, or ACK of a segment that had none) or ``active``."""
    if not segment.flags & Flag.ACK:
        return "reply"
    return "reply" if state is State.SYN_SENT and segment.window == 0 else "active"


def quotes_syn(segment: Segment, sender: Totals, initial: int | None) -> bool:
    """An ICMP error quotes our SYN: SND.UNA <= SEQ <= SND.NXT (Linux tcp_v4_err())."""
    return initial is not None and segment.seq in (initial, add(initial, 1)) and sender.has_seq


def quotes_unacknowledged(segment: Segment, sender: Totals, receiver: Totals) -> bool:
    """An ICMP error quotes a sequence number from SND.UNA to SND.NXT, both included (Linux tcp_v4_err())."""
    if not (sender.has_seq and receiver.has_ack):
        return False
    return 0 <= distance(receiver.ack, segment.seq) <= distance(receiver.ack, sender.seq_end)


def acknowledged(sender: Totals, receiver: Totals) -> bool:
    """Everything that ``sender`` sent has been acknowledged by ``receiver``."""
    return sender.has_seq and receiver.has_ack and distance(sender.seq_end, receiver.ack) >= 0
