"""What the page's script shows: the report as small as it can be, for it may tell of many flows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import SIDES
from analyzer.model.picture import Picture
from analyzer.model.report import Report
from analyzer.model.rule import RESULTS, Rule
from analyzer.reports.groups import Group, behind
from analyzer.reports.look_for import display_filter, log_lines
from analyzer.reports.printable import printable
from analyzer.reports.rule_text import rule_lines
from analyzer.reports.text_facts import facts, retried, who
from analyzer.reports.words import call_name, came, headline, moment, result_name, short_headline, signal_of

_LOG_LINES = 5

Plain = dict[str, Any]
_Place = tuple[int, int]
"""Index of a capture, and the number of a frame in it."""


class _Pool:
    """Values that occur in many flows, each kept once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def add(self, value: Any) -> int:
        """The place of the value."""
        key = json.dumps(value)
        place = self._places.setdefault(key, len(self.values))
        if place == len(self.values):
            self.values.append(value)
        return place


def page_data(
    report: Report, found: Sequence[Group], pictures: Mapping[int, Picture], rules: Sequence[Rule]
) -> Plain:
    """Groups, the flows in them by their index in the report, rules, and a pool that they point into."""
    pool = _Pool()
    indices = {id(result): index for index, result in enumerate(report.flows)}
    several = len(report.captures) > 1
    flows = {
        indices[id(result)]: _flow(result, report, pool, pictures.get(id(result)), several=several)
        for group in found
        for result in group.members
    }
    told = {item.rule for group in found for result in group.members for item in result.findings}
    return {
        "rules": {rule.name: _documented(rule) for rule in rules if rule.name in told},
        "groups": [_group(group, [indices[id(member)] for member in group.members]) for group in found],
        "flows": flows,
        "pool": pool.values,
    }


def group_title(group: Group) -> str:
    """What happened, in a line: the call and its errno where a program got one, else the warning."""
    parts = (
        f"{SIDES[item.side]} {short_headline(item)}" if isinstance(item, Verdict) else item.title
        for item in group.told
    )
    return "; ".join(parts)


def group_cause(group: Group) -> str:
    """The titles of the rules behind it."""
    return "; ".join(dict.fromkeys(behind(group.first, item).title for item in group.told))


def _group(group: Group, members: list[int]) -> Plain:
    return {
        "number": group.number,
        "failed": group.failed,
        "title": _safe(group_title(group)),
        "cause": _safe(group_cause(group)),
        "who": _safe(who(group)),
        "facts": [[label, _safe(text)] for label, text in facts(group)],
        "retried": retried(group),
        "recovered": group.recovered,
        "flows": members,
    }


def _documented(rule: Rule) -> str:
    return "\n".join(printable(line) for text in rule_lines(rule) for line in text.splitlines())


def _flow(
    result: FlowResult, report: Report, pool: _Pool, picture: Picture | None, *, several: bool
) -> Plain:
    """Short keys, since there may be thousands: the script says what they mean."""
    flow = result.flow
    told = result.verdicts or [result.findings[-1]]
    deciding = {place for item in result.verdicts or result.findings for place in _places(item, result)}
    plain: Plain = {
        "c": str(flow.client),
        "s": _safe(str(flow.server) + (f" in {flow.tunnel}" if flow.tunnel else "")),
        "at": round(min(item.time for item in told) / 1e9, 3),
        "start": moment(flow.start),
        "n": result.packets,
        "e": pool.add([_outcome(verdict) for verdict in result.verdicts]),
        "r": pool.add(sorted({item.rule for item in result.verdicts or result.findings})),
        "v": [_verdict(verdict, result, pool) for verdict in result.verdicts],
        "f": [_finding(finding, pool) for finding in result.lasting],
        "l": _packets(picture, report, result, deciding, pool)
        if picture
        else _ladder(result, deciding, pool),
        "y": display_filter(flow),
    }
    if several:
        plain["in"] = pool.add([_safe(report.captures[index].path) for index in result.captures])
    if picture:
        plain["full"] = 1
    if result.messages:
        plain["said"] = [[one.number, one.side, pool.add(_safe(one.words))] for one in result.messages]
    if flow.client_guessed:
        plain["guessed"] = 1
    if result.summary and result.summary.completed:
        plain["rtt"] = max(0, result.summary.completed - result.summary.start) // 1000
    return plain


def _places(item: Verdict | Finding, result: FlowResult) -> Iterable[_Place]:
    captures = item.frame_captures or [result.flow.capture] * len(item.frames)
    return zip(captures, item.frames, strict=True)


def _outcome(verdict: Verdict) -> str:
    """The errno, else what the call gave."""
    return verdict.errno or result_name(verdict.table.calls[verdict.table.call])


def _verdict(verdict: Verdict, result: FlowResult, pool: _Pool) -> list[Any]:
    table = verdict.table
    names = [*table.calls, *(call for call in table.later if call not in table.calls)]
    named = [
        [call_name(call), *(_result(call, results.get(call, "")) for results in (table.calls, table.later))]
        for call in names
    ]
    following = f"{call_name(table.call)}: {_result(table.call, table.calls[table.call])}"
    return [
        verdict.side,
        verdict.confidence.value,
        verdict.rule,
        list(verdict.frames),
        pool.add(headline(verdict)),
        pool.add([doubt.value for doubt in verdict.doubts]),
        pool.add(named),
        pool.add([_safe(line) for line in log_lines(verdict, result.flow)[:_LOG_LINES]]),
        pool.add(following),
        int(verdict.recovered),
        came(verdict.time, result.flow.start),
    ]


def _result(call: str, outcome: str) -> str:
    if call == "so_error" and outcome == RESULTS[0]:
        return "no error"
    signal = signal_of(call, outcome)
    return f"{result_name(outcome)} with {signal}" if signal else result_name(outcome)


def _finding(finding: Finding, pool: _Pool) -> list[Any]:
    texts = (finding.title, finding.summary, finding.explanation, finding.fix)
    return [
        finding.side,
        finding.severity.value,
        finding.rule,
        list(finding.frames),
        *(pool.add(_safe(" ".join(text.split()))) for text in texts),
    ]


def _ladder(result: FlowResult, deciding: set[_Place], pool: _Pool) -> list[list[Any]]:
    """Frame, microseconds since the start, sender, label, whether it decides, who sent an ICMP message."""
    return [
        [
            line.number,
            (line.time - result.flow.start) // 1000,
            line.side,
            pool.add(_safe(line.label)),
            int((result.flow.capture if line.capture is None else line.capture, line.number) in deciding),
            *([line.reporter] if line.reporter else []),
        ]
        for line in result.ladder
    ]


def _packets(
    picture: Picture, report: Report, result: FlowResult, deciding: set[_Place], pool: _Pool
) -> list[list[Any]]:
    """The same, then kinds, seq, ack, payload, window, states, packets left out, and in which file."""
    start, several = result.flow.start, len(result.captures) > 1
    return [
        [
            seen.number,
            (seen.time - start) // 1000,
            seen.side,
            pool.add(_safe(seen.label)),
            int((seen.capture, seen.number) in deciding),
            seen.reporter,
            seen.kinds,
            seen.seq,
            seen.ack,
            seen.payload,
            seen.window,
            pool.add(list(seen.states)),
            seen.skipped,
            *([pool.add(_safe(report.captures[seen.capture].path))] if several else []),
        ]
        for seen in picture
    ]


def _safe(text: str) -> str:
    return printable(text)
