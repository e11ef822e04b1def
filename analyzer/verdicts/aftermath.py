"""What other flows say of a failure: it harmed nobody, or the program got what it wanted all the same."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.model.finding import FlowResult
from analyzer.model.flow import CLIENT
from analyzer.model.summary import Summary
from analyzer.verdicts.causes import with_causes
from analyzer.verdicts.elsewhere import elsewhere
from analyzer.verdicts.joined import Legs, joined
from analyzer.verdicts.scans import without_scans
from analyzer.verdicts.services import REACHED, SECOND, Moments, Pair, Services, pair_of

RETRY_NS = 5 * SECOND
"""Programs try again within a few seconds; later it is another request."""
RETRIES_NS = 2 * RETRY_NS
"""A try that fails may be followed by another, but not for ever: somebody waits for the answer."""
FALLBACK_NS = SECOND
"""The other address of localhost is tried at once."""

_BY_CHANCE = 0.05
"""Connections that the client would have begun meanwhile anyway, at most, for one to be called a retry."""
_USUAL_NS = 60 * SECOND
"""How far back one looks for how many that are."""
_ALIKE = 0.2
"""Part of an interval by which those of a health check differ."""
_MOSTLY = 0.75
"""Part of the intervals that must be alike: a checker may pause or be restarted."""
_CHECKS = 3
"""Health checks are told by at least so many alike."""
_INTERLEAVED = 4
"""Checkers behind one address."""


class Settled(NamedTuple):
    """``told``: what is reported, with ``recovered`` set; ``harmless``: the others, with that set.

    ``counts``: how many flows were harmless, those without a result too.
    """

    told: list[FlowResult]
    harmless: list[FlowResult]
    counts: dict[str, int]


def settle(results: Sequence[FlowResult], services: Services, legs: Legs) -> Settled:
    """Part what harmed nobody from what did."""
    checks = health_checks(services)
    kept: list[FlowResult] = []
    checked: list[FlowResult] = []
    for result in joined(results, legs):
        (checked if _is_check(result, checks) else kept).append(result)
    kept, fallbacks = _without_fallbacks(kept, services)
    kept, scanned = without_scans(kept, services)
    counts = {
        _CHECK: sum(checks_of_one.count for checks_of_one in checks.values()),
        _FALLBACK: len(fallbacks),
        _SCAN: len(scanned),
        "reset-after-both-closed": services.late_resets,
    }
    kept = _with_retries(kept, services)
    for index, (time, address) in elsewhere(kept, services).items():
        kept[index] = _recovered(kept[index], time, address)
    parted = {_CHECK: checked, _FALLBACK: fallbacks, _SCAN: scanned}
    harmless = [replace(one, harmless=name) for name, found in parted.items() for one in found]
    return Settled(with_causes(kept), harmless, {name: number for name, number in counts.items() if number})


_CHECK, _FALLBACK, _SCAN = "health-check", "localhost-fallback", "port-scan"


def health_checks(services: Services) -> dict[Pair, Moments]:
    """The empty connections of each client and service that come at similar intervals."""
    found = {}
    for pair, moments in services.repeated().items():
        regular = moments.rows[_regular(moments.rows)]
        if int(regular["count"].sum()) >= _CHECKS:
            found[pair] = Moments(regular)
    return found


def _regular(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which of the moments belong to a series: bool (n,).

    A moment of two flows counts as two. Where several checkers share an address, every second (third ...)
    connection is one's own.
    """
    two = rows["count"] > 1
    times = np.concatenate([rows["first"], rows["last"][two]])
    owner = np.concatenate([np.arange(len(rows)), np.flatnonzero(two)])
    order = np.argsort(times, kind="stable")
    times, owner = times[order], owner[order]
    best = np.zeros(len(times), np.bool_)
    for step in range(1, min(_INTERLEAVED, len(times) - 2) + 1):
        intervals = times[step:] - times[:-step]
        alike = np.abs(intervals - np.median(intervals)) <= _ALIKE * np.median(intervals)
        member = np.zeros(len(times), np.bool_)
        member[step:] |= alike
        member[:-step] |= alike
        enough = alike.sum() >= step * (_CHECKS - 1) and alike.mean() >= _MOSTLY
        if enough and member.sum() > best.sum():
            best = member
    regular = np.zeros(len(rows), np.bool_)
    regular[owner[best]] = True
    return regular


def _is_check(result: FlowResult, checks: dict[Pair, Moments]) -> bool:
    summary = result.summary
    series = checks.get(pair_of(summary)) if summary and _is_empty(summary) else None
    if not summary or not series:
        return False
    return bool(((series.rows["first"] <= summary.start) & (summary.start <= series.rows["last"])).any())


def _is_empty(summary: Summary) -> bool:
    return not any(summary.payload) and summary.answered > 0


