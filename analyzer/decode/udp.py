"""UDP headers: RFC 768."""

from __future__ import annotations

import numpy as np

from analyzer.decode.ip import UDP, Packets
from analyzer.decode.rows import PLACE, Rows
from analyzer.decode.spans import Rejects, take
from analyzer.model.columns import Undecoded

_HEADER = np.dtype([("sport", ">u2"), ("dport", ">u2"), ("length", ">u2"), ("checksum", ">u2")])


def decode(packets: Packets, rejects: Rejects, rows: Rows) -> None:
    """Add a row for each UDP packet; the payload is what the IP length leaves, as for TCP.

    Of a datagram in fragments the first one becomes the row, with the length that the UDP header states.
    """
    spans = packets.spans
    header = spans.gather(_HEADER)
    payload = spans.stop - spans.at - _HEADER.itemsize
    keep = rejects.sift(
        spans,
        (payload < 0, Undecoded.BAD_TRANSPORT_HEADER),
        (spans.lack(_HEADER.itemsize), Undecoded.TRUNCATED),
    )
    if keep is not None:
        packets, header, payload = packets.take(keep), take(header, keep), payload.take(keep)
    if packets.more is not None:
        stated = header["length"].astype(np.int64) - _HEADER.itemsize
        payload = np.where(packets.more & (stated > payload), stated, payload)
    rows.add(
        packets.spans.index,
        {"protocol": UDP, "sport": header["sport"], "dport": header["dport"], "payload": payload},
        {PLACE: packets.spans.at + _HEADER.itemsize},
        packets.endpoints(),
        packets.carrier(),
    )
