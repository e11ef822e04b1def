"""What is done with frames before anything is known of their flows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from analyzer.decode.fragments import Fragments
from analyzer.decode.link import LINK_TYPES
from analyzer.decode.packets import decode
from analyzer.flows.keys import Keyed, keyed
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import PacketColumns, Undecoded, joined

if TYPE_CHECKING:
    from analyzer.pipeline.kept import KeptBlocks

BATCH_ROWS = 131_072
"""Rows that are tracked at once, where nobody waits for the answer. The more, the less each of them costs, as
long as the arrays fit into the processor's caches."""
_BATCH_BYTES = 1 << 30
"""Payload that is tracked at once: all sequence numbers of an ordinary flow can be compared then."""


class Front:
    """What is done with frames before their flows are followed: they are decoded and keyed."""

    def __init__(self, batch: int, kept: KeptBlocks | None = None, seed: np.uint64 | None = None) -> None:
        self.kept = kept
        self.unknown_links: set[int] = set()
        self._batch = batch
        self._seed = seed
        self._fragments = Fragments()
        self._waiting: list[PacketColumns] = []
        self._rows = 0
        self._bytes = 0

    def take(self, block: FrameBlock) -> Iterator[Keyed]:
        """Decode the next frames; gives the rows once there are enough of them."""
        columns = decode(block, self._fragments)
        if self.kept and len(block):
            self.kept.take(block, columns)
        if columns.undecoded[Undecoded.UNKNOWN_LINK_TYPE]:
            self.unknown_links |= set(np.unique(block.link_types).tolist()) - LINK_TYPES
        yield from self.put(columns)

    def put(self, columns: PacketColumns) -> Iterator[Keyed]:
        """The same with frames that are decoded already."""
        payload = int(columns.payload.sum())
        if payload > _BATCH_BYTES and len(columns) > 1:
            for half in columns.halves():
                yield from self.put(half)
            return
        if self._bytes + payload > _BATCH_BYTES:
            yield from self.rest()
        self._waiting.append(columns)
        self._rows += len(columns)
        self._bytes += payload
        if self._rows >= self._batch:
            yield from self.rest()

    def rest(self) -> Iterator[Keyed]:
        """The rows that are still waiting."""
        if self._waiting:
            columns, self._waiting = joined(self._waiting), []
            self._rows = self._bytes = 0
            yield keyed(columns, self._seed)
