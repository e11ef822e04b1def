"""Logs beside the flows of a capture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analyzer.alignment.candidates import Basis, Candidate, Pools
from analyzer.alignment.clock import EARLY, SECOND, clock_of
from analyzer.alignment.fit import Ends, Fit, Said, fit
from analyzer.model.finding import Confidence, FlowResult
from analyzer.model.flow import Flow
from analyzer.model.log_line import Explained, Log, LogClock, LogEvent, LogMatch, LogReport

_SOON, _LATER, _LONG = SECOND, 5 * SECOND, 60 * SECOND
_HOUR = 3600 * SECOND
"""A client's port names its connection even long afterwards: a pool may meet the failure at its next use."""
_OWN = "OWN"


def align(logs: Sequence[Log], results: Sequence[FlowResult], span: tuple[int, int] | None) -> LogReport:
    """Say which flow explains each event of the logs.

    ``results`` are all flows, also those without a finding; ``span`` the times of the first and last frame
    (nanoseconds), None where there is none.
    """
    pools = Pools(results)
    clocks = tuple(clock_of(log, pools) for log in logs)
    matches = [
        match
        for index, (log, clock) in enumerate(zip(logs, clocks, strict=True))
        for match in _Aligned(index, clock, pools, span).events(log)
    ]
    return LogReport(tuple(logs), clocks, tuple(matches))


class _Fitting(NamedTuple):
    """A candidate that may explain an event; ``near``: 3 at once, 2, 1, 0 nothing is known of the time."""

    sure: int
    near: int
    fit: Fit
    free: bool
    late: int
    candidate: Candidate
    delay: int | None


class _Alike(NamedTuple):
    """Failures that cannot be told apart by a line: of so many connections, of which one is ``first``.

    ``elsewhere``: another call gave it than the one that the line names.
    """

    connections: int
    first: Flow
    elsewhere: bool


class _Aligned:
    """Explains the events of one log; a failure that has explained one is not the first choice any more."""

    def __init__(self, index: int, clock: LogClock, pools: Pools, span: tuple[int, int] | None) -> None:
        self._index = index
        self._clock = clock
        self._pools = pools
        self._span = span
        self._taken: set[int] = set()
        self._counts: dict[tuple[tuple[str, ...], tuple[str, ...]], _Alike | None] = {}

    def events(self, log: Log) -> Iterable[LogMatch]:
        """Every event with what explains it."""
        return (self._match(event) for event in log.events)

    def _match(self, event: LogEvent) -> LogMatch:
        time = self._time(event) if self._clock.found or self._clock.stated else None
        if set(event.reading.results) == {_OWN}:
            return LogMatch(self._index, event, time, None)
        fitting = sorted(self._fitting(event, time), key=lambda f: (*f[:4], -f.late), reverse=True)
        if not fitting or not fitting[0].sure:
            return self._unexplained(event, time, fitting)
        best = fitting[0]
        self._taken.add(id(best.candidate))
        return LogMatch(self._index, event, time, _explained(best, fitting))

    def _time(self, event: LogEvent) -> int | None:
        """When it was, on the capture's clock."""
        if event.time is None:
            return None
        zone = self._clock.zone if event.time.zone is None else 0
        return event.time.time - zone * SECOND - self._clock.ahead

    def _fitting(self, event: LogEvent, time: int | None) -> list[_Fitting]:
        reading = event.reading
        rounded = event.time.resolution if event.time else 0
        found = []
        latest = None if time is None else time + rounded
        for candidate in self._pools.near(reading, latest, _HOUR):
            how = fit(reading, candidate)
            near, delay = _near(candidate, time, rounded)
            if how and near >= 0 and (near > 0 or how.ends is Ends.CLIENT or delay is None):
                free = id(candidate) not in self._taken
                found.append(_Fitting(0, near, how, free, abs(delay or 0), candidate, delay))
        alone = len({_end(f) for f in found if f.near == 3 and f.fit.basis >= Basis.FINDING}) <= 1
        plain = {_end(f) for f in found if f.fit.basis >= Basis.FINDING and f.fit.said > Said.ELSEWHERE}
        number = len(plain) or len(found)
        return [f._replace(sure=self._sure(f, alone, number)) for f in found]

    def _sure(self, found: _Fitting, alone: bool, number: int) -> int:
        """3 certain, 2 likely, 1 possible, 0 no explanation."""
        ends, near = found.fit.ends, found.near
        if not _strong(found):
            if ends is Ends.CLIENT:
                return 2 if near >= 2 or (near == 0 and number == 1) else 1
            if near == 0:
                return int(ends >= Ends.PORT or number == 1)
            return int(near >= 2 and (ends >= Ends.ADDRESS or number == 1))
        if ends is Ends.CLIENT:
            return 3
        if ends is Ends.SERVICE:
            return 3 if alone else 2
        return 2 if alone and (ends > Ends.NONE or self._clock.found) else 1

    def _unexplained(self, event: LogEvent, time: int | None, fitting: Sequence[_Fitting]) -> LogMatch:
        """What there is in place of an explanation."""
        why = self._elsewhere(event, time)
        alike = None if why else self._alike(event, time, fitting)
        if alike:
            return LogMatch(self._index, event, time, None, _undecided(alike, event, time), alike.connections)
        when = "" if time is None else " at that time"
        return LogMatch(self._index, event, time, None, why or f"no connection failed in this way{when}")

    def _alike(self, event: LogEvent, time: int | None, fitting: Sequence[_Fitting]) -> _Alike | None:
        """Failures of which the line may tell each; None where there are not several.

        Without a time all of the capture are counted, once for all lines that say the same.
        """
        if time is not None:
            return (
                _counted((f.candidate, f.fit) for f in fitting) if fitting and fitting[0].near >= 2 else None
            )
        if not fitting:
            return None
        reading = event.reading
        key = (reading.results, reading.calls)
        if key not in self._counts:
            fits = ((candidate, fit(reading, candidate)) for candidate in self._pools.of(reading))
            self._counts[key] = _counted((candidate, how) for candidate, how in fits if how)
        return self._counts[key]

    def _elsewhere(self, event: LogEvent, time: int | None) -> str:
        """Why what the line names is not what failed in the capture; empty where it names nothing such."""
        reading = event.reading
        if flow := next((self._pools.flows[e] for e in reading.endpoints if e in self._pools.flows), None):
            return f"{flow.flow.client} -> {flow.flow.server} is in the capture, but nothing in it gives this"
        absent = [end.address for end in reading.endpoints if end.address not in self._pools.addresses]
        if absent and len(absent) == len(reading.endpoints):
            return f"{' and '.join(dict.fromkeys(absent))} is not in the capture"
        if time is not None and self._span and not self._span[0] - _SOON <= time <= self._span[1] + _LONG:
            return "the capture does not cover this time"
        return ""


