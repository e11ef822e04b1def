"""A report as a list of problems, each verdict or finding once."""

from __future__ import annotations

from collections.abc import Iterable

from analyzer.model.checked import Problem
from analyzer.model.finding import FlowResult
from analyzer.model.report import Report
from analyzer.model.rule import Severity

LEVELS = (Severity.INFO, Severity.WARNING, Severity.ERROR)
"""Severities, the mildest first."""


def problems(report: Report) -> tuple[Problem, ...]:
    """All problems of a report of one capture, by flow and time.

    A verdict stands for its end: findings that come after the first failure met nobody, and warnings before
    it said what it has become. An error that has no verdict at an end without one (its system's outcome is
    not known) and other warnings stand for themselves.
    """
    start = min((c.first for c in report.captures if c.first is not None), default=0)
    return tuple(p for index, flow in enumerate(report.flows) for p in _of_flow(index, flow, start))


def _of_flow(index: int, flow: FlowResult, start: int) -> Iterable[Problem]:
    judged = {verdict.side: verdict for verdict in flow.verdicts}
    told = set()
    for finding in flow.lasting:
        verdict = judged.get(finding.side)
        if verdict and finding.severity is Severity.ERROR:
            if verdict.rule != finding.rule or finding.side in told:
                continue
            told.add(finding.side)
            yield Problem(index, start, flow, finding, verdict)
        else:
            yield Problem(index, start, flow, finding, None)


def at_least(problem: Problem, level: Severity) -> bool:
    """Whether a problem is as severe as that, or more."""
    return LEVELS.index(problem.severity) >= LEVELS.index(level)
