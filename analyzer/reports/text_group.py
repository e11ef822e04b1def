"""One kind of failure in full: its first connection, the frames, both ends, why, what to do, the others."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from analyzer.data import load
from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import CLIENT, SERVER, SIDES, Flow
from analyzer.model.report import Report
from analyzer.model.rule import Severity
from analyzer.reports.ladder_text import ladder_lines
from analyzer.reports.layout import INDENT, WIDTH, Style, indented, labelled
from analyzer.reports.printable import printable
from analyzer.reports.words import calls_in_words, count, headline, later_in_words, moment

_MORE = 5
"""Further members of a group that are listed."""
_LOG_LINES = 3


def group_lines(
    report: Report, members: list[FlowResult], number: int, told: dict[str, int], bold: Style
) -> Iterable[str]:
    """The lines of one group of connections that failed in the same way.

    ``told`` are the rules that were explained before, and in which group; this one's are added.
    """
    first = members[0]
    flow = first.flow
    within = f" in {flow.tunnel}" if flow.tunnel else ""
    yield bold(f"{number}. {flow.client} -> {flow.server}{within}   {moment(flow.start)}")
    if len(report.captures) > 1:
        yield f"{INDENT}in {printable(report.captures[flow.capture].path)}"
    yield ""
    shown: list[Verdict | Finding] = [*first.verdicts] or [_main_finding(first)]
    for item in shown:
        yield from _sentence(item, first, bold)
    if first.ladder:
        yield ""
        deciding = [frame for item in shown for frame in item.frames]
        yield from (INDENT + line for line in ladder_lines(first, deciding))
        yield ""
    yield from _ends(first)
    for finding in _behind(first):
        if finding.rule in told:
            yield from labelled("why, do", f"as in {told[finding.rule]}")
            continue
        told[finding.rule] = number
        yield from labelled("why", finding.explanation)
        yield from labelled("do", finding.fix)
    yield from labelled("look", _look(report, flow), whole=True)
    yield from labelled("", f"errnoscope explain {shown[0].rule}", whole=True)
    yield from _more(report, members[1:])


def _main_finding(result: FlowResult) -> Finding:
    return next(f for f in reversed(result.findings) if f.severity is not Severity.INFO)


def _behind(result: FlowResult) -> list[Finding]:
    """The findings behind the verdicts, each rule once; else the main one."""
    rules = dict.fromkeys(verdict.rule for verdict in result.verdicts)
    by_rule = {finding.rule: finding for finding in reversed(result.findings)}
    return [by_rule[rule] for rule in rules] or [_main_finding(result)]


def _sentence(item: Verdict | Finding, result: FlowResult, bold: Style) -> Iterable[str]:
    if isinstance(item, Finding):
        yield from indented(f"{item.title} (the {SIDES[item.side]}). {item.summary}")
        yield f"{f'warning  {item.rule}':>{WIDTH}}"
        return
    finding = next(f for f in result.findings if f.rule == item.rule and f.side == item.side)
    yield from map(bold, indented(headline(item)))
    yield from indented(f"{finding.title}. {finding.summary}")
    yield f"{f'{item.confidence.value}  {item.rule}':>{WIDTH}}"
    if item.doubts:
        yield from labelled("doubt", "; ".join(doubt.value for doubt in item.doubts))


def _ends(result: FlowResult) -> Iterable[str]:
    verdicts = {verdict.side: verdict for verdict in result.verdicts}
    for side in (CLIENT, SERVER):
        verdict = verdicts.get(side)
        if verdict is None:
            if verdicts:
                yield from labelled(SIDES[side], "no error that this capture shows")
            continue
        table = verdict.table
        yield from labelled(SIDES[side], f"whichever call comes next: {calls_in_words(table)}.")
        if table.later:
            yield from labelled("", f"once that was told: {later_in_words(table)}.")
        yield from _in_logs(verdict, result.flow)


def _in_logs(verdict: Verdict, flow: Flow) -> Iterable[str]:
    """What programs print for this failure, whole, so that it can be searched for."""
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
        yield from labelled("in logs" if index == 0 else "", f"{entry['program']}: {text}", whole=True)


def _look(report: Report, flow: Flow) -> str:
    ip = "ip" if flow.version == 4 else "ipv6"
    addresses = f"{ip}.addr=={flow.client.address} && {ip}.addr=={flow.server.address}"
    ports = f"tcp.port=={flow.client.port} && tcp.port=={flow.server.port}"
    path = printable(report.captures[flow.capture].path)
    path = "FILE" if path == "-" else shlex.quote(path)
    return f"wireshark {path} -Y '{addresses} && {ports}'"


def _more(report: Report, members: Sequence[FlowResult]) -> Iterable[str]:
    if not members:
        return
    yield from labelled("same", f"{count(len(members), 'more connection')}:")
    for result in members[:_MORE]:
        frames = [frame for item in (result.verdicts or result.findings) for frame in item.frames]
        line = f"{result.flow.client}  {moment(result.flow.start)}  frames {_few(frames)}"
        path = printable(report.captures[result.flow.capture].path)
        yield from labelled("", f"{line}  {path}" if len(report.captures) > 1 else line, whole=True)
    if len(members) > _MORE:
        yield from labelled("", f"... and {len(members) - _MORE:,} more")


def _few(frames: Sequence[int]) -> str:
    return " ".join(map(str, frames[:4])) + (" ..." if len(frames) > 4 else "")
