"""What all connections together say of a failure: pauses, sizes, timers, TTLs, and who else was answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analyzer.model.finding import FlowResult, Verdict
from analyzer.model.flow import CLIENT, SERVER
from analyzer.model.report import Evidence
from analyzer.model.summary import Summary
from analyzer.verdicts.limits import fitting, fitting_timers, timer
from analyzer.verdicts.services import REACHED, SECOND, Moments, Pair, Services, pair_of, service_of

Members = Sequence[tuple[FlowResult, Verdict]]
"""The connections of an incident, each with the verdict that it is about."""

Seen = Sequence[tuple[Summary, Verdict]]
"""The same with their summaries alone."""


class Known:
    """What is known of the services that failed, and of the clients whose connect() did.

    ``seen``: the summaries of all connections that failed, each with a verdict.
    """

    def __init__(self, services: Services, seen: Seen) -> None:
        places = {service_of(summary) for summary, _ in seen}
        self.reached = services.moments(REACHED, places, by_service=True)
        self.rows = services.service(places)
        self.host_ttls = services.host_ttls(places)
        clients = {pair_of(summary) for summary, verdict in seen if verdict.table.call == "connect"}
        self._answers = services.moments(REACHED, clients)

    def answered(self, clients: Iterable[Pair], begin: int, end: int) -> int:
        """How many connections of these clients to their services were answered then."""
        return sum(self._answers[pair].between(begin, end) for pair in clients if pair in self._answers)


def evidence(members: Members, known: Known, first: int, last: int) -> Evidence:
    """All that is known of a failure of one service between the first and the last verdict (nanoseconds)."""
    summary = members[0][0].summary
    if summary is None:
        return Evidence()
    place = service_of(summary)
    reached = known.reached.get(place, Moments.none())
    row = known.rows.get(place)
    seen = [(result.summary, verdict) for result, verdict in members if result.summary]
    made = Evidence(
        reached_before=reached.last_before(first),
        reached_after=reached.first_after(last),
        reached_meanwhile=reached.between(first, last),
        follow=sum(result.follows is not None for result, _ in members),
        follow_from=tuple(sorted({str(result.follows.server) for result, _ in members if result.follows})),
    )
    made = _with_limits(made, seen, len(members), row)
    made = _with_ttls(made, seen, known.host_ttls.get(place, ()))
    made = _with_timers(made, members, row)
    return _with_unanswered(made, seen, known)


def _with_limits(made: Evidence, seen: Seen, members: int, row: NDArray[np.void] | None) -> Evidence:
    """Pauses and sizes that were fatal to all, beside those that others survived."""
    pauses = [summary.fatal[v.side] for summary, v in seen if summary.fatal[v.side]]
    lengths = [
        summary.resent_length[v.side]
        for summary, v in seen
        if summary.unacknowledged[v.side] and not any(summary.reset)
    ]
    made = replace(
        made,
        longest_survived=int(row["survived"]) if row is not None and pauses else 0,
        survivors=int(row["survivors"]) if row is not None and pauses else 0,
        shortest_fatal=min(pauses, default=0) if len(pauses) == members else 0,
        fell_silent=bool(pauses) and not any(any(summary.reset) for summary, _ in seen),
        largest_acknowledged=int(row["largest"][seen[0][1].side]) if row is not None and any(lengths) else 0,
        smallest_lost=min(lengths, default=0) if len(lengths) == members else 0,
    )
    if not made.idle_bracketed:
        return made
    lived, died = made.longest_survived, made.shortest_fatal
    return replace(made, idle_fits=fitting(lived, died, silent=made.fell_silent))


def _with_ttls(made: Evidence, seen: Seen, host: tuple[int, ...]) -> Evidence:
    """Whether what reset the clients was the host."""
    resets = {summary.reset_ttl[SERVER] for summary, verdict in seen if verdict.side == CLIENT} - {0}
    return replace(made, reset_ttls=tuple(sorted(resets)), host_ttls=host) if resets and host else made


def _with_timers(made: Evidence, members: Members, row: NDArray[np.void] | None) -> Evidence:
    """The same wait in many connections is a timer: of clients, or of a server that closes idle ones."""
    waits = [(wait, verdict) for result, verdict in members for wait in _waits(result, verdict)]
    given_up = [wait for wait, verdict in waits if verdict.table.calls.get("recv") == "BLOCKS"]
    if given_up:
        wait, count = timer(given_up)
        return replace(
            made,
            waited=round(wait * SECOND),
            waited_flows=count,
            timer_fits=fitting_timers(wait, "answer") if count else (),
        )
    if not waits or row is None or row["idle_closes"] < _CLOSES:
        return made
    low, high = int(row["idle_low"]), int(row["idle_high"])
    if high - low > max(_SPREAD * high, SECOND // 10):
        return made
    return replace(
        made,
        idle_close=(low, high),
        idle_closes=int(row["idle_closes"]),
        timer_fits=fitting_timers(low / SECOND, "idle"),
    )


_CLOSES = 2
"""Idle connections that the server closed, after which it is said to do so."""
_SPREAD = 0.05
"""Part of the idle time by which these may differ."""


def _waits(result: FlowResult, verdict: Verdict) -> Iterable[float]:
    """For how long that end had waited for an answer (seconds)."""
    for finding in result.findings:
        waited = finding.evidence.get("waited_seconds")
        if finding.rule == verdict.rule and finding.side == verdict.side and isinstance(waited, float):
            yield waited
            return


def _with_unanswered(made: Evidence, seen: Seen, known: Known) -> Evidence:
    """Whether the service answered other SYNs of the same clients meanwhile."""
    unanswered = [
        (summary, verdict)
        for summary, verdict in seen
        if verdict.table.call == "connect" and not summary.answered and not any(summary.reset)
    ]
    if not unanswered or len(unanswered) < len(seen):
        return made
    begin, end = min(s.start for s, _ in unanswered), max(v.time for _, v in unanswered)
    clients = {pair_of(summary) for summary, _ in unanswered}
    return replace(
        made,
        client_answered=known.answered(clients, begin, end),
        ports_again=sum(summary.again for summary, _ in unanswered),
    )
