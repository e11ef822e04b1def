"""What the captures of a report cannot show, in sentences."""

from __future__ import annotations

from analyzer.model.report import Report
from analyzer.reports.printable import printable


def doubts(report: Report) -> list[str]:
    """What each capture cannot show, and what of them could not be decoded."""
    several = len(report.captures) > 1
    told = [
        printable(f"{capture.path}: {problem}" if several else problem)
        for capture in report.captures
        for problem in capture.problems
    ]
    if report.totals.undecoded:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in report.totals.undecoded.items())
        told.append(f"frames that could not be decoded: {reasons}")
    return told
