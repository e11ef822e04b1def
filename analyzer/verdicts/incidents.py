"""The same failure between the same services becomes one incident. Order of the flows does not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from analyzer.model.finding import FlowResult, Verdict
from analyzer.model.report import Evidence, Incident
from analyzer.verdicts.limits import fitting
from analyzer.verdicts.services import REACHED, Moments, Pair, Services, service_of

_EXAMPLES = 5

_Key = tuple[str, str, str, str, str]
_Members = list[tuple[int, Verdict]]


def incidents(flows: Sequence[FlowResult], services: Services) -> tuple[Incident, ...]:
    """One for each rule, errno, call and service, most flows first."""
    groups: defaultdict[_Key, _Members] = defaultdict(list)
    for index, result in enumerate(flows):
        for verdict in result.verdicts:
            flow = result.flow
            key = (verdict.rule, verdict.errno, verdict.table.call, str(flow.server), flow.tunnel)
            groups[key].append((index, verdict))
    places = {_service(flows, members) for members in groups.values()} - {None}
    known = _Known(services, {place for place in places if place})
    made = [_incident(key, members, flows, known) for key, members in groups.items()]
    return tuple(sorted(made, key=lambda i: (-i.flows, i.first, i.rule, i.service, i.tunnel)))


class _Known:
    """What is known of the services that failed."""

    def __init__(self, services: Services, places: set[Pair]) -> None:
        self.reached = services.moments(REACHED, places, by_service=True)
        self.rows = services.service(places)


def _service(flows: Sequence[FlowResult], members: _Members) -> Pair | None:
    summary = flows[members[0][0]].summary
    return service_of(summary) if summary else None


def _incident(key: _Key, members: _Members, flows: Sequence[FlowResult], known: _Known) -> Incident:
    rule, errno, call, service, tunnel = key
    index, verdict = members[0]
    title = next(f.title for f in flows[index].findings if f.rule == rule and f.side == verdict.side)
    first = min(verdict.time for _, verdict in members)
    last = max(verdict.time for _, verdict in members)
    return Incident(
        id=blake2b("\0".join(key).rstrip("\0").encode(), digest_size=5).hexdigest(),
        rule=rule,
        errno=errno,
        call=call,
        service=service,
        tunnel=tunnel,
        clients=len({flows[index].flow.client.address for index, _ in members}),
        flows=len({index for index, _ in members}),
        recovered=sum(verdict.recovered for _, verdict in members),
        first=first,
        last=last,
        title=title,
        evidence=_evidence(members, flows, known, first, last),
        examples=tuple(index for index, _ in members[:_EXAMPLES]),
    )


def _evidence(
    members: _Members, flows: Sequence[FlowResult], known: _Known, first: int, last: int
) -> Evidence:
    place = _service(flows, members)
    if place is None:
        return Evidence()
    reached = known.reached.get(place, Moments.none())
    row = known.rows.get(place)
    summaries = [(flows[index].summary, verdict.side) for index, verdict in members]
    pauses = [summary.fatal[side] for summary, side in summaries if summary and summary.fatal[side]]
    lengths = [
        summary.resent_length[side]
        for summary, side in summaries
        if summary and summary.unacknowledged[side] and not any(summary.reset)
    ]
    side = members[0][1].side
    evidence = Evidence(
        reached_before=reached.last_before(first),
        reached_after=reached.first_after(last),
        reached_meanwhile=reached.between(first, last),
        longest_survived=int(row["survived"]) if row is not None and pauses else 0,
        survivors=int(row["survivors"]) if row is not None and pauses else 0,
        shortest_fatal=min(pauses, default=0) if len(pauses) == len(members) else 0,
        fell_silent=bool(pauses) and not any(any(summary.reset) for summary, _ in summaries if summary),
        largest_acknowledged=int(row["largest"][side]) if row is not None and any(lengths) else 0,
        smallest_lost=min(lengths, default=0) if len(lengths) == len(members) else 0,
    )
    if not evidence.idle_bracketed:
        return evidence
    lived, died = evidence.longest_survived, evidence.shortest_fatal
    return replace(evidence, idle_fits=fitting(lived, died, silent=evidence.fell_silent))
