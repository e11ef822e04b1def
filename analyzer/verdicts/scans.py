"""Port scans: one client that looks at many ports or hosts in a row, and says nothing to any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from analyzer.model.columns import TCP
from analyzer.model.finding import FlowResult
from analyzer.model.summary import Summary
from analyzer.verdicts.services import REACHED, SECOND, Pair, Services, pair_of

_ROW_NS = 10 * SECOND
"""Attempts of a scan follow each other within this time."""
_PORTS, _PORTS_A_SECOND = 15, 1
"""Ports of one host, at least one a second: slower, it may be a program that needs them all."""
_HOSTS = 25
"""Hosts and ports in all, where the scan goes over many hosts ..."""
_HOSTS_A_SECOND = 10
"""... so many of them a second: a program whose many services are down asks more slowly, or asks again."""
_TRIES = 2
"""How often a scan looks at a port; a program whose service is down goes on trying."""


def without_scans(
    results: Sequence[FlowResult], services: Services
) -> tuple[list[FlowResult], list[FlowResult]]:
    """The results that are no part of a port scan, and those that are."""
    by_client: defaultdict[Pair, list[tuple[int, Summary]]] = defaultdict(list)
    for index, result in enumerate(results):
        if (summary := result.summary) and summary.protocol == TCP and not any(summary.payload):
            client = (summary.version, summary.tunnel, summary.client_hi, summary.client_lo)
            by_client[client].append((index, summary))
    many = [probes for probes in by_client.values() if len(probes) >= min(_PORTS, _HOSTS)]
    reached = services.moments(REACHED, {pair_of(s) for probes in many for _, s in probes})
    found: set[int] = set()
    for probes in many:
        for row in _rows([(i, s) for i, s in probes if pair_of(s) not in reached]):
            if _is_scan([summary for _, summary in row]):
                found.update(index for index, _ in row)
    kept = [result for index, result in enumerate(results) if index not in found]
    return kept, [results[index] for index in sorted(found)]


def _rows(probes: Sequence[tuple[int, Summary]]) -> Iterable[list[tuple[int, Summary]]]:
    """The attempts of a client that follow each other without a pause."""
    row: list[tuple[int, Summary]] = []
    for index, summary in sorted(probes, key=lambda probe: (probe[1].start, probe[0])):
        if row and summary.start - row[-1][1].start > _ROW_NS:
            yield row
            row = []
        row.append((index, summary))
    if row:
        yield row


def _is_scan(row: Sequence[Summary]) -> bool:
    """Many places, each looked at once or twice, and most of them closed."""
    closed = [summary for summary in row if not summary.answered]
    ports: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for summary in closed:
        ports[summary.server_hi, summary.server_lo].add(summary.server_port)
    places = sum(map(len, ports.values()))
    if not places or len(closed) > _TRIES * places:
        return False
    lasted = row[-1].start - row[0].start
    if max(map(len, ports.values())) >= _PORTS and places * SECOND >= _PORTS_A_SECOND * lasted:
        return True
    return places >= _HOSTS and places * SECOND >= _HOSTS_A_SECOND * lasted
