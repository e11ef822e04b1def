"""The report for people: what was read, what failed in a table, then each kind of failure in full."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TextIO

import click

from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult
from analyzer.model.report import Report
from analyzer.model.rule import Severity
from analyzer.reports.layout import WIDTH, Style, labelled, wrapped
from analyzer.reports.printable import printable
from analyzer.reports.text_group import group_lines
from analyzer.reports.words import count, duration, moment

_GROUPS = 10
"""Groups of the same failure that are told in full."""
_ROWS = 30
_FILES = 4
"""Captures that get a line of their own."""


def write(report: Report, out: TextIO, *, colour: bool | None = None) -> None:
    """Write the report; ``colour`` by default on a terminal only, and never with NO_COLOR set."""
    if colour is None:
        colour = out.isatty() and "NO_COLOR" not in os.environ
    bold: Style = (lambda text: click.style(text, bold=True)) if colour else (lambda text: text)
    for line in _report(report, bold):
        out.write(line.rstrip() + "\n")


def _report(report: Report, bold: Style) -> Iterable[str]:
    yield from _captures(report.captures)
    groups = _groups(report.flows)
    yield from _summary(report, groups, bold)
    if len(groups) > 1:
        yield ""
        yield from _table(groups)
    told: dict[str, int] = {}
    for number, members in enumerate(groups[:_GROUPS], 1):
        yield ""
        yield from group_lines(report, members, number, told, bold)
    if len(groups) > _GROUPS:
        yield ""
        yield f"{len(groups) - _GROUPS} more kinds of failure; -o json has them all."
    yield from _not_failures(report.flows)


def _captures(captures: Sequence[Capture]) -> Iterable[str]:
    opened = [capture for capture in captures if capture.format]
    for capture in opened[:_FILES]:
        facts = [count(capture.packets, "frame")]
        if capture.first is not None and capture.last is not None:
            facts.append(f"from {moment(capture.first)} for {duration(capture.last - capture.first)}")
        yield from wrapped(f"{printable(capture.path)}: {', '.join(facts)}", WIDTH, "  ")
    if len(opened) > _FILES:
        frames = sum(capture.packets for capture in opened[_FILES:])
        yield f"and {len(opened) - _FILES} more captures with {count(frames, 'frame')}"
    for capture in captures:
        name = f"{printable(capture.path)}: " if len(captures) > 1 else ""
        for problem in capture.problems:
            yield from labelled("doubt", name + problem)
        if capture.damage:
            label = "damaged" if capture.format else "unread"
            yield from labelled(label, f"{printable(capture.damage.where)}: {capture.damage.what}")
    if len(opened) > 1:
        yield from labelled(
            "note", "each capture is judged by itself; a connection in two of them counts twice"
        )


def _summary(report: Report, groups: Sequence[object], bold: Style) -> Iterable[str]:
    totals = report.totals
    if totals.undecoded:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in totals.undecoded.items())
        yield from labelled("doubt", f"frames that could not be decoded: {reasons}")
    if totals.udp_flows:
        yield from labelled("note", f"{count(totals.udp_flows, 'UDP flow')} seen; UDP is not judged yet")
    yield ""
    if groups:
        yield from map(bold, wrapped(_found(report), WIDTH))
        yield "Both ends are taken to run Linux with default settings."
    else:
        yield from _nothing(report, bold)


def _found(report: Report) -> str:
    connections = count(report.totals.tcp_flows, "TCP connection")
    failed = sum(bool(result.verdicts) for result in report.flows)
    warned = sum(not result.verdicts and _is_warning(result) for result in report.flows)
    parts = [f"{failed:,} of {connections} failed"] if failed else []
    if warned:
        of = "more" if failed else f"of {connections}"
        parts.append(f"{warned:,} {of} in trouble, without an errno so far")
    return ", ".join(parts) + "."


def _nothing(report: Report, bold: Style) -> Iterable[str]:
    if not report.totals.tcp_flows:
        yield bold("There is no TCP connection in it, so nothing was judged.")
        return
    damaged = any(capture.damage for capture in report.captures)
    connections = count(report.totals.tcp_flows, "TCP connection")
    within = " in what could be read" if damaged else ""
    yield from map(
        bold,
        wrapped(
            f"No failure found in {connections}{within}: no TCP program got an errno, as far as this "
            "capture shows.",
            WIDTH,
        ),
    )
    yield from wrapped(
        "Looked for resets, ICMP errors, unanswered connection attempts and data that nobody "
        "acknowledged. A capture cannot show what never reached the wire: an errno for want of a "
        "route, a port or a descriptor, and a program's own timer.",
        WIDTH,
    )


def _is_warning(result: FlowResult) -> bool:
    return any(finding.severity is not Severity.INFO for finding in result.findings)


def _groups(flows: Sequence[FlowResult]) -> list[list[FlowResult]]:
    """Flows with the same failure at the same service, failures before warnings, large groups first."""
    groups: dict[tuple[object, ...], list[FlowResult]] = {}
    for result in flows:
        if not result.verdicts and not _is_warning(result):
            continue
        rules = tuple((v.side, v.rule, v.errno) for v in result.verdicts)
        warned = () if rules else tuple(sorted({(f.side, f.rule) for f in result.findings}))
        groups.setdefault((rules, warned, str(result.flow.server)), []).append(result)
    return sorted(groups.values(), key=lambda g: (not g[0].verdicts, -len(g), g[0].flow.start))


def _table(groups: Sequence[Sequence[FlowResult]]) -> Iterable[str]:
    yield f"{'#':>3}  {'flows':>6}  {'application got':<22}  {'from':<9}  {'to':<22}  sure"
    for number, members in enumerate(groups[:_ROWS], 1):
        first = members[0]
        hosts = count(len({member.flow.client.address for member in members}), "host")
        got, sure = "nothing yet", "warning"
        if first.verdicts:
            verdict = first.verdicts[0]
            got = f"{verdict.table.call:<7} {verdict.table.calls[verdict.table.call]}"
            sure = verdict.confidence.value
        yield f"{number:>3}  {len(members):>6,}  {got:<22}  {hosts:<9}  {first.flow.server!s:<22}  {sure}"
    if len(groups) > _ROWS:
        yield f"     and {len(groups) - _ROWS:,} more rows"


def _not_failures(flows: Sequence[FlowResult]) -> Iterable[str]:
    """What was seen and harmed nobody, a line a rule."""
    titles = Counter(
        (finding.rule, finding.title)
        for result in flows
        for finding in result.findings
        if finding.severity is Severity.INFO
    )
    if titles:
        yield ""
        yield "Seen, and most probably no failure"
    for (rule, title), number in sorted(titles.items()):
        example = next(r for r in flows for f in r.findings if f.rule == rule)
        where = f"{'' if number == 1 else 'first: '}{example.flow.client} -> {example.flow.server}"
        yield from labelled(f"{number:,} x", f"{title} ({rule}; {where})")
