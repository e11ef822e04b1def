"""Packets become columns without their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from analyzer.model.columns import PacketColumns, Undecoded
from tests.flows.scalar import Packet


def columns_of(packets: Sequence[Packet], first_number: int = 1, capture: int = 0) -> PacketColumns:
    """One batch. Packets without a protocol are frames that could not be decoded."""
    clocks = np.maximum.accumulate([packet.time for packet in packets]).tolist()
    rows = [
        (packet, first_number + index, clocks[index])
        for index, packet in enumerate(packets)
        if packet.protocol
    ]
    undecoded = np.zeros(len(Undecoded), np.int64)
    undecoded[Undecoded.OTHER_PROTOCOL] = len(packets) - len(rows)

    def column(values: Iterator[int], dtype: type) -> np.ndarray:
        return np.array(list(values), dtype)

    return PacketColumns(
        capture=capture,
        packets=len(packets),
        clock_end=clocks[-1],
        undecoded=undecoded,
        shortened=0,
        number=column((number for _, number, _ in rows), np.int64),
        time=column((p.time for p, _, _ in rows), np.int64),
        clock=column((clock for _, _, clock in rows), np.int64),
        version=column((p.version for p, _, _ in rows), np.uint8),
        protocol=column((p.protocol for p, _, _ in rows), np.uint8),
        src_hi=column((p.source[0] for p, _, _ in rows), np.uint64),
        src_lo=column((p.source[1] for p, _, _ in rows), np.uint64),
        dst_hi=column((p.target[0] for p, _, _ in rows), np.uint64),
        dst_lo=column((p.target[1] for p, _, _ in rows), np.uint64),
        sport=column((p.sport for p, _, _ in rows), np.uint16),
        dport=column((p.dport for p, _, _ in rows), np.uint16),
        ttl=column((p.ttl for p, _, _ in rows), np.uint8),
        ip_id=column((p.ip_id for p, _, _ in rows), np.uint16),
        payload=column((p.payload for p, _, _ in rows), np.int64),
        seq=column((p.seq for p, _, _ in rows), np.uint32),
        ack=column((p.ack for p, _, _ in rows), np.uint32),
        flags=column((p.flags for p, _, _ in rows), np.uint8),
        window=column((p.window for p, _, _ in rows), np.uint16),
        mss=column((p.mss for p, _, _ in rows), np.uint16),
        scale=column((p.scale for p, _, _ in rows), np.int8),
        has_ts=column((p.has_ts for p, _, _ in rows), np.bool_),
        tsval=column((p.ts[0] for p, _, _ in rows), np.uint32),
        tsecr=column((p.ts[1] for p, _, _ in rows), np.uint32),
        options=np.zeros(len(rows), np.uint16),
        layout=np.zeros(len(rows), np.uint32),
        sack_edge=np.zeros(len(rows), np.uint32),
        is_icmp=column((p.icmp is not None for p, _, _ in rows), np.bool_),
        icmp_type=column(((p.icmp or (0, 0))[0] for p, _, _ in rows), np.uint8),
        icmp_code=column(((p.icmp or (0, 0))[1] for p, _, _ in rows), np.uint8),
        reporter_hi=column((p.reporter[0] for p, _, _ in rows), np.uint64),
        reporter_lo=column((p.reporter[1] for p, _, _ in rows), np.uint64),
        tunnel=column((p.tunnel for p, _, _ in rows), np.uint64),
        promised=np.zeros(len(rows), np.int64),
    )


def batches_of(packets: Sequence[Packet], cuts: Sequence[int]) -> Iterator[PacketColumns]:
    """The packets cut before those with the indices ``cuts``."""
    edges = sorted({0, len(packets), *cuts})
    for start, end in pairwise(edges):
        yield columns_of(packets[start:end], start + 1)
