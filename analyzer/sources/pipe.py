"""Standard input and pipes: streams that give little at a time."""

from __future__ import annotations

import io
import os
import select
import sys
from time import monotonic

from analyzer.errors import UserError

PATH = "-"
"""The path that means standard input."""

NAME = "standard input"

_PATIENCE = 0.2
"""Seconds for which a read goes on collecting: few large pieces are worked on much faster than many small."""


class Pipe:
    """A stream whose reads collect what comes within a moment."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.close = file.close

    def readinto(self, buffer: memoryview, /) -> int:
        """Waits for the first bytes, then takes what follows shortly; 0 at the end. Raises OSError."""
        count = self._read(buffer)
        until = monotonic() + _PATIENCE
        while 0 < count < len(buffer) and monotonic() < until:
            try:
                more = self._read(buffer[count:])
            except OSError:
                break  # the next read meets it again
            if not more:
                break
            count += more
        return count

    def _read(self, buffer: memoryview) -> int:
        """Reads once; waits also where the pipe was made not to."""
        while (count := self._file.readinto(buffer)) is None:
            select.select([self._file], [], [])
        return count


def standard_input() -> Pipe:
    """Standard input as bytes; a copy of its descriptor, so that closing leaves it open.

    Raises UserError where nothing can come from it, OSError.
    """
    if sys.stdin is None:
        raise UserError("unreadable-file", NAME, "it is closed", "give a file or a pipe.")
    if os.isatty(0):
        raise UserError("terminal", "", "standard input is a terminal; give a file or a pipe")
    return Pipe(io.FileIO(os.dup(0), "rb"))
