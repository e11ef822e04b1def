"""A capture that goes on: of an interface, or from a pipe that somebody else's capture writes into."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic, monotonic_ns
from types import TracebackType
from typing import Self

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES, FrameBlock
from analyzer.model.capture import Capture
from analyzer.model.live import Standing, Wanted
from analyzer.sources.capture_program import CaptureProgram, Counts
from analyzer.sources.open import open_stream
from analyzer.sources.pipe import NAME, PATH
from analyzer.sources.reading import CaptureSource
from analyzer.sources.tap import Tap

_PIECE = 4 << 20
"""Bytes of the window: some hundred milliseconds at full rate."""
_LAG_NS = 60_000_000
"""A packet is in the pipe so long at most, on a machine that is not overloaded."""
_PIPE_LAG_NS = 1_000_000_000
"""... and from another machine."""
_ASK_SECONDS = 1.0
_COLUMNS = ("offsets", "captured", "original", "times", "link_types")


class LiveSource:
    """Blocks while packets come, and blocks without frames while none do; ``close`` ends it whatever happens.

    It ends where ``is_over`` says so. Raises UserError where the capture cannot begin.
    """

    def __init__(self, wanted: Wanted, is_over: Callable[[], bool], *, max_frames: int = MAX_FRAMES) -> None:
        self._is_over = is_over
        self._left = wanted.count
        self._program: CaptureProgram | None = None
        self._asked = monotonic()
        self._ahead: int | None = None
        self._behind = 0.0
        self._latest = 0
        self._lag = _LAG_NS if wanted.interfaces else _PIPE_LAG_NS
        with ExitStack() as undo:
            if wanted.interfaces:
                path = wanted.interfaces[0]
                self._program = CaptureProgram(path, wanted)
                undo.callback(self._program.close)
                tap = Tap(self._program.output, is_over, drains=True)
            else:
                tap, path = Tap(_standard_input(), is_over), PATH
            self._source: CaptureSource = open_stream(tap, path, 0, max_frames=max_frames, piece=_PIECE)
            self._source.may_end_anywhere = True
            undo.pop_all()

    @property
    def capture(self) -> Capture:
        """What is known of it by now."""
        return self._source.capture

    def standing(self, open_flows: int) -> Standing:
        """How it stands."""
        counts = self._program.counts if self._program else Counts()
        return Standing(self.capture.packets, open_flows, counts.dropped, self._behind)

    def now(self) -> int | None:
        """What the clock of the packets shows by now, as long as none comes; None before the first."""
        return None if self._ahead is None else monotonic_ns() + self._ahead - self._lag

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames as they come."""
        for block in self._source.blocks():
            if self._program:
                self._look_after(self._program)
            if len(block):
                ahead = int(block.times[-1]) - monotonic_ns()
                self._behind = max(0.0, ((self._ahead or ahead) - ahead) / 1e9)
                self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)
            if self._left is not None:
                block = self._first(block, self._left)
                self._left -= len(block)
                self._latest = self.capture.last or 0
            yield block
            if self._left == 0:
                break
        if self._program:
            if self._left == 0:
                self._program.stop()
            self.capture.damage = self.capture.damage or self._program.fault()

    def close(self) -> None:
        """Leaves no process behind."""
        self._source.close()
        if self._program:
            self._program.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first(self, block: FrameBlock, count: int) -> FrameBlock:
        """The first frames of a block; the others were not captured."""
        if len(block) <= count:
            return block
        capture = self.capture
        capture.packets -= len(block) - count
        capture.bytes -= int(block.original[count:].sum())
        block = replace(block, **{name: getattr(block, name)[:count] for name in _COLUMNS})
        capture.last = max(self._latest, int(block.times.max()))
        return block

    def _look_after(self, program: CaptureProgram) -> None:
        """Stop it in time, and ask now and then how many packets were dropped."""
        if self._is_over():
            program.stop()
        elif monotonic() - self._asked >= _ASK_SECONDS:
            program.listen()
            program.ask()
            self._asked = monotonic()


def _standard_input() -> io.FileIO:
    if sys.stdin is None:
        raise UserError("unreadable-file", NAME, "it is closed", "give a pipe.")
    if os.isatty(0):
        raise UserError("terminal", "", "standard input is a terminal; give a pipe or -i INTERFACE")
    return io.FileIO(os.dup(0), "rb")
