"""Where each record of a buffer begins: the plain walk, and a fast one that gives the same answer.

Records of both capture formats are a chain: where one begins is known only from the length of the one before
it. One step of a Python loop costs more than everything else that reading a packet needs, so the fast walk
guesses some hundred record starts, spread over the buffer, and follows all these chains in step, one array
operation for all. It is exact, however good the guesses: the first chain starts at a true record, and a chain
whose last step lands on the start of the next chain proves that one true. Where it lands elsewhere, the plain
walk goes on until it meets the start of a later chain. A guess is never believed, only confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

NONE: Offsets = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the fast walk works; no value changes what it finds.

    probe: records walked plainly first, to learn how long records are. fewest: expected records below which
    the rest is walked plainly too. chains: guesses at most; length: records that a chain should have at
    least. batch: steps between two looks at which chains have ended. few: chains for which going in step no
    longer pays.
    """

    probe: int = 64
    fewest: int = 1024
    chains: int = 384
    length: int = 32
    batch: int = 32
    few: int = 24


TUNING = Tuning()


@dataclass(frozen=True, slots=True)
class Windows:
    """``count`` windows of ``width`` bytes, the first at ``start``, one every ``spacing`` bytes.

    The windows lie before ``end``, where the buffer's data ends.
    """

    start: int
    spacing: int
    width: int
    count: int
    end: int

    def bytes_at(self, buffer: Bytes, shift: int) -> Bytes:
        """The byte ``shift`` bytes behind each byte of each window: uint8 (count, width), a view."""
        shape, strides = (self.count, self.width), (self.spacing, 1)
        return np.ndarray(shape, np.uint8, buffer=buffer, offset=self.start + shift, strides=strides)

    def positions(self, mask: NDArray[np.bool_]) -> tuple[Offsets, Offsets]:
        """Offsets in the buffer of the true elements of ``mask`` (count, width), and their windows."""
        rows, columns = np.divmod(np.flatnonzero(mask), self.width)
        return self.start + rows * self.spacing + columns, rows


class RecordFormat(Protocol):
    """What the walks need to know of a capture format.

    A buffer's data ends at ``end``; it can be read for MARGIN bytes more, which may hold anything.
    """

    @property
    def fixed(self) -> int:
        """Bytes that a record takes beyond what its length field says."""

    def plain_walk(
        self, buffer: Bytes, at: int, end: int, until: int | None = None, most: int | None = None
    ) -> tuple[list[int], int]:
        """Record after record from ``at`` on: offsets of the complete and sound ones, and where it stopped.

        It stops at a record that is damaged or does not end within ``end``, at the first offset not below
        ``until``, and after ``most`` records. This is the definition of what a record is: the fast walk must
        give the same.
        """

    def lengths(self, buffer: Bytes) -> NDArray[np.uint32]:
        """The length field of a record, were there one at each byte: uint32 (len(buffer) - some,), a view."""

    def guesses(self, buffer: Bytes, at: int, windows: Windows) -> Offsets:
        """At most one offset a window, ascending, that looks like a record; ``at`` is a true record."""

    def first_unsound(self, buffer: Bytes, offsets: Offsets, following: Offsets) -> int:
        """Index of the first record at which the plain walk would have stopped, else their number.

        ``following``: int64 (n,), where the record after each one begins, by the length field.
        """


MARGIN = 64
"""Bytes behind a buffer's data that can be read, whatever they hold."""

MAX_RECORD = 16 << 20
"""Bytes that a record may claim whatever the file's header says: the buffer need not become larger."""

SHORTEST = 12
"""Bytes that the shortest record of any format takes (pcapng, section 3.1: a block without a body)."""


def gather(buffer: Bytes, offsets: Offsets, words: int, order: str) -> NDArray[np.uint32]:
    """``words`` 32-bit words at each offset: uint32 (n, words), read in byte order ``order`` ("<" or ">").

    The indexed array is a view with a stride of one byte, so each row is one copy of a few bytes.
    """
    width = 4 * words
    view = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer=buffer, strides=(1,))
    return view[offsets].view(f"{order}u4").reshape(-1, words).astype(np.uint32, copy=False)


def touch(buffer: Bytes, offsets: Offsets) -> None:
    """Bring the lines at these offsets into the processor's caches; one beyond the buffer's end is none.

    NumPy takes single bytes in so short a loop that it waits for many of them at once: what is far away comes
    twice as fast as when longer pieces are copied.
    """
    buffer.take(offsets, mode="clip")


def word_view(buffer: Bytes, shift: int, order: str) -> NDArray[np.uint32]:
    """The 32-bit word ``shift`` bytes behind each byte of the buffer, as a view with a stride of one byte."""
    length = max(len(buffer) - shift - 3, 0)
    return np.ndarray((length,), f"{order}u4", buffer=buffer, offset=shift, strides=(1,))


def find_records(
    form: RecordFormat, buffer: Bytes, at: int, end: int, tuning: Tuning = TUNING
) -> tuple[Offsets, int]:
    """What ``form.plain_walk(buffer, at, end)`` gives, sooner: int64 (n,) offsets and where it stopped."""
    head, stop = form.plain_walk(buffer, at, end, most=tuning.probe)
    first = np.array(head, np.int64)
    if len(head) < tuning.probe:
        return first, stop
    expected = (end - stop) * len(head) // (stop - at)
    if expected < tuning.fewest:
        rest, stop = form.plain_walk(buffer, stop, end)
        return np.concatenate((first, np.array(rest, np.int64))), stop
    windows = _windows(int(np.diff(first, append=stop).max()), expected, stop, end, tuning)
    starts = np.concatenate((np.array([stop], np.int64), form.guesses(buffer, stop, windows)))
    path = _Path(form, buffer, end, starts, _follow(form, buffer, starts, end, tuning))
    offsets, stop = _sound_part(form, buffer, path.offsets(), end, stop)
    return np.concatenate((first, offsets)), stop


