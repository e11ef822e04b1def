"""What a quoted sequence number means to the socket that an ICMP error reaches."""

from __future__ import annotations

from analyzer.model.flow import Segment, Totals
from analyzer.model.seq import add, distance


def quotes_syn(segment: Segment, sender: Totals, initial: int | None) -> bool:
    """An ICMP error quotes our SYN: SND.UNA <= SEQ <= SND.NXT (Linux tcp_v4_err())."""
    return initial is not None and segment.seq in (initial, add(initial, 1)) and sender.has_seq


def quotes_unacknowledged(segment: Segment, sender: Totals, receiver: Totals) -> bool:
    """An ICMP error quotes a sequence number from SND.UNA to SND.NXT, both included (Linux tcp_v4_err())."""
    if not (sender.has_seq and receiver.has_ack):
        return False
    return 0 <= distance(receiver.ack, segment.seq) <= distance(receiver.ack, sender.seq_end)
