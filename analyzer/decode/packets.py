"""A block of frames becomes columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode import icmp, ip, link, tcp, udp
from analyzer.decode.rows import Rows
from analyzer.decode.spans import Rejects
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import PacketColumns


def decode(block: FrameBlock) -> PacketColumns:
    """Decode every frame of the block, or count why not. Raises for no bytes whatever.

    The columns are copies: they stay valid when the source reuses the block's buffer.
    """
    rejects, rows = Rejects(len(block)), Rows(len(block))
    for spans, version in link.locate(block, rejects):
        for packets in ip.decode(spans, version, rejects):
            _transport(packets, rejects, rows)
    return _columns(block, rejects, rows)


def _transport(packets: ip.Packets, rejects: Rejects, rows: Rows) -> None:
    """Hand packets of one IP version to the decoder of their protocol."""
    decoders = {ip.TCP: tcp.decode, ip.UDP: udp.decode, ip.ICMP[packets.version]: icmp.decode}
    for protocol, decoder in decoders.items():
        part = packets.of_protocol(protocol)
        if len(part):
            decoder(part, rejects, rows)


def _columns(block: FrameBlock, rejects: Rejects, rows: Rows) -> PacketColumns:
    """Add to the rows what is known of their frames without decoding."""
    index, columns = rows.finish()
    clock = _clock(block.times)
    every = len(index) == len(block)
    return PacketColumns(
        capture=block.capture,
        packets=len(block),
        clock_end=int(clock[-1]) if len(clock) else 0,
        undecoded=rejects.counts(),
        number=index + block.first_number,
        time=block.times.copy() if every else block.times.take(index),
        clock=clock if every else clock.take(index),
        **columns,
    )


def _clock(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """The running maximum, int64 (n,): usually the times are in order, and seeing that is cheaper."""
    if (times[1:] >= times[:-1]).all():
        return times.copy()
    return np.maximum.accumulate(times)
