"""A window that maps a file piece by piece, which costs less than a copy of every byte that nobody looks at.

Only for a process whose death harms nobody: a file that is truncated while it is mapped, or a disk that
fails, kills the process that looks at what is missing (SIGBUS). It must be read plainly then.
"""

from __future__ import annotations

import io
import mmap
import os
import stat

import numpy as np

from analyzer.model.blocks import SLACK
from analyzer.sources.reading import PIECE, Window

_PIECES = 2
"""Pieces that are mapped at once: as nothing is copied, more records pay for one walk."""


class MappedWindow(Window):
    """A window whose buffer is a part of the file, mapped, two pieces of it or one, wherever they and SLACK
    bytes are there.

    What is at the end of a file, a file that cannot be mapped, and all that is read bit by bit (``at_once``)
    are read as by any window. A piece stays mapped as long as something refers to its buffer.
    """

    def __init__(self, file: io.FileIO, piece: int = PIECE, name: str = "") -> None:
        super().__init__(file, piece, name)
        self._file = file
        self._piece = piece
        self._fails = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)

    def fill(self, need: int = 1, at_once: int | None = None) -> bool:
        """See Window. Raises nothing where it maps."""
        if at_once is None and self._map(need):
            return True
        self._own_buffer()
        return super().fill(need, at_once)

    def _map(self, need: int) -> bool:
        """Maps the next piece, from the page on where ``begin`` is; False where that cannot be."""
        start = self.position + self.begin
        page = start - start % mmap.ALLOCATIONGRANULARITY
        last = os.fstat(self._file.fileno()).st_size - SLACK
        least = max(start + need, self.position + self.end + 1)
        ends = (max(start + pieces * self._piece, least) for pieces in (_PIECES, 1))
        upto = next((end for end in ends if end <= last), 0)
        if self._fails or not upto:
            return False
        try:
            mapped = mmap.mmap(self._file.fileno(), upto + SLACK - page, access=mmap.ACCESS_READ, offset=page)
        except (OSError, ValueError):
            self._fails = True
            return False
        self.buffer = np.frombuffer(mapped, np.uint8)
        self.begin, self.end, self.position = start - page, upto - page, page
        return True

    def _own_buffer(self) -> None:
        """Lets go of what is mapped, and goes on with a buffer that can be read into."""
        if self.buffer.flags.writeable:
            return
        left = self.buffer[self.begin : self.end]
        self._file.seek(self.position + self.end)
        self.buffer = np.zeros(max(self._piece, len(left)) + SLACK, np.uint8)
        self.buffer[: len(left)] = left
        self.position += self.begin
        self.begin, self.end = 0, len(left)
