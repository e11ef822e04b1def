"""Times that go on where this machine's clock was set while it captured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from analyzer.model.blocks import FrameBlock

_SECOND = 10**9
_STEP = _SECOND
"""Smaller steps are left alone: a clock that is disciplined (NTP) slews, and queues are not in order."""


class Steady:
    """Moves times behind a step of the clock back onto the one before it.

    A deadline is reckoned from times; a step would pass all of them at once, or none for as long as it was.
    A step back shows in the times; one ahead where a packet comes from the future of the monotonic clock,
    which ``now`` gives in nanoseconds.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._moved = 0
        self._last: int | None = None
        self._ahead: int | None = None
        self._steps: list[int] = []

    def steadied(self, block: FrameBlock) -> FrameBlock:
        """The block with times as if the clock had never been set."""
        times = block.times + self._moved
        before = times[0] if self._last is None else self._last
        jumps = np.diff(times, prepend=before)
        for row in np.flatnonzero(jumps < -_STEP).tolist():
            self._note(-int(jumps[row]), times[row:])
        now = self._now()
        if self._ahead is not None and (excess := int(times[-1]) - now - self._ahead) > _STEP:
            row = int(np.argmax(np.diff(times, prepend=before)))
            self._note(-excess, times[row:])
        ahead = int(times[-1]) - now
        self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)
        self._last = int(times[-1])
        return replace(block, times=times) if self._moved else block

    def _note(self, by: int, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        self._moved += by
        times += by
        self._steps.append(by)

    def problems(self) -> Iterator[str]:
        """A sentence about the steps."""
        if self._steps:
            first = self._steps[0] / _SECOND
            more = f", and {len(self._steps) - 1} more times" if len(self._steps) > 1 else ""
            where = "back" if first > 0 else "ahead"
            yield (
                f"The clock of this machine was set {where} by {abs(first):,.1f} s "
                f"during the capture{more}: times after that are told as if it had not been."
            )
