"""A connection that the capture shows twice has one result: what each end met, as seen nearest to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from analyzer.model.finding import FlowResult
from analyzer.model.flow import CLIENT, SERVER


def joined(results: Iterable[FlowResult]) -> list[FlowResult]:
    """The results, those of one connection as one: the flow that was seen first, which is the client's side.

    The others stand in its ``same_as``.
    """
    groups: defaultdict[int, list[FlowResult]] = defaultdict(list)
    for result in results:
        summary = result.summary
        groups[summary.first_leg - 1 if summary and summary.first_leg else result.flow.id].append(result)
    return [
        _one(sorted(group, key=lambda r: r.flow.id)) if len(group) > 1 else group[0]
        for group in groups.values()
    ]


def _one(legs: Sequence[FlowResult]) -> FlowResult:
    """What the client met as its side shows it, what the server met as the side nearest to it shows it."""
    first, last = legs[0], legs[-1]
    verdicts = [v for v in first.verdicts if v.side == CLIENT]
    verdicts += [v for v in last.verdicts if v.side == SERVER]
    if not verdicts:
        chosen = next((leg for leg in legs if leg.verdicts), first)
        return replace(chosen, same_as=tuple(leg.flow for leg in legs if leg is not chosen))
    findings = [f for f in first.findings if f.side == CLIENT]
    findings += [f for f in last.findings if f.side == SERVER]
    findings.sort(key=lambda f: (f.time, f.frames, f.rule))
    others = tuple(leg.flow for leg in legs[1:])
    return replace(first, verdicts=tuple(verdicts), findings=tuple(findings), same_as=others)
