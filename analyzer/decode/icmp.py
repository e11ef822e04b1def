"""ICMP errors and the packets that they quote: RFC 792, RFC 4443, RFC 1812 section 4.3.2.3."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode import ip
from analyzer.decode.ip import TCP, UDP, Packets
from analyzer.decode.rows import Rows
from analyzer.decode.spans import Bools, Rejects, Spans, take
from analyzer.model.columns import Flag, Undecoded

_HEADER = np.dtype([("type", "u1"), ("code", "u1"), ("checksum", ">u2"), ("rest", "V4")])
_QUOTED = np.dtype([("sport", ">u2"), ("dport", ">u2"), ("seq", ">u4")])
"""The 64 bits of the transport header that RFC 792 promises; those of UDP end in no sequence number."""
_QUOTED_SYN = np.dtype([("begin", "V13"), ("flags", "u1"), ("rest", "V6"), ("option", ">u2"), ("mss", ">u2")])
_MSS_OPTION = 0x0204
"""Kind and size. It is the first option of the SYN of every system that is known (data/signatures.yaml)."""

_ERRORS = {4: (3, 4, 5, 11, 12), 6: (1, 2, 3, 4)}
"""Message types that quote a packet, by IP version."""


def decode(packets: Packets, rejects: Rejects, rows: Rows) -> None:
    """Add a row for each ICMP error that quotes TCP or UDP, keyed as a packet of what it quotes."""
    spans = packets.spans
    header = spans.gather(_HEADER)
    keep = rejects.sift(
        spans,
        (spans.at + _HEADER.itemsize > spans.stop, Undecoded.BAD_TRANSPORT_HEADER),
        (spans.lack(_HEADER.itemsize), Undecoded.TRUNCATED),
        (~np.isin(header["type"], _ERRORS[packets.version]), Undecoded.OTHER_PROTOCOL),
    )
    if keep is not None:
        packets, header = packets.take(keep), take(header, keep)
    quoted, quote = _quoted(packets, rejects)
    place = np.searchsorted(packets.spans.index, quoted.spans.index)
    outer, header = packets.take(place), take(header, place)
    rows.add(
        quoted.spans.index,
        {"is_icmp": 1, "icmp_type": header["type"], "icmp_code": header["code"]},
        {"protocol": quoted.protocol, "sport": quote["sport"], "dport": quote["dport"]},
        {"seq": quote["seq"] * (quoted.protocol == TCP), "mss": _quoted_mss(quoted)},
        quoted.endpoints(),
        outer.carrier(),
        outer.reporter(),
    )


def _quoted(messages: Packets, rejects: Rejects) -> tuple[Packets, NDArray[np.void]]:
    """The TCP and UDP packets that are quoted, and the first 8 bytes of their transport headers."""
    outer = messages.spans
    inner = Spans(
        outer.buffer,
        outer.index,
        outer.at + _HEADER.itemsize,
        np.minimum(outer.end, outer.stop),  # padding is no quote
        outer.stop,
        outer.tunnel,
    )
    quoted = ip.packets(inner, messages.version, rejects, quoted=True)
    other: Bools = (quoted.protocol != TCP) & (quoted.protocol != UDP)
    keep = rejects.sift(
        quoted.spans,
        (other, Undecoded.OTHER_PROTOCOL),
        (quoted.spans.lack(_QUOTED.itemsize), Undecoded.TRUNCATED),
    )
    _blame(outer, rejects)
    if keep is not None:
        quoted = quoted.take(keep)
    return quoted, quoted.spans.gather(_QUOTED)


def _quoted_mss(quoted: Packets) -> NDArray[np.uint16]:
    """The MSS of the SYNs that are quoted so far, else 0: uint16 (k,)."""
    spans = quoted.spans
    header = spans.gather(_QUOTED_SYN)
    is_syn: Bools = (header["flags"] & (Flag.SYN | Flag.ACK)) == Flag.SYN
    is_syn &= (quoted.protocol == TCP) & (header["option"] == _MSS_OPTION)
    is_syn &= ~spans.lack(_QUOTED_SYN.itemsize)
    return header["mss"].astype(np.uint16) * is_syn


def _blame(messages: Spans, rejects: Rejects) -> None:
    """Say of quotes that cannot be decoded whether the capture cut them, or the message is at fault."""
    everything = np.ones(len(messages), dtype=np.bool_)
    whole = messages.stop <= messages.end
    rejects.rename(messages, everything, Undecoded.BAD_IP_HEADER, Undecoded.BAD_TRANSPORT_HEADER)
    rejects.rename(messages, whole, Undecoded.TRUNCATED, Undecoded.BAD_TRANSPORT_HEADER)
