"""A file becomes rows sorted by flow, in this process or in one that works ahead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from analyzer.errors import UserError
from analyzer.flows.keys import Sorted
from analyzer.model.blocks import MAX_FRAMES, FrameBlock
from analyzer.model.capture import Capture
from analyzer.parallel import Ahead, Arrays, can_fork, processors
from analyzer.pipeline.front import BATCH_ROWS, Front
from analyzer.sources.inputs import Input, Named, inputs, open_input
from analyzer.sources.remote import is_url
from analyzer.sources.series import Seam

if TYPE_CHECKING:
    from analyzer.sources.open import CaptureSource
    from analyzer.sources.scapy_packets import ScapySource
    from analyzer.sources.tshark_source import TsharkSource

    Opened: TypeAlias = CaptureSource | ScapySource | TsharkSource

_LARGE = 64 << 20
"""Bytes of a file from which on a second process pays."""


class Begun:
    """A file that a process of its own reads and decodes, from now on, while this one does something else.

    ``source`` is that file, ``seam`` and ``front`` are as they will be behind its last frame, once ``rows``
    has given everything. ``before`` frames stand in the files that it carries on. ``named`` is what
    ``inputs`` said of it, where it is the only one. Raises OSError where no process can be made.
    """

    def __init__(
        self,
        source: Opened,
        seam: Seam,
        front: Front,
        before: int = 0,
        named: tuple[list[Input], list[str]] | None = None,
    ) -> None:
        self.source, self.seam, self.front = source, seam, front
        self.named = named
        self._ahead = Ahead(self._made(before))

    def _made(self, before: int) -> Iterator[tuple[Arrays, Any]]:
        for ordered, taken in read_sorted(self.source, self.seam, self.front, before):
            arrays, rest = ordered.parts()
            yield arrays, (rest, taken)
        yield {}, (self.source.capture, self.seam, self.front)

    def rows(self) -> Iterator[tuple[Sorted, int]]:
        """As of ``read_sorted``."""
        for arrays, rest in self._ahead:
            if arrays:
                yield Sorted.of(arrays, rest[0]), rest[1]
            else:
                capture, self.seam, self.front = rest
                for name in (entry.name for entry in fields(Capture)):
                    setattr(self.source.capture, name, getattr(capture, name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ahead.close()
        self.source.close()


def begun(
    captures: Sequence[Named], *, decoder: str = "", jobs: int | None = None, max_frames: int = MAX_FRAMES
) -> Begun | None:
    """Have the capture read if it is one large file; None where that does not pay or something is wrong.

    What is wrong with it is said by ``analyze``, which can go on with what is begun.
    """
    if len(captures) != 1 or is_url(str(captures[0])):  # the threads that read that forbid a second process
        return None
    files, notes = inputs(captures, decoder)
    if len(files) != 1 or not works_ahead(files[0], jobs):
        return None
    try:
        source = open_input(files[0], 0, max_frames=max_frames)
    except UserError:
        return None
    try:
        return Begun(source, Seam(), Front(batch_rows(max_frames)), named=(files, notes))
    except OSError:  # no room for another process: one does it all
        source.close()
        return None


def batch_rows(max_frames: int) -> int:
    """How many rows are tracked at once of blocks of so many frames."""
    return BATCH_ROWS if max_frames >= MAX_FRAMES else max_frames


def works_ahead(file: Input, jobs: int | None) -> bool:
    """Whether a process of its own reads the file."""
    if jobs is None:
        return file.size >= _LARGE and processors() > 1 and can_fork()
    return file.size > 0 and jobs > 1 and can_fork()


def read_sorted(source: Opened, seam: Seam, front: Front, before: int) -> Iterator[tuple[Sorted, int]]:
    """The rows of a file, its frames counted on from ``before``; and how many of its bytes were taken."""
    for block in source.blocks():
        seam.note(block)
        for ordered in front.take(counted_on(block, before)):
            yield ordered, source.taken
    for ordered in front.rest():
        yield ordered, source.taken


def counted_on(block: FrameBlock, before: int) -> FrameBlock:
    """The frames, whose numbers run on over the files of a capture."""
    return replace(block, first_number=block.first_number + before) if before else block
