"""The report as one JSON document, for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TextIO

from analyzer import __version__
from analyzer.model.capture import Capture
from analyzer.model.filter import EVERYTHING
from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import SIDES, Endpoint, Flow
from analyzer.model.host import Host, System, version_text
from analyzer.model.report import Evidence, Incident, Report, SeenTwice
from analyzer.reports.json_text import write_json
from analyzer.reports.log_report import plain_log

if TYPE_CHECKING:
    from analyzer.model.application import Message

SCHEMA = "errnoscope.report/1"


def write(report: Report, out: TextIO) -> None:
    """Write the report."""
    write_json(_document(report, map(flow_as_plain, report.flows)), out)


def as_plain(report: Report) -> dict[str, Any]:
    """The report as dictionaries and lists; times in seconds since the epoch."""
    return _document(report, [flow_as_plain(result) for result in report.flows])


def _document(report: Report, flows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    totals = report.totals
    return {
        "schema": SCHEMA,
        "tool": {"name": "errnoscope", "version": __version__},
        "captures": [_capture(capture) for capture in report.captures],
        "totals": {
            "packets": totals.packets,
            "tcp_flows": totals.tcp_flows,
            "udp_flows": totals.udp_flows,
            "undecoded_packets": sum(totals.undecoded.values()),
            "undecoded": totals.undecoded,
            "other_packets": totals.other_packets,
            "flows_with_findings": sum(bool(result.findings) for result in report.flows),
        },
        "flows": flows,
        "incidents": [_incident(incident) for incident in report.incidents],
        "hosts": {side: _host(host) for side, host in zip(SIDES, report.hosts, strict=True)},
        "filter": _filter(report),
        "harmless": totals.harmless,
        "counted_once": [_twice(seen) for seen in report.twice],
        "notes": list(report.notes),
        "log": plain_log(report.log, report.flows),
    }


def seconds(nanoseconds: int) -> float:
    """Seconds since the epoch, to the microsecond that a float can hold."""
    microseconds, rest = divmod(nanoseconds, 1000)
    return round(nanoseconds / 1e9, 6) if rest else microseconds / 1e6  # the same, in a fifth of the time


def _capture(capture: Capture) -> dict[str, Any]:
    damage = [f"{capture.damage.where}: {capture.damage.what}"] if capture.damage else []
    return {
        "path": capture.path,
        "format": capture.format or "unknown",
        "link_types": capture.link_types,
        "packets": capture.packets,
        "bytes": capture.bytes,
        "first": None if capture.first is None else seconds(capture.first),
        "last": None if capture.last is None else seconds(capture.last),
        "problems": [*capture.problems, *damage],
        "carries_on": capture.carries_on,
        "comments": [{"frame": comment.frame, "text": comment.text} for comment in capture.comments],
        "comments_left_out": capture.comments_left_out,
    }


def _host(host: Host) -> dict[str, Any]:
    plain: dict[str, Any] = {"os": host.system, "settings": dict(host.settings)}
    if host.version:
        plain["os_version"] = version_text(host.version)
    return plain | ({"platform": host.platform} if host.platform else {})


def _filter(report: Report) -> dict[str, Any] | None:
    """What was asked for, and how many flows that left out; None where everything was."""
    only = report.only
    if only == EVERYTHING:
        return None
    first = min((capture.first for capture in report.captures if capture.first is not None), default=0)
    return {
        "hosts": [str(host) for host in only.hosts],
        "ports": [list(ports) for ports in only.ports],
        "errnos": sorted((errno or None for errno in only.errnos), key=str),
        "since": None if only.since is None else seconds(only.since.absolute(first)),
        "until": None if only.until is None else seconds(only.until.absolute(first)),
        "rules": None if only.rules is None else sorted(only.rules),
        "left_out": report.left_out._asdict(),
    }


def flow_as_plain(result: FlowResult) -> dict[str, Any]:
    """One flow as it stands in the document."""
    flow = result.flow
    return {
        "protocol": flow.protocol,
        "client": _endpoint(flow.client, result.systems[0]),
        "server": _endpoint(flow.server, result.systems[1]),
        "client_guessed": flow.client_guessed,
        "tunnel": flow.tunnel or None,
        "capture": flow.capture,
        "start": seconds(flow.start),
        "end": seconds(result.end),
        "packets": result.packets,
        "verdicts": [_verdict(verdict) | _captures(verdict) for verdict in result.verdicts],
        "findings": [_finding(finding) | _captures(finding) for finding in result.findings],
        "same_as": [_other_flow(other) for other in result.same_as],
        "follows": _other_flow(result.follows) if result.follows else None,
        **({"messages": [_message(one) for one in result.messages]} if result.messages else {}),
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "from": SIDES[message.side],
        "protocol": message.layer,
        "kind": message.kind,
        "text": message.text,
        "frame": message.number,
        "capture": message.capture,
        **({"cut": True} if message.cut else {}),
    }


def _other_flow(flow: Flow) -> dict[str, Any]:
    ends = {side: getattr(flow, side)._asdict() for side in SIDES}
    return ends | {"tunnel": flow.tunnel or None}


def _twice(seen: SeenTwice) -> dict[str, Any]:
    """Connections that are there twice, and counted as one wherever failures are counted."""
    legs = zip((seen.first, seen.again), seen.tunnels, strict=True)
    first, again = ({"service": service, "tunnel": tunnel or None} for service, tunnel in legs)
    return {"first": first, "again": again, "client_moved": seen.client_moved, "flows": seen.flows}


def _captures(item: Verdict | Finding) -> dict[str, Any]:
    return {"frame_captures": list(item.frame_captures)} if item.frame_captures else {}


def _endpoint(endpoint: Endpoint, system: System) -> dict[str, Any]:
    plain: dict[str, Any] = {"address": endpoint.address, "port": endpoint.port, "os": system.name}
    if system.version:
        plain["os_version"] = version_text(system.version)
    return plain | {"os_evidence": system.likeness.value}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "endpoint": SIDES[verdict.side],
        "errno": verdict.errno or None,
        "number": verdict.number,
        "platform": verdict.platform,
        "platform_name": verdict.platform_name or None,
        "call": verdict.table.call,
        "signal": verdict.table.signal,
        "confidence": verdict.confidence.value,
        "calls": verdict.table.calls,
        "later": verdict.table.later,
        "time": seconds(verdict.time),
        "recovered": verdict.recovered,
        "recovered_at": _moment(verdict.recovered_at),
        "recovered_by": verdict.recovered_by or None,
        "rule": verdict.rule,
        "frames": list(verdict.frames),
        "doubts": [doubt.value for doubt in verdict.doubts],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "title": finding.title,
        "summary": finding.summary,
        "endpoint": SIDES[finding.side],
        "frames": list(finding.frames),
        "time": seconds(finding.time),
        "explanation": finding.explanation,
        "fix": finding.fix,
        "evidence": finding.evidence,
    }
    if finding.reset_reason:
        plain["reset_reason"] = list(finding.reset_reason)
    if finding.reset_sender:
        plain["reset_sender"] = finding.reset_sender
    if finding.icmp:
        plain["icmp"] = {
            "type": finding.icmp.type,
            "code": finding.icmp.code,
            "from": finding.icmp.reporter,
        }
    return plain


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "rule": incident.rule,
        "errno": incident.errno or None,
        "call": incident.call,
        "service": incident.service,
        "tunnel": incident.tunnel or None,
        "clients": incident.clients,
        "flows": incident.flows,
        "recovered": incident.recovered,
        "first": seconds(incident.first),
        "last": seconds(incident.last),
        "title": incident.title,
        "evidence": _evidence(incident.evidence),
        "examples": list(incident.examples),
    }


def _moment(time: int) -> float | None:
    return seconds(time) if time else None


def _evidence(evidence: Evidence) -> dict[str, Any]:
    """Times and pauses in seconds; what nothing is known of is left out."""
    plain = {f.name: getattr(evidence, f.name) for f in fields(evidence)}
    return {
        name: _figures(value, in_seconds=name in _TIMES)
        for name, value in plain.items()
        if value or name == "reached_meanwhile"
    }


def _figures(value: Any, *, in_seconds: bool) -> Any:
    if isinstance(value, tuple):
        return [_figures(each, in_seconds=in_seconds) for each in value]
    return seconds(value) if in_seconds else value


_TIMES = ("reached_before", "reached_after", "longest_survived", "shortest_fatal", "waited", "idle_close")
