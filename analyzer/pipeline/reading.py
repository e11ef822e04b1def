"""Reads files, and joins those that are one capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from analyzer.errors import UserError
from analyzer.flows.legs import ToldLegs
from analyzer.model.blocks import FrameBlock
from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult
from analyzer.model.report import Totals
from analyzer.model.summary import Summary
from analyzer.parallel import KilledError
from analyzer.pipeline.again import Again, Progress
from analyzer.pipeline.begun import AnewError, Begun, counted_on, read_sorted, shares_of, works_ahead
from analyzer.pipeline.engine import Engine, ReadMessages
from analyzer.sources.inputs import Input, beginning, open_input
from analyzer.sources.series import Seam
from analyzer.verdicts.places import Places, in_files
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice

if TYPE_CHECKING:
    from analyzer.model.seen import Seeing
    from analyzer.pipeline.begun import Opened
    from analyzer.pipeline.messages import Heard
    from analyzer.pipeline.shares import Shares


class MakesEngines(Protocol):
    """Gives an engine for the next capture."""

    def __call__(self, *, read_once: bool = False, legs: ToldLegs | None = None) -> Engine:
        """``read_once``: it cannot be read a second time; ``legs``: it is for a share of the flows."""


class Reading:
    """Reads files, and joins those that are one capture. ``begun`` is the only one, if it is read already.

    The only file may be followed by several engines, each its ``shares``: then AnewError may be raised.
    """

    def __init__(
        self,
        engine: MakesEngines,
        files: Sequence[Input],
        progress: Progress | None,
        max_frames: int,
        jobs: int | None,
        begun: Begun | None = None,
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
        self._begun = begun
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
            joined = joined or _Joined(self._engine(read_once=not self._files[index].size))
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
            source = self._open(index)
        except UserError as error:
            if len(self._files) == 1:
                raise
            self.captures[index].damage = error
            return
        self.captures[index] = source.capture
        joined.begin(source.capture, index)
        if self._seeing:
            self._seeing.begin(index, joined.before)
        with source, self._watching(joined):
            joined.begun = self._begun or self._ahead(index, source, joined)
            if joined.begun and joined.begun.shares > 1:
                from analyzer.pipeline.shares import Shares  # by default nothing is shared out

                joined.shares = Shares(self._engine, joined.begun)
            for taken in joined.read(source):
                if self._progress:
                    self._progress(self._read + taken, self._size)

    @contextmanager
    def _watching(self, joined: _Joined) -> Iterator[None]:
        """Says so where one of the other processes is killed; where it goes wrong none of them is left."""
        with ExitStack() as left:
            left.callback(joined.close)
            try:
                yield
            except KilledError:
                if joined.shares:
                    with suppress(KilledError):
                        joined.shares.check()
                if joined.begun and joined.begun.lost_its_file():
                    raise AnewError(jobs=1) from None
                what = "a process that read it was killed: by the system for want of memory, or by somebody"
                hint = "--jobs 1 reads it without other processes."
                raise UserError("reader-killed", joined.captures[-1].path, what, hint) from None
            left.pop_all()

    def _ahead(self, index: int, source: Opened, joined: _Joined) -> Begun | None:
        """Have the file read by another process, where that pays."""
        if not works_ahead(self._files[index], self._jobs):
            return None
        shares = shares_of(self._jobs) if len(self._files) == 1 and not self._seeing else 1
        try:
            return Begun(source, joined.seam, joined.engine.front, joined.before, shares=shares)
        except OSError:  # no room for another process: this one does it all
            if self._may_be_mapped(index):
                raise AnewError(jobs=1) from None
        return None

    def _open(self, index: int) -> Opened:
        if self._begun:
            return self._begun.source
        mapped = self._may_be_mapped(index)
        return open_input(self._files[index], index, max_frames=self._max_frames, mapped=mapped)

    def _may_be_mapped(self, index: int) -> bool:
        """Whether another process reads it, and what was seen meanwhile can be forgotten if that dies."""
        return works_ahead(self._files[index], self._jobs) and not self._seeing

    def _finish(self, joined: _Joined) -> None:
        with self._watching(joined):
            self.found.append((joined.first, joined.finish(partial(self._messages, joined))))
        joined.close()
        engine = joined.judging
        engine.add_to(self.totals)
        self.services.merge(engine.services)
        self.twice.merge(engine.twice)
        if joined.captures:
            joined.captures[0].problems.extend(engine.problems())
            joined.captures[0].silent.extend(engine.silent())

    def _messages(self, joined: _Joined, flows: Sequence[Summary]) -> dict[int, Heard]:
        """Read the files once more, for what both ends of these flows said."""
        from analyzer.pipeline.messages import MessageReader  # few captures of many packets need that

        reader = MessageReader(flows)
        problems = joined.captures[0].problems
        size = sum(self._files[index].size for index, _ in joined.places())
        alone = len(self._files) == 1  # of several, the reading of the others goes on
        again = Again(size, "reading again", self._progress if alone else self._beside)
        for index, before in joined.places():
            try:
                with open_input(self._files[index], index) as source:
                    reader.take(counted_on(block, before) for block in again.blocks(source))
            except UserError as error:
                problems.append(f"{not_again(len(flows))} ({error.what})")
                return {}
        found = reader.finish()
        if reader.unread:
            problems.append(not_again(reader.unread))
        return found

    def _beside(self, done: int, size: int, doing: str = "", _: str = "", /) -> None:
        """How far that is which is done on the way."""
        if self._progress:
            self._progress(self._read, self._size, "reading", f"again {100 * done // max(1, size)}%")


def begin_of(block: FrameBlock) -> int:
    """When a file with this first block begins."""
    return int(block.times.min())


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
        self.begun: Begun | None = None
        """Another process reads and decodes the last file, while this one tracks."""
        self.shares: Shares | None = None
        """They take the engine's place where the flows of the only file are shared out."""
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

    def read(self, source: Opened) -> Iterator[int]:
        """Read the file to its end; tells after each batch how many bytes of it were taken."""
        engine, begun = self.judging, self.begun
        front = self.engine.front
        for portion in begun.portions() if begun else read_sorted(source, self.seam, front, self.before):
            engine.track(portion.ordered, portion.twins)
            yield portion.taken
        if begun:
            self.seam, engine.front = begun.seam, begun.front

    def close(self) -> None:
        """End the other processes; may be called more than once."""
        if self.shares:
            self.shares.close()
        if self.begun:
            self.begun.close()

    @property
    def judging(self) -> Engine | Shares:
        """What follows the flows."""
        return self.shares or self.engine

    def places(self) -> Iterator[tuple[int, int]]:
        """The indices of its captures, in their order, and how many frames stand before each."""
        return zip(self._places.captures, self._places.before, strict=True)

    def finish(self, read: ReadMessages) -> list[FlowResult]:
        """All results, with the numbers that the frames have in their files."""
        results = self.judging.finish(read)
        return results if len(self.captures) == 1 else [in_files(one, self._places) for one in results]
