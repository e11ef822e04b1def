"""Which results are told. Only what is told changes, never what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from analyzer.model.filter import EVERYTHING, NONE_LEFT_OUT, Filter, LeftOut
from analyzer.model.finding import FlowResult
from analyzer.model.flow import Flow


def choose(flows: Iterable[FlowResult], only: Filter, first: int) -> tuple[list[FlowResult], LeftOut]:
    """The flows that pass, and how many do not; ``first`` is the time of the first frame (nanoseconds)."""
    if only == EVERYTHING:
        return list(flows), NONE_LEFT_OUT
    since = only.since.absolute(first) if only.since else None
    until = only.until.absolute(first) if only.until else None
    chosen: list[FlowResult] = []
    failed = other = 0
    for result in flows:
        told = _of_rules(result, only.rules)
        if (
            told
            and any(_has_end(flow, only) for flow in (told.flow, *told.same_as))
            and _has_failure(told, only.errnos, since, until)
        ):
            chosen.append(told)
        elif result.verdicts:
            failed += 1
        else:
            other += bool(result.findings)
    return chosen, LeftOut(failed, other)


def _of_rules(result: FlowResult, rules: frozenset[str] | None) -> FlowResult | None:
    """The result with what these rules found; None if that is nothing."""
    if rules is None:
        return result
    verdicts = tuple(verdict for verdict in result.verdicts if verdict.rule in rules)
    findings = tuple(finding for finding in result.findings if finding.rule in rules)
    return replace(result, verdicts=verdicts, findings=findings) if findings or not result.findings else None


def _has_ends(result: FlowResult, only: Filter) -> bool:
    return any(_has_end(flow, only) for flow in (result.flow, *result.same_as))


def _has_end(flow: Flow, only: Filter) -> bool:
    ends = (flow.client, flow.server)
    addresses = [ip_address(end.address) for end in ends]
    return (
        not only.hosts or any(address in network for address in addresses for network in only.hosts)
    ) and (not only.ports or any(low <= end.port <= high for end in ends for low, high in only.ports))


def _has_failure(result: FlowResult, errnos: frozenset[str], since: int | None, until: int | None) -> bool:
    if errnos:
        times: Sequence[int] = [v.time for v in result.verdicts if v.errno in errnos]
    elif result.verdicts or result.findings:
        times = [item.time for item in (result.verdicts or result.findings)]
    else:  # nothing happened to it: what counts is whether it was there
        return (since is None or result.end >= since) and (until is None or result.flow.start <= until)
    return any((since is None or time >= since) and (until is None or time <= until) for time in times)
