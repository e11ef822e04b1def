"""A capture that goes on: of an interface, or from a pipe that somebody else's capture writes into."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic, monotonic_ns
from types import TracebackType
from typing import Self

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES, FrameBlock
from analyzer.model.capture import Capture
from analyzer.model.live import Standing, Wanted
from analyzer.sources.capture_program import CaptureProgram, is_down
from analyzer.sources.keeping import Keeper
from analyzer.sources.merged import Merged
from analyzer.sources.open import open_stream
from analyzer.sources.pipe import NAME, PATH
from analyzer.sources.reading import CaptureSource, Stream
from analyzer.sources.steady import Steady
from analyzer.sources.tap import Tap

_PIECE = 16 << 20
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
        self._programs: list[CaptureProgram] = []
        self._asked = monotonic()
        self._ahead: int | None = None
        self._behind = 0.0
        self._latest = 0
        self._keeper: Keeper | None = None
        self._problems: list[str] = []
        self._down: set[str] = set()
        self._steady = Steady(monotonic_ns)
        self._lag = _LAG_NS if wanted.interfaces else _PIPE_LAG_NS
        with ExitStack() as undo:
            stream: Stream
            if wanted.interfaces:
                path = ",".join(wanted.interfaces)
                for name in dict.fromkeys(wanted.interfaces):
                    self._programs.append(CaptureProgram(name, wanted))
                    undo.callback(self._programs[-1].close)
                stream = self._opened(is_over)
            else:
                stream, path = Tap(_standard_input(), is_over), PATH
            self._source: CaptureSource = open_stream(
                stream, path, 0, max_frames=max_frames, piece=_PIECE, live=True
            )
            if wanted.keep:
                nanoseconds = not wanted.interfaces
                self._keeper = Keeper(wanted.keep, wanted.snaplen, nanoseconds=nanoseconds)
                self.capture.kept = wanted.keep.path if wanted.keep.in_one_file else ""
            undo.pop_all()

    def _opened(self, is_over: Callable[[], bool]) -> Stream:
        """What the programs write."""
        if len(self._programs) == 1:
            return Tap(self._programs[0].output, is_over, drains=True)
        return Merged([one.output for one in self._programs], [one.interface for one in self._programs])

    @property
    def capture(self) -> Capture:
        """What is known of it by now."""
        return self._source.capture

    def standing(self, open_flows: int) -> Standing:
        """How it stands."""
        dropped = sum(program.counts.dropped for program in self._programs)
        told = sum(program.counts.told for program in self._programs)
        problems = (*self._problems, *(self._keeper.problems if self._keeper else ()))
        return Standing(self.capture.packets, open_flows, dropped, told, self._behind, problems)

    def now(self) -> int | None:
        """What the clock of the packets shows by now, as long as none comes; None before the first."""
        return None if self._ahead is None else monotonic_ns() + self._ahead - self._lag

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames as they come."""
        for block in self._source.blocks():
            self._look_after()
            if len(block):
                if self._programs:
                    block = self._steady.steadied(block)
                ahead = int(block.times[-1]) - monotonic_ns()
                self._behind = max(0.0, ((self._ahead or ahead) - ahead) / 1e9)
                self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)
            if self._left is not None:
                block = self._first(block, self._left)
                self._left -= len(block)
                self._latest = self.capture.last or 0
            if self._keeper:
                self._keeper.write(block)
            yield block
            if self._left == 0 or (self._keeper and self._keeper.full):
                break
        self.capture.problems.extend([*self._problems, *self._steady.problems()])
        if self._keeper:
            self._keeper.close()
            self.capture.problems.extend(self._keeper.problems)
        for program in self._programs:
            if self._left == 0 or (self._keeper and self._keeper.full):
                program.stop()
            self._note_fault(program)
            program.close()
            self.capture.problems.extend(_losses(program))

    def _note_fault(self, program: CaptureProgram) -> None:
        """One of several that ended is a problem; the only one, damage."""
        fault = program.fault()
        if fault and len(self._programs) > 1:
            self.capture.problems.append(f"{fault.where}: {fault.what}")
        elif fault:
            self.capture.damage = self.capture.damage or fault

    def close(self) -> None:
        """Leaves no process behind, and files that can be read."""
        self._source.close()
        if self._keeper:
            self._keeper.close()
        for program in self._programs:
            program.close()

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

    def _look_after(self) -> None:
        """Stop the programs in time, and ask now and then how many packets were dropped."""
        asks = monotonic() - self._asked >= _ASK_SECONDS
        for program in self._programs:
            if self._is_over():
                program.stop()
            elif asks:
                program.listen()
                program.ask()
        if asks:
            self._asked = monotonic()
            self._note_down()

    def _note_down(self) -> None:
        """Say which interfaces have gone down: their programs wait until they are up again."""
        down = {program.interface for program in self._programs if is_down(program.interface)}
        for name in sorted(down - self._down):
            at = datetime.now(UTC)
            self._problems.append(
                f"{name}: the interface went down at {at:%H:%M:%S} UTC: nothing comes until it is up again"
            )
        self._down = down


def _losses(program: CaptureProgram) -> Iterator[str]:
    """What the kernel dropped."""
    counts = program.counts
    if counts.dropped:
        of = f" of {counts.received:,}" if counts.received else ""
        yield (
            f"The kernel dropped {counts.dropped:,} packets{of} on {program.interface}, for want of room: "
            "they are missing here, so a segment that is missing may well have arrived. A filter helps, or a "
            "smaller snapshot length (-s)."
        )


def _standard_input() -> io.FileIO:
    if sys.stdin is None:
        raise UserError("unreadable-file", NAME, "it is closed", "give a pipe.")
    if os.isatty(0):
        raise UserError("terminal", "", "standard input is a terminal; give a pipe or -i INTERFACE")
    return io.FileIO(os.dup(0), "rb")
