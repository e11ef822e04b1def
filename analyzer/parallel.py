"""Processes beside this one: one that makes arrays ahead of others, and those that are talked to.

Arrays are handed over in memory that all share, so that nothing is copied but once, into place. The other
processes end with this one: at its end, by an error or Ctrl-C, and also where it is killed.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Arrays = Mapping[str, NDArray[Any]]


class Item(NamedTuple):
    """Arrays, (n,) each, that are to be handed over in this order, int64 (n,), or as they are; and the rest.

    The rest is pickled. ``loose`` are the names of arrays that are handed over as they are in any case.
    """

    arrays: Arrays
    rest: Any
    order: NDArray[np.int64] | None = None
    loose: Collection[str] = ()


SLOTS = 3
"""Items that are made ahead."""
ROOM = 32 << 20
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

    ``items`` is not to be used any more. Of each it gives the arrays, in order, and the rest. The arrays are
    valid until the next item is asked for. What the other process raises is raised here; so is KilledError
    where it was killed. ``close`` ends it; iterated to the end it ends by itself, and ``close`` waits for
    that. With several ``takers`` each item is given to all: to this process, and to those that are made of it
    and call ``taken_by``.
    """

    def __init__(self, items: Iterator[Item], takers: int = 1) -> None:
        memory = mmap.mmap(-1, SLOTS * ROOM)
        pairs = [_pipe() for _ in range(takers)]
        self._pipes = [ours for ours, _ in pairs]
        theirs = [pipe for _, pipe in pairs]
        self._taken = [partial(_taken, pipe, memory) for pipe in self._pipes]
        """By taker; nothing else has the memory."""
        self._given = self._taken[0]()
        self._exit_code: int | None = None
        self._process: BaseProcess | None = _started(_make, items, memory, self._pipes, theirs)
        for pipe in theirs:
            pipe.close()

    def __iter__(self) -> Iterator[tuple[Arrays, Any]]:
        try:
            yield from self._given
        except BaseException:
            self.close()
            raise
        self._let_go()

    def taken_by(self, taker: int) -> Iterator[tuple[Arrays, Any]]:
        """The items, in another process than that which has made this."""
        for number, pipe in enumerate(self._pipes):
            if number != taker:
                pipe.close()
        return self._taken[taker]()

    def leave(self, taker: int) -> None:
        """That taker is another process by now."""
        self._pipes[taker].close()

    def died_of(self, number: signal.Signals) -> bool:
        """Whether the process, of which KilledError tells, was ended by this signal."""
        self.close()
        return self._exit_code == -number

    def close(self) -> None:
        """End the process; may be called more than once."""
        process, self._process = self._process, None
        if process:
            self._let_go()
            self._exit_code = _ended(process)

    def _let_go(self) -> None:
        """Nothing more is taken; the other process, which waits for that, frees the memory as it ends."""
        self._given.close()
        self._taken.clear()
        for pipe in self._pipes:
            pipe.close()


class Beside:
    """A process of its own that does ``work``, a function of the pipe by which the two talk, until ``close``.

    Raises OSError where no process can be made.
    """

    def __init__(self, work: Callable[[Connection], None]) -> None:
        self._pipe, theirs = _pipe()
        self._said: deque[Any] = deque()
        self._process: BaseProcess | None = _started(_work, work, self._pipe, theirs)
        theirs.close()

    def send(self, value: Any) -> None:
        """Tell it something."""
        with suppress(*_GONE):  # what it said last is found when it is asked for
            self._pipe.send((_ITEM, value))

    def receive(self) -> Any:
        """What it says next. Raises what it raises, and KilledError where it was killed."""
        return self._said.popleft() if self._said else received(self._pipe)

    def check(self) -> None:
        """Raise what it has raised by now, where it has."""
        while self._pipe.poll():
            self._said.append(received(self._pipe))

    def close(self) -> None:
        """End the process; may be called more than once."""
        process, self._process = self._process, None
        if process:
            self._pipe.close()
            _ended(process)


def received(pipe: Connection) -> Any:
    """What the other process sends. Raises what it raises, and KilledError where it is gone."""
    try:
        kind, value = pipe.recv()
    except _GONE:
        raise KilledError from None
    if kind == _FAILED:
        raise value
    return value


def send(pipe: Connection, value: Any) -> None:
    """Send it what ``received`` gives."""
    pipe.send((_ITEM, value))


