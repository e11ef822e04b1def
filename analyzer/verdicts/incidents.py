"""The same failure between the same services becomes one incident. Order of the flows does not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b

from analyzer.model.finding import FlowResult, Verdict
from analyzer.model.report import Incident
from analyzer.verdicts.evidence import Known, evidence
from analyzer.verdicts.services import Services

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
    seen = [(flow.summary, verdict) for flow in flows if flow.summary for verdict in flow.verdicts]
    known = Known(services, seen)
    made = [_incident(key, members, flows, known) for key, members in groups.items()]
    return tuple(sorted(made, key=lambda i: (-i.flows, i.first, i.rule, i.service, i.tunnel)))


def _incident(key: _Key, members: _Members, flows: Sequence[FlowResult], known: Known) -> Incident:
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
        evidence=evidence([(flows[index], verdict) for index, verdict in members], known, first, last),
        examples=tuple(index for index, _ in members[:_EXAMPLES]),
    )
