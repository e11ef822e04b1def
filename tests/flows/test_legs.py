"""Which SYNs are one packet, found batch by batch, is what is found among all of them at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.flows.keys import flow_keys
from analyzer.flows.legs import LEG_NS, FindsTwins, syns, twins
from analyzer.model.columns import TCP, Flag, PacketColumns
from tests.flows.columns import columns_of
from tests.flows.scalar import Packet

SYNS = st.lists(
    st.tuples(
        st.integers(0, 2),  # initial sequence number: the same packet, or another one
        st.integers(0, 3),  # client address
        st.sampled_from([0, 1, LEG_NS // 2, LEG_NS - 1, LEG_NS]),  # time since the one before
        st.integers(0, 3),  # other rows behind it
    ),
    min_size=1,
    max_size=12,
)


def _columns(packets: list[tuple[int, int, int, int]]) -> PacketColumns:
    """SYNs of four clients of one server, with plain segments behind them."""
    rows, time = [], 10**18
    for seq, client, since, others in packets:
        time += since
        syn = {"source": (0, client), "target": (0, 9), "sport": 1000, "dport": 80, "protocol": TCP}
        rows.append(Packet(time=time, seq=seq + 1, flags=Flag.SYN, has_ts=True, ts=(seq, 0), **syn))
        rows += [Packet(time=time, seq=seq + 2, flags=Flag.ACK, has_ts=True, **syn) for _ in range(others)]
    return columns_of(rows)


@given(SYNS, st.lists(st.integers(0, 48), max_size=6))
def test_batches_make_no_difference(packets: list[tuple[int, int, int, int]], cuts: list[int]) -> None:
    every = _columns(packets)
    keys, _ = flow_keys(every)
    expected = twins(syns(every, keys, int(every.clock[0])))
    finds, found = FindsTwins(), []
    bounds = sorted({0, len(every), *(cut for cut in cuts if cut < len(every))})
    for begin, end in pairwise(bounds):
        part = replace(every.take(np.arange(begin, end)), clock_end=int(every.clock[end - 1]))
        found += finds.find(part, keys[begin:end])
    assert sorted(found) == sorted(expected)
    assert all(number > first and key != of for number, key, first, of in found)
