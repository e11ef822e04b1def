"""A second process that makes arrays ahead of the one that needs them.

It hands them over in memory that both share, so that nothing is copied but once, into place. It ends with
the first: at its end, by an error or Ctrl-C, and also where the first is killed.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Arrays = Mapping[str, NDArray[Any]]

SLOTS = 3
"""Items that are made ahead."""
ROOM = 16 << 20
"""Bytes of an item's arrays that the shared memory holds; larger ones go through the pipe."""

_ALIGNED = 64
_GONE = (EOFError, BrokenPipeError, ConnectionResetError)
"""What a pipe says whose other end is closed."""
_ITEM, _END, _FAILED = "item", "end", "failed"


class KilledError(Exception):
    """The other process ended without a word: somebody killed it, as the system does for want of memory."""


def can_fork() -> bool:
    """Whether a second process can take over what this one has in memory.

    With other threads around a lock might stay locked in it for ever; macOS' own libraries do not allow it.
    """
    return sys.platform == "linux" and threading.active_count() == 1


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class Ahead:
    """Items that a process of its own makes from now on, some of them before they are asked for.

    ``items`` is not to be used any more. Of each the second value is pickled. The arrays, (n,) each, are
    valid until the next item is asked for. What the other process raises is raised here; so is KilledError
    where it was killed. ``close`` ends it; so does iterating to the end.
    """

    def __init__(self, items: Iterator[tuple[Arrays, Any]]) -> None:
        from multiprocessing import get_context  # for small captures it would be a part of the whole time

        memory = mmap.mmap(-1, SLOTS * ROOM)
        context = get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._given = _taken(self._pipe, memory)
        arguments = (items, memory, self._pipe, theirs)
        self._process: BaseProcess | None = context.Process(target=_run, args=arguments, daemon=True)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()

    def __iter__(self) -> Iterator[tuple[Arrays, Any]]:
        try:
            yield from self._given
        finally:
            self.close()

    def close(self) -> None:
        """End the process; may be called more than once."""
        process, self._process = self._process, None
        if process:
            self._given.close()  # and with it the memory
            self._pipe.close()
            process.terminate()
            process.join()
            process.close()


def _taken(pipe: Connection, memory: mmap.mmap) -> Generator[tuple[Arrays, Any], None, None]:
    while True:
        try:
            kind, slot, arrays, rest = pipe.recv()
        except _GONE:
            raise KilledError from None
        if kind == _END:
            return
        if kind == _FAILED:
            raise rest
        yield (arrays if slot is None else _views(memory, arrays)), rest
        if slot is not None:
            with suppress(*_GONE):  # it may have made its last item already
                pipe.send(slot)


def _run(
    items: Iterator[tuple[Arrays, Any]], memory: mmap.mmap, theirs: Connection, pipe: Connection
) -> None:
    """The second process."""
    theirs.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # then the first process is gone
        try:
            _hand_over(items, memory, pipe)
        except (EOFError, OSError):
            raise
        except Exception as error:
            pipe.send((_FAILED, None, None, error))


def _hand_over(items: Iterator[tuple[Arrays, Any]], memory: mmap.mmap, pipe: Connection) -> None:
    free = list(range(SLOTS))
    for arrays, rest in items:
        if sum(map(_room, {id(values): values for values in arrays.values()}.values())) > ROOM:
            pipe.send((_ITEM, None, arrays, rest))
            continue
        while not free or pipe.poll():
            free.append(pipe.recv())
        slot = free.pop()
        pipe.send((_ITEM, slot, _put(memory, slot, arrays), rest))
    pipe.send((_END, None, None, None))


Layout = list[tuple[str, str, int, int, int]]
"""Of each array its name, dtype, first byte in the shared memory, how many values are there, and its length.

One value is there of an array that repeats it: one with a stride of 0.
"""


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    return values[:1] if values.strides == (0,) else values


def _room(values: NDArray[Any]) -> int:
    return -(-_stored(values).nbytes // _ALIGNED) * _ALIGNED


def _put(memory: mmap.mmap, slot: int, arrays: Arrays) -> Layout:
    layout: Layout = []
    free = slot * ROOM
    places: dict[int, int] = {}
    for name, values in arrays.items():
        stored = _stored(values)
        at = places.setdefault(id(values), free)
        layout.append((name, values.dtype.str, at, len(stored), len(values)))
        if at == free:
            np.frombuffer(memory, values.dtype, len(stored), at)[:] = stored
            free += _room(values)
    return layout


def _views(memory: mmap.mmap, layout: Layout) -> Arrays:
    return {name: _view(memory, dtype, at, stored, length) for name, dtype, at, stored, length in layout}


def _view(memory: mmap.mmap, dtype: str, at: int, stored: int, length: int) -> NDArray[Any]:
    values: NDArray[Any] = np.frombuffer(memory, dtype, stored, at)
    return values if stored == length else np.broadcast_to(values, (length,))
