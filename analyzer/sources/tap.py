"""The pipe of a capture that goes on: read in small portions, without waiting for ever."""

from __future__ import annotations

import fcntl
import io
import select
from collections.abc import Callable
from time import monotonic, sleep

COLLECT = 0.1
"""Seconds for which a read goes on collecting: a portion costs some milliseconds, however small it is."""
STEP = 0.02
"""Seconds between two looks meanwhile: waking up for every packet would cost more than the packet."""
IDLE = 0.05
"""Seconds without a byte after which the clock decides."""
_MUCH = 1 << 18
"""Bytes between two looks at full rate."""
_PIPE_BYTES = 1 << 20
"""What the pipe is to hold while a portion is worked on; more is for root only."""


class Tap:
    """A stream (see reading.Stream) that says when nothing comes, and ends when it is told to.

    ``drains``: once told to end it still reads what its writer has left to write.
    """

    def __init__(self, file: io.FileIO, is_over: Callable[[], bool], *, drains: bool = False) -> None:
        self._file = file
        self._is_over = is_over
        self._drains = drains
        self.close = file.close
        widen(file)

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Bytes that came within a moment; None where none did, 0 at the end. Raises OSError."""
        if self._is_over() and not self._drains:
            return 0
        if not self._is_readable(IDLE):
            return None
        count = self._read(buffer)
        until, enough = monotonic() + COLLECT, count
        while 0 < count < len(buffer):
            left = until - monotonic()
            if left <= 0 or self._is_over():
                break
            if enough < _MUCH:  # else the pipe would be full before it is looked at again
                sleep(min(STEP, left))
            enough = 0
            while count < len(buffer) and enough < _MUCH and self._is_readable(0):
                more = self._read(buffer[count:])
                if not more:
                    return count  # the next read meets the end again
                count += more
                enough += more
        return count

    def _read(self, buffer: memoryview) -> int:
        return self._file.readinto(buffer) or 0

    def _is_readable(self, seconds: float) -> bool:
        return bool(select.select([self._file], [], [], seconds)[0])


def widen(file: io.FileIO) -> None:
    """Lets a pipe hold more, where it is one and the system allows it."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            return
