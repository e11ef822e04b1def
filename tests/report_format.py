"""The format of the JSON report, as checks of a report that was read back."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import analyzer
from analyzer.data import load
from analyzer.matching.load import load_rules, rules_folder

RULES = load_rules(rules_folder())
BY_NAME = {rule.name: rule for rule in RULES}
ERRNO = load("errno")["errno"]

ENDPOINTS = ("client", "server")
CALLS = ("connect", "accept", "recv", "send", "so_error")
RESULTS = {"OK", "EOF", "BLOCKS", *ERRNO}
CONFIDENCE = ("certain", "likely", "possible")
SEVERITIES = ("error", "warning", "info")

Plain = dict[str, Any]

SHAPE: dict[str, dict[str, type | tuple[type, ...]]] = {
    "report": {
        "schema": str,
        "tool": dict,
        "captures": list,
        "totals": dict,
        "flows": list,
        "incidents": list,
        "harmless": dict,
    },
    "tool": {"name": str, "version": str},
    "capture": {
        "path": str,
        "format": str,
        "link_types": list,
        "packets": int,
        "bytes": int,
        "first": (float, type(None)),
        "last": (float, type(None)),
        "problems": list,
    },
    "totals": {
        "packets": int,
        "tcp_flows": int,
        "udp_flows": int,
        "undecoded_packets": int,
        "flows_with_findings": int,
    },
    "flow": {
        "protocol": str,
        "client": dict,
        "server": dict,
        "client_guessed": bool,
        "tunnel": (str, type(None)),
        "start": float,
        "end": float,
        "packets": int,
        "verdicts": list,
        "findings": list,
    },
    "end": {"address": str, "port": int, "os": str},
    "verdict": {
        "endpoint": str,
        "errno": (str, type(None)),
        "number": (int, type(None)),
        "call": str,
        "signal": dict,
        "confidence": str,
        "calls": dict,
        "later": dict,
        "time": float,
        "recovered": bool,
        "rule": str,
        "frames": list,
    },
    "finding": {
        "rule": str,
        "severity": str,
        "title": str,
        "endpoint": str,
        "frames": list,
        "time": float,
        "explanation": str,
        "fix": str,
    },
    "icmp": {"type": int, "code": int, "from": str},
    "incident": {
        "rule": str,
        "errno": (str, type(None)),
        "call": str,
        "service": str,
        "clients": int,
        "flows": int,
        "recovered": int,
        "first": float,
        "last": float,
        "title": str,
        "evidence": dict,
        "examples": list,
    },
}
"""Keys that the format promises, and the types of their values; others may be added."""


def complaints(plain: Plain) -> Iterator[str]:
    """What is wrong with a report; nothing where it keeps to the format."""
    yield from shaped("report", plain)
    yield from shaped("tool", plain["tool"])
    yield from shaped("totals", plain["totals"])
    for number, capture in enumerate(plain["captures"]):
        yield from of_capture(capture, f"captures[{number}]")
    for number, flow in enumerate(plain["flows"]):
        yield from of_flow(flow, plain, f"flows[{number}]")
    for number, incident in enumerate(plain["incidents"]):
        yield from of_incident(incident, plain, f"incidents[{number}]")
    yield from of_totals(plain)
    for name, count in plain["harmless"].items():
        if not isinstance(count, int) or count < 1:
            yield f"harmless.{name} is {count!r}"
    if plain["schema"] != "errnoscope.report/1":
        yield f"schema is {plain['schema']}"
    if plain["tool"] != {"name": "errnoscope", "version": analyzer.__version__}:
        yield f"tool is {plain['tool']}"


def shaped(kind: str, value: Plain, where: str = "") -> Iterator[str]:
    """Keys that are missing, and values of a wrong type."""
    where = where or kind
    for key, types in SHAPE[kind].items():
        if key not in value:
            yield f"{where}.{key} is missing"
        elif not isinstance(value[key], types) or (types is int and isinstance(value[key], bool)):
            yield f"{where}.{key} is {value[key]!r}"


def of_capture(capture: Plain, where: str) -> Iterator[str]:
    yield from shaped("capture", capture, where)
    formats = ("pcap", "pcapng") if capture["link_types"] else ("pcap", "pcapng", "unknown")
    if capture["format"] not in formats:
        yield f"{where}.format is {capture['format']}"
    if any(not isinstance(text, str) or not text for text in capture["link_types"] + capture["problems"]):
        yield f"{where} has link types or problems that are no text"
    if capture["packets"] and not 0 <= capture["first"] <= capture["last"]:
        yield f"{where} begins at {capture['first']} and ends at {capture['last']}"


def of_flow(flow: Plain, plain: Plain, where: str) -> Iterator[str]:
    yield from shaped("flow", flow, where)
    for end in ENDPOINTS:
        yield from shaped("end", flow[end], f"{where}.{end}")
        ip_address(flow[end]["address"])
        if flow[end]["os"] not in ("linux", "freebsd", "macos", "windows"):
            yield f"{where}.{end}.os is {flow[end]['os']}"
        if not 0 <= flow[end]["port"] <= 0xFFFF:
            yield f"{where}.{end}.port is {flow[end]['port']}"
    if flow["protocol"] not in ("tcp", "udp"):
        yield f"{where}.protocol is {flow['protocol']}"
    if flow["start"] > flow["end"] or flow["packets"] < 1:
        yield f"{where} lasts from {flow['start']} to {flow['end']}, {flow['packets']} packets"
    packets = [capture["packets"] for capture in plain["captures"]]
    for number, finding in enumerate(flow["findings"]):
        yield from of_finding(finding, f"{where}.findings[{number}]")
        yield from of_frames(finding, flow, packets, f"{where}.findings[{number}]")
    times = [finding["time"] for finding in flow["findings"]]
    if times != sorted(times):
        yield f"{where}.findings are not in order of time"
    for number, verdict in enumerate(flow["verdicts"]):
        yield from of_verdict(verdict, flow, f"{where}.verdicts[{number}]")
        yield from of_frames(verdict, flow, packets, f"{where}.verdicts[{number}]")
    ends = [verdict["endpoint"] for verdict in flow["verdicts"]]
    if len(ends) != len(set(ends)):
        yield f"{where} has two verdicts for one end"
    if not flow["findings"] and not flow["verdicts"]:
        yield f"{where} has neither finding nor verdict"


def of_frames(item: Plain, flow: Plain, packets: list[int], where: str) -> Iterator[str]:
    frames = item["frames"]
    captures = item.get("frame_captures", [flow["capture"]] * len(frames))
    if len(captures) != len(frames) or not all(0 <= index < len(packets) for index in captures):
        yield f"{where}.frame_captures are {captures}"
        return
    places = list(zip(captures, frames, strict=True))
    if not frames or len(set(places)) < len(places):
        yield f"{where}.frames are {frames}"
    for index, frame in places:
        if not 1 <= frame <= packets[index]:
            yield f"{where}.frames are {frames}, of {packets[index]}"


def of_verdict(verdict: Plain, flow: Plain, where: str) -> Iterator[str]:
    yield from shaped("verdict", verdict, where)
    if verdict["endpoint"] not in ENDPOINTS:
        yield f"{where}.endpoint is {verdict['endpoint']}"
        return
    if verdict["confidence"] not in CONFIDENCE:
        yield f"{where}.confidence is {verdict['confidence']}"
    for name in ("calls", "later"):
        for call, result in verdict[name].items():
            if call not in CALLS or result not in RESULTS:
                yield f"{where}.{name}.{call} is {result}"
    if verdict["call"] not in verdict["calls"]:
        yield f"{where}.call is {verdict['call']}, which is not among its calls"
    for call, name in verdict["signal"].items():
        if call not in CALLS or name != "SIGPIPE":
            yield f"{where}.signal.{call} is {name}"
    if verdict["errno"] is not None:
        numbers = ERRNO.get(verdict["errno"], {"numbers": {}})["numbers"]
        if verdict["number"] != numbers.get(flow[verdict["endpoint"]]["os"]):
            yield f"{where}: {verdict['errno']} is not {verdict['number']}"
        if verdict["errno"] not in verdict["calls"].values():
            yield f"{where}.errno {verdict['errno']} is what no call gives"
    elif verdict["number"] is not None:
        yield f"{where}.number is {verdict['number']} without an errno"
    sources = [f for f in flow["findings"] if f["rule"] == verdict["rule"]]
    if not any(f["severity"] == "error" and f["endpoint"] == verdict["endpoint"] for f in sources):
        yield f"{where}.rule {verdict['rule']} has no finding of an error at that end"


def of_finding(finding: Plain, where: str) -> Iterator[str]:
    yield from shaped("finding", finding, where)
    if finding["endpoint"] not in ENDPOINTS:
        yield f"{where}.endpoint is {finding['endpoint']}"
    if finding["severity"] not in SEVERITIES:
        yield f"{where}.severity is {finding['severity']}"
    if finding["rule"] not in BY_NAME or finding["severity"] != BY_NAME[finding["rule"]].severity.value:
        yield f"{where}.rule is {finding['rule']}, {finding['severity']}"
    for key in ("title", "explanation", "fix"):
        if not finding[key].strip():
            yield f"{where}.{key} is empty"
    if "icmp" in finding:
        yield from shaped("icmp", finding["icmp"], f"{where}.icmp")
        ip_address(finding["icmp"]["from"])
    if not set(finding.get("reset_reason", [])) <= {
        r for r in finding.get("reset_reason", []) if r.isupper()
    }:
        yield f"{where}.reset_reason is {finding['reset_reason']}"
    if finding.get("reset_sender", "client") not in ("client", "server", "middle"):
        yield f"{where}.reset_sender is {finding['reset_sender']}"


def of_incident(incident: Plain, plain: Plain, where: str) -> Iterator[str]:
    yield from shaped("incident", incident, where)
    examples = incident["examples"]
    if not examples or not all(0 <= index < len(plain["flows"]) for index in examples):
        yield f"{where}.examples are {examples}, of {len(plain['flows'])} flows"
        return
    for index in examples:
        flow = plain["flows"][index]
        told = {(v["rule"], v["errno"], v["call"]) for v in flow["verdicts"]}
        if (incident["rule"], incident["errno"], incident["call"]) not in told:
            yield f"{where}: flows[{index}] is no example of it"
        if not incident["service"].endswith(f":{flow['server']['port']}"):
            yield f"{where}.service is {incident['service']}, not flows[{index}]'s"
    if not 1 <= incident["clients"] <= incident["flows"] or incident["recovered"] > incident["flows"]:
        yield f"{where} counts {incident['clients']} clients, {incident['flows']} flows"
    if incident["first"] > incident["last"]:
        yield f"{where} is from {incident['first']} to {incident['last']}"


def of_totals(plain: Plain) -> Iterator[str]:
    totals, flows = plain["totals"], plain["flows"]
    if totals["packets"] != sum(capture["packets"] for capture in plain["captures"]):
        yield f"totals.packets is {totals['packets']}"
    if totals["flows_with_findings"] != sum(1 for flow in flows if flow["findings"]):
        yield f"totals.flows_with_findings is {totals['flows_with_findings']}"
    if len(flows) > totals["tcp_flows"] + totals["udp_flows"]:
        yield f"{len(flows)} flows are told, of {totals['tcp_flows']} and {totals['udp_flows']}"
    verdicts = sum(len(flow["verdicts"]) for flow in flows)
    if sum(incident["flows"] for incident in plain["incidents"]) > verdicts:
        yield "incidents count more flows than there are verdicts"
