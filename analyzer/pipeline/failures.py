"""Of a capture that goes on, the packets of the flows that fail, and nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.errors import UserError
from analyzer.flows.keys import flow_keys
from analyzer.flows.members import SLACK_NS, keys_of
from analyzer.model.blocks import FrameBlock
from analyzer.model.finding import FlowResult, News
from analyzer.pipeline.applications import Place
from analyzer.sources.carved import CarvedFile

REMEMBERED_BYTES = 64 << 20
"""How much of what came last is kept in memory, for the beginning of flows that fail later."""

_WHOLE = "Flows in which errnoscope found something."


class Failures:
    """Writes each flow with a finding from its first packet on that is still remembered.

    ``problems``: what went wrong; nothing is written after that, and the capture goes on. Raises UserError
    where the file cannot be written at the beginning.
    """

    def __init__(self, path: str, remembered: int = REMEMBERED_BYTES) -> None:
        self.problems: list[str] = []
        self.path = Path(path)
        self._most = remembered
        self._fragments = Fragments()
        self._recent: deque[_Recent] = deque()
        self._bytes = 0
        self._forgotten = 0
        self._followed: dict[int, int] = {}
        """Flow key -> the time from which on its packets are written (nanoseconds)."""
        self._cut: set[int] = set()
        self._written: list[tuple[int, int, int]] = []
        """Time, number, and the flow's key of each frame."""
        try:
            self._file = CarvedFile(self.path, _WHOLE, replaced=True)
            self._file.flush()
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise UserError("unwritable", f"--write-failures {path}", what) from None

    def take(self, block: FrameBlock) -> None:
        """Remember the frames; write those of flows that have failed already."""
        if self.problems or not len(block):
            return
        recent = _Recent(block.copied(), self._fragments)
        if self._followed:
            self._write(recent, self._followed)
        self._recent.append(recent)
        self._bytes += recent.size
        while self._bytes > self._most and len(self._recent) > 1:
            gone = self._recent.popleft()
            self._bytes -= gone.size
            self._forgotten = max(self._forgotten, gone.until)

    def told(self, news: Sequence[News]) -> None:
        """Flows of which something was said: they are followed from now on, or have ended."""
        for item in news:
            summary = item.result.summary
            if summary is None or self.problems:
                continue
            (key,) = keys_of([summary])
            if item.result.findings and key not in self._followed:
                self._begin(key, summary.start)
            if item.ended:
                self._followed.pop(key, None)

    def close(self) -> None:
        """Put the packets in the order of time. What is told of by ``problems`` is complete after this."""
        if self.problems:
            return
        try:
            self._file.sort()
        except OSError as error:
            self._fail(error)
        if self._cut:
            self.problems.append(
                f"{self.path}: {len(self._cut)} connections are without their beginning, which was "
                f"{self._most >> 20} MiB of packets ago or more"
            )

    def places(self, results: Sequence[FlowResult]) -> list[Place]:
        """Which frame of which flow stands where in the file, once it is closed."""
        indices = {summary.flow: index for index, result in enumerate(results) if (summary := result.summary)}
        owners: dict[int, list[tuple[int, int]]] = {}
        for result in results:
            if summary := result.summary:
                (key,) = keys_of([summary])
                owners.setdefault(key, []).append((summary.start - SLACK_NS, indices[summary.flow]))
        return [
            (max((one for one in owners.get(key, ()) if one[0] <= time), default=(0, -1))[1], 0, number)
            for time, number, key in sorted(self._written, key=itemgetter(0))
        ]

    def _begin(self, key: int, start: int) -> None:
        self._followed[key] = start - SLACK_NS
        if start <= self._forgotten:
            self._cut.add(key)
        for recent in tuple(self._recent):
            if not self.problems:
                self._write(recent, {key: self._followed[key]})

    def _write(self, recent: _Recent, wanted: dict[int, int]) -> None:
        """Append the frames of these flows."""
        try:
            for row, key in recent.rows(wanted):
                self._file.add(recent.block, row)
                time, number = int(recent.block.times[row]), recent.block.first_number + row
                self._written.append((time, number, key))
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.problems.append(
            f"{self.path}: {error.strerror}: no more failures are written, the capture goes on"
        )
        self._recent.clear()


class _Recent:
    """Frames with the keys of their flows."""

    def __init__(self, block: FrameBlock, fragments: Fragments) -> None:
        columns = decode(block, fragments)
        self.block = block
        self.size = block.buffer.nbytes
        self.until = int(block.times.max())
        self._keys: NDArray[np.uint64] = flow_keys(columns)[0]
        self._rows: NDArray[np.int64] = columns.number - block.first_number

    def rows(self, wanted: dict[int, int]) -> list[tuple[int, int]]:
        """Rows of the block that belong to flows with these keys, from their times on; and each one's key."""
        own = np.isin(self._keys, np.array(list(wanted), np.uint64))
        found = zip(self._rows[own].tolist(), self._keys[own].tolist(), strict=True)
        return sorted({row: key for row, key in found if self.block.times[row] >= wanted[key]}.items())
