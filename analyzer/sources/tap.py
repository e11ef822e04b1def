"""The pipe of a capture that goes on: read in small portions, without waiting for ever."""

from __future__ import annotations

import fcntl
import io
import select
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep

COLLECT = 0.1
"""Seconds for which a read goes on collecting: a portion costs some milliseconds, however small it is."""
STEP = 0.02
"""Seconds between two looks meanwhile at most: waking up for every packet would cost more than the packet."""
_SHORTEST = 0.001
"""... and at least. In between it is as long as leaves the pipe half empty: a full one stops its writer."""
IDLE = 0.05
"""Seconds without a byte after which the clock decides."""
_PIPE_BYTES = (16 << 20, 1 << 20)
"""What the pipe is to hold while a portion is worked on: as root, and as anybody else."""
_USUAL_BYTES = 1 << 16
"""What it holds unasked."""


class Tap:
    """A stream (see reading.Stream) that says when nothing comes, and ends when it is told to.

    ``drains``: once told to end it still reads what its writer has left to write.
    """

    def __init__(self, file: io.FileIO, is_over: Callable[[], bool], *, drains: bool = False) -> None:
        self._file = file
        self._is_over = is_over
        self._drains = drains
        self.close = file.close
        self._size = widen(file)
        self._step = STEP

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Bytes that came within a moment; None where none did, 0 at the end. Raises OSError."""
        if self._is_over() and not self._drains:
            return 0
        if not self._is_readable(IDLE):
            return None
        count = self._read(buffer)
        until = monotonic() + COLLECT
        while 0 < count < len(buffer):
            left = until - monotonic()
            if left <= 0 or self._is_over():
                break
            sleep(min(self._step, left))
            found = 0
            while count < len(buffer) and found < self._size and self._is_readable(0):
                more = self._read(buffer[count:])
                if not more:
                    return count  # the next read meets the end again
                count += more
                found += more
            self._adapt(found)
        return count

    def _adapt(self, found: int) -> None:
        """Look sooner after so many bytes were found at once, or later."""
        if found > self._size // 2:
            self._step = max(self._step / 2, _SHORTEST)
        elif found < self._size // 8:
            self._step = min(self._step * 2, STEP)

    def _read(self, buffer: memoryview) -> int:
        return self._file.readinto(buffer) or 0

    def _is_readable(self, seconds: float) -> bool:
        return bool(select.select([self._file], [], [], seconds)[0])


def widen(file: io.FileIO) -> int:
    """Lets a pipe hold more, where it is one and the system allows it; how many bytes it holds."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        for size in _PIPE_BYTES:
            with suppress(OSError):
                return fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, size)
    return _USUAL_BYTES
