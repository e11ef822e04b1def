"""Flows that failed in the same way at the same service, as people want them told: together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.report import Incident, Report
from analyzer.model.rule import Severity

PICTURES_OF_A_KIND, PICTURES = 100, 2000
"""Flows of one kind, and of all, whose pictures show every packet."""


@dataclass(frozen=True, slots=True)
class Group:
    """One row of the report's table. ``number`` is what people call it by, from 1; there is always a member.

    ``incident`` is what is known of the failure of the end that is named first, None for warnings.
    """

    number: int
    members: tuple[FlowResult, ...]
    incident: Incident | None

    @property
    def first(self) -> FlowResult:
        """The member that is told in full."""
        return self.members[0]

    @property
    def failed(self) -> bool:
        """Whether a program got an error; else it is a warning."""
        return bool(self.first.verdicts)

    @property
    def told(self) -> tuple[Verdict | Finding, ...]:
        """What is told of the first member: its verdicts, else the warning that came last."""
        return self.first.verdicts or (main_finding(self.first),)

    @property
    def times(self) -> tuple[int, int]:
        """When the first and the last of it happened (nanoseconds)."""
        times = [
            item.time for member in self.members for item in (member.verdicts or (main_finding(member),))
        ]
        return min(times), max(times)

    @property
    def hosts(self) -> list[str]:
        """The clients' addresses, by how many flows each has."""
        return [host for host, _ in Counter(m.flow.client.address for m in self.members).most_common()]

    @property
    def recovered(self) -> int:
        """How many clients got what they wanted all the same."""
        return sum(any(verdict.recovered for verdict in member.verdicts) for member in self.members)

    @property
    def follow(self) -> int:
        """How many failed because another connection of a proxy had."""
        return sum(member.follows is not None for member in self.members)

    @property
    def sure(self) -> dict[str, int]:
        """How many there are of each confidence, the most frequent first."""
        return dict(Counter(m.verdicts[0].confidence.value for m in self.members if m.verdicts).most_common())


def groups(report: Report) -> list[Group]:
    """Failures before what ended well before warnings, large groups first."""
    found: dict[tuple[object, ...], list[FlowResult]] = {}
    for result in report.flows:
        if not result.verdicts and not is_warning(result):
            continue
        rules = tuple((v.side, v.rule, v.errno) for v in result.verdicts)
        warned = () if rules else tuple(sorted({(f.side, f.rule) for f in result.findings}))
        key = (rules, warned, str(result.flow.server), result.flow.tunnel)
        found.setdefault(key, []).append(result)
    incidents: dict[tuple[str, ...], Incident]
    incidents = {(i.rule, i.errno, i.call, i.service, i.tunnel): i for i in report.incidents}
    made = [Group(0, tuple(members), _incident(members[0], incidents)) for members in found.values()]
    made.sort(key=_place)
    return [Group(number, group.members, group.incident) for number, group in enumerate(made, 1)]


def worth_a_picture(report: Report) -> list[FlowResult]:
    """The first flows of each kind; those that follow look like them."""
    chosen = [result for group in groups(report) for result in group.members[:PICTURES_OF_A_KIND]]
    return chosen[:PICTURES]


def _place(group: Group) -> tuple[bool, bool, bool, int, int]:
    """Where it stands among the others."""
    count = len(group.members)
    return not group.failed, group.recovered == count, group.follow == count, -count, group.times[0]


def _incident(result: FlowResult, incidents: dict[tuple[str, ...], Incident]) -> Incident | None:
    if not result.verdicts:
        return None
    verdict, flow = result.verdicts[0], result.flow
    return incidents.get((verdict.rule, verdict.errno, verdict.table.call, str(flow.server), flow.tunnel))


def is_warning(result: FlowResult) -> bool:
    """Whether anything in it is more than information."""
    return any(finding.severity is not Severity.INFO for finding in result.findings)


def is_unknown(result: FlowResult) -> bool:
    """Whether something failed in it of which nobody knows what its system tells the program."""
    return not result.verdicts and any(finding.severity is Severity.ERROR for finding in result.findings)


def main_finding(result: FlowResult) -> Finding:
    """The last finding that is more than information, else the last one."""
    serious = (f for f in reversed(result.findings) if f.severity is not Severity.INFO)
    return next(serious, result.findings[-1])


def behind(result: FlowResult, item: Verdict | Finding) -> Finding:
    """The finding that a verdict rests on."""
    if isinstance(item, Finding):
        return item
    return next(f for f in result.findings if f.rule == item.rule and f.side == item.side)


def failed(flows: Sequence[FlowResult]) -> int:
    """How many of the flows have a verdict."""
    return sum(bool(result.verdicts) for result in flows)
