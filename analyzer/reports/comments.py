"""What the findings say of each frame, as comments for a copy of the capture."""

from __future__ import annotations

from collections.abc import Iterable

from analyzer import __version__
from analyzer.model.comments import Comments
from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import SIDES
from analyzer.model.report import Report
from analyzer.reports.counts import failed_of
from analyzer.reports.groups import Group, behind, groups
from analyzer.reports.printable import printable
from analyzer.reports.text_facts import who
from analyzer.reports.words import headline

Place = tuple[int, int]
"""Index of a capture, and the number of a frame in it."""

_GROUPS = 100
"""Kinds of failure that the comment on the whole names."""


def comments(report: Report, capture: int = 0) -> Comments:
    """The comments on the capture of that index, and on its frames that prove something."""
    frames: dict[int, list[str]] = {}
    for result in report.flows:
        for (index, number), texts in flow_comments(result).items():
            if index == capture:
                frames.setdefault(number, []).extend(texts)
    return Comments(_printable(_whole(report, capture)), frames)


def flow_comments(result: FlowResult) -> dict[Place, list[str]]:
    """The comments on the frames of a flow, by capture and number.

    What is told of a finding stands at the last of its frames; the others point there.
    """
    said: dict[Place, list[str]] = {}
    for finding in result.lasting:
        verdict = next((v for v in result.verdicts if behind(result, v) is finding), None)
        captures = finding.frame_captures or [result.flow.capture] * len(finding.frames)
        places = list(zip(captures, finding.frames, strict=True))
        decides = max(places)
        pointer = f"errnoscope: {finding.rule} ({SIDES[finding.side]}), decided by frame {decides[1]}"
        for place in places:
            text = _printable(_told(result, finding, verdict)) if place == decides else pointer
            said.setdefault(place, []).append(text)
    return said


def _told(result: FlowResult, finding: Finding, verdict: Verdict | None) -> Iterable[str]:
    flow = result.flow
    sure = verdict.confidence.value if verdict else finding.severity.value
    yield f"errnoscope: {finding.rule} ({sure}), {flow.client} -> {flow.server}"
    if verdict:
        yield headline(verdict)
    yield f"{'' if verdict else f'{SIDES[finding.side].capitalize()}: '}{finding.title}. {finding.summary}"
    if verdict:
        yield from (f"Doubt: {doubt.value}." for doubt in verdict.doubts)
        others = [str(number) for number in finding.frames if number != max(finding.frames)]
        yield f"Proved by frame{'s' * (len(others) > 1)} {' '.join(others)} and this one." if others else ""
    yield f"Why: {finding.explanation}"
    yield f"What to do: {finding.fix}"


def _whole(report: Report, capture: int) -> Iterable[str]:
    found = [group for group in groups(report) if group.first.flow.capture == capture]
    yield f"errnoscope {__version__}: {failed_of(report)}."
    yield from map(_row, found[:_GROUPS])
    if len(found) > _GROUPS:
        yield f"... and {len(found) - _GROUPS:,} kinds more"
    yield from (f"Doubt: {problem}" for problem in report.captures[capture].problems)


def _row(group: Group) -> str:
    told = "; ".join(headline(item) if isinstance(item, Verdict) else item.title for item in group.told)
    rules = ", ".join(dict.fromkeys(item.rule for item in group.told))
    frames = " ".join(str(number) for item in group.told for number in item.frames[:4])
    first = "first: " if len(group.members) > 1 else ""
    return f"{group.number}. {who(group)} {told} ({rules}; {first}frames {frames})"


def _printable(lines: Iterable[str]) -> str:
    """Lines without what a terminal would act on; empty ones are left out."""
    return "\n".join(told for line in lines if (told := printable(" ".join(line.split()))))
