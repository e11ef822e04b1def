"""Which files may be pieces of one capture, as `tcpdump -C`, `-G` and `-W`, dumpcap or editcap leave them.

Names only keep apart what they tell apart. Whether a file really carries on another is seen when they are
read, since the last time stamp of a file is not known before.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from analyzer.model.blocks import FrameBlock
from analyzer.sources.inputs import Input

PAUSE = 60 * 10**9
"""Nanoseconds between two files that need no reason."""

LONGEST_PAUSE = 3600 * 10**9

DISORDER = 10**7
"""Nanoseconds by which frames may be out of order where one file ends and the next begins."""

_NUMBER = re.compile(r"\d+")
_COMPRESSED = re.compile(r"\.(gz|xz|zst|lz4)$")


def series(files: Sequence[Input]) -> list[list[int]]:
    """Indices of files that may carry on each other, each list in the order of their first frames.

    The lists are in the order of their first members' indices. Files whose names differ in numbers only (a
    counter, a date) are one list, unless a number goes up and down with time: it then names a host or an
    interface, and each has its own list. All files without such a sibling are one list. A file of which no
    time is known (a pipe, one without a frame) has its own.
    """
    families: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, file in enumerate(files):
        if file.first is not None:
            families[family(file.path)].append(index)
    lists = [[index] for index, file in enumerate(files) if file.first is None]
    others: list[int] = []
    for members in families.values():
        if len(members) == 1:
            others += members
        else:
            lists += _told_apart(_by_time(members, files), files)
    if others:
        lists.append(_by_time(others, files))
    return sorted(lists, key=min)


def _by_time(members: list[int], files: Sequence[Input]) -> list[int]:
    return sorted(members, key=lambda index: (*age(files[index]), index))


def age(file: Input) -> tuple[int, list[int]]:
    """What puts files of a series in order: the time of their first frames, then numbers in their names."""
    return file.first or 0, _numbers(file.path)


def family(path: str) -> tuple[str, str]:
    """The directory, and the name without its numbers; `x.pcap` and `x.pcap1` are of one family."""
    file = Path(path)
    stem = _COMPRESSED.sub("", file.name)
    return str(file.parent), _NUMBER.sub("#", stem).removesuffix("#")


def _numbers(path: str) -> list[int]:
    """The numbers in a file's name; of a thousand digits no more than Python converts without complaint."""
    return [int(run[-18:]) for run in _NUMBER.findall(_COMPRESSED.sub("", Path(path).name))]


def _told_apart(members: list[int], files: Sequence[Input]) -> list[list[int]]:
    """The members, in order of time, as lists in which the numbers grow, but for one new start of a ring."""
    numbers = [_numbers(files[index].path) for index in members]
    falls = sum(after < before for before, after in pairwise(numbers))
    if not falls or (falls == 1 and numbers[-1] < numbers[0]):
        return [members]
    place = next(
        place for place in range(max(map(len, numbers))) if len({_at(n, place) for n in numbers}) > 1
    )
    parts: defaultdict[int, list[int]] = defaultdict(list)
    for index, its_numbers in zip(members, numbers, strict=True):
        parts[_at(its_numbers, place)].append(index)
    return [part for members in parts.values() for part in _told_apart(members, files)]


def _at(numbers: list[int], place: int) -> int:
    return numbers[place] if place < len(numbers) else -1


class Seam:
    """Whether what comes next can be the next file of the capture that was read up to now."""

    def __init__(self) -> None:
        self._first = 0
        self._last: int | None = None
        self._longest = 0

    def note(self, block: FrameBlock) -> None:
        """These frames were read."""
        times = block.times
        begin = int(times[0])
        if self._last is None:
            self._first = self._last = begin
        self._longest = max(self._longest, begin - self._last, int(np.diff(times).max(initial=0)))
        self._last = max(self._last, int(times.max()))

    def take(self, later: Seam) -> None:
        """Those frames were read that another one has noted."""
        if self._last is None:
            self._first, self._last, self._longest = later._first, later._last, later._longest
        elif later._last is not None:
            self._longest = max(self._longest, later._longest, later._first - self._last)
            self._last = max(self._last, later._last)

    def overlaps(self, begin: int) -> bool:
        """Whether a file begins before the end, at the lowest time of its first block's frames.

        Then the two were captured at a time.

        A little disorder is allowed, but not where all that was captured was little.
        """
        if self._last is None:
            return False
        return self._last - begin > min(DISORDER, (self._last - self._first) // 100)

    def follows(self, begin: int) -> bool:
        """Whether a file with this beginning begins soon enough after the end.

        Silence is evidence: a system that does not try again has given up. So a pause that is longer than
        any before it is not taken for silence: nobody may have captured then.
        """
        if self._last is None or self.overlaps(begin):
            return False
        pause = begin - self._last
        return pause <= min(max(PAUSE, 3 * self._longest), LONGEST_PAUSE)
