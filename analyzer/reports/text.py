"""The report for people: what was read, what failed in a table, then each kind of failure in full."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

import click

from analyzer.errors import UserError
from analyzer.model.capture import Capture
from analyzer.model.filter import EVERYTHING
from analyzer.model.finding import FlowResult
from analyzer.model.host import DEFAULT_HOST
from analyzer.model.report import Report
from analyzer.model.rule import Severity
from analyzer.model.times import duration
from analyzer.reports.counts import (
    connections_of,
    in_ways,
    is_empty,
    more_of,
    part_of,
    unnamed_part_of,
)
from analyzer.reports.doubts import doubts
from analyzer.reports.flow_table import flow_table
from analyzer.reports.groups import Group, groups, is_unknown, is_warning
from analyzer.reports.host_text import systems_text
from analyzer.reports.layout import WIDTH, Style, labelled, wrapped
from analyzer.reports.log_report import log_lines_of
from analyzer.reports.printable import printable
from analyzer.reports.text_facts import seen_twice
from analyzer.reports.text_group import brief, file_of, full
from analyzer.reports.text_table import table_lines
from analyzer.reports.words import count, moment, silence, silence_means

_IN_FULL = 3
"""Kinds of failure that are all told in full, with their frames; if there are more, in a paragraph each."""
_FEW = 12
"""Connections of several kinds up to which that is so."""
_GROUPS = 10
"""Kinds of failure that have a paragraph."""
_COMMENTS = 3
"""Comments of a capture that are shown."""
_COMMENT = 150
"""Characters of one that are shown, if its first line is longer."""
_FILES = 4
"""Captures that get a line of their own."""


def write(report: Report, out: TextIO, *, colour: bool | None = None, group: int | None = None) -> None:
    """Write the report; ``colour`` by default on a terminal only, and never with NO_COLOR set.

    ``group``: only the kind of failure of that number, its first connection in full, all others listed.
    Raises UserError where there is none of that number.
    """
    if colour is None:
        colour = out.isatty() and "NO_COLOR" not in os.environ
    bold: Style = (lambda text: click.style(text, bold=True)) if colour else (lambda text: text)
    for line in _report(report, bold) if group is None else _one(report, group, bold):
        out.write(line.rstrip() + "\n")


def _report(report: Report, bold: Style) -> Iterable[str]:
    yield from _captures(report)
    found = groups(report)
    yield from _summary(report, found, bold)
    if len(found) > 1:
        yield ""
        yield from table_lines(found, report.captures)
    told: dict[str, int] = {}
    in_full = len(found) == 1 or (len(found) <= _IN_FULL and sum(len(g.members) for g in found) <= _FEW)
    for group in found[:_GROUPS]:
        yield ""
        yield from (full if in_full else brief)(report, group, told, bold)
    yield from log_lines_of(report)
    yield from _not_failures(report)
    yield from _counted_once(report)
    yield from _doubts(report)
    if report.all_flows:
        yield ""
        yield from flow_table(report)
    if found and not in_full:
        yield from _next(report, found)


def _one(report: Report, number: int, bold: Style) -> Iterable[str]:
    """One kind of failure."""
    found = groups(report)
    if not 1 <= number <= len(found):
        there = f"there are 1 to {len(found)}" if len(found) > 1 else "there is only 1"
        what = f"no kind of failure has this number: {there if found else 'nothing failed'}"
        raise UserError("no-such-group", f"--group {number}", what)
    yield from _captures(report)
    yield ""
    yield from full(report, found[number - 1], {}, bold, more=None)
    yield from _doubts(report)


def _captures(report: Report) -> Iterable[str]:
    wholes = _wholes(report.captures)
    for files in wholes[:_FILES]:
        parts = [count(sum(file.packets for file in files), "frame")]
        if len(wholes) == 1:
            again = " (some may be counted twice: see Doubt)" if report.totals.let_go else ""
            parts.append(connections_of(report) + again)
            parts.extend(_vantage(report.flows))
        name = printable(files[0].path)
        if len(files) > 1:
            name = f"{len(files)} files read as one, {name} to {printable(files[-1].path)}"
        yield from wrapped(f"{name}: {', '.join(parts)}", WIDTH, "  ")
        times = [time for file in files for time in (file.first, file.last) if time is not None]
        if times:
            yield f"  {moment(min(times))}, {duration(max(times) - min(times))}"
    if len(wholes) > _FILES:
        frames = sum(file.packets for files in wholes[_FILES:] for file in files)
        more = len(wholes) - _FILES
        yield f"and {more} more capture{'' if more == 1 else 's'} with {count(frames, 'frame')}"
    for note in report.notes:
        yield from labelled("note", printable(note))
    for capture in report.captures:
        yield from _comments(capture, f"{capture.path}: " * (len(report.captures) > 1))
        if capture.damage:
            label = "damaged" if capture.format else "unread"
            yield from labelled(label, f"{printable(capture.damage.where)}: {capture.damage.what}")


def _comments(capture: Capture, name: str) -> Iterable[str]:
    """The first lines of what others wrote into the capture; of an own copy's comments that of the whole."""
    others = [c for c in capture.comments if not (c.frame and c.text.startswith("errnoscope: "))]
    for comment in others[:_COMMENTS]:
        frame = f"frame {comment.frame}: " if comment.frame else ""
        first, _, rest = comment.text.partition("\n")
        text = first if len(first) <= _COMMENT else first[:_COMMENT].rstrip() + " ..."
        more = " ..." if rest and text is first else ""
        yield from labelled("comment", printable(f"{name}{frame}{text}{more}"))


