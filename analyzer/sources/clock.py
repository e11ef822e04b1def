"""What is wrong with the time stamps of a capture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from analyzer.model.times import duration

SECOND = 1_000_000_000

_DISORDER = SECOND // 100
"""Nanoseconds by which frames of several queues or interfaces are out of order every day."""

EARLIEST = 631_152_000 * SECOND
"""The first of January 1990: nobody wrote a capture before that."""


class Clock:
    """Looks at the times of all frames, in their order; any cut into blocks gives the same."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.last: int | None = None
        self._backwards = 0
        self._furthest = 0

    def note(self, times: NDArray[np.int64]) -> None:
        """Takes the times of the next frames: int64 (n,) nanoseconds, n > 0."""
        earliest, latest = int(times.min()), int(times.max())
        before = earliest if self.last is None else self.last
        if earliest < before or (times[1:] < times[:-1]).any():
            behind = np.maximum(np.maximum.accumulate(times), before) - times
            self._backwards += int(np.count_nonzero(behind > _DISORDER))
            self._furthest = max(self._furthest, int(behind.max()))
        self.first = earliest if self.first is None else min(self.first, earliest)
        self.last = max(before, latest)

    def take(self, later: Clock) -> bool:
        """Add the times of what follows; False where it is not known how many of them lie too far back."""
        if later.first is None or later.last is None:
            return True
        behind = 0 if self.last is None else self.last - later.first
        if behind > _DISORDER:
            return False
        self._backwards += later._backwards
        self._furthest = max(self._furthest, later._furthest, behind)
        self.first = later.first if self.first is None else min(self.first, later.first)
        self.last = later.last if self.last is None else max(self.last, later.last)
        return True

    def problems(self, untimed: int = 0) -> Iterator[str]:
        """Sentences at the end of the capture; ``untimed`` frames have no time stamp at all."""
        if self._backwards:
            late = f"{self._backwards:,} packets have an earlier time than one before them, by up to"
            if self._backwards == 1:
                late = "1 packet has an earlier time than one before it, by"
            yield (
                f"{late} {duration(self._furthest)}: the clock was set back, or the file was put together of "
                "several. Delays and deadlines around there are doubtful."
            )
        if self.first is not None and self.first < EARLIEST and not untimed:
            at = datetime.fromtimestamp(self.first // SECOND, UTC)
            yield (
                f"The time stamps begin on {at:%Y-%m-%d}: the clock of the capturing machine was not set, or "
                "the times were taken out. Dates and times of day mean nothing; delays may be right."
            )
