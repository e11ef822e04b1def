"""What may explain a line: every failure, every wait and every end of the flows, by what a call returned."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import CLIENT, Endpoint
from analyzer.model.log_line import LogLine
from analyzer.model.rule import Severity

_EOF, _BLOCKS = "EOF", "BLOCKS"
NEAREST = 50
"""Candidates that are looked at for a line, nearest in time first: more cannot be told apart anyway."""


class Basis(IntEnum):
    """What a candidate rests on, the better the higher."""

    END = 1
    """The other end finished."""
    WAIT = 2
    """An end waited, whatever came of it."""
    FINDING = 3
    """A rule says what calls returned, but something else befell the program before, or it harmed nobody."""
    VERDICT = 4


class Candidate(NamedTuple):
    """One end of a flow, and what its calls returned from ``time`` on (nanoseconds).

    Of a wait ``begin`` is before ``time``: it may have been given up at any moment between.
    """

    result: FlowResult
    side: int
    rule: str
    frames: tuple[int, ...]
    begin: int
    time: int
    calls: dict[str, str]
    later: dict[str, str]
    headline: str
    basis: Basis

    @property
    def own(self) -> Endpoint:
        """The end whose program it is."""
        return self.result.flow.client if self.side == CLIENT else self.result.flow.server

    @property
    def peer(self) -> Endpoint:
        """The other end."""
        return self.result.flow.server if self.side == CLIENT else self.result.flow.client


def candidates(result: FlowResult) -> Iterable[Candidate]:
    """All that a flow may explain."""
    decided = {verdict.side: verdict for verdict in result.verdicts}
    start = result.flow.start
    for side, verdict in decided.items():
        table = verdict.table
        told = (result, side, verdict.rule, verdict.frames)
        times = (verdict.time, verdict.time)
        basis = Basis.FINDING if result.harmless else Basis.VERDICT
        yield Candidate(*told, *times, table.calls, table.later, table.call, basis)
        if verdict.time > result.end:  # a deadline that the program need not have waited for
            waited = dict.fromkeys(table.calls, _BLOCKS)
            yield Candidate(*told, start, verdict.time, waited, {}, table.call, Basis.WAIT)
    for finding in result.findings:
        told = (result, finding.side, finding.rule, finding.frames)
        if finding.severity is Severity.WARNING and finding.side not in decided:
            last = max(result.end, finding.time)
            waited = dict.fromkeys(("connect", "recv", "send"), _BLOCKS)
            yield Candidate(*told, start, last + (last - start), waited, {}, "", Basis.WAIT)
        elif (outcome := finding.outcome) and not _is(finding, decided.get(finding.side)):
            times = (finding.time, finding.time)
            yield Candidate(*told, *times, outcome.calls, outcome.later, outcome.call, Basis.FINDING)
    for side, finished in enumerate(reversed(result.summary.fin if result.summary else ())):
        if finished and side not in decided:
            ended = {"recv": _EOF}
            yield Candidate(result, side, "", (), result.end, result.end, ended, {}, "recv", Basis.END)


def _is(finding: Finding, verdict: Verdict | None) -> bool:
    """Whether the verdict was made of this finding."""
    return verdict is not None and verdict.rule == finding.rule


class Pools:
    """Candidates of a capture, to be looked up."""

    def __init__(self, results: Sequence[FlowResult]) -> None:
        self._all = sorted((c for result in results for c in candidates(result)), key=attrgetter("time"))
        self._clients: dict[Endpoint, list[Candidate]] = {}
        self._results: dict[str, list[Candidate]] = {}
        self.flows: dict[Endpoint, FlowResult] = {result.flow.client: result for result in results}
        """A flow of each client's address and port."""
        self._pools: dict[tuple[str, ...], list[Candidate]] = {}
        for candidate in self._all:
            self._clients.setdefault(candidate.result.flow.client, []).append(candidate)
            for value in {*candidate.calls.values(), *candidate.later.values()}:
                self._results.setdefault(value, []).append(candidate)

    @cached_property
    def addresses(self) -> frozenset[str]:
        """All addresses of the capture."""
        ends = (end for flow in self.flows.values() for end in (flow.flow.client, flow.flow.server))
        return frozenset(end.address for end in ends)

    def of(self, reading: LogLine) -> list[Candidate]:
        """Those that a line may speak of, by time: a client's address and port leave few."""
        named = [c for end in reading.endpoints for c in self._clients.get(end, ())]
        if named and reading.peer != ():
            return named
        key = tuple(sorted(reading.results))
        if key not in self._pools:
            found = {id(c): c for result in key for c in self._results.get(result, ())}
            self._pools[key] = sorted(found.values(), key=attrgetter("time"))
        return self._pools[key]

    def near(self, reading: LogLine, time: int | None, within: int, most: int = NEAREST) -> list[Candidate]:
        """Those whose time lies within so many nanoseconds of this one; at most ``most``, the nearest.

        Four of five are before it. ``time`` is the latest at which the line may have been written.
        """
        pool = self.of(reading)
        if time is None:
            return pool[:most]
        first, last = (bisect_left(pool, time + way * within, key=_time) for way in (-1, 1))
        here = bisect_left(pool, time, key=_time)
        return pool[max(first, here - 4 * most // 5) : min(last, here + most // 5)]


_time = attrgetter("time")