def _wholes(captures: Sequence[Capture]) -> list[list[Capture]]:
    """The captures that were opened; several files that are one capture together, in order of time."""
    following = {capture.carries_on: index for index, capture in enumerate(captures)}
    wholes = []
    for index, capture in enumerate(captures):
        if capture.format and capture.carries_on is None:
            files, place = [capture], index
            while (place := following.get(place, -1)) >= 0:
                files.append(captures[place])
            wholes.append(files)
    return wholes


_NEAR = 0.1
"""Part of the round trip that may lie between the capture and the end beside which it was taken."""
_ROUND_TRIP_NS = 10**6
"""Shorter round trips say nothing about the place: a host takes as long to answer."""


def _vantage(flows: Sequence[FlowResult]) -> Iterable[str]:
    """Where it was captured and how long the round trip is, where the handshakes of all flows agree."""
    seen = [r for r in flows if r.summary and r.summary.completed and not r.summary.client_guessed]
    trips = sorted(r.summary.completed - r.summary.start for r in seen if r.summary)
    if not trips or trips[0] < _ROUND_TRIP_NS or trips[-1] > 2 * trips[0]:
        return
    near = {_near(result) for result in seen}
    if len(near) == 1 and near != {""}:
        yield f"captured at {near.pop()}"
    yield f"round trip {duration(trips[len(trips) // 2])}"


def _near(result: FlowResult) -> str:
    """The end beside which a flow was captured: it answers at once."""
    summary = result.summary
    if not summary:
        return ""
    trip = summary.completed - summary.start
    if summary.completed - summary.answered < _NEAR * trip:
        return result.flow.client.address
    return result.flow.server.address if summary.answered - summary.start < _NEAR * trip else ""


def _summary(report: Report, found: Sequence[Group], bold: Style) -> Iterable[str]:
    yield ""
    if any(report.left_out) and not found:
        yield from map(bold, wrapped(_none_passes(report), WIDTH))
    elif found:
        yield from map(bold, wrapped(_found(report, found), WIDTH))
        yield from wrapped(systems_text(report), WIDTH)
    else:
        yield from _nothing(report, bold)


