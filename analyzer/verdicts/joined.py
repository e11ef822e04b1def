"""A connection that the capture shows twice has one result: what each end met, as seen nearest to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import CLIENT, SERVER
from analyzer.model.numbers import among
from analyzer.model.records import where
from analyzer.model.summary import LegRows, SummaryRows

_LEG = np.dtype([("flow", "i8"), ("first", "i8"), ("both", "?")])


class Leg(NamedTuple):
    """A flow that shows a connection; ``both``: packets of both ends, so that it shows what these met."""

    flow: int
    both: bool


@dataclass(slots=True)
class Legs:
    """What is kept of each flow whose connection another one shows as well, failed or not."""

    _open: set[int] = field(default_factory=set)
    """Flows that another one goes on from."""
    _rows: list[NDArray[np.void]] = field(default_factory=list)

    def note(self, legs: LegRows) -> None:
        """Take connections that were found to be there twice."""
        self._open.update(legs["flow"][:, 0].tolist())

    def add(self, rows: SummaryRows) -> None:
        """Take flows that ended, after what was noted of them."""
        member = rows["first_leg"] > 0
        if self._open:
            member |= among(rows["flow"], np.fromiter(self._open, np.int64))
        rows = where(rows, member)
        if len(rows):
            found = np.zeros(len(rows), _LEG)
            found["flow"] = rows["flow"]
            found["first"] = np.where(rows["first_leg"] > 0, rows["first_leg"] - 1, rows["flow"])
            found["both"] = ((rows["ttl"] > 0) | rows["reset"]).all(axis=1)
            self._open.difference_update(rows["flow"].tolist())
            self._rows.append(found)

    def merge(self, other: Legs) -> None:
        """Take all that the other one has."""
        self._rows.extend(other._rows)

    def numbered(self, numbers: NDArray[np.int64], elsewhere: int) -> Legs:
        """The same with other numbers of the flows, int64 (flows,) by their own, below ``elsewhere``."""
        new = Legs()
        for rows in self._rows:
            rows = rows.copy()
            known = rows["first"] < elsewhere
            rows["flow"] = numbers[rows["flow"]]
            rows["first"][known] = numbers[rows["first"][known]]
            new._rows.append(rows)
        return new

    def pointed(self, flows: Mapping[int, int], elsewhere: int) -> Legs:
        """The same with the flows that showed a connection first, by their numbers behind ``elsewhere``."""
        new = Legs()
        for rows in self._rows:
            rows = rows.copy()
            for at in np.flatnonzero(rows["first"] >= elsewhere).tolist():
                rows["first"][at] = flows[int(rows["first"][at]) - elsewhere]
            new._rows.append(rows)
        return new

    def of(self, firsts: Iterable[int]) -> dict[int, list[Leg]]:
        """The legs of the connections that these flows showed first, the client's side first."""
        found: defaultdict[int, list[Leg]] = defaultdict(list)
        wanted = np.fromiter(set(firsts), np.int64)
        for rows in self._rows:
            for flow, first, both in where(rows, among(rows["first"], wanted)).tolist():
                found[first].append(Leg(flow, both))
        return {first: sorted(legs) for first, legs in found.items()}


def joined(results: Iterable[FlowResult], legs: Legs) -> list[FlowResult]:
    """The results, those of one connection as one: the flow that was seen first, which is the client's side.

    The others stand in its ``same_as``.
    """
    groups: defaultdict[int, list[FlowResult]] = defaultdict(list)
    for result in results:
        summary = result.summary
        groups[summary.first_leg - 1 if summary and summary.first_leg else result.flow.id].append(result)
    known = legs.of(groups)
    one = [_one(group, known.get(first, ())) for first, group in groups.items()]
    return [result for result in one if result]


def _one(group: Sequence[FlowResult], legs: Sequence[Leg]) -> FlowResult | None:
    """What the client met as its side shows it, what the server met as the side nearest to it shows it.

    ``group``: the results of those legs in which something was found; None if nothing is left of it.
    """
    if len(group) == 1 and not legs:
        return group[0]
    results = {result.flow.id: result for result in group}
    ordered = [results[flow] for flow in sorted(results)]
    shown = {leg.flow: leg for leg in (*(Leg(flow, both=True) for flow in results), *legs)}
    legs = [shown[flow] for flow in sorted(shown)]
    if len(legs) == 1:
        return ordered[0]
    told = [
        *((CLIENT, result) for result in _telling(results, legs[0], ordered, CLIENT)),
        *((SERVER, result) for result in _telling(results, legs[-1], ordered[::-1], SERVER)),
    ]
    verdicts: list[Verdict] = [v for side, result in told for v in result.verdicts if v.side == side]
    findings: list[Finding] = [f for side, result in told for f in result.findings if f.side == side]
    if not findings:
        return None
    findings.sort(key=lambda f: (f.time, f.frames, f.rule))
    chosen = min((result for _, result in told), key=lambda r: (not r.verdicts, r.flow.id))
    others = tuple(result.flow for result in ordered if result is not chosen)
    return replace(chosen, verdicts=tuple(verdicts), findings=tuple(findings), same_as=others)


def _telling(
    results: Mapping[int, FlowResult], nearest: Leg, others: Sequence[FlowResult], side: int
) -> Sequence[FlowResult]:
    """The result that says what that end met: another leg's only where the nearest one cannot show it."""
    own = results.get(nearest.flow)
    if nearest.both:
        return [own] if own else []
    return [r for r in others if any(v.side == side for v in r.verdicts)][:1] or ([own] if own else [])
