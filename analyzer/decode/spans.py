"""Where the next header of each frame begins, how to read it, and why a frame was given up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import DTypeLike, NDArray

from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import Undecoded

_DECODED = len(Undecoded)  # the mark of a frame that no test has refused

Bools = NDArray[np.bool_]
Test = tuple[Bools, Undecoded]
"""A mask (k,) of the frames that fail, and what to call the failure."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Places in one buffer, one a frame still being decoded, in file order; all arrays int64 (k,).

    index: of the frame in its block; at: the next header's first byte; end: one behind the last byte
    captured; stop: one behind the last byte that was on the wire, as far as is known. ``stop`` can lie
    before ``end`` (padding) and behind it (a short snapshot length). What is at or behind ``end`` belongs
    to other frames: it may be read, never believed. tunnel: uint64 (k,), what this travels in (see
    ``model.tunnel``), None where it is in none.
    """

    buffer: NDArray[np.uint8]
    index: NDArray[np.int64]
    at: NDArray[np.int64]
    end: NDArray[np.int64]
    stop: NDArray[np.int64]
    tunnel: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def of(cls, block: FrameBlock) -> Spans:
        """Whole frames: a frame is on the wire at least as long as what was captured of it."""
        return cls(
            buffer=block.buffer,
            index=np.arange(len(block), dtype=np.int64),
            at=block.offsets,
            end=block.offsets + block.captured,
            stop=block.offsets + np.maximum(block.captured, block.original),
        )

    def take(self, keep: NDArray[np.intp]) -> Spans:
        """The frames at the positions ``keep``."""
        return Spans(
            self.buffer,
            self.index.take(keep),
            self.at.take(keep),
            self.end.take(keep),
            self.stop.take(keep),
            None if self.tunnel is None else self.tunnel.take(keep),
        )

    def moved(self, at: NDArray[np.int64], stop: NDArray[np.int64] | None = None) -> Spans:
        """The same frames at another header, and with another ``stop`` if given."""
        return Spans(self.buffer, self.index, at, self.end, self.stop if stop is None else stop, self.tunnel)

    def lack(self, size: NDArray[np.int64] | int) -> Bools:
        """Frames of which fewer than ``size`` bytes were captured from ``at`` on."""
        return self.at + size > self.end

    def gather(self, header: DTypeLike, ahead: int = 0) -> NDArray[np.void]:
        """The header at ``at + ahead`` of each frame, see ``gather``."""
        return gather(self.buffer, header, self.at + ahead if ahead else self.at)


class Rejects:
    """Why each frame of a block became no row."""

    def __init__(self, frames: int) -> None:
        self._reasons = np.full(frames, _DECODED, dtype=np.uint8)

    def counts(self) -> NDArray[np.int64]:
        """Frames by reason, int64 (len(Undecoded),)."""
        counts = np.bincount(self._reasons, minlength=_DECODED + 1)
        return counts[:_DECODED].astype(np.int64)

    def index_of(self, reason: Undecoded) -> NDArray[np.int64]:
        """The frames that were refused for it, int64 (k,)."""
        return np.flatnonzero(self._reasons == reason).astype(np.int64)

    def sift(self, spans: Spans, *tests: Test) -> NDArray[np.intp] | None:
        """Refuse the frames that fail a test, each for the first that it fails.

        Returns the positions in ``spans`` of the rest, None where that is all of them: in the usual case
        nothing need be copied.
        """
        failed = reduce(np.logical_or, (mask for mask, _ in tests))
        if not failed.any():
            return None
        for mask, reason in reversed(tests):
            self._reasons[spans.index[mask]] = reason
        return np.flatnonzero(~failed)

    def has_refused(self, spans: Spans, reason: Undecoded | None = None) -> Bools:
        """Which of the frames are refused, for this reason or any."""
        reasons = self._reasons[spans.index]
        mask: Bools = reasons != _DECODED if reason is None else reasons == reason
        return mask

    def accept(self, index: NDArray[np.int64]) -> None:
        """These frames have a row after all."""
        self._reasons[index] = _DECODED

    def rename(self, spans: Spans, mask: Bools, old: Undecoded, new: Undecoded) -> None:
        """Where ``mask`` holds and the reason was ``old``, let it be ``new``."""
        index = spans.index[mask]
        self._reasons[index[self._reasons[index] == old]] = new


def gather(buffer: NDArray[np.uint8], header: DTypeLike, at: NDArray[np.int64]) -> NDArray[np.void]:
    """One structure of dtype ``header`` (k,) from each offset ``at`` >= 0; zeros behind the buffer's end.

    The view has a stride of one byte, so that any offset is an index. It is indexed as opaque bytes and
    given its fields afterwards: NumPy copies a structured element field by field, 25 times slower.
    """
    dtype = np.dtype(header)
    size = dtype.itemsize
    last = len(buffer) - size
    if last < 0 or at.max(initial=0) > last:
        return _gather_late(buffer, dtype, at)
    return _opaque(buffer, size)[at].view(dtype)


def words(buffer: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.uint16]:
    """The 16-bit number in network byte order at each offset >= 0: (k,); any number behind the buffer's end.

    Two looks at single bytes are quicker than one copy of two.
    """
    values = buffer.take(at, mode="clip").astype(np.uint16)
    values <<= 8
    values |= buffer.take(at + 1, mode="clip")
    return values


def _opaque(buffer: NDArray[np.uint8], size: int) -> NDArray[np.void]:
    """``size`` bytes from every offset: (len(buffer) - size + 1,), overlapping, nothing copied."""
    return np.ndarray((len(buffer) - size + 1,), dtype=f"V{size}", buffer=buffer, strides=(1,))


def _gather_late(
    buffer: NDArray[np.uint8], dtype: np.dtype[np.void], at: NDArray[np.int64]
) -> NDArray[np.void]:
    """``gather`` where some headers reach beyond the buffer: those come from a padded copy of its tail."""
    size = dtype.itemsize
    first = max(len(buffer) - size + 1, 0)  # the first offset that is too late
    tail = np.concatenate((buffer[first:], np.zeros(2 * size, dtype=np.uint8)))
    result = _opaque(tail, size)[np.clip(at - first, 0, size)]
    early = at < first
    if early.any():
        result[early] = _opaque(buffer, size)[at[early]]
    return result.view(dtype)


def take(headers: NDArray[np.void], keep: NDArray[np.intp]) -> NDArray[np.void]:
    """``headers[keep]``, as opaque bytes for the reason that ``gather`` gives."""
    return headers.view(f"V{headers.itemsize}").take(keep).view(headers.dtype)
