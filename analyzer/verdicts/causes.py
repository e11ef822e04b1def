"""Failures that follow from another one: the two sides of a proxy."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from analyzer.model.finding import FlowResult
from analyzer.model.flow import CLIENT
from analyzer.model.summary import Summary
from analyzer.verdicts.services import SECOND, Pair

AT_ONCE_NS = SECOND // 50
"""A proxy closes one side so soon after the other one failed."""
_MANY, _MOSTLY = 8, 0.5
"""Of so many failures at a host, and more, at least this part must follow from others, or none is said to."""

_Failure = tuple[int, int]
"""Time of the client's verdict, and index of the result."""


def with_causes(results: list[FlowResult]) -> list[FlowResult]:
    """Set ``follows`` of connections that failed right after another one of the same proxy had.

    The proxy is the client of the one and the server of the other. Either it lost the connection to the
    service behind it, and closes its client's; or its client gave up, and it gives up in turn.
    """
    served: defaultdict[Pair, list[_Failure]] = defaultdict(list)
    asking: defaultdict[Pair, list[_Failure]] = defaultdict(list)
    for index, result in enumerate(results):
        verdict = result.client_verdict
        if verdict and result.summary:
            served[_server(result.summary)].append((verdict.time, index))
            asking[_client(result.summary)].append((verdict.time, index))
    settled = list(results)
    for host in served.keys() & asking.keys():
        for later, earlier in _pairs(results, served[host], asking[host]):
            settled[later] = replace(results[later], follows=results[earlier].flow)
    return settled


def _pairs(
    results: Sequence[FlowResult], served: Sequence[_Failure], asking: Sequence[_Failure]
) -> Iterable[tuple[int, int]]:
    """Indices of a failure and of that which it followed, each in one pair only."""
    found: list[tuple[int, int]] = []
    taken: set[int] = set()
    served = sorted(served)
    for time, upstream in sorted(asking):
        begin = bisect_left(served, (time - AT_ONCE_NS, 0))
        for other, downstream in served[begin : bisect_left(served, (time + AT_ONCE_NS + 1, 0))]:
            if downstream in taken or not _may_ask(results[downstream], results[upstream]):
                continue
            if other >= time:
                found.append((downstream, upstream))
            elif _gave_up(results[downstream]) and _gave_up(results[upstream]):
                found.append((upstream, downstream))
            else:
                continue
            taken.add(downstream)
            break
    enough = len(served) < _MANY or len(found) >= _MOSTLY * len(served)
    return found if enough else ()


def _may_ask(downstream: FlowResult, upstream: FlowResult) -> bool:
    """Whether a client had asked the proxy there, which asked somebody else here."""
    summary = downstream.summary
    if not summary or not summary.payload[CLIENT] or downstream.flow.server == upstream.flow.server:
        return False
    same_host = downstream.flow.client.address == upstream.flow.client.address
    return not same_host or downstream.flow.start < upstream.flow.start


def _gave_up(result: FlowResult) -> bool:
    """Its client ended the wait by a timer of its own, or because somebody else had."""
    verdict = result.client_verdict
    return bool(verdict and not verdict.errno and verdict.table.calls[verdict.table.call] == "BLOCKS")


def _server(summary: Summary) -> Pair:
    return summary.version, summary.tunnel, summary.server_hi, summary.server_lo


def _client(summary: Summary) -> Pair:
    return summary.version, summary.tunnel, summary.client_hi, summary.client_lo
