"""Hosts whose hardware address was asked for in vain, so that what was to be sent to them never was."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from analyzer.data import load
from analyzer.model.flow import address_text
from analyzer.model.neighbour import Asked
from analyzer.model.records import Records
from analyzer.model.times import utc

_KEPT = 4096
"""Pairs of who asks and for whom, at most: a scan of a network asks for every address in it."""
_KEPT_QUESTIONS = 1 << 18
"""Questions that are kept of all of them together."""
_TOLD = 3
_RULES = load("profiles/linux")["neighbour"]
_TRIES: int = _RULES["tries"]
_STEP_NS = round(_RULES["interval_s"] * 10**9)
_APART_NS, _COPY_NS = _STEP_NS * 3 // 2, _STEP_NS // 2
"""What comes later is another attempt; what comes sooner is no other try, but a copy, or somebody else's."""

Address = tuple[int, int, int]
"""IP version and both halves."""


@dataclass(slots=True)
class _Questions:
    """What one host asked of another: times (nanoseconds, the capture's clock) and frames, and where the
    attempt that goes on begins. Attempts that are over stay only where they failed."""

    times: array[int] = field(default_factory=lambda: array("q"))
    frames: array[int] = field(default_factory=lambda: array("q"))
    begin: int = 0
    answered: array[int] = field(default_factory=lambda: array("q"))
    """When somebody answered first after an attempt that failed."""

    def cut(self, length: int) -> int:
        """Keep so many; how many are gone."""
        gone = len(self.times) - length
        del self.times[length:], self.frames[length:]
        self.begin = length
        return gone

    def end(self, answered: int | None) -> int:
        """The attempt is over, by an answer at that time or not; how many questions are forgotten."""
        count = len(self.times) - self.begin
        if answered is not None and count and answered - self.times[-1] < _STEP_NS:
            count = (count - 1) // _TRIES * _TRIES  # the last tries were not in vain
        gone = self.cut(self.begin + (count if count >= _TRIES else 0))
        if answered is not None and self.times and (not self.answered or self.answered[-1] < self.times[-1]):
            self.answered.append(answered)
        return gone

    def since(self, since: int, until: int) -> tuple[slice, int]:
        """Those between these times that no answer followed by then; when the last before was, or 0."""
        first, end = bisect_right(self.times, since), bisect_left(self.times, until)
        heard = bisect_left(self.answered, until)
        known = bisect_right(self.times, self.answered[heard - 1]) if heard else 0
        return slice(max(first, known), end), self.times[first - 1] if first > known else 0


class Neighbours:
    """Knows the questions that nobody answered, over all blocks of a capture."""

    def __init__(self) -> None:
        self._by_target: dict[Address, dict[Address, _Questions]] = {}
        self._by_asker: dict[Address, dict[Address, _Questions]] = {}
        self._pairs = self._questions = 0
        self._swept = 0

    def add(self, rows: Records) -> None:
        """The next ones, NEIGHBOUR rows (k,)."""
        for frame, clock, version, asks, asker_hi, asker_lo, target_hi, target_lo in rows.tolist():
            target = (version, target_hi, target_lo)
            if asks:
                asker = (version, asker_hi, asker_lo)
                self._answers(asker, clock)  # who asks is there
                self._asks(asker, target, clock, frame)
            else:
                self._answers(target, clock)

    def in_vain(self, asker: str, since: int, until: int) -> list[Asked]:
        """Whom that address asked in vain between these times, both left out, as often as the kernel does.

        Nothing later on the capture's clock counts, although it may be known.
        """
        if not self._questions:
            return []
        address = ip_address(asker)
        key = (address.version, int(address) >> 64, int(address) & (1 << 64) - 1)
        found = []
        for target, questions in self._by_asker.get(key, {}).items():
            part, before = questions.since(since, until)
            if part.stop - part.start >= _TRIES:
                times, frames = questions.times[part], questions.frames[part]
                found.append(Asked(address_text(*target), tuple(times), tuple(frames), before))
        return found

    def _answers(self, target: Address, clock: int) -> None:
        for asker, questions in list(self._by_target.get(target, {}).items()):
            self._questions -= questions.end(clock)
            if not questions.times:
                self._forget(asker, target)

    def _asks(self, asker: Address, target: Address, clock: int, frame: int) -> None:
        questions = self._by_asker.get(asker, {}).get(target) or self._new(asker, target, clock)
        if questions is None or self._questions >= _KEPT_QUESTIONS:
            return
        if questions.times and len(questions.times) > questions.begin:
            apart = clock - questions.times[-1]
            if apart < _COPY_NS:
                return
            if apart > _APART_NS:
                self._questions -= questions.end(None)
        questions.times.append(clock)
        questions.frames.append(frame)
        self._questions += 1

    def _new(self, asker: Address, target: Address, clock: int) -> _Questions | None:
        if self._pairs >= _KEPT and not self._sweep(clock):
            return None
        self._pairs += 1
        questions = _Questions()
        self._by_target.setdefault(target, {})[asker] = questions
        self._by_asker.setdefault(asker, {})[target] = questions
        return questions

    def _sweep(self, clock: int) -> bool:
        """Forget who asked too seldom to have failed; whether there is room then."""
        if clock - self._swept >= _APART_NS:
            self._swept = clock
            for target, askers in list(self._by_target.items()):
                for asker, questions in list(askers.items()):
                    if clock - questions.times[-1] > _APART_NS:
                        self._questions -= questions.end(None)
                        if not questions.times:
                            self._forget(asker, target)
        return self._pairs < _KEPT

    def _forget(self, asker: Address, target: Address) -> None:
        self._pairs -= 1
        for table, key, other in ((self._by_target, target, asker), (self._by_asker, asker, target)):
            del table[key][other]
            if not table[key]:
                del table[key]

    def problems(self) -> Iterator[str]:
        """Whom nobody could reach, as sentences."""
        silent = [
            (target, asker, questions)
            for target, askers in self._by_target.items()
            for asker, questions in askers.items()
            if len(questions.times) >= _TRIES
        ]
        for target, asker, questions in silent[:_TOLD]:
            yield _sentence(address_text(*target), address_text(*asker), target[0], questions)
        if len(silent) > _TOLD:
            yield f"{len(silent) - _TOLD} more addresses did not answer ARP or neighbour discovery either"


def _sentence(target: str, asker: str, version: int, questions: _Questions) -> str:
    what = "ARP" if version == 4 else "neighbour discovery"
    return (
        f"{target} did not answer {what}: {asker} asked {len(questions.times)} times, a second apart, from "
        f"{utc(questions.times[0])} on. If {asker} runs Linux, a program there that called connect() to "
        f"{target}, or to a host behind it, got {_RULES['errno']} ({_RULES['says']}) {_RULES['gives_up_s']} "
        "s after the first question, whether or not the capture holds a SYN"
    )
