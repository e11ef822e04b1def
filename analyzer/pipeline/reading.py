"""Reads files, and joins those that are one capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

from analyzer.errors import UserError
from analyzer.flows.keys import Sorted
from analyzer.model.blocks import FrameBlock
from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult
from analyzer.model.report import Totals
from analyzer.model.seen import Seeing
from analyzer.model.summary import Summary
from analyzer.parallel import Arrays, KilledError, ahead, can_fork, processors
from analyzer.pipeline.engine import Engine, ReadMessages
from analyzer.pipeline.messages import Heard, MessageReader
from analyzer.sources.inputs import Input, beginning, open_input
from analyzer.sources.open import CaptureSource
from analyzer.sources.scapy_packets import ScapySource
from analyzer.sources.series import Seam
from analyzer.sources.tshark_source import TsharkSource
from analyzer.verdicts.places import Places, in_files
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice

_LARGE = 64 << 20
"""Bytes of a file from which on a second process pays."""


Progress = Callable[[int, int], None]
"""Told how many bytes of the files were read, and how many they have."""


class Reading:
    """Reads files, and joins those that are one capture."""

    def __init__(
        self,
        engine: Callable[[bool], Engine],
        files: Sequence[Input],
        progress: Progress | None,
        max_frames: int,
        jobs: int | None,
        seeing: Seeing | None = None,
    ) -> None:
        self.captures = [Capture(file.path, "", damage=file.error) for file in files]
        self.totals = Totals()
        self.services = Services()
        self.twice = Twice()
        self.found: list[tuple[int, list[FlowResult]]] = []
        """Results beside the index of the first capture that they come from."""
        self._engine = engine
        self._files = files
        self._progress = progress
        self._max_frames = max_frames
        self._jobs = jobs
        self._seeing = seeing
        self._size = sum(file.size for file in files)
        self._read = 0

    def series(self, members: Sequence[int]) -> None:
        """Read files that may carry on each other, in their order, and add what was found in them.

        Once one begins before the one before it has ended, none of them is taken for a rotation any more.
        """
        joined: _Joined | None = None
        apart = len(members) == 1
        for index in members:
            if joined:
                begin = beginning(self._files[index])
                apart = apart or bool(begin and joined.seam.overlaps(begin_of(begin)))
                if apart or not (begin and joined.goes_on_with(begin)):
                    self._finish(joined)
                    joined = None
            joined = joined or _Joined(self._engine(not self._files[index].size))
            self._file(index, joined)
            if self.captures[index].damage:
                self._finish(joined)  # what is missing now is no silence
                joined = None
            self._read += self._files[index].size
        if joined:
            self._finish(joined)

    def _file(self, index: int, joined: _Joined) -> None:
        """Read a file to its end."""
        try:
            source = open_input(self._files[index], index, max_frames=self._max_frames)
        except UserError as error:
            if len(self._files) == 1:
                raise
            self.captures[index].damage = error
            return
        self.captures[index] = source.capture
        joined.begin(source.capture, index)
        if self._seeing:
            self._seeing.begin(index, joined.before)
        with source:
            try:
                for taken in joined.read(source, ahead=self._works_ahead(self._files[index])):
                    if self._progress:
                        self._progress(self._read + taken, self._size)
            except KilledError:
                what = "the process that read it was killed: by the system for want of memory, or by somebody"
                hint = "--jobs 1 reads it without a second process."
                raise UserError("reader-killed", source.capture.path, what, hint) from None

    def _works_ahead(self, file: Input) -> bool:
        """Whether a process of its own reads the file."""
        if self._jobs is None:
            return file.size >= _LARGE and processors() > 1 and can_fork()
        return file.size > 0 and self._jobs > 1 and can_fork()

    def _finish(self, joined: _Joined) -> None:
        self.found.append((joined.first, joined.finish(partial(self._messages, joined))))
        joined.engine.add_to(self.totals)
        self.services.merge(joined.engine.services)
        self.twice.merge(joined.engine.twice)
        if joined.captures:
            joined.captures[0].problems.extend(joined.engine.problems())

    def _messages(self, joined: _Joined, flows: Sequence[Summary]) -> dict[int, Heard]:
        """Read the files once more, for what both ends of these flows said."""
        reader = MessageReader(flows)
        problems = joined.captures[0].problems
        for index, before in joined.places():
            try:
                with open_input(self._files[index], index) as source:
                    reader.take(counted_on(block, before) for block in source.blocks())
            except UserError as error:
                problems.append(f"{not_again(len(flows))} ({error.what})")
                return {}
        found = reader.finish()
        if reader.unread:
            problems.append(not_again(reader.unread))
        return found


def begin_of(block: FrameBlock) -> int:
    """When a file with this first block begins."""
    return int(block.times.min())


def counted_on(block: FrameBlock, before: int) -> FrameBlock:
    """The frames, whose numbers run on over the files of a capture."""
    return replace(block, first_number=block.first_number + before) if before else block


def not_again(flows: int) -> str:
    """The sentence about flows of which what was said could not be read."""
    return (
        f"what both ends of {flows} connections said could not be read a second time: whether an answer was "
        "due in them is told by who spoke last"
    )


class _Joined:
    """The engine for files of which each carries on the one before; for one file at first."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.seam = Seam()
        self.captures: list[Capture] = []
        self._places = Places()
        self.before = 0
        """Frames of its captures before the last one."""

    @property
    def first(self) -> int:
        """The lowest index of its captures."""
        return min(self._places.captures, default=0)

    def goes_on_with(self, block: FrameBlock) -> bool:
        """Whether a file with this beginning carries on the last one.

        It does where it follows soon and holds more of a connection that was open when that ended. Where none
        goes on there is nothing to join, and no telling of a new file of the same host from one of another.
        """
        return self.seam.follows(begin_of(block)) and self.engine.carries_on(block)

    def begin(self, capture: Capture, index: int) -> None:
        """The frames of the next file follow."""
        if self.captures:
            self.before += self.captures[-1].packets
            capture.carries_on = self._places.captures[-1]
        self.captures.append(capture)
        self._places.add(index, self.before)

    def read(self, source: CaptureSource | ScapySource | TsharkSource, *, ahead: bool) -> Iterator[int]:
        """Read the file to its end; tells after each batch how many bytes of it were taken.

        ``ahead``: a second process reads and decodes while this one tracks.
        """
        for ordered, taken in self._read_ahead(source) if ahead else self._sorted(source):
            self.engine.track(ordered)
            yield taken

    def _sorted(self, source: CaptureSource | ScapySource | TsharkSource) -> Iterator[tuple[Sorted, int]]:
        """The rows of the file, whose frames are counted on over all files; and how much of it was taken."""
        front = self.engine.front
        for block in source.blocks():
            self.seam.note(block)
            for ordered in front.take(counted_on(block, self.before)):
                yield ordered, source.taken
        for ordered in front.rest():
            yield ordered, source.taken

    def _read_ahead(self, source: CaptureSource | ScapySource | TsharkSource) -> Iterator[tuple[Sorted, int]]:
        """The same, made by a second process, whose state this one has when it is done."""

        def made() -> Iterator[tuple[Arrays, Any]]:
            for ordered, taken in self._sorted(source):
                arrays, rest = ordered.parts()
                yield arrays, (rest, taken)
            yield {}, (source.capture, self.seam, self.engine.front)

        for arrays, rest in ahead(made()):
            if arrays:
                yield Sorted.of(arrays, rest[0]), rest[1]
            else:
                capture, self.seam, self.engine.front = rest
                for name in (entry.name for entry in fields(Capture)):
                    setattr(source.capture, name, getattr(capture, name))

    def places(self) -> Iterator[tuple[int, int]]:
        """The indices of its captures, in their order, and how many frames stand before each."""
        return zip(self._places.captures, self._places.before, strict=True)

    def finish(self, read: ReadMessages) -> list[FlowResult]:
        """All results, with the numbers that the frames have in their files."""
        results = self.engine.finish(read)
        return results if len(self.captures) == 1 else [in_files(one, self._places) for one in results]