def _windows(longest: int, expected: int, at: int, end: int, tuning: Tuning) -> Windows:
    """Windows wide enough that each most probably holds the start of a record."""
    count = max(2, min(tuning.chains, expected // tuning.length))
    spacing = (end - at) // count
    # The probe may have seen small records only; a full Ethernet frame is always to be expected.
    width = min(spacing, max(1600, min(longest, 16_384)))
    return Windows(at + spacing, spacing, width, count - 1, end)


@dataclass(frozen=True, slots=True)
class _Chains:
    """Chain k has ``records[begins[k] : begins[k + 1]]``, then stands at ``landed[k]``."""

    records: Offsets
    begins: Offsets
    landed: Offsets


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some steps of the chains ``ids``: ``rows`` (steps, chains), the first ``counts`` of each inside."""

    ids: Offsets
    rows: Offsets
    inside: NDArray[np.bool_]
    counts: Offsets


def _follow(form: RecordFormat, buffer: Bytes, starts: Offsets, end: int, tuning: Tuning) -> _Chains:
    """All chains in step, each until it reaches the start of the next one, or steps no longer pay."""
    lengths = form.lengths(buffer)
    bounds = np.append(starts[1:], end)
    landed = starts.copy()
    ids, at = np.arange(len(starts)), starts.copy()
    batches: list[_Batch] = []
    # A hostile file can make a few chains very long: the plain walk is better at those.
    steps_left = (end - int(starts[0])) // len(starts) // SHORTEST + tuning.batch
    while len(ids) > tuning.few and steps_left > 0:
        rows = np.empty((tuning.batch, len(ids)), np.int64)
        for step in range(tuning.batch):
            rows[step] = at
            touch(buffer, at)
            np.add(at, lengths[at], out=at)
            np.add(at, form.fixed, out=at)
            np.minimum(at, end, out=at)
        inside = rows < bounds[ids]
        counts = np.count_nonzero(inside, axis=0).astype(np.int64)
        batches.append(_Batch(ids, rows, inside, counts))
        ended = counts < tuning.batch
        beyond = rows[np.minimum(counts, tuning.batch - 1), np.arange(len(ids))]
        landed[ids] = np.where(ended, beyond, at)
        going = ~ended & (at < bounds[ids]) & (at > rows[-1])
        ids, at = ids[going], at[going]
        steps_left -= tuning.batch
    return _in_order(batches, landed)


def _in_order(batches: list[_Batch], landed: Offsets) -> _Chains:
    """The records of all batches, chain after chain."""
    totals = np.zeros(len(landed), np.int64)
    for batch in batches:
        totals[batch.ids] += batch.counts
    begins = np.concatenate((np.zeros(1, np.int64), np.cumsum(totals)))
    records = np.empty(int(begins[-1]), np.int64)
    next_free = begins[:-1].copy()
    for batch in batches:
        values = batch.rows.T[batch.inside.T]
        before = np.cumsum(batch.counts) - batch.counts
        places = np.repeat(next_free[batch.ids] - before, batch.counts)
        records[places + np.arange(len(values))] = values
        next_free[batch.ids] += batch.counts
    return _Chains(records, begins, landed)


@dataclass(frozen=True, slots=True)
class _Path:
    """The one chain that begins at ``starts[0]``, put together from confirmed chains and plain walks."""

    form: RecordFormat
    buffer: Bytes
    end: int
    starts: Offsets
    chains: _Chains

    def offsets(self) -> Offsets:
        """Each is where the length of the one before leads to; what a record claims is not yet judged."""
        parts: list[Offsets] = []
        begins, last = self.chains.begins, len(self.starts) - 1
        missed = np.flatnonzero(self.chains.landed[:-1] != self.starts[1:])
        chain = 0
        while True:
            place = int(np.searchsorted(missed, chain))
            final = int(missed[place]) if place < len(missed) else last
            parts.append(self.chains.records[begins[chain] : begins[final + 1]])
            met = self._to_next_chain(int(self.chains.landed[final]), final + 1, parts)
            if met is None:
                return np.concatenate(parts)
            chain = met

    def _to_next_chain(self, at: int, first: int, parts: list[Offsets]) -> int | None:
        """Walks plainly to the start of chain ``first`` or a later one; None where none is met."""
        while True:
            chain = max(first, int(np.searchsorted(self.starts, at)))
            if chain == len(self.starts):
                parts.append(np.array(self.form.plain_walk(self.buffer, at, self.end)[0], np.int64))
                return None
            goal = int(self.starts[chain])
            if goal == at:
                return chain
            walked, at = self.form.plain_walk(self.buffer, at, self.end, until=goal)
            parts.append(np.array(walked, np.int64))
            if at < goal:
                return None


def _sound_part(
    form: RecordFormat, buffer: Bytes, offsets: Offsets, end: int, start: int
) -> tuple[Offsets, int]:
    """The records before the first one at which the plain walk would have stopped, and where that is."""
    if not len(offsets):
        return NONE, start
    sound = form.first_unsound(buffer, offsets[:-1], offsets[1:])
    if sound < len(offsets) - 1:
        return offsets[:sound], int(offsets[sound])
    # Nothing follows the last one that could say how long it is, so it is looked at plainly.
    last, stop = form.plain_walk(buffer, int(offsets[-1]), end, most=1)
    return offsets[: sound + len(last)], stop
