"""Hosts whose hardware address was asked for in vain, so that what was to be sent to them never was."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
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
_KEPT_NS = 1200 * 10**9
"""How long before the newest block questions are kept where there are too many; nothing waits so long."""
_RECENT = 64
"""Questions among which the last failure is looked for."""
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
    """What one host asked of another: times (nanoseconds, the capture's clock, ascending) and frames.

    ``answers``: when somebody answered, where that was after three questions or more; ``gone``: questions of
    attempts that failed which are kept no more, the first of them at ``began`` (0: there is none).
    """

    times: array[int] = field(default_factory=lambda: array("q"))
    frames: array[int] = field(default_factory=lambda: array("q"))
    answers: array[int] = field(default_factory=lambda: array("q"))
    gone: int = 0
    began: int = 0

    @property
    def open(self) -> int:
        """How many nobody has answered so far."""
        return len(self.times) - (bisect_right(self.times, self.answers[-1]) if self.answers else 0)

    def answered(self, clock: int) -> None:
        """Somebody answered. Fewer than three questions before that tell nothing, whenever one looks."""
        count = self.open
        if count >= _TRIES:
            self.answers.append(clock)
        elif count:
            del self.times[-count:], self.frames[-count:]

    def since(self, since: int, until: int) -> tuple[slice, int]:
        """Those between these times that no answer followed by then; when the last failure before was, or 0.

        What came at ``until`` or later makes no difference.
        """
        first, end = bisect_right(self.times, since), bisect_left(self.times, until)
        heard = bisect_left(self.answers, until)
        known = bisect_right(self.times, self.answers[heard - 1]) if heard else 0
        before = max(
            (last for _, last, _ in _attempts(self.times[max(known, first - _RECENT) : first])), default=0
        )
        return slice(max(first, known), end), before

    def failed(self) -> tuple[int, int, int]:
        """How many questions were in vain, as far as is known now, and when the first and the last were."""
        count, first, last = self.gone, self.began, 0
        begin = 0
        for answer in (*self.answers, None):
            end = len(self.times) if answer is None else bisect_right(self.times, answer)
            for began, ended, tries in _attempts(self.times[begin:end], answer):
                count, first, last = count + tries, first or began, ended
            begin = end
        return count, first, last

    def forget(self, before: int) -> None:
        """Keep none that was asked before that time but what is told of it in the end."""
        length = bisect_left(self.times, before)
        if not length:
            return
        old = _Questions(self.times[:length], self.frames[:length], self.answers, self.gone, self.began)
        self.gone, self.began, _ = old.failed()
        del self.times[:length], self.frames[:length], self.answers[: bisect_left(self.answers, before)]


def _attempts(times: Sequence[int], answer: int | None = None) -> Iterator[tuple[int, int, int]]:
    """When each attempt that failed began and ended, and how many questions it had; what it is in a row.

    An answer within a second of the last question ends that in time: the last tries were not in vain.
    """
    begin = 0
    for place in range(1, len(times) + 1):
        if place < len(times) and times[place] - times[place - 1] <= _APART_NS:
            continue
        count = place - begin
        if place == len(times) and answer is not None and answer - times[-1] < _STEP_NS:
            count = (count - 1) // _TRIES * _TRIES
        if count >= _TRIES:
            yield times[begin], times[begin + count - 1], count
        begin = place


class Neighbours:
    """Knows the questions that nobody answered, over all blocks of a capture."""

    def __init__(self) -> None:
        self._by_target: dict[Address, dict[Address, _Questions]] = {}
        self._by_asker: dict[Address, dict[Address, _Questions]] = {}
        self._waiting: dict[Address, dict[Address, _Questions]] = {}
        """By target, those with questions that nobody has answered: an answer is of no interest to others."""
        self._pairs = self._questions = 0
        self._swept = 0
        self._forgotten = 0

    def add(self, rows: Records) -> None:
        """The next ones, NEIGHBOUR rows (k,)."""
        begin = 0
        for frame, clock, version, asks, asker_hi, asker_lo, target_hi, target_lo in rows.tolist():
            begin = begin or clock
            target = (version, target_hi, target_lo)
            if asks:
                asker = (version, asker_hi, asker_lo)
                self._answers(asker, clock)  # who asks is there
                self._asks(asker, target, clock, frame, begin)
            else:
                self._answers(target, clock)

    def in_vain(self, asker: str, since: int, until: int) -> list[Asked]:
        """Whom that address asked in vain between these times, both left out, as often as the kernel does.

        Nothing later on the capture's clock counts, although it may be known.
        """
        if not self._pairs:
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
        for asker, questions in self._waiting.pop(target, {}).items():
            count = len(questions.times)
            questions.answered(clock)
            self._questions -= count - len(questions.times)
            if not questions.times and not questions.gone:
                self._forget(asker, target)

    def _asks(self, asker: Address, target: Address, clock: int, frame: int, begin: int) -> None:
        if self._questions >= _KEPT_QUESTIONS and not self._has_room(begin):
            return
        questions = self._by_asker.get(asker, {}).get(target) or self._new(asker, target, begin)
        if questions is None or (questions.open and clock - questions.times[-1] < _COPY_NS):
            return
        questions.times.append(clock)
        questions.frames.append(frame)
        self._waiting.setdefault(target, {})[asker] = questions
        self._questions += 1

    def _new(self, asker: Address, target: Address, begin: int) -> _Questions | None:
        if self._pairs >= _KEPT and not self._has_room(begin):
            return None
        self._pairs += 1
        questions = _Questions()
        self._by_target.setdefault(target, {})[asker] = questions
        self._by_asker.setdefault(asker, {})[target] = questions
        return questions

    def _has_room(self, begin: int) -> bool:
        """Forget who asked too seldom to have failed, and all that is old; whether there is room then.

        Looks no sooner than it pays; ``begin`` is when the block of the question begins.
        """
        if begin - self._swept >= _APART_NS:
            self._swept = begin
            pairs = [(t, a, q) for t, askers in self._by_target.items() for a, q in askers.items()]
            for target, asker, questions in pairs:
                last = questions.times[-1] if questions.times else 0
                count = len(questions.times)
                questions.forget(begin - _KEPT_NS)
                self._questions -= count - len(questions.times)
                if last < begin - _KEPT_NS or (last < begin - _APART_NS and not questions.failed()[0]):
                    self._forgotten += questions.failed()[0] > 0
                    self._forget(asker, target)
        return self._pairs < _KEPT and self._questions < _KEPT_QUESTIONS

    def _forget(self, asker: Address, target: Address) -> None:
        self._pairs -= 1
        self._questions -= len(self._by_target[target][asker].times)
        for table, key, other in (
            (self._by_target, target, asker),
            (self._by_asker, asker, target),
            (self._waiting, target, asker),
        ):
            if key in table:
                table[key].pop(other, None)
                if not table[key]:
                    del table[key]

    def silent(self) -> list[str]:
        """The addresses that somebody asked for in vain."""
        return list(dict.fromkeys(address_text(*target) for target, _, _ in self._failed()))

    def _failed(self) -> Iterator[tuple[Address, Address, tuple[int, int, int]]]:
        """Who was asked for, by whom, and what is known of the questions in vain."""
        for target, askers in self._by_target.items():
            for asker, questions in askers.items():
                if (failed := questions.failed())[0]:
                    yield target, asker, failed

    def problems(self) -> Iterator[str]:
        """Whom nobody could reach, as sentences."""
        silent = list(self._failed())
        for target, asker, (count, first, last) in silent[:_TOLD]:
            yield _sentence(address_text(*target), address_text(*asker), target[0], count, first, last)
        if more := len(silent[_TOLD:]) + self._forgotten:
            yield f"{more} more addresses did not answer ARP or neighbour discovery either"


def _sentence(target: str, asker: str, version: int, count: int, first: int, last: int) -> str:
    what = "ARP" if version == 4 else "neighbour discovery"
    is_one = last - first < count * _STEP_NS
    when = f"a second apart, from {utc(first)} on" if is_one else f"from {utc(first)} to {utc(last)}"
    return (
        f"{target} did not answer {what}: {asker} asked {count} times, {when}. "
        f"If {asker} runs Linux, a TCP connect() there to {target}, or to a "
        f"host behind it, that still waited got {_RULES['errno']} ({_RULES['says']}) {_RULES['gives_up_s']} "
        "s after the first question, whether or not the capture holds a SYN"
    )
