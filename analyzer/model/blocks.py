"""What a source yields: many frames at once, never one object a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.model.capture import Capture

SLACK = 512
"""Bytes that can be read behind the start of any frame without leaving the buffer (see FrameBlock)."""

MAX_FRAMES = 32_768
"""Frames in a block at most: with more, what decoding looks at does not stay in the processor's caches."""


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """Up to MAX_FRAMES frames of one capture, in file order, whose bytes lie in one buffer.

    The buffer is reused by the source: it is valid until the next block is asked for. It extends at least
    SLACK bytes beyond every ``offsets[i]``, so that a header can be gathered without looking at lengths;
    what lies behind ``captured[i]`` bytes is not part of the frame.

    buffer: uint8 (any,); offsets: int64 (n,), of the first link-layer byte; captured: int64 (n,), bytes
    stored of each frame; original: int64 (n,), bytes that it had on the wire; times: int64 (n,), nanoseconds
    since the epoch; link_types: uint16 (n,), LINKTYPE_ values of the pcap registry.
    """

    capture: int
    first_number: int
    buffer: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    captured: NDArray[np.int64]
    original: NDArray[np.int64]
    times: NDArray[np.int64]
    link_types: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.offsets)

    def copied(self) -> FrameBlock:
        """The same frames, of which there is one at least, in a buffer of their own; copied in one piece."""
        begin, end = int(self.offsets.min()), int((self.offsets + self.captured).max())
        buffer = np.concatenate([self.buffer[begin:end], np.zeros(SLACK, np.uint8)])
        columns = {name: getattr(self, name).copy() for name in _COLUMNS[1:]}
        return replace(self, buffer=buffer, offsets=self.offsets - begin, **columns)

    def only(self, rows: NDArray[np.int64]) -> FrameBlock:
        """Some frames, in the same buffer; their numbers are lost, they count on from ``first_number``."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})


_COLUMNS = ("offsets", "captured", "original", "times", "link_types")


def one_block(blocks: Sequence[FrameBlock]) -> FrameBlock:
    """Blocks that follow each other, as one with a buffer of its own."""
    before = np.cumsum([0, *(len(block.buffer) for block in blocks[:-1])])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(block, name) for block in blocks]) for name in _COLUMNS
    }
    columns["offsets"] += np.repeat(before, [len(block) for block in blocks])
    return replace(blocks[0], buffer=np.concatenate([block.buffer for block in blocks]), **columns)


_NONE = np.zeros(0, np.int64)
NO_FRAMES = FrameBlock(0, 1, np.zeros(0, np.uint8), _NONE, _NONE, _NONE, _NONE, np.zeros(0, np.uint16))
"""What a live source yields while nothing comes."""


class Source(Protocol):
    """Anything that frames come from; it counts in ``capture`` while ``blocks`` is read, once."""

    @property
    def capture(self) -> Capture:
        """What is known of this input by now."""

    def blocks(self) -> Iterator[FrameBlock]:
        """All frames, in their order."""
