"""The second reading: what both ends of some flows said, read from the capture once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode_with_payload
from analyzer.flows.talks import Talks
from analyzer.messages import read
from analyzer.model.blocks import FrameBlock, one_block
from analyzer.model.event import MessageView
from analyzer.model.summary import Summary

KEPT_BYTES = 64 << 20
"""How much of what came last is kept in memory where nothing can be read a second time."""
_JOINED = 4096
"""Frames from which on a block is not joined with the next one."""


class Heard(NamedTuple):
    """What both ends of a flow said, and where its first frame stands: index of the capture, number."""

    message: MessageView
    capture: int
    number: int


class KeptBlocks:
    """What came last of a capture that cannot be read a second time, a pipe or a live one."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._blocks: deque[FrameBlock] = deque()
        self._bytes = 0
        self._gone = 0
        self._missed: set[int] = set()

    def take(self, block: FrameBlock) -> None:
        """Keep the next frames."""
        if not len(block):
            return
        self._blocks.append(block.copied())
        self._bytes += self._blocks[-1].buffer.nbytes
        while self._bytes > self._most and len(self._blocks) > 1:
            block = self._blocks.popleft()
            self._bytes -= block.buffer.nbytes
            self._gone = max(self._gone, int(block.times.max()))

    def read(self, flows: Sequence[Summary]) -> dict[int, Heard]:
        """What both ends of these flows said, of those whose beginning is still kept."""
        whole = [flow for flow in flows if flow.start > self._gone]
        self._missed.update({flow.flow for flow in flows} - {flow.flow for flow in whole})
        if not whole:
            return {}
        self._join()
        reader = MessageReader(whole)
        reader.take(self._blocks)
        return reader.finish()

    def problems(self) -> Iterator[str]:
        """What was too short, as a sentence."""
        if self._missed:
            yield (
                f"the beginning of {len(self._missed)} connections was {self._most >> 20} MiB of packets "
                "ago: whether an answer was due in them is told by who spoke last, not by what was said"
            )

    def _join(self) -> None:
        """Small blocks are made larger, so that reading them costs less."""
        joined: list[FrameBlock] = []
        small: list[FrameBlock] = []
        for block in self._blocks:
            small.append(block)
            if sum(map(len, small)) >= _JOINED:
                joined.append(one_block(small))
                small = []
        self._blocks = deque([*joined, *([one_block(small)] if small else [])])


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
