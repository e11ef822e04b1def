"""What the captures of a report cannot show, in sentences."""

from __future__ import annotations

from analyzer.model.report import Report
from analyzer.reports.groups import behind
from analyzer.reports.printable import printable

_NEXT_HOP = "next-hop-dead"
"""The beginning of the names of the rules that say who did not answer."""


def doubts(report: Report, *, again: bool = True) -> list[str]:
    """What each capture cannot show, and what of them could not be decoded.

    Without ``again`` hosts are left out that did not answer, if a verdict says that of the same questions.
    """
    several = len(report.captures) > 1
    told = [
        printable(f"{capture.path}: {problem}" if several else problem)
        for index, capture in enumerate(report.captures)
        for problem in capture.problems
        if again or not _is_told(report, index, problem)
    ]
    if report.totals.undecoded:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in report.totals.undecoded.items())
        told.append(f"frames that could not be decoded: {reasons}")
    return told


def _is_told(report: Report, capture: int, problem: str) -> bool:
    """Whether the problem is that a host did not answer another, and a verdict there says so."""
    hosts = report.captures[capture].silent
    silent = next((host for host in hosts if problem.startswith(f"{host} did not answer ")), "")
    return bool(silent) and any(
        f": {(result.flow.client, result.flow.server)[verdict.side].address} asked " in problem
        and f" {silent}," in behind(result, verdict).summary
        for result in report.flows
        if result.flow.capture == capture
        for verdict in result.verdicts
        if verdict.rule.startswith(_NEXT_HOP)
    )
