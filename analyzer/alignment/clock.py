"""How the clock of a log stands to the capture's: found out by laying its lines over the failures."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from math import sqrt
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
    events = _sample(timed, _EVENTS)
    of = sum(bool(pools.of(event.reading)) for event in events)
    zone, agree = _zone(events, pools, stated)
    if 2 * agree <= of:
        pairs = sorted(_pairs(events, pools))
        slid, slid_agree = _slide(pairs, SECOND)
        exact, exact_agree = _slide(pairs, EARLY)
        if 2 * exact_agree > slid_agree:  # most programs write at once
            slid = exact
        if slid_agree >= max(3, agree + max(2, agree // 3)) or (not agree and _unmistakable(pairs, slid)):
            zone = 0 if stated else round(slid / SECOND / 1800) * 1800
            return LogClock(zone, slid - zone * SECOND, stated, True, slid_agree, of)
    if not agree:
        return LogClock(0, 0, stated, False, 0, of)
    return LogClock(zone, _ahead(events, pools, zone * SECOND), stated, True, agree, of)


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


class _Hit(NamedTuple):
    """The last failure that an event may tell of, if the log's clock is ahead by some offset."""

    event: int
    candidate: int
    late: int
    rounded: int
    ends: Ends


def _hits(events: Sequence[LogEvent], pools: Pools, offset: int) -> list[_Hit]:
    """One for each event that has such a failure just before it."""
    found = []
    for number, event in enumerate(events):
        if event.time:
            latest = event.time.time - offset + event.time.resolution + EARLY
            for candidate in reversed(pools.near(event.reading, latest, LATE + 2 * EARLY + SECOND, most=10)):
                late = event.time.time - offset - candidate.time
                if candidate.time <= latest and late <= LATE:
                    ends = _worth(event, candidate)
                    if ends is not None:
                        found.append(_Hit(number, id(candidate), late, event.time.resolution, ends))
                        break
    return found


def _zone(events: Sequence[LogEvent], pools: Pools, stated: bool) -> tuple[int, int]:
    """The zone that most events agree with, and how many: UTC before whole hours before the others."""
    best, most, worth = 0, 0, 0.0
    by_chance = _by_chance(events, pools)
    for zone in [0] if stated else _ZONES:
        hits = _hits(events, pools, zone * SECOND)
        agree = len({hit.candidate for hit in hits})
        odd = 0 if zone == 0 else 1 if zone % 3600 == 0 else 2 if zone % 1800 == 0 else 3
        if odd and not _is_no_chance(agree, by_chance) and not _named(hits):
            continue
        if agree - 0.3 * odd > worth:
            best, most, worth = zone, agree, agree - 0.3 * odd
    return best, most


def _by_chance(events: Sequence[LogEvent], pools: Pools) -> float:
    """How many events have a failure in one wrong zone or another, all of them counted."""
    window, total = EARLY + LATE, 0
    for event in events:
        if pool := pools.of(event.reading):
            total += min(len(pool) * window, pool[-1].time - pool[0].time + window)
    return total / (_QUARTER * SECOND)


def _is_no_chance(agree: int, by_chance: float) -> bool:
    """Whether that many events do not agree by chance with the best of all zones."""
    if agree < 2:
        return bool(agree) and by_chance <= 0.05
    in_one = by_chance / len(_ZONES)
    return agree >= 1 + min(4 * by_chance, 2 + 2 * in_one + 6 * sqrt(in_one))


def _named(hits: Iterable[_Hit | _Pair]) -> bool:
    """Whether one of them is known by its client's port."""
    return any(hit.ends is Ends.CLIENT for hit in hits)


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


def _ahead(events: Sequence[LogEvent], pools: Pools, offset: int) -> int:
    """How much the clock is ahead besides its zone, where the events agree about that."""
    late = sorted(hit.late for hit in _hits(events, pools, offset) if hit.rounded < SECOND)
    if len(late) < 3 or late[0] < _AHEAD or late[-1] - late[0] > _AHEAD:
        return 0
    return late[0]


def _apart(pair: _Pair) -> int:
    return pair.apart
