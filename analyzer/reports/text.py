"""The report for people: what happened in a sentence, how sure, the frames that prove it, what to do."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

import click

from analyzer.data import load
from analyzer.model.capture import Capture
from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import CLIENT, SERVER, SIDES, Flow
from analyzer.model.report import Report
from analyzer.reports.ladder_text import ladder_lines
from analyzer.reports.printable import printable
from analyzer.reports.words import (
    calls_in_words,
    count,
    headline,
    later_in_words,
    moment,
)

_WIDTH = 78
_LABEL = 9
_GROUPS = 10
"""Groups of the same failure that are told in full."""
_MORE = 5
"""Further members of a group that are listed."""
_LOG_LINES = 3

Style = Callable[[str], str]


def write(report: Report, out: TextIO, *, colour: bool = False) -> None:
    """Write the report; ``colour`` only for a terminal."""
    bold: Style = (lambda text: click.style(text, bold=True)) if colour else (lambda text: text)
    for line in _report(report, bold):
        out.write(line.rstrip() + "\n")


def _report(report: Report, bold: Style) -> Iterable[str]:
    for capture in report.captures:
        yield from _capture(capture)
    yield from _summary(report, bold)
    groups = _groups(report.flows)
    for number, members in enumerate(groups[:_GROUPS], 1):
        yield ""
        yield from _group(report, members, number, bold)
    if len(groups) > _GROUPS:
        yield ""
        yield f"{len(groups) - _GROUPS} more kinds of failure; -o json has them all."


def _capture(capture: Capture) -> Iterable[str]:
    facts = [count(capture.packets, "frame")]
    if capture.link_types:
        facts.append(" ".join(capture.link_types))
    if capture.first is not None and capture.last is not None:
        facts.append(f"{moment(capture.first)}, {(capture.last - capture.first) / 1e9:.1f} s")
    yield from _filled(f"{printable(capture.path)}: {', '.join(facts)}")
    for problem in capture.problems:
        yield from _labelled("doubt", problem)
    if capture.damage:
        yield from _labelled("damaged", f"{printable(capture.damage.where)}: {capture.damage.what}")


def _summary(report: Report, bold: Style) -> Iterable[str]:
    totals = report.totals
    flows = count(totals.tcp_flows, "TCP connection")
    failed = sum(1 for result in report.flows if result.verdicts)
    suspect = len(report.flows) - failed
    if totals.undecoded:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in totals.undecoded.items())
        yield from _labelled("doubt", f"frames that could not be decoded: {reasons}")
    if not report.flows:
        yield ""
        nothing = f"Nothing found in {flows}: no program here got an errno, as far as this capture shows."
        yield from map(bold, _wrapped(nothing, 0))
        yield from _wrapped(
            "Looked for resets, ICMP errors, unanswered connection attempts and data that nobody "
            "acknowledged. A capture cannot show what never reached the wire: an errno for want of a "
            "route, a port or a descriptor, and a program's own timer.",
            0,
        )
        return
    parts = [f"{failed:,} of {flows} failed"] if failed else []
    if suspect:
        parts.append(
            f"{suspect:,} {'more ' if failed else f'of {flows} '}in trouble, without an errno so far"
        )
    yield ""
    yield bold(", ".join(parts) + ".")
    if len(report.incidents) > 1:
        yield ""
        yield from _table(report)


def _table(report: Report) -> Iterable[str]:
    yield f"{'flows':>7}  {'call':<8} {'application got':<16} {'from':<12} {'to'}"
    for incident in report.incidents[: 2 * _GROUPS]:
        clients = count(incident.clients, "host")
        got = incident.errno or "end of file"
        yield f"{incident.flows:>7,}  {incident.call:<8} {got:<16} {clients:<12} {incident.service}"


def _groups(flows: Sequence[FlowResult]) -> list[list[FlowResult]]:
    """Flows with the same failure at the same service, failures before warnings, large groups first."""
    groups: dict[tuple[object, ...], list[FlowResult]] = {}
    for result in flows:
        rules = tuple((v.side, v.rule, v.errno) for v in result.verdicts)
        warned = () if rules else tuple(sorted({(f.side, f.rule) for f in result.findings}))
        groups.setdefault((rules, warned, str(result.flow.server)), []).append(result)
    return sorted(groups.values(), key=lambda g: (not g[0].verdicts, -len(g), g[0].flow.start))


def _group(report: Report, members: list[FlowResult], number: int, bold: Style) -> Iterable[str]:
    first = members[0]
    flow = first.flow
    yield bold(f"{number}. {flow.client} -> {flow.server}   {moment(flow.start)}")
    yield ""
    shown: list[Verdict | Finding] = [*first.verdicts] or [_main_finding(first)]
    for item in shown:
        yield from _sentence(item, first, bold)
    deciding = [frame for item in shown for frame in item.frames]
    if first.ladder:
        yield ""
        yield from ("   " + line for line in ladder_lines(first, deciding))
        yield ""
    yield from _ends(first)
    for finding in _told(first):
        yield from _labelled("why", finding.explanation)
        yield from _labelled("do", finding.fix)
    yield from _labelled("look", _look(report, flow), whole=True)
    if shown:
        yield from _labelled("", f"errnoscope explain {shown[0].rule}", whole=True)
    yield from _more(members[1:])


def _main_finding(result: FlowResult) -> Finding:
    return result.findings[-1]


def _told(result: FlowResult) -> list[Finding]:
    """The findings behind the verdicts, each rule once; else the main one."""
    rules = dict.fromkeys(verdict.rule for verdict in result.verdicts)
    by_rule = {finding.rule: finding for finding in reversed(result.findings)}
    return [by_rule[rule] for rule in rules] or [_main_finding(result)]


def _sentence(item: Verdict | Finding, result: FlowResult, bold: Style) -> Iterable[str]:
    if isinstance(item, Finding):
        yield from (
            f"   {line}" for line in _wrapped(f"{item.title} (the {SIDES[item.side]}). {item.summary}")
        )
        yield f"{f'warning  {item.rule}':>{_WIDTH}}"
        return
    finding = next(f for f in result.findings if f.rule == item.rule and f.side == item.side)
    yield from (f"   {bold(line)}" for line in _wrapped(headline(item)))
    summary = f" {finding.summary}" if finding.summary else ""
    yield from (f"   {line}" for line in _wrapped(f"{finding.title}.{summary}"))
    yield f"{f'{item.confidence.value}  {item.rule}':>{_WIDTH}}"
    if item.doubts:
        yield from _labelled("doubt", "; ".join(doubt.value for doubt in item.doubts))


def _ends(result: FlowResult) -> Iterable[str]:
    verdicts = {verdict.side: verdict for verdict in result.verdicts}
    for side in (CLIENT, SERVER):
        verdict = verdicts.get(side)
        if verdict is None:
            if verdicts:
                yield from _labelled(SIDES[side], "no error that this capture shows")
            continue
        table = verdict.table
        yield from _labelled(SIDES[side], f"next call: {calls_in_words(table)}.")
        if table.later:
            yield from _labelled("", f"after that: {later_in_words(table)}.")
        yield from _in_logs(verdict, result.flow)


def _in_logs(verdict: Verdict, flow: Flow) -> Iterable[str]:
    """What programs print for this failure."""
    table = verdict.table
    result = table.calls[table.call]
    peer = flow.server if verdict.side == CLIENT else flow.client
    entries = load("logs").get(table.call, {}).get(result, [])
    told = [entry for entry in entries if entry.get("os", "linux") == "linux" and "protocol" not in entry]
    for index, entry in enumerate(told[:_LOG_LINES]):
        text = entry["text"].format(
            number=verdict.number,
            text=load("errno")["errno"].get(result, {"text": ""})["text"],
            address=peer.address,
            port=peer.port,
            local=flow.client if verdict.side == CLIENT else flow.server,
            n="N",
        )
        yield from _labelled("in logs" if index == 0 else "", f"{entry['program']}: {text}")


def _look(report: Report, flow: Flow) -> str:
    ip = "ip" if flow.version == 4 else "ipv6"
    addresses = f"{ip}.addr=={flow.client.address} && {ip}.addr=={flow.server.address}"
    ports = f"tcp.port=={flow.client.port} && tcp.port=={flow.server.port}"
    path = shlex.quote(printable(report.captures[flow.capture].path))
    return f"wireshark {path} -Y '{addresses} && {ports}'"


def _more(members: Sequence[FlowResult]) -> Iterable[str]:
    if not members:
        return
    yield from _labelled("same", f"{count(len(members), 'more connection')}:")
    for result in members[:_MORE]:
        frames = [frame for item in (result.verdicts or result.findings) for frame in item.frames]
        yield from _labelled(
            "", f"{result.flow.client}  {moment(result.flow.start)}  frames {_few(frames)}", whole=True
        )
    if len(members) > _MORE:
        yield from _labelled("", f"... and {len(members) - _MORE:,} more")


def _few(frames: Sequence[int]) -> str:
    return " ".join(map(str, frames[:4])) + (" ..." if len(frames) > 4 else "")


def _wrapped(text: str, indent: int = 3) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _WIDTH - indent)


def _filled(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _labelled(label: str, text: str, *, whole: bool = False) -> Iterable[str]:
    """Text with a hanging indent behind a label; ``whole``: one line, to be copied."""
    lines = [text] if whole else _wrapped(text, 3 + _LABEL)
    for index, line in enumerate(lines):
        yield f"   {(label if index == 0 else ''):<{_LABEL}}{line}"
