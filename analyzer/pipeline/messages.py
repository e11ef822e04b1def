"""The second reading: what both ends of some flows said, read from the capture once more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode_with_payload
from analyzer.flows.talks import Talks
from analyzer.messages.read import read
from analyzer.model.blocks import FrameBlock
from analyzer.model.event import MessageView
from analyzer.model.summary import Summary


class Heard(NamedTuple):
    """What both ends of a flow said, and where its first frame stands: index of the capture, number."""

    message: MessageView
    capture: int
    number: int


class MessageReader:
    """Reads blocks once more, for some flows; ``found`` by the flow's number."""

    def __init__(self, flows: Sequence[Summary]) -> None:
        self.found: dict[int, Heard] = {}
        self._talks = Talks(flows)
        self._fragments = Fragments()

    def take(self, blocks: Iterable[FrameBlock]) -> None:
        """The next blocks, in the order of the capture."""
        for block in blocks:
            if self._talks.wants(block.times):
                columns, places, captured = decode_with_payload(block, self._fragments)
                self._talks.add(columns, block.buffer, places, captured)
            if len(block):
                self._note(int(block.times.max()))

    def take_rows(self, block: FrameBlock, rows: NDArray[np.int64]) -> None:
        """Some frames of a block alone, int64 (n,): no other belongs to the flows."""
        columns, places, captured = decode_with_payload(block.only(rows), self._fragments)
        numbers = block.first_number + rows[columns.number - block.first_number]
        self._talks.add(replace(columns, number=numbers), block.buffer, places, captured)

    def finish(self) -> dict[int, Heard]:
        """All that was found."""
        self._note(1 << 63)
        return self.found

    @property
    def unread(self) -> int:
        """Flows that were left out, lest too much be kept at a time."""
        return self._talks.unread

    def _note(self, clock: int) -> None:
        for summary, talk in self._talks.over(clock):
            self.found[summary.flow] = Heard(read(talk), *talk.first)
