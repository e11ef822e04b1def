"""Who asks for whose hardware address, and who answers: ARP (RFC 826), neighbour discovery (RFC 4861).

Only frames that became no row are looked at, on links that have such addresses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.spans import Spans, words
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import NEIGHBOUR

Rows = NDArray[np.void]

_LINKS = {1: (14, 12), 113: (16, 14), 276: (20, 0)}
"""Size of the link's header and where its EtherType stands: Ethernet, Linux cooked v1 and v2."""
_ETHERNET = _LINKS[1][1]
_ARP, _IPV6, _VLAN = 0x0806, 0x86DD, 0x8100
_ARP_HEADER = np.dtype(
    [
        ("hardware", ">u2"),
        ("protocol", ">u2"),
        ("sizes", ">u2"),
        ("operation", ">u2"),
        ("sender_hardware", "V6"),
        ("sender", ">u4"),
        ("target_hardware", "V6"),
        ("target", ">u4"),
    ]
)
_IPV4_OVER_6_BYTES = (0x0800, 0x0604)
_REQUEST, _REPLY = 1, 2
_ND_HEADER = np.dtype(
    [
        ("first", "V6"),
        ("next", "u1"),
        ("hops", "u1"),
        ("sender_hi", ">u8"),
        ("sender_lo", ">u8"),
        ("receiver", "u1"),
        ("receiver_rest", "V15"),
        ("type", "u1"),
        ("code", "u1"),
        ("rest", "V6"),
        ("target_hi", ">u8"),
        ("target_lo", ">u8"),
    ]
)
_ICMPV6, _LAST_HOP = 58, 255
_SOLICITATION, _ADVERTISEMENT = 135, 136
_MULTICAST = 0xFF
"""The first byte of such IPv6 addresses."""

NOBODY = np.zeros(0, NEIGHBOUR)


def read(block: FrameBlock, index: NDArray[np.int64], clock: NDArray[np.int64]) -> Rows:
    """What these frames of the block ask and answer, NEIGHBOUR rows in file order; ``index`` int64 (k,).

    ``clock`` is the block's, of all its frames: int64 (frames,).
    """
    if not len(index):
        return NOBODY
    spans = Spans.of(block).take(index)
    found = [
        rows
        for link, layout in _LINKS.items()
        if len(part := np.flatnonzero(block.link_types[index] == link))
        for rows in _of_link(block, spans.take(part), *layout)
    ]
    rows = np.concatenate([NOBODY, *found])
    rows = rows[np.argsort(rows["frame"], kind="stable")]
    rows["clock"] = clock[rows["frame"] - block.first_number]
    return rows


def _of_link(block: FrameBlock, spans: Spans, size: int, ethertype: int) -> tuple[Rows, Rows]:
    to_all = _to_all(spans) if ethertype == _ETHERNET else np.ones(len(spans), np.bool_)
    kinds = words(spans.buffer, spans.at + ethertype)
    at = spans.at + size
    tagged = kinds == _VLAN
    kinds = np.where(tagged, words(spans.buffer, at + 2), kinds)
    spans = spans.moved(at + 4 * tagged)
    arp, discovery = np.flatnonzero(kinds == _ARP), np.flatnonzero(kinds == _IPV6)
    return _arp(block, spans.take(arp), to_all[arp]), _discovery(block, spans.take(discovery))


def _to_all(spans: Spans) -> NDArray[np.bool_]:
    """Whether the Ethernet address of the receiver is that of a group."""
    first: NDArray[np.uint8] = spans.gather("u1").astype(np.uint8)
    return (first & 1).astype(np.bool_)


def _arp(block: FrameBlock, spans: Spans, to_all: NDArray[np.bool_]) -> Rows:
    """Questions, and signs of life: replies, and what asks without being a question.

    A request to one host asks whether that is still there: what is to be sent does not wait for it. One for
    an own address announces that. Either answers who had asked for its sender, as any ARP but a probe
    (RFC 5227) does: Linux arp_process(), measured.
    """
    header = spans.gather(_ARP_HEADER)
    plain = ~spans.lack(_ARP_HEADER.itemsize)
    plain &= (header["protocol"] == _IPV4_OVER_6_BYTES[0]) & (header["sizes"] == _IPV4_OVER_6_BYTES[1])
    asks = header["operation"] == _REQUEST
    question = asks & (header["sender"] != header["target"]) & to_all
    rows = _rows(block, spans, 4, question)
    rows["asker_lo"] = np.where(question, header["sender"], 0)
    rows["target_lo"] = np.where(question, header["target"], header["sender"])
    kept: Rows = rows[plain & (header["sender"] != 0) & (asks | (header["operation"] == _REPLY))]
    return kept


def _discovery(block: FrameBlock, spans: Spans) -> Rows:
    """Solicitations to all, but those that look for a double of an own address; and signs of life.

    A solicitation to one host answers, too, if that asks for its sender: Linux ndisc_recv_ns(). Measured.
    """
    header = spans.gather(_ND_HEADER)
    plain = ~spans.lack(_ND_HEADER.itemsize) & (header["next"] == _ICMPV6) & (header["hops"] == _LAST_HOP)
    asks = header["type"] == _SOLICITATION
    foreign = (header["sender_hi"] != 0) | (header["sender_lo"] != 0)
    question = asks & (header["receiver"] == _MULTICAST)
    rows = _rows(block, spans, 6, question)
    for half in ("hi", "lo"):
        sender, target = header[f"sender_{half}"], header[f"target_{half}"]
        rows[f"asker_{half}"] = np.where(question, sender, 0)
        rows[f"target_{half}"] = np.where(asks & ~question, sender, target)
    kept: Rows = rows[plain & ((asks & foreign) | (header["type"] == _ADVERTISEMENT))]
    return kept


def _rows(block: FrameBlock, spans: Spans, version: int, asks: NDArray[np.bool_]) -> Rows:
    rows = np.zeros(len(spans), NEIGHBOUR)
    rows["frame"] = spans.index + block.first_number
    rows["version"] = version
    rows["asks"] = asks
    return rows
