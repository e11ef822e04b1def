"""A block of frames becomes columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.decode import icmp, ip, link, neighbours, tcp, tunnels, udp
from analyzer.decode.fragments import First, Fragments, Later, first_fragments, later_fragments
from analyzer.decode.link import Located
from analyzer.decode.rows import PLACE, Rows
from analyzer.decode.spans import Rejects
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import PacketColumns, Undecoded


def decode(block: FrameBlock, fragments: Fragments | None = None) -> PacketColumns:
    """Decode every frame of the block, or count why not. Raises for no bytes whatever.

    The columns are copies: they stay valid when the source reuses the block's buffer. ``fragments``
    remembers what later blocks need, where there are any.
    """
    rejects, rows = Rejects(len(block)), Rows(len(block))
    shortened = _decode(block, fragments, rejects, rows)
    index, columns = rows.finish()
    return _columns(block, rejects, index, columns, shortened)


def decode_with_payload(
    block: FrameBlock, fragments: Fragments | None = None
) -> tuple[PacketColumns, NDArray[np.int64], NDArray[np.int64]]:
    """The same, and where in the block's buffer each row's payload begins, and how much of it was captured.

    Both int64 (n,); -1 and 0 where there is none.
    """
    rejects, rows = Rejects(len(block)), Rows(len(block), places=True)
    shortened = _decode(block, fragments, rejects, rows)
    index, columns = rows.finish()
    places = columns.pop(PLACE)
    ends = (block.offsets + block.captured)[index]
    captured = np.clip(np.minimum(places + columns["payload"], ends) - places, 0, None)
    captured[places < 0] = 0
    return _columns(block, rejects, index, columns, shortened), places, captured


def _decode(block: FrameBlock, fragments: Fragments | None, rejects: Rejects, rows: Rows) -> int:
    """Fill the rows; how many frames are shorter than the packet in them."""
    seen: list[First | Later] = []
    shortened = 0
    located = list(link.locate(block, rejects))
    for depth in range(tunnels.MAX_DEPTH + 1):
        inside: list[Located] = []
        for spans, version in located:
            for packets in ip.decode(spans, version, rejects):
                shortened += _shortened(packets, block) if depth == 0 else 0
                inside += _transport(packets, rejects, rows, is_deepest=depth == tunnels.MAX_DEPTH)
                seen += later_fragments(packets)
                seen += first_fragments(packets.of_protocol(ip.TCP), rejects)
        located = inside
    if seen:
        (fragments or Fragments()).add(seen, block.times, rejects, rows)
    return shortened


def _transport(packets: ip.Packets, rejects: Rejects, rows: Rows, *, is_deepest: bool) -> list[Located]:
    """Hand packets of one IP version to the decoder of their protocol; returns what is inside of tunnels."""
    decoders = {ip.TCP: tcp.decode, ip.UDP: udp.decode, ip.ICMP[packets.version]: icmp.decode}
    inside: list[Located] = []
    count = 0
    for protocol, decoder in decoders.items():
        part = packets.of_protocol(protocol)
        count += len(part)
        if protocol == ip.UDP and len(part) and not is_deepest:
            inside, part = tunnels.open_udp(part)
        if len(part):
            decoder(part, rejects, rows)
    if count < len(packets):
        carriers = packets.take(np.flatnonzero(ip.is_carrier(packets.protocol)))
        if is_deepest:
            everything = np.ones(len(carriers), dtype=np.bool_)
            rejects.sift(carriers.spans, (everything, Undecoded.OTHER_PROTOCOL))
        else:
            inside += tunnels.open_carriers(carriers, rejects)
    return inside


def _shortened(packets: ip.Packets, block: FrameBlock) -> int:
    """How many of them end behind their frames, although those were captured whole."""
    spans = packets.spans
    index = spans.index[spans.stop > spans.end]
    return int((block.original[index] <= block.captured[index]).sum()) if len(index) else 0


def _columns(
    block: FrameBlock,
    rejects: Rejects,
    index: NDArray[np.int64],
    columns: dict[str, NDArray[Any]],
    shortened: int,
) -> PacketColumns:
    """Add to the rows what is known of their frames without decoding."""
    times = block.times
    time = times.copy() if len(index) == len(block) else times.take(index)
    clock, running = time, times
    if (times[1:] < times[:-1]).any():
        running = np.maximum.accumulate(times)
        clock = running.take(index)
    return PacketColumns(
        capture=block.capture,
        packets=len(block),
        clock_end=int(running[-1]) if len(running) else 0,
        undecoded=rejects.counts(),
        shortened=shortened,
        neighbours=neighbours.read(block, rejects.index_of(Undecoded.OTHER_PROTOCOL), running),
        number=index + block.first_number,
        time=time,
        clock=clock,
        **columns,
    )