def _counted(fits: Iterable[tuple[Candidate, Fit]]) -> _Alike | None:
    """How many failures fit, those of the call itself if there are any; None where there are not several."""
    failed = [(candidate, how.said) for candidate, how in fits if how.basis >= Basis.FINDING]
    own = [candidate for candidate, said in failed if said > Said.ELSEWHERE]
    chosen = own or [candidate for candidate, _ in failed]
    ends = {(id(candidate.result), candidate.side) for candidate in chosen}
    if len(ends) < 2:
        return None
    return _Alike(len({result for result, _ in ends}), chosen[0].result.flow, elsewhere=not own)


def _undecided(alike: _Alike, event: LogEvent, time: int | None) -> str:
    """Why none of them is the one, and what would tell."""
    who = f"both ends of {alike.first.client} -> {alike.first.server}"
    if alike.connections > 1:
        who = f"{alike.connections:,} connections" if time is None else "several connections"
    what = "gave this to another call" if alike.elsewhere else "failed in this way"
    if event.time is None:
        lacks = "the line names neither time nor address by which one could be chosen"
        return f"{who} {what}, and {lacks}: give the line with its time, or the address"
    when = " at about that time" if time is not None else ""
    lacks = "the line names no address by which one could be chosen"
    if time is None:
        lacks = f"no time zone brings its time together with one, and {lacks}"
    return f"{who} {what}{when}, and {lacks}"


def _strong(found: _Fitting) -> bool:
    """Whether all that is known of it fits."""
    return found.near == 3 and found.fit.said > Said.ELSEWHERE and found.fit.basis is Basis.VERDICT


def _end(found: _Fitting) -> tuple[int, int]:
    return id(found.candidate.result), found.candidate.side


def _near(candidate: Candidate, time: int | None, rounded: int) -> tuple[int, int | None]:
    """How well the times fit (3 to 1, 0 only for who knows the port, -1 not at all), and how late it was."""
    if time is None:
        return 0, None
    if candidate.basis is Basis.WAIT:
        within = candidate.begin - EARLY <= time + rounded and time <= candidate.time + _SOON
        return (2, None) if within else (-1, None)
    delay = time - candidate.time
    if delay + rounded < -EARLY:
        foretold = candidate.time > candidate.result.end  # a deadline, reckoned
        return (1, delay) if foretold and delay > -_LATER else (-1, delay)
    near = 3 if delay <= _SOON else 2 if delay <= _LATER else 1 if delay <= _LONG else 0
    return near, delay


def _explained(best: _Fitting, fitting: Sequence[_Fitting]) -> Explained:
    candidate = best.candidate
    others = {_end(f) for f in fitting if f.free and f[:3] == best[:3]} - {_end(best)}
    return Explained(
        result=candidate.result,
        side=candidate.side,
        rule=candidate.rule,
        frames=candidate.frames,
        sure=[Confidence.POSSIBLE, Confidence.LIKELY, Confidence.CERTAIN][best.sure - 1],
        delay=best.delay,
        others=len(others),
    )
