"""One kind of failure: its first connection in full with the frames, or a paragraph; and the others."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from analyzer.model.capture import Capture
from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import CLIENT, SERVER, SIDES, Flow
from analyzer.model.report import Report
from analyzer.model.rule import Severity
from analyzer.reports.groups import Group, behind
from analyzer.reports.host_text import SYSTEM_NAMES, elsewhere_text
from analyzer.reports.ladder_text import ladder_lines
from analyzer.reports.layout import INDENT, WIDTH, Style, indented, labelled
from analyzer.reports.look_for import display_filter, log_lines
from analyzer.reports.printable import printable
from analyzer.reports.text_facts import also_as, facts, retried, who
from analyzer.reports.words import (
    calls_in_words,
    came,
    count,
    headline,
    later_in_words,
    moment,
    noun,
    short_headline,
)

MORE = 5
"""Further members of a group that are listed, unless all are wanted."""
_LOG_LINES = 3
_MESSAGES = 3
_LOOK = 3
"""Files of a connection for which a command is given."""

Told = dict[str, int]
"""Rules that were explained before, and in which group."""


def full(report: Report, group: Group, told: Told, bold: Style, more: int | None = MORE) -> Iterable[str]:
    """The lines of one group, its first member in full; ``more``: how many others are listed (None: all)."""
    first, flow = group.first, group.first.flow
    within = f" in {flow.tunnel}" if flow.tunnel else ""
    yield bold(f"{group.number}. {flow.client} -> {flow.server}{within}   {moment(flow.start)}")
    if len(report.captures) > 1:
        yield from indented(f"in {_paths(report, first)}")
    if len(group.members) > 1:
        yield from indented(f"The first of {who(group)}")
    if other := also_as(first):
        yield from indented(other[0].upper() + other[1:])
    yield ""
    for item in group.told:
        yield from _sentence(item, first, bold)
    if told_of_retry := retried(group):
        yield from labelled("retried", told_of_retry)
    if first.ladder:
        yield ""
        deciding = {place for item in group.told for place in _places(item, flow)}
        paths = [printable(capture.path) for capture in report.captures]
        yield from (INDENT + line for line in ladder_lines(first, deciding, paths))
        yield ""
    yield from _ends(first)
    yield from _said(first)
    for label, text in facts(group):
        yield from labelled(label, text)
    yield from _advice(group, told, why=True)
    for index, capture in enumerate(first.captures[:_LOOK]):
        yield from labelled("" if index else "look", _look(report.captures[capture], flow), whole=True)
    yield from labelled("", f"errnoscope explain {group.told[0].rule}", whole=True)
    yield from _more(report, group, more)


def brief(report: Report, group: Group, told: Told, bold: Style) -> Iterable[str]:
    """A paragraph: what, who and when, what all connections together say, what to do, the first proof."""
    first = group.first
    titles = dict.fromkeys(behind(first, item).title for item in group.told)
    yield from map(bold, _headed(f"{group.number}.", "; ".join(titles)))
    yield from indented(who(group))
    for item in group.told:
        finding = behind(first, item)
        if isinstance(item, Verdict):
            yield from labelled(SIDES[item.side], short_headline(item))
        if finding.summary:
            yield from labelled("seen", finding.summary)
    if told_of_retry := retried(group):
        yield from labelled("retried", told_of_retry)
    for label, text in facts(group):
        yield from labelled(label, text)
    yield from _advice(group, told, why=False)
    yield from labelled("proof", _proof(report, group))
    if other := also_as(first):
        yield from labelled("twice", f"The first was {other}")


def _headed(number: str, text: str) -> list[str]:
    first, *others = indented(text)
    return [f"{number} {first.strip()}" if len(number) > 2 else f"{number:<3}{first.strip()}", *others]


def _advice(group: Group, told: Told, *, why: bool) -> Iterable[str]:
    by_rule = {f.rule: f for f in (behind(group.first, item) for item in group.told)}
    for rule, finding in by_rule.items():
        if rule in told:
            yield from labelled("why, do" if why else "do", f"as in {told[rule]}")
            continue
        told[rule] = group.number
        if why:
            yield from labelled("why", finding.explanation)
        yield from labelled("do", finding.fix)
        text = f"{finding.explanation} {finding.fix}" if why else finding.fix
        for system in dict.fromkeys(system.name for system in group.first.systems):
            if there := elsewhere_text(text, system):
                yield from labelled("", there)


def _paths(report: Report, result: FlowResult) -> str:
    return ", ".join(printable(report.captures[index].path) for index in result.captures)


def _places(item: Verdict | Finding, flow: Flow) -> Iterable[tuple[int, int]]:
    """Capture and number of each frame that decides."""
    captures = item.frame_captures or [flow.capture] * len(item.frames)
    return zip(captures, item.frames, strict=True)


def _proof(report: Report, group: Group) -> str:
    frames = [frame for item in group.told for frame in item.frames]
    more = f", {len(group.members) - 1:,} more" if len(group.members) > 1 else ""
    where = f"{_paths(report, group.first)}: " if len(report.captures) > 1 else ""
    return f"{where}{_frames(frames)}{more}"


def _sentence(item: Verdict | Finding, result: FlowResult, bold: Style) -> Iterable[str]:
    if isinstance(item, Finding):
        yield from indented(f"At the {SIDES[item.side]}: {item.title}. {item.summary}")
        if item.severity is Severity.ERROR:
            yield from indented(f"What its program gets then is not known of {SYSTEM_NAMES[item.system]}.")
        yield f"{f'{item.severity.value}  {item.rule}':>{WIDTH}}"
        return
    finding = behind(result, item)
    yield from map(bold, indented(headline(item)))
    yield from indented(f"{finding.title}. {finding.summary}")
    yield from _sure(item, result.flow)
    if item.doubts:
        yield from labelled("doubt", "; ".join(doubt.value for doubt in item.doubts))


def _sure(verdict: Verdict, flow: Flow) -> Iterable[str]:
    """When the error came at the left, how sure it is and the rule at the right."""
    when, sure = f"{INDENT}at {came(verdict.time, flow.start)}", f"{verdict.confidence.value}  {verdict.rule}"
    if len(when) + 2 + len(sure) > WIDTH:
        yield when
        when = ""
    yield f"{when}{sure:>{WIDTH - len(when)}}"


def _ends(result: FlowResult) -> Iterable[str]:
    verdicts = {verdict.side: verdict for verdict in result.verdicts}
    for side in (CLIENT, SERVER):
        verdict = verdicts.get(side)
        if verdict is None:
            if verdicts:
                yield from labelled(SIDES[side], _without_verdict(result, side))
            continue
        table = verdict.table
        yield from labelled(SIDES[side], f"next call: {calls_in_words(table)}.")
        if table.later:
            yield from labelled("", f"after it: {later_in_words(table)}.")
        yield from _in_logs(verdict, result.flow)


def _without_verdict(result: FlowResult, side: int) -> str:
    """What is said of an end without a verdict: none is due, or what its system tells it is not known."""
    unknown = [f for f in result.findings if f.side == side and f.severity is Severity.ERROR]
    if not unknown:
        return "no error that this capture shows"
    first, system = unknown[0], SYSTEM_NAMES[unknown[0].system]
    return f"{first.title} ({first.rule}): what its program gets is not known of {system}."


def _in_logs(verdict: Verdict, flow: Flow) -> Iterable[str]:
    for index, line in enumerate(log_lines(verdict, flow)[:_LOG_LINES]):
        yield from labelled("in logs" if index == 0 else "", line, whole=True)


def _said(result: FlowResult) -> Iterable[str]:
    """The last messages of the programs."""
    for index, message in enumerate(result.messages[-_MESSAGES:]):
        line = f"frame {message.number}, {SIDES[message.side]}: {printable(message.words)}"
        yield from labelled("" if index else "said", line)


def file_of(capture: Capture) -> str:
    """The file in which its frames are; empty where a pipe or an interface was not kept."""
    is_there = capture.format != "packets" and Path(capture.path).is_file()
    return capture.path if is_there else capture.kept


def _look(capture: Capture, flow: Flow) -> str:
    shown = f"-Y '{display_filter(flow)}'"
    path = file_of(capture)
    if not path:
        return f"wireshark FILE {shown}   # nothing was kept of it, unless by -w FILE"
    return f"wireshark {shlex.quote(printable(path))} {shown}"


def _more(report: Report, group: Group, most: int | None) -> Iterable[str]:
    """The others of the group, a line each."""
    members = group.members[1:]
    if not members:
        return
    yield from labelled("same", f"{count(len(members), f'more {noun(members)}')}:")
    for result in members[:most]:
        yield from labelled("", _member(report, result), whole=True)
    if most is not None and len(members) > most:
        yield from labelled("", f"... and {len(members) - most:,} more")


def _member(report: Report, result: FlowResult) -> str:
    frames = [frame for item in (result.verdicts or result.findings) for frame in item.frames]
    line = f"{result.flow.client}  {moment(result.flow.start)}  {_frames(frames)}"
    if any(verdict.recovered for verdict in result.verdicts):
        line += "  retried"
    return f"{line}  {_paths(report, result)}" if len(report.captures) > 1 else line


def _frames(frames: Sequence[int]) -> str:
    return f"frame{'s' * (len(frames) > 1)} {few(frames)}"


def few(frames: Sequence[int]) -> str:
    """The first of some frame numbers."""
    return " ".join(map(str, frames[:4])) + (" ..." if len(frames) > 4 else "")
