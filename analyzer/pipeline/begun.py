"""A file becomes rows sorted by flow, in this process or in one that works ahead of it.

What is ahead may give the rows to several takers, each of which follows a share of the flows.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

import numpy as np

from analyzer.errors import UserError
from analyzer.flows.keys import LOOSE, Keyed, Sorted, share_of_keys
from analyzer.flows.legs import NO_TWINS, FindsTwins, Twin, Twins
from analyzer.model.blocks import MAX_FRAMES, FrameBlock
from analyzer.model.capture import Capture
from analyzer.parallel import Ahead, Item, can_fork, processors
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


class AnewError(Exception):
    """This way it cannot be done, or not with the same answer: read all anew, by so many processes."""

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self.jobs = jobs


class Portion(NamedTuple):
    """Rows of a share of the flows, or of all; how many bytes of the file were taken until then.

    twins: of a share, see ToldLegs.tell.
    """

    ordered: Sorted
    taken: int
    twins: Twins | None = None


class Begun:
    """A file that a process of its own reads and decodes, from now on, while this one does something else.

    ``source`` is that file, ``seam`` and ``front`` are as they will be behind its last frame, once ``rows``
    has given everything. ``before`` frames stand in the files that it carries on. ``named`` is what
    ``inputs`` said of it, where it is the only one, and ``size`` its bytes then. The rows are for ``shares``
    takers, each its own; the first is this process. Raises OSError where no process can be made.
    """

    def __init__(
        self,
        source: Opened,
        seam: Seam,
        front: Front,
        before: int = 0,
        named: tuple[list[Input], list[str]] | None = None,
        shares: int = 1,
        size: int = 0,
    ) -> None:
        self._size = size
        self.source, self.seam, self.front = source, seam, front
        self.named = named
        self.shares = shares
        self._ahead = Ahead(self._made(before), shares)

    def _made(self, before: int) -> Iterator[Item]:
        finds = FindsTwins()
        for keyed, taken in read_keyed(self.source, self.seam, self.front, before, self._size):
            arrays, rest = keyed.parts()
            twins = [NO_TWINS]
            if self.shares > 1:
                twins = _shared_out(finds.find(keyed.rows, keyed.keys), self.shares)
            yield Item(arrays, (rest, taken, keyed.ends(self.shares), twins), keyed.order, LOOSE)
        yield Item({}, (self.source.capture, self.seam, self.front))

    def portions(self, share: int = 0) -> Iterator[Portion]:
        """The rows of a share: of the first in this process, of each other one in a process made of it."""
        for arrays, rest in self._ahead if share == 0 else self._ahead.taken_by(share):
            if arrays:
                values, taken, ends, twins = rest
                ordered = Sorted.of(arrays, values).part(ends[share], ends[share + 1])
                yield Portion(ordered if share == 0 else ordered.alone(), taken, twins[share])
            elif share == 0:
                capture, self.seam, self.front = rest
                for name in (entry.name for entry in fields(Capture)):
                    setattr(self.source.capture, name, getattr(capture, name))

    def lost_its_file(self) -> bool:
        """Whether the process that KilledError tells of died because the file shrank, or its disk failed."""
        return self._ahead.died_of(signal.SIGBUS)

    def leave(self, share: int) -> None:
        """Another process has that share by now."""
        self._ahead.leave(share)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; may be called more than once."""
        self._ahead.close()
        self.source.close()


def begin(
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
        source = open_input(files[0], 0, max_frames=max_frames, mapped=True)
    except UserError:
        return None
    try:
        front = Front(batch_rows(max_frames))
        named = files, notes
        return Begun(source, Seam(), front, named=named, shares=shares_of(jobs), size=files[0].size)
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


def shares_of(jobs: int | None) -> int:
    """Into how many shares the flows of a file are divided that another process reads."""
    return max((jobs or 2) - 1, 1)


def read_sorted(source: Opened, seam: Seam, front: Front, before: int) -> Iterator[Portion]:
    """The rows of a file, its frames counted on from ``before``."""
    for keyed, taken in read_keyed(source, seam, front, before):
        yield Portion(keyed.sorted(), taken)


def read_keyed(
    source: Opened, seam: Seam, front: Front, before: int, size: int = 0
) -> Iterator[tuple[Keyed, int]]:
    """The same, not sorted yet; and how many bytes of the file were taken.

    Of a file of ``size`` bytes somebody waits for the last rows.
    """
    for block in source.blocks():
        seam.note(block)
        if size and source.taken:
            front.hasten((size - source.taken) * source.capture.packets / source.taken)
        for keyed in front.take(counted_on(block, before)):
            yield keyed, source.taken
    for keyed in front.rest():
        yield keyed, source.taken


def _shared_out(twins: Sequence[Twin], shares: int) -> list[Twins]:
    """What each share is to be told of these."""
    if not twins:
        return [NO_TWINS] * shares
    number, key, first, first_key = zip(*twins, strict=True)
    own, others = (share_of_keys(np.array(keys, np.uint64), shares).tolist() for keys in (key, first_key))
    return [
        Twins(
            tuple((syn, of) for syn, of, at in zip(number, first, own, strict=True) if at == share),
            tuple(syn for syn, at in zip(first, others, strict=True) if at == share),
        )
        for share in range(shares)
    ]


def counted_on(block: FrameBlock, before: int) -> FrameBlock:
    """The frames, whose numbers run on over the files of a capture."""
    return replace(block, first_number=block.first_number + before) if before else block