class _Attempts:
    """Successful connections of one client to one service; each can be the retry of one failure only."""

    def __init__(self, moments: Moments) -> None:
        rows = moments.rows
        self.second: list[int] = rows["second"].tolist()
        self.first: list[int] = rows["first"].tolist()
        self.last: list[int] = rows["last"].tolist()
        self.left: list[int] = rows["count"].tolist()
        self._all = list(self.left)

    def after(self, time: int, within: int) -> int | None:
        """Index of the first second with a connection left that began after that time, but not too late."""
        place = bisect_left(self.second, time // SECOND)
        for index in range(place, len(self.second)):
            if self.first[index] > time + within:
                break
            if self.left[index] and self.start(index, time) > time:
                return index
        return None

    def start(self, index: int, time: int) -> int:
        """When one of that second began after ``time``: its first, else at the latest its last."""
        return self.first[index] if self.first[index] > time else self.last[index]

    def before(self, time: int, within: int) -> int:
        """How many began so shortly before that time."""
        low = bisect_left(self.second, (time - within) // SECOND)
        high = bisect_right(self.second, time // SECOND)
        return sum(self._all[i] for i in range(low, high) if time - within <= self.first[i] < time)


def _without_fallbacks(
    results: Sequence[FlowResult], services: Services
) -> tuple[list[FlowResult], list[FlowResult]]:
    """Part off what was refused on one address of localhost, while the other one answered at once."""
    wanted = {}
    for index, result in enumerate(results):
        verdict = result.client_verdict
        pair = _other_localhost(result.summary) if verdict and verdict.table.call == "connect" else None
        if verdict and pair:
            wanted[index] = (pair, verdict.time)
    attempts = _attempts(services, (pair for pair, _ in wanted.values()))
    dropped = set()
    for index, (pair, time) in sorted(wanted.items(), key=lambda item: (item[1][1], item[0])):
        reached = attempts.get(pair)
        found = reached.after(time, FALLBACK_NS) if reached else None
        if reached and found is not None:
            reached.left[found] -= 1
            dropped.add(index)
    kept = [result for index, result in enumerate(results) if index not in dropped]
    return kept, [results[index] for index in sorted(dropped)]


_LOOPBACK_4 = 0x7F000001


def _other_localhost(summary: Summary | None) -> Pair | None:
    """The same service and client at 127.0.0.1 instead of ::1, or the other way round."""
    if not summary:
        return None
    address = (summary.version, summary.server_lo if not summary.server_hi else 0)
    other = {(6, 1): (4, _LOOPBACK_4), (4, _LOOPBACK_4): (6, 1)}.get(address)
    if not other:
        return None
    version, low = other
    moved = summary._replace(version=version, server_hi=0, server_lo=low, client_hi=0, client_lo=low)
    return pair_of(moved)


def _attempts(services: Services, pairs: Iterable[Pair]) -> dict[Pair, _Attempts]:
    """By client and service, of those that have any."""
    return {pair: _Attempts(moments) for pair, moments in services.moments(REACHED, pairs).items()}


def _with_retries(results: list[FlowResult], services: Services) -> list[FlowResult]:
    """Set ``recovered`` of clients whose next try worked, or the one after that ..."""
    by_pair: defaultdict[Pair, list[int]] = defaultdict(list)
    for index, result in enumerate(results):
        if result.summary and result.client_verdict:
            by_pair[pair_of(result.summary)].append(index)
    settled = list(results)
    for pair, reached in _attempts(services, by_pair).items():
        indices = by_pair[pair]
        for index, time in _retried([results[i] for i in indices], reached).items():
            settled[indices[index]] = _recovered(results[indices[index]], time)
    return settled


def _recovered(result: FlowResult, time: int, address: str = "") -> FlowResult:
    verdicts = tuple(
        replace(verdict, recovered=True, recovered_at=time, recovered_by=address)
        if verdict.side == CLIENT
        else verdict
        for verdict in result.verdicts
    )
    return replace(result, verdicts=verdicts)


def _retried(failures: Sequence[FlowResult], reached: _Attempts) -> dict[int, int]:
    """The failures whose retries ended well, and when the one that did began.

    Failures of one client and service, by index. Each takes the next try that no other has taken: one that
    worked, or another failure, on whose own retry it depends.
    """
    failed = [(verdict.time, i) for i, result in enumerate(failures) if (verdict := result.client_verdict)]
    starts = sorted((result.flow.start, i) for i, result in enumerate(failures))
    taken: set[int] = set()
    following: dict[int, int] = {}
    ended_well: dict[int, int] = {}
    first = 0
    for time, index in sorted(failed):
        while first < len(starts) and (starts[first][0] <= time or starts[first][1] in taken):
            first += 1
        found = reached.after(time, RETRY_NS)
        start = reached.start(found, time) if found is not None else time + RETRY_NS + 1
        again = starts[first] if first < len(starts) else None
        if again and again[0] <= min(start, time + RETRY_NS):
            taken.add(again[1])
            following[index] = again[1]
        elif found is not None and _is_no_chance(reached, time, start):
            reached.left[found] -= 1
            ended_well[index] = start
    for time, index in sorted(failed, reverse=True):
        later = ended_well.get(following.get(index, -1))
        if later is not None and later <= time + RETRIES_NS:
            ended_well[index] = later
    return ended_well


def _is_no_chance(reached: _Attempts, failed: int, start: int) -> bool:
    """A client that connects all the time connects after a failure too; that is no retry by itself."""
    return reached.before(failed, _USUAL_NS) * (start - failed) <= _BY_CHANCE * _USUAL_NS