def _found(report: Report, found: Sequence[Group]) -> str:
    bad = [result for result in report.flows if result.verdicts]
    failures = [result for result in bad if not result.follows]
    follow = [result for result in bad if result.follows]
    unknown = [result for result in report.flows if is_unknown(result)]
    warned = [r for r in report.flows if not r.verdicts and is_warning(r) and not is_unknown(r)]
    first = [group for group in found if group.failed and group.follow < len(group.members)]
    parts = [f"{part_of(report, failures)} failed{in_ways(first)}"] if failures else []
    if follow:
        of = more_of(report, follow) if parts else f"{part_of(report, follow)} failed"
        parts.append(f"{of} in consequence, on the other side of a proxy")
    if unknown:
        of = (more_of if parts else part_of)(report, unknown)
        parts.append(f"{of} failed, with an error that is not known for its system")
    if warned:
        of = (more_of if parts else part_of)(report, warned)
        parts.append(f"{of} in trouble, without an errno so far")
    retried = sum(group.recovered for group in found)
    if retried:
        all_of_them = "it" if retried == 1 else "all"
        which = all_of_them if len(failures) == retried else f"{retried:,} of them"
        parts.append(f"{which} worked at the next try")
    if report.left_out.failed:
        parts.append(f"{report.left_out.failed:,} more failed outside of the filter")
    return "; ".join(parts) + "."


def _none_passes(report: Report) -> str:
    left_out = report.left_out
    outside = f"{unnamed_part_of(report, left_out.failed)} failed outside of it"
    if left_out.other:
        outside += f", {left_out.other:,} had warnings or harmless findings"
    return f"Nothing passes the filter; {outside}."


def _nothing(report: Report, bold: Style) -> Iterable[str]:
    silent = silence(report.captures)
    may = f" But {silence_means(silent)} (see Doubt)." if silent else ""
    if is_empty(report):
        yield from map(bold, wrapped(f"There is no TCP connection in it, so nothing was judged.{may}", WIDTH))
        return
    damaged = any(capture.damage for capture in report.captures)
    connections = connections_of(report)
    within = " in what could be read" if damaged else ""
    but = " that counts as one (see Not failures)" if report.totals.harmless else ""
    if any(map(_may_tell, report.flows)):
        but = ", except perhaps one that went on although it had finished (see Not failures)"
    yield from map(
        bold,
        wrapped(
            f"No failure found in {connections}{within}: no program got an errno{but}, as far as this "
            f"capture shows.{may}",
            WIDTH,
        ),
    )
    rules = f" ({report.totals.rules} rules: errnoscope rules)" if report.totals.rules else ""
    yield from wrapped(
        "Looked for resets, ICMP errors, unanswered connection attempts, ends of file in place of answers "
        f"and data that nobody acknowledged{rules}. {_nearest(report)}A capture cannot show what never "
        "reached the wire: an errno for want of a route, a port or a descriptor.",
        WIDTH,
    )


def _nearest(report: Report) -> str:
    """What came nearest to a failure; findings that are mere information have a place of their own."""
    pause, service = report.totals.longest_pause
    return f"The longest silence that a connection survived was {duration(pause)}, with {service}. " * bool(
        pause
    )


_HARMLESS = {
    "health-check": "connected and closed again at regular intervals, no data: health checks",
    "localhost-fallback": "refused on one address of localhost, answered on the other at once",
    "port-scan": "to many ports or hosts in a row, refused or unanswered, no data: a port scan",
    "reset-after-both-closed": "reset after both ends had closed",
}


def _not_failures(report: Report) -> Iterable[str]:
    """What was seen and harmed nobody, a line each."""
    lines = [(number, _HARMLESS.get(name, name)) for name, number in report.totals.harmless.items()]
    others = [result for result in report.flows if not _closed_before(result)]
    informed = [(f, r) for r in others for f in r.findings if f.severity is Severity.INFO]
    for rule, number in sorted(Counter(finding.rule for finding, _ in informed).items()):
        finding, result = next(pair for pair in informed if pair[0].rule == rule)
        where = f"{'' if number == 1 else 'first: '}{result.flow.client} -> {result.flow.server}"
        lines.append((number, f"{finding.title} ({rule}; {where})"))
    if not lines:
        return
    yield ""
    yield "Not failures"
    width = max(len(f"{number:,}") for number, _ in lines)
    for number, text in sorted(lines, reverse=True):
        wrap = wrapped(text, WIDTH - width - 5)
        yield f"   {number:>{width},}  {wrap[0]}"
        yield from (f"   {'':{width}}  {line}" for line in wrap[1:])


