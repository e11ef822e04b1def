"""How many flows there are and how many of them failed, TCP and UDP apart: said alike in all reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from analyzer.model.finding import FlowResult
from analyzer.model.report import Report
from analyzer.reports.groups import Group
from analyzer.reports.words import count

_NOUNS = {"tcp": "TCP connection", "udp": "UDP flow"}


def is_empty(report: Report) -> bool:
    """Whether there was nothing to judge."""
    return not report.totals.tcp_flows + report.totals.udp_flows


def connections_of(report: Report) -> str:
    """``2 TCP connections and 3 UDP flows``: all of them; a kind of which there is none is left out."""
    there = _there(report)
    return " and ".join(count(number, _NOUNS[kind]) for kind, number in there.items())


def part_of(report: Report, some: Iterable[FlowResult]) -> str:
    """How many ``some`` are of all, each kind of its own.

    ``3 of 4 TCP connections and 2 of 2 UDP flows``, ``3 of 3 UDP flows and none of 2 TCP connections``; UDP
    is left out where there are TCP connections only, as nearly every capture holds some by the way.
    """
    found, there = _found(some), _there(report)
    if not found:
        return " and ".join(_share(0, kind, number) for kind, number in there.items())
    parts = [_share(found[kind], kind, number) for kind, number in there.items() if found[kind]]
    if "tcp" in there and not found["tcp"]:
        parts.append(f"none of {count(there['tcp'], _NOUNS['tcp'])}")
    return " and ".join(parts)


def more_of(report: Report, some: Iterable[FlowResult]) -> str:
    """The same behind a sentence that has counted others: ``1 more``, ``1 of 2 UDP flows``."""
    found, there = _found(some), _there(report)
    if len(there) == 1:
        return f"{found.total():,} more"
    return " and ".join(_share(found[kind], kind, there[kind]) for kind in there if found[kind])


def unnamed_part_of(report: Report, number: int) -> str:
    """``3 of 5 flows``: where it is not known of which kind these are."""
    there = _there(report)
    all_of_them = connections_of(report) if len(there) == 1 else count(sum(there.values()), "flow")
    return f"{number:,} of {all_of_them}"


def failed_of(report: Report) -> str:
    """How many failed, of how many; a sentence without its full stop, that may stand behind a colon."""
    if is_empty(report):
        return "no connection in it, so nothing was judged"
    return f"{part_of(report, (result for result in report.flows if result.verdicts))} failed"


def in_ways(bad: Sequence[Group]) -> str:
    """What follows ``failed``: in how many ways, and at how many services if the groups are more for that.

    The same error of the same end by the same rule is one way, whatever the service.
    """
    ways = len({tuple((v.side, v.rule, v.errno) for v in group.first.verdicts) for group in bad})
    services = len({(str(group.first.flow.server), group.first.flow.tunnel) for group in bad})
    several = sum(len(group.members) for group in bad) > 1
    told = f" in {ways:,} ways" if ways > 1 else ", all in one way" if several else ""
    return f"{told} at {services:,} services" if len(bad) > ways else told


def _share(some: int, kind: str, number: int) -> str:
    return f"{some:,} of {count(number, _NOUNS[kind])}"


def _found(some: Iterable[FlowResult]) -> Counter[str]:
    return Counter(result.flow.protocol for result in some)


def _there(report: Report) -> dict[str, int]:
    """How many there are of each kind; TCP where there is nothing."""
    twice = sum(seen.flows for seen in report.twice)
    there = {"tcp": report.totals.tcp_flows - twice, "udp": report.totals.udp_flows}
    return {kind: number for kind, number in there.items() if number} or {"tcp": 0}
