"""The files of a capture that goes on and rotates: which of them is finished, and the next one to be read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from analyzer.sources.inputs import Input, begun, listed
from analyzer.sources.remote import is_url, is_whole
from analyzer.sources.series import age, family

QUIET = 30.0
"""Seconds without a change after which the newest file counts as finished, where its writer is not seen."""


_UNREADABLE = ("no-permission", "unreadable-file")
_NAMED_SO = re.compile(r"\.(?:pcap|pcapng|cap)[0-9]*(?:\.\w+)?$")
"""Names of files that ought to be captures, compressed or not."""


class _Seen(NamedTuple):
    """A file as it was when it was looked into, and the time of its first frame, None where there is none."""

    size: int
    changed: float
    first: int | None


@dataclass(slots=True)
class Taken:
    """A file of which ``packets`` were read; the time of its first frame tells it from others of its name."""

    path: str
    first: int
    size: int
    packets: int


class Rotation:
    """Files of one series. One is finished once a newer one has a frame, or nothing was written for a while.

    An object in object storage is finished as soon as it is there. Where a file has grown after it was read,
    its rest is read. Can be pickled: what was taken is known, what was merely seen is looked at again.
    """

    def __init__(self, name: str, quiet: float = QUIET) -> None:
        self.name = name
        self.quiet = quiet
        self.problems: list[str] = []
        """Sentences about files that are left alone, in the order in which they were met."""
        self.unfinished = ""
        """The file that was left alone the last time, as somebody may still write into it; empty for none."""
        self._taken: dict[str, Taken] = {}
        self._last: Taken | None = None
        self._left: set[tuple[str, int]] = set()
        self._listed: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._since: dict[str, tuple[int, float]] = {}

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"_listed": set(), "_seen": {}, "_since": {}, "problems": [], "unfinished": ""}

    def next(self) -> tuple[Input, int] | None:
        """The next finished file, and how many frames of it were read before; None where there is none now.

        Raises UserError where the directory cannot be read.
        """
        self.unfinished = ""
        there = {one.path: one for one in self._begun()}
        self._forget(there)
        waiting = sorted(self._waiting(there), key=age)
        last = self._last and there.get(self._last.path)
        if last and self._last and last.first == self._last.first and last.size > self._last.size:
            if waiting or self._is_settled(last):
                return last, self._last.packets
            self.unfinished = last.path
        elif waiting and (len(waiting) > 1 or self._is_settled(waiting[0])):
            return waiting[0], 0
        elif waiting:
            self.unfinished = waiting[0].path
        return None

    def took(self, one: Input, packets: int, *, whole: bool = True) -> None:
        """So many frames of the file were read; it is ``whole`` unless it is to be asked for again."""
        self._last = Taken(one.path, one.first or 0, one.size if whole else -1, packets)
        self._taken[one.path] = self._last

    def _begun(self) -> Iterator[Input]:
        """The files of the series that have a frame, each looked into once for every time that it changes."""
        files = listed(self.name)
        self._listed = {one.path for one in files}
        for one in files:
            changed = _changed(one.path)
            known = self._seen.get(one.path)
            if known is None or (known.size, known.changed) != (one.size, changed):
                looked = begun(one)
                why = looked.error.reference if looked.error else ""
                if why == "not-a-capture" and not self._is_settled(one):
                    continue  # somebody may just have begun it
                known = self._seen[one.path] = _Seen(one.size, changed, looked.first)
                worth_a_word = why in _UNREADABLE or (why == "not-a-capture" and _NAMED_SO.search(one.path))
                if looked.error and worth_a_word:
                    self._leave(one.path, 0, f"{looked.error.what}: left out")
            if known.first is not None:
                yield Input(one.path, known.first, one.size)

    def _waiting(self, there: dict[str, Input]) -> Iterator[Input]:
        """Those that were not read, and go on what was."""
        own = family(self._last.path) if self._last else None
        for one in there.values():
            known = self._taken.get(one.path)
            if known and known.first == one.first:
                continue
            own = own or family(min(there.values(), key=age).path)
            if family(one.path) != own:
                self._leave(
                    one.path, one.first or 0, "is no file of the same series: left out (a pattern chooses)"
                )
            elif self._last and (one.first or 0) < self._last.first:
                self._leave(one.path, one.first or 0, "begins before what was read already: left out")
            else:
                yield one

    def _leave(self, path: str, first: int, why: str) -> None:
        if (path, first) not in self._left:
            self._left.add((path, first))
            self.problems.append(f"{path}: {why}")

    def _forget(self, there: dict[str, Input]) -> None:
        """What is not there any more is not known any more, but for the last one."""
        self._taken = {path: known for path, known in self._taken.items() if path in there}
        self._seen = {path: known for path, known in self._seen.items() if path in self._listed}
        self._since = {path: known for path, known in self._since.items() if path in there}

    def _is_settled(self, one: Input) -> bool:
        """Whether nobody writes into it any more, as far as can be told."""
        if is_url(one.path):
            if is_whole(one.path):
                return True
            size, since = self._since.setdefault(one.path, (one.size, time.monotonic()))
            if size != one.size:
                self._since[one.path] = one.size, time.monotonic()
            return size == one.size and time.monotonic() - since >= self.quiet
        return time.time() - _changed(one.path) >= self.quiet


def _changed(path: str) -> float:
    """When a file of this machine was changed last (seconds since the epoch), 0 where that is not known."""
    try:
        return 0.0 if is_url(path) else Path(path).stat().st_mtime
    except OSError:
        return 0.0