_TWICE = 5
"""Services whose connections are there twice, that have a line."""


def _counted_once(report: Report) -> Iterable[str]:
    """Connections that are there twice."""
    if not report.twice:
        return
    yield ""
    yield "Counted once"
    width = max(len(f"{seen.flows:,}") for seen in report.twice)
    for seen in report.twice[:_TWICE]:
        wrap = wrapped(seen_twice(seen), WIDTH - width - 5)
        yield f"   {seen.flows:>{width},}  {wrap[0]}"
        yield from (f"   {'':{width}}  {line}" for line in wrap[1:])
    if len(report.twice) > _TWICE:
        yield f"   {'':{width}}  and at {len(report.twice) - _TWICE:,} more services"


def _may_tell(result: FlowResult) -> bool:
    """Something harmless, as a rule, that gives a program an errno which still makes a call."""
    return not _closed_before(result) and any(
        f.severity is Severity.INFO and f.outcome and f.outcome.errno for f in result.findings
    )


def _closed_before(result: FlowResult) -> bool:
    """It is counted as harmless already."""
    summary = result.summary
    return bool(summary and all(summary.fin) and any(summary.reset) and not result.verdicts)


def _doubts(report: Report) -> Iterable[str]:
    """What the captures cannot show."""
    told = doubts(report, again=False)
    if len(_wholes(report.captures)) > 1:
        told.append("each capture is judged by itself; a connection in two of them counts twice")
    if told:
        yield ""
        yield "Doubt"
    for text in told:
        yield from (f"   {line}" for line in wrapped(text, WIDTH - 3, "  "))


_NAMES = 160
"""Characters of the names of captures that are written out: two lines of a terminal."""


def _next(report: Report, found: Sequence[Group]) -> Iterable[str]:
    """Commands that tell more."""
    largest = max(found, key=lambda group: len(group.members))
    many = len(largest.members)
    what = "in full, with its frames" if many == 1 else f"the first in full, all {many:,} listed"
    yield ""
    yield "Next"
    yield from _again(report, f"--group {largest.number}", what)
    yield f"   errnoscope explain {largest.told[0].rule}"
    if len(found) > _GROUPS:
        yield f"   {len(found) - _GROUPS:,} more kinds have no paragraph here; -o json has all"


def _again(report: Report, option: str, what: str) -> Iterable[str]:
    """The command with one more option; none where the frames came through a pipe and were not kept."""
    captures = [capture for capture in report.captures if capture.format]
    files = [capture.path if "://" in capture.path else file_of(capture) for capture in captures]
    names = " ".join(shlex.quote(printable(file)) for file in files)
    plain = report.only == EVERYTHING and report.hosts == (DEFAULT_HOST, DEFAULT_HOST)
    if not all(files):
        if not any(map(_is_pipe, captures)):
            yield f"   errnoscope analyze FILE {option}   # nothing was kept of it, unless by -w FILE"
    elif len(names) <= _NAMES and plain:
        yield f"   errnoscope analyze {names} {option}   # {what}"
    elif files == [capture.path for capture in captures]:
        yield f"   the same command with {option} added: {what}"
    else:
        yield f"   errnoscope analyze {names} {option}   # with the options of this command as well: {what}"


def _is_pipe(capture: Capture) -> bool:
    """Whether it was standard input or another pipe, or a program's own packets: no interface."""
    return capture.path == "-" or capture.format == "packets" or Path(capture.path).exists()
