"""What the capture says about logs: for people, and as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult
from analyzer.model.flow import SIDES
from analyzer.model.report import Report
from analyzer.model.times import duration
from analyzer.reports.layout import INDENT, WIDTH, labelled, wrapped
from analyzer.reports.printable import printable
from analyzer.reports.words import count, short_headline

if TYPE_CHECKING:
    from analyzer.model.log_line import Explained, Log, LogClock, LogMatch, LogReport

_SHOWN = 20
"""Lines of each kind that are shown."""
_LONG = 160
"""Characters of a line that are shown."""
_EXACT_NS = 10**8
"""Smaller differences of clocks are not spoken of."""


def log_lines_of(report: Report) -> Iterable[str]:
    """The part of the report for people; nothing where no log was given."""
    if report.log is None:
        return
    log = report.log
    yield ""
    yield "Logs"
    for one, clock in zip(log.logs, log.clocks, strict=True):
        yield from _wrapped(f"{printable(one.name)}: {_read(one, clock)}")
    explained = [match for match in log.matches if match.explained]
    undecided = [match for match in log.matches if match.candidates]
    unexplained = [m for m in log.matches if not m.explained and m.why and not m.candidates]
    own = [match for match in log.matches if not match.explained and not match.why]
    for title, matches in (
        ("Explained", explained),
        ("Explained by one of several failures, it is not known which", undecided),
        ("No connection in the capture explains", unexplained),
        ("No kernel gave an errno, and nothing failed on the wire", own),
    ):
        if matches:
            yield ""
            yield f"{title}: {count(len(matches), 'log line')}"
        for match in matches[:_SHOWN]:
            yield from _told(match, log, report.captures)
        if len(matches) > _SHOWN:
            yield f"{INDENT}{len(matches) - _SHOWN:,} more; -o json has them all"


def _wrapped(text: str) -> Iterable[str]:
    """A paragraph below a heading."""
    return (INDENT + line for line in wrapped(text, WIDTH - len(INDENT), "  "))


def _read(log: Log, clock: LogClock) -> str:
    """How much of a log was understood, and how its times were taken."""
    told = f"{count(log.lines, 'line')}, {len(log.events) + log.left_out:,} of a socket's failure"
    if log.left_out:
        told += f" (the first {len(log.events):,} are looked at)"
    if not log.events:
        return told
    if all(event.time is None for event in log.events):
        return f"{told}; without times: matched by what they say alone"
    return f"{told}; {_clock(clock)}"


def _clock(clock: LogClock) -> str:
    if not clock.found:
        if clock.stated:
            return "time zone as stated, but no line was written when a connection failed in that way"
        return "no time zone brings its lines together with failures: matched by what they say alone"
    zone = "time zone as stated" if clock.stated else f"time zone {zone_name(clock.zone)}, found out"
    lines = f"{clock.agree:,} of {clock.of:,} lines agree"
    if abs(clock.ahead) < _EXACT_NS:
        return f"{zone}: {lines}"
    way = "ahead of" if clock.ahead > 0 else "behind"
    return f"{zone}, its clock {duration(abs(clock.ahead))} {way} the capture's, found out: {lines}"


def zone_name(seconds: int) -> str:
    """``+05:30``; UTC."""
    if not seconds:
        return "UTC"
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _told(match: LogMatch, log: LogReport, captures: Sequence[Capture]) -> Iterable[str]:
    """A line of the log, and what there is to say about it."""
    event = match.event
    text = printable(event.reading.line.strip())
    if len(text) > _LONG:
        text = f"{text[:_LONG]} ..."
    name = f"{printable(log.logs[match.log].name)}:" if len(log.logs) > 1 else ""
    where = f"{name}{event.number}:"
    yield ""
    yield from _wrapped(f"{where} {text}")
    if found := match.explained:
        yield from labelled("", _flow(found, captures))
        yield from labelled("", _end(found))
        yield from labelled(found.sure.value, _how(found))
    elif match.why:
        yield from labelled("unknown", match.why)
    if event.reading.trap:
        yield from labelled("beware", event.reading.trap)
    elif not match.explained and not match.why:
        yield from labelled("means", event.reading.means)


def _flow(found: Explained, captures: Sequence[Capture]) -> str:
    flow = found.result.flow
    where = f" in {printable(captures[flow.capture].path)}" if len(captures) > 1 else ""
    return f"{flow.client} -> {flow.server}{where}"


def _end(found: Explained) -> str:
    end = SIDES[found.side]
    if not found.rule:
        return f"{end}: the {SIDES[1 - found.side]} had finished (FIN)"
    verdict = next((v for v in found.result.verdicts if v.side == found.side and v.rule == found.rule), None)
    frames = f"frames {' '.join(map(str, found.frames))}" if found.frames else ""
    harmless = f"; it harmed nobody ({found.result.harmless})" if found.result.harmless else ""
    got = f"{end}'s {short_headline(verdict)};" if verdict else f"{end}:"
    return f"{got} {found.rule}, {frames}{harmless}"


def _how(found: Explained) -> str:
    """Why it is as sure as it is."""
    told = []
    if found.delay is None:
        told.append("by what it says" if found.rule else "by the addresses")
    else:
        late = duration(abs(found.delay))
        told.append(f"logged {late} {'after' if found.delay >= 0 else 'before'} it")
    if found.others:
        told.append(f"{count(found.others, 'other end')} would do as well")
    return "; ".join(told)


def plain_log(log: LogReport | None, shown: Sequence[FlowResult]) -> dict[str, Any] | None:
    """The same as dictionaries and lists; ``shown`` are the flows of the report."""
    if log is None:
        return None
    places = {id(result): place for place, result in enumerate(shown)}
    return {
        "logs": [_plain_clock(one, clock) for one, clock in zip(log.logs, log.clocks, strict=True)],
        "lines": [_plain_match(match, log, places) for match in log.matches],
    }


def _plain_clock(log: Log, clock: LogClock) -> dict[str, Any]:
    return {
        "name": log.name,
        "lines": log.lines,
        "understood": len(log.events) + log.left_out,
        "left_out": log.left_out,
        "zone": zone_name(clock.zone) if clock.found and not clock.stated else None,
        "zone_from": "stated" if clock.stated else "found" if clock.found else None,
        "clock_ahead": clock.ahead / 1e9 if clock.found else None,
        "agree": clock.agree,
        "of": clock.of,
    }


def _plain_match(match: LogMatch, log: LogReport, places: Mapping[int, int]) -> dict[str, Any]:
    reading = match.event.reading
    return {
        "log": log.logs[match.log].name,
        "number": match.event.number,
        "line": reading.line,
        "time": None if match.time is None else round(match.time / 1e9, 6),
        "program": reading.program or None,
        "results": list(reading.results),
        "calls": list(reading.calls),
        "seen_through": match.seen_through,
        "note": reading.trap or reading.means,
        "explained": _plain_explained(match.explained, places) if match.explained else None,
        "why": match.why or None,
        "candidates": match.candidates,
    }


def _plain_explained(found: Explained, places: Mapping[int, int]) -> dict[str, Any]:
    flow = found.result.flow
    return {
        "flow": places.get(id(found.result)),
        "client": str(flow.client),
        "server": str(flow.server),
        "capture": flow.capture,
        "endpoint": SIDES[found.side],
        "rule": found.rule or None,
        "harmless": found.result.harmless or None,
        "frames": list(found.frames),
        "sure": found.sure.value,
        "delay": None if found.delay is None else round(found.delay / 1e9, 6),
        "others": found.others,
    }
