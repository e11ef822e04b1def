"""Captures that are read once more, and how far that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from analyzer.model.blocks import FrameBlock


class Progress(Protocol):
    """Told how many bytes of the files were read, how many they have, and what they are read for.

    ``beside``: what else is done just then, and how far that is, where it is not what all files are read for.
    """

    def __call__(self, done: int, size: int, doing: str = "reading", beside: str = "", /) -> None:
        """Called after each portion."""


class Source(Protocol):
    """What is read."""

    @property
    def taken(self) -> int:
        """Bytes that were read so far."""

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames."""


class Again:
    """Reads files one after the other, and tells ``progress`` after each block how far that is.

    ``size`` is that of all files in bytes, ``doing`` what they are read for.
    """

    def __init__(self, size: int, doing: str, progress: Progress | None) -> None:
        self._size, self._doing, self._progress = size, doing, progress
        self._before = 0

    def blocks(self, source: Source) -> Iterator[FrameBlock]:
        """What ``source.blocks()`` gives."""
        for block in source.blocks():
            yield block
            self._tell(source)
        self._tell(source)  # what follows the last frame was read as well
        self._before += source.taken

    def _tell(self, source: Source) -> None:
        if self._progress:
            self._progress(self._before + source.taken, self._size, self._doing)


def size_of(paths: Iterable[str]) -> int:
    """Bytes of those that are files."""
    size = 0
    for path in paths:
        with suppress(OSError, ValueError):  # behind a URL, or gone: whoever opens it says so
            size += Path(path).stat().st_size
    return size
