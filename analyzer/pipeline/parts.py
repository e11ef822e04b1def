"""Files of a rotation that are to be told of one by one, and judged with what stands in the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.report import Report
from analyzer.sources.inputs import inputs
from analyzer.sources.series import DISORDER, PAUSE, series

_Item = TypeVar("_Item", Verdict, Finding)


class Part(NamedTuple):
    """The report of a file that carries on another, or is carried on: with the failures decided in it.

    ``before`` is the path of the file that it carries on; empty for the first.
    """

    report: Report
    before: str


def parts(reports: Mapping[str, Report], together: Callable[[Sequence[str]], Report]) -> dict[str, Part]:
    """The files among these that are one capture together, by path, each with a report of its own.

    ``reports`` are those of the files read by themselves; ``together`` reads several as one. A failure is
    told of in the file that holds the last of the frames that decide; its other frames are left out.
    """
    found: dict[str, Part] = {}
    for run in _runs(reports):
        whole = together(run)
        carried = {capture.carries_on for capture in whole.captures}
        for index, capture in enumerate(whole.captures):
            before = capture.carries_on
            if before is not None or index in carried:
                flows = tuple(
                    _in_file(result, index) for result in whole.flows if _decided_in(result) == index
                )
                name = "" if before is None else whole.captures[before].path
                found[capture.path] = Part(replace(reports[capture.path], flows=flows), name)
    return found


def _runs(reports: Mapping[str, Report]) -> Iterable[list[str]]:
    """Files that may be a rotation: by their names, and because each begins soon after the one before."""
    paths = list(reports)
    for members in series(inputs(paths)[0]):
        run = [paths[members[0]]]
        for path, following in pairwise(paths[index] for index in members):
            if not _follows(reports[path], reports[following]):
                if len(run) > 1:
                    yield run
                run = []
            run.append(following)
        if len(run) > 1:
            yield run


def _follows(report: Report, following: Report) -> bool:
    last, first = report.captures[0].last, following.captures[0].first
    return last is not None and first is not None and -DISORDER < first - last < PAUSE


def _decided_in(result: FlowResult) -> int:
    """The index of the capture that holds the last frame of the first failure."""
    items: Sequence[Verdict | Finding] = result.verdicts or result.findings
    captures = items[0].frame_captures if items else ()
    return captures[-1] if captures else result.flow.capture


def _in_file(result: FlowResult, index: int) -> FlowResult:
    """The result as a report of that file alone has it."""
    return replace(
        result,
        flow=replace(result.flow, capture=0),
        verdicts=tuple(_frames_in(verdict, index) for verdict in result.verdicts),
        findings=tuple(_frames_in(finding, index) for finding in result.findings),
        ladder=tuple(
            line._replace(capture=None)
            for line in result.ladder
            if (result.flow.capture if line.capture is None else line.capture) == index
        ),
    )


def _frames_in(item: _Item, index: int) -> _Item:
    if not item.frame_captures:
        return item
    kept = (f for f, capture in zip(item.frames, item.frame_captures, strict=True) if capture == index)
    return replace(item, frames=tuple(kept), frame_captures=())
