"""The same failure between the same services becomes one incident. Order of the flows does not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from analyzer.model.finding import FlowResult, Verdict
from analyzer.model.report import Incident

_EXAMPLES = 5


def incidents(flows: Sequence[FlowResult]) -> tuple[Incident, ...]:
    """One for each rule, errno, call and service, most flows first."""
    groups: defaultdict[tuple[str, str, str, str], list[tuple[int, Verdict]]] = defaultdict(list)
    for index, result in enumerate(flows):
        for verdict in result.verdicts:
            key = (verdict.rule, verdict.errno, verdict.table.call, str(result.flow.server))
            groups[key].append((index, verdict))
    made = [_incident(key, members, flows) for key, members in groups.items()]
    return tuple(sorted(made, key=lambda i: (-i.flows, i.first, i.rule, i.service)))


def _incident(
    key: tuple[str, str, str, str], members: list[tuple[int, Verdict]], flows: Sequence[FlowResult]
) -> Incident:
    rule, errno, call, service = key
    first, verdict = members[0]
    title = next(f.title for f in flows[first].findings if f.rule == rule and f.side == verdict.side)
    return Incident(
        rule=rule,
        errno=errno,
        call=call,
        service=service,
        clients=len({flows[index].flow.client.address for index, _ in members}),
        flows=len({index for index, _ in members}),
        recovered=sum(verdict.recovered for _, verdict in members),
        first=min(verdict.time for _, verdict in members),
        last=max(verdict.time for _, verdict in members),
        title=title,
        examples=tuple(index for index, _ in members[:_EXAMPLES]),
    )
