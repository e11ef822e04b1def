"""Of a capture that goes on, the packets of the flows that fail, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.errors import unwritable
from analyzer.flows.members import SLACK_NS, keys_of
from analyzer.model.finding import FlowResult, News
from analyzer.pipeline.applications import Place
from analyzer.pipeline.kept import KeptBlocks, Piece
from analyzer.pipeline.problems import counted
from analyzer.sources.carved import CarvedFile

_WHOLE = "Flows in which errnoscope found something."


class _Written(NamedTuple):
    """A frame: its time and number, the key of its flow, and whether the capture cut it."""

    time: int
    number: int
    key: int
    cut: bool


class Failures:
    """Writes each flow with a finding from its first packet on that is still kept.

    ``problems``: what went wrong; nothing is written after that, and the capture goes on. Raises UserError
    where the file cannot be written at the beginning.
    """

    def __init__(self, path: str, kept: KeptBlocks) -> None:
        self.problems: list[str] = []
        self.path = Path(path)
        self._kept = kept
        self._followed: dict[int, int] = {}
        """Flow key -> the time from which on its packets are written (nanoseconds)."""
        self._cut: set[int] = set()
        self._written: list[_Written] = []
        try:
            self._file = CarvedFile(self.path, _WHOLE, replaced=True)
            self._file.flush()
        except OSError as error:
            raise unwritable(f"--write-failures {path}", error) from None

    def take(self) -> None:
        """Write what came last of flows that have failed already."""
        if self._followed and self._kept.latest:
            self._write([self._kept.latest], self._followed)

    def told(self, news: Sequence[News]) -> None:
        """Flows of which something was said: they are followed from now on, or have ended."""
        begun: dict[int, int] = {}
        ended = []
        for item in news:
            summary = item.result.summary
            if summary is None:
                continue
            (key,) = keys_of([summary])
            if item.result.findings and key not in self._followed:
                begun[key] = min(summary.start - SLACK_NS, begun.get(key, summary.start))
                if summary.start <= self._kept.gone:
                    self._cut.add(key)
            if item.ended:
                ended.append(key)
        if begun:
            self._write(self._kept.pieces(min(begun.values())), begun)
        self._followed |= begun
        for key in ended:
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
                f"{self._kept.most >> 20} MiB of packets ago or more"
            )

    @property
    def note(self) -> str:
        """What is in the file, as a sentence."""
        flows = len({one.key for one in self._written})
        packets = f"{len(self._written):,} packet{'' if len(self._written) == 1 else 's'}"
        return f"{self.path}: {packets} of {counted(flows)} were written."

    def places(self, results: Sequence[FlowResult]) -> list[Place]:
        """Which frame of which flow stands where in the file, once it is closed."""
        indices = {summary.flow: index for index, result in enumerate(results) if (summary := result.summary)}
        owners: dict[int, list[tuple[int, int]]] = {}
        for result in results:
            if summary := result.summary:
                (key,) = keys_of([summary])
                owners.setdefault(key, []).append((summary.start - SLACK_NS, indices[summary.flow]))
        return [
            Place(_owner(owners.get(one.key, ()), one.time), 0, one.number, one.cut)
            for one in sorted(self._written, key=attrgetter("time"))
        ]

    def _write(self, pieces: Iterable[Piece], wanted: dict[int, int]) -> None:
        """Append the frames of these flows."""
        if self.problems:
            return
        keys = np.array(sorted(wanted), np.uint64)
        try:
            for piece in pieces:
                for row, key in _rows(piece, keys, wanted):
                    block = piece.block
                    self._file.add(block, row)
                    cut = bool(block.captured[row] < block.original[row])
                    self._written.append(_Written(int(block.times[row]), block.first_number + row, key, cut))
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.problems.append(
            f"{self.path}: {error.strerror}: no more failures are written, the capture goes on"
        )


def _rows(piece: Piece, keys: NDArray[np.uint64], wanted: dict[int, int]) -> list[tuple[int, int]]:
    """Frames of flows with these keys, from their times on, and the key of each; in their order."""
    rows, owners = piece.of(keys)
    found = zip(rows.tolist(), owners.tolist(), piece.block.times[rows].tolist(), strict=True)
    return sorted({row: key for row, key, time in found if time >= wanted[key]}.items())


def _owner(flows: Iterable[tuple[int, int]], time: int) -> int:
    """The index of the flow that began last before that time; -1: none did."""
    return max((one for one in flows if one[0] <= time), default=(0, -1))[1]