def _started(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    from multiprocessing import get_context

    process = get_context("fork").Process(target=target, args=arguments, daemon=True)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return process


def _ended(process: BaseProcess) -> int | None:
    process.terminate()
    process.join()
    code = process.exitcode
    process.close()
    return code


def _pipe() -> tuple[Connection, Connection]:
    from multiprocessing import Pipe  # for small captures it would be a part of the whole time

    return Pipe()


def _leave_signals() -> None:
    """In another process: the first one decides what Ctrl-C means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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


def _work(work: Callable[[Connection], None], theirs: Connection, pipe: Connection) -> None:
    """The process of Beside."""
    theirs.close()
    _leave_signals()
    with suppress(*_GONE, KilledError):  # then the first process is gone, or sees that the other one is
        try:
            work(pipe)
        except (*_GONE, KilledError):
            raise
        except Exception as error:
            pipe.send((_FAILED, error))


def _make(
    items: Iterator[Item],
    memory: mmap.mmap,
    theirs: Sequence[Connection],
    pipes: Sequence[Connection],
) -> None:
    """The process of Ahead."""
    for pipe in theirs:
        pipe.close()
    _leave_signals()
    with suppress(*_GONE):  # then a taker is gone
        try:
            _hand_over(items, memory, pipes)
            while True:  # until the first taker is gone: freeing the memory would take its time there
                pipes[0].recv()
        except _GONE:
            raise
        except Exception as error:
            pipes[0].send((_FAILED, None, None, error))


def _hand_over(items: Iterator[Item], memory: mmap.mmap, pipes: Sequence[Connection]) -> None:
    holders = [0] * SLOTS  # who may still read it, by slot
    for arrays, rest, order, loose in items:
        slot = None
        if sum(map(_room, {id(values): values for values in arrays.values()}.values())) <= ROOM:
            while (returned := _returned(pipes, wait_for=0 not in holders)) is not None:
                holders[returned] -= 1
            slot = holders.index(0)
            holders[slot] = len(pipes)
        told = _ordered(arrays, order, loose) if slot is None else _put(memory, slot, arrays, order, loose)
        for pipe in pipes:
            pipe.send((_ITEM, slot, told, rest))
    for pipe in reversed(pipes):  # the first taker is the one that ends this process
        pipe.send((_END, None, None, None))


def _returned(pipes: Sequence[Connection], *, wait_for: bool) -> int | None:
    """The slot that a taker has read; None where there is none that need be waited for."""
    from multiprocessing.connection import wait

    ready = wait(pipes, None if wait_for else 0)
    slot: int | None = next((pipe.recv() for pipe in pipes if pipe in ready), None)
    return slot


Layout = list[tuple[str, str, int, int, int]]
"""Of each array its name, dtype, first byte in the shared memory, how many values are there, and its length.

One value is there of an array that repeats it: one with a stride of 0.
"""


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    return values[:1] if values.strides == (0,) else values


def _room(values: NDArray[Any]) -> int:
    return -(-_stored(values).nbytes // _ALIGNED) * _ALIGNED


def _ordered(arrays: Arrays, order: NDArray[np.int64] | None, loose: Collection[str]) -> Arrays:
    if order is None:
        return arrays
    taken: dict[int, NDArray[Any]] = {}  # the same array twice stays one
    for name, values in arrays.items():
        taken[id(values)] = values if name in loose else values.take(order)
    return {name: taken[id(values)] for name, values in arrays.items()}


def _put(
    memory: mmap.mmap, slot: int, arrays: Arrays, order: NDArray[np.int64] | None, loose: Collection[str]
) -> Layout:
    layout: Layout = []
    free = slot * ROOM
    places: dict[int, int] = {}
    for name, values in arrays.items():
        stored = _stored(values)
        at = places.setdefault(id(values), free)
        layout.append((name, values.dtype.str, at, len(stored), len(values)))
        if at == free:
            place = np.frombuffer(memory, values.dtype, len(stored), at)
            if order is None or stored is not values or name in loose:
                place[:] = stored
            else:
                values.take(order, out=place, mode="clip")  # which needs no copy of them
            free += _room(values)
    return layout


def _views(memory: mmap.mmap, layout: Layout) -> Arrays:
    views = {entry[1:]: _view(memory, *entry[1:]) for entry in layout}  # the same array twice stays one
    return {entry[0]: views[entry[1:]] for entry in layout}


def _view(memory: mmap.mmap, dtype: str, at: int, stored: int, length: int) -> NDArray[Any]:
    values: NDArray[Any] = np.frombuffer(memory, dtype, stored, at)
    return values if stored == length else np.broadcast_to(values, (length,))
