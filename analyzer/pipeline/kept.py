"""What came last of a capture that cannot be read a second time, a pipe or a live one, kept in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.keys import flow_keys
from analyzer.flows.members import SLACK_NS, keys_of
from analyzer.model.blocks import FrameBlock, one_block
from analyzer.model.columns import PacketColumns
from analyzer.model.summary import Summary
from analyzer.pipeline.messages import Heard, MessageReader

KEPT_BYTES = 64 << 20
"""How much is kept."""
_LARGE = 4096
"""Frames from which on a piece is not joined with others any more."""
_SMALL = 64
"""Smaller pieces that are joined: looking into one costs some 10 µs, however few frames it has."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames, and whose they are: each of ``keys``, uint64 (n,), is that of a flow, ``rows``, int64 (n,), the
    frame's index in the block. ``begin`` and ``end`` are the earliest and the latest time, ``size`` the bytes
    that it takes.
    """

    block: FrameBlock
    keys: NDArray[np.uint64]
    rows: NDArray[np.int64]
    begin: int
    end: int
    size: int

    def of(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """The frames of flows with these keys, and the key of each: int64 and uint64 (m,)."""
        own = np.isin(self.keys, keys)
        return self.rows[own], self.keys[own]


class KeptBlocks:
    """Keeps the frames that came last, and finds those of a flow by its key, without decoding them again."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self.most = most
        self.gone = 0
        """The latest time of a frame that is not kept any more (nanoseconds)."""
        self.latest: Piece | None = None
        """What came last."""
        self._settled: deque[Piece] = deque()
        self._small: list[Piece] = []
        """What came after those, and is to be joined."""
        self._bytes = 0
        self._missed: set[int] = set()

    def take(self, block: FrameBlock, columns: PacketColumns) -> None:
        """Keep the next frames, of which there is one at least; ``columns`` are theirs, in any order."""
        keys, rows = flow_keys(columns)[0], columns.number - block.first_number
        begin, end, block = int(block.times.min()), int(block.times.max()), block.copied()
        self.latest = Piece(block, keys, rows, begin, end, block.buffer.nbytes)
        self._bytes += self.latest.size
        if len(block) >= _LARGE:
            self._settle()
            self._settled.append(self.latest)
        else:
            self._small.append(self.latest)
            self._join()
        while self._bytes > self.most and len(self._settled) + len(self._small) > 1:
            piece = self._settled.popleft() if self._settled else self._small.pop(0)
            self._bytes -= piece.size
            self.gone = max(self.gone, piece.end)

    def pieces(self, begin: int) -> Iterator[Piece]:
        """What is kept, but for what came before that time (nanoseconds); in the order of the capture."""
        return (piece for piece in chain(self._settled, self._small) if piece.end >= begin)

    def read(self, flows: Sequence[Summary]) -> dict[int, Heard]:
        """What both ends of these flows said, of those whose beginning is still kept."""
        whole = [flow for flow in flows if flow.start > self.gone]
        self._missed.update({flow.flow for flow in flows} - {flow.flow for flow in whole})
        if not whole:
            return {}
        reader = MessageReader(whole)
        keys = np.array(sorted(set(keys_of(whole))), np.uint64)
        for piece in self.pieces(min(flow.start for flow in whole) - SLACK_NS):
            rows, _ = piece.of(keys)
            if len(rows):
                reader.take_rows(piece.block, np.unique(rows))
        return reader.finish()

    def problems(self) -> Iterator[str]:
        """What was too short, as a sentence."""
        if self._missed:
            yield (
                f"the beginning of {len(self._missed)} connections was {self.most >> 20} MiB of packets "
                "ago: whether an answer was due in them is told by who spoke last, not by what was said"
            )

    def _join(self) -> None:
        """Small pieces become a larger one, once they are many."""
        is_large = sum(len(piece.block) for piece in self._small) >= _LARGE
        if is_large or len(self._small) >= _SMALL:
            self._small = [_joined(self._small)]
        if is_large:
            self._settle()

    def _settle(self) -> None:
        """What is joined by now stays as it is."""
        if self._small:
            self._settled.append(_joined(self._small))
            self._small = []


def _joined(pieces: Sequence[Piece]) -> Piece:
    """Pieces that follow each other, as one."""
    if len(pieces) == 1:
        return pieces[0]
    before = np.cumsum([0, *(len(piece.block) for piece in pieces[:-1])]).tolist()
    return Piece(
        one_block([piece.block for piece in pieces]),
        np.concatenate([piece.keys for piece in pieces]),
        np.concatenate([piece.rows + count for piece, count in zip(pieces, before, strict=True)]),
        min(piece.begin for piece in pieces),
        max(piece.end for piece in pieces),
        sum(piece.size for piece in pieces),
    )
