"""How the clock of a log stands to the capture's: found out by laying its lines over the failures."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analyzer.alignment.candidates import Basis, Candidate, Pools
from analyzer.alignment.fit import Ends, Said, fit
from analyzer.model.log_line import Log, LogClock, LogEvent

SECOND = 10**9
EARLY = SECOND // 10
"""A line may seem to be that much older than its failure: clocks round."""
LATE = 2 * SECOND
"""Most programs have logged a failure by then."""
_QUARTER = 900
_ZONES = sorted(range(-12 * 3600, 14 * 3600 + 1, _QUARTER), key=abs)
"""Zones lie between 12 hours behind and 14 ahead, all at whole quarters of an hour."""
_EVENTS = 300
_PAIRS = 200_000
"""Events of a log, and pairs with failures, that are looked at: more do not make it surer."""
_AHEAD = SECOND // 4
"""Smaller differences than this are the program's, not the clock's."""


class _Pair(NamedTuple):
    """An event and a failure that fit, the times aside; ``apart``: how much later the log says it was."""

    apart: int
    event: int
    candidate: int
    rounded: int
    ends: Ends


def clock_of(log: Log, pools: Pools) -> LogClock:
    """Zone and clock of a log. Where its lines name their zone, that is taken for true."""
    timed = [event for event in log.events if event.time]
    stated = bool(timed) and all(event.time and event.time.zone is not None for event in timed)
    pairs = sorted(_pairs(_sample(timed, _EVENTS), pools))
    of = len({pair.event for pair in pairs})
    zone, agree = _zone(pairs, stated)
    slid, slid_agree = _slide(pairs, SECOND)
    exact, exact_agree = _slide(pairs, EARLY)
    if 2 * exact_agree > slid_agree:  # most programs write at once
        slid = exact
    if slid_agree >= max(3, agree + max(2, agree // 3)) or (not agree and _unmistakable(pairs, slid)):
        zone = 0 if stated else round(slid / SECOND / 1800) * 1800
        return LogClock(zone, slid - zone * SECOND, stated, True, slid_agree, of)
    if not agree:
        return LogClock(0, 0, stated, False, 0, of)
    return LogClock(zone, _ahead(pairs, zone * SECOND), stated, True, agree, of)


def _sample(events: Sequence[LogEvent], most: int) -> Sequence[LogEvent]:
    step = len(events) / most
    return events if step <= 1 else [events[int(place * step)] for place in range(most)]


def _pairs(events: Sequence[LogEvent], pools: Pools) -> Iterable[_Pair]:
    numbers: dict[int, int] = {}
    most = max(1, _PAIRS // max(1, len(events)))
    for number, event in enumerate(events):
        pool = pools.of(event.reading)
        step = max(1, -(-len(pool) // most))
        for candidate in pool[::step]:
            if event.time and (ends := _worth(event, candidate)) is not None:
                apart = event.time.time - candidate.time
                known = numbers.setdefault(id(candidate), len(numbers))
                yield _Pair(apart, number, known, event.time.resolution, ends)


def _worth(event: LogEvent, candidate: Candidate) -> Ends | None:
    """Whether the two could belong together, by all but their times; waits have none of their own."""
    if candidate.basis in (Basis.WAIT, Basis.END):
        return None
    found = fit(event.reading, candidate)
    return found.ends if found and found.said > Said.ELSEWHERE else None


def _within(pairs: Sequence[_Pair], offset: int) -> list[_Pair]:
    """Those that belong together if the log's clock is ahead by ``offset``."""
    low = bisect_left(pairs, offset - EARLY - SECOND, key=_apart)
    found = []
    for pair in pairs[low:]:
        if pair.apart > offset + LATE:
            break
        if pair.apart + pair.rounded >= offset - EARLY:
            found.append(pair)
    return found


def _agree(pairs: Sequence[_Pair]) -> int:
    """How many events have a failure each."""
    return min(len({pair.event for pair in pairs}), len({pair.candidate for pair in pairs}))


def _zone(pairs: Sequence[_Pair], stated: bool) -> tuple[int, int]:
    """The zone that most events agree with, and how many: UTC before whole hours before the others."""
    best, most, worth = 0, 0, 0.0
    for zone in [0] if stated else _ZONES:
        within = _within(pairs, zone * SECOND)
        agree = _agree(within)
        odd = 0 if zone == 0 else 1 if zone % 3600 == 0 else 2 if zone % 1800 == 0 else 3
        chance = _chance(pairs, EARLY + LATE)
        if odd and chance > (0.05 if agree == 1 else (agree - 1) / 4) and not _named(within):
            continue
        if agree - 0.3 * odd > worth:
            best, most, worth = zone, agree, agree - 0.3 * odd
    return best, most


def _chance(pairs: Sequence[_Pair], window: int) -> float:
    """How many pairs a quarter of an hour would have by chance."""
    return len(pairs) * window / (_QUARTER * SECOND)


def _named(pairs: Iterable[_Pair]) -> bool:
    return any(pair.ends is Ends.CLIENT for pair in pairs)


def _slide(pairs: Sequence[_Pair], window: int) -> tuple[int, int]:
    """The offset with which most events have a failure in the time before them, and how many have."""
    best, most, first = 0, 0, 0
    events: Counter[int] = Counter()
    failures: Counter[int] = Counter()
    for pair in pairs:
        events[pair.event] += 1
        failures[pair.candidate] += 1
        while pair.apart - pairs[first].apart > window:
            for counted, key in ((events, pairs[first].event), (failures, pairs[first].candidate)):
                counted[key] -= 1
                if not counted[key]:
                    del counted[key]
            first += 1
        agree = min(len(events), len(failures))
        if agree > most:
            best, most = pairs[first].apart, agree
    return best, most


def _unmistakable(pairs: Sequence[_Pair], offset: int) -> bool:
    """Whether a client's port says that they belong together, however far their times are apart."""
    return _named(_within(pairs, offset))


def _ahead(pairs: Sequence[_Pair], offset: int) -> int:
    """How much the clock is ahead besides its zone, where the events agree about that."""
    nearest: dict[int, int] = {}
    for pair in _within(pairs, offset):
        late = pair.apart - offset
        if pair.rounded < SECOND and abs(late) < abs(nearest.get(pair.event, LATE + 1)):
            nearest[pair.event] = late
    late_ones = sorted(nearest.values())
    if len(late_ones) < 3 or late_ones[0] < _AHEAD or late_ones[-1] - late_ones[0] > _AHEAD:
        return 0
    return late_ones[0]


def _apart(pair: _Pair) -> int:
    return pair.apart
