"""The report as programs read it: what every key holds, for every sample capture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import analyzer
from analyzer.cli.main import run
from analyzer.data import load
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.report import Report
from analyzer.reports import json_report
from tests.captures import CAPTURES, capture_name, sample, to_pcapng

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
    if capture["format"] not in ("pcap", "pcapng"):
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
    packets = plain["captures"][flow.get("capture", 0)]["packets"]
    for number, finding in enumerate(flow["findings"]):
        yield from of_finding(finding, packets, f"{where}.findings[{number}]")
    times = [finding["time"] for finding in flow["findings"]]
    if times != sorted(times):
        yield f"{where}.findings are not in order of time"
    for number, verdict in enumerate(flow["verdicts"]):
        yield from of_verdict(verdict, flow, packets, f"{where}.verdicts[{number}]")
    ends = [verdict["endpoint"] for verdict in flow["verdicts"]]
    if len(ends) != len(set(ends)):
        yield f"{where} has two verdicts for one end"
    if not flow["findings"] and not flow["verdicts"]:
        yield f"{where} has neither finding nor verdict"


def of_frames(frames: list[Any], packets: int, where: str) -> Iterator[str]:
    if not frames or frames != sorted(set(frames)) or not 1 <= frames[0] <= frames[-1] <= packets:
        yield f"{where}.frames are {frames}, of {packets}"


def of_verdict(verdict: Plain, flow: Plain, packets: int, where: str) -> Iterator[str]:
    yield from shaped("verdict", verdict, where)
    yield from of_frames(verdict["frames"], packets, where)
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


def of_finding(finding: Plain, packets: int, where: str) -> Iterator[str]:
    yield from shaped("finding", finding, where)
    yield from of_frames(finding["frames"], packets, where)
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


def plain_report(*paths: Path) -> Plain:
    """The report as its JSON text says it."""
    out = io.StringIO()
    json_report.write(analyzer.analyze(*paths, rules=RULES), out)
    plain: Plain = json.loads(out.getvalue())
    return plain


@pytest.mark.parametrize("path", CAPTURES, ids=capture_name)
def test_the_report_keeps_to_the_format(path: Path) -> None:
    assert list(complaints(plain_report(path))) == []


def test_one_report_of_all_captures_keeps_to_the_format() -> None:
    plain = plain_report(*CAPTURES)
    assert list(complaints(plain)) == []
    assert {confidence for flow in plain["flows"] for confidence in confidences(flow)} >= {
        "certain",
        "likely",
    }
    assert [capture["path"] for capture in plain["captures"]] == list(map(str, CAPTURES))


def confidences(flow: Plain) -> list[str]:
    return [verdict["confidence"] for verdict in flow["verdicts"]]


def test_checks_see_what_is_wrong() -> None:
    plain = plain_report(sample("rst-after-fin-send-first"))
    flow = plain["flows"][0]
    flow["verdicts"][0]["confidence"] = "sure"
    flow["verdicts"][0]["calls"]["recv"] = "ENOSUCH"
    flow["findings"][0]["frames"] = [99]
    flow["verdicts"] *= 2
    plain["incidents"][0]["examples"] = [1]
    del plain["totals"]["udp_flows"]
    plain["totals"]["udp_flows"] = None
    told = " | ".join(complaints(plain | {"totals": plain["totals"] | {"udp_flows": 0}}))
    for part in (
        "confidence is sure",
        "calls.recv is ENOSUCH",
        "frames are [99]",
        "two verdicts",
        "examples",
    ):
        assert part in told
    assert "totals.udp_flows is None" in list(shaped("totals", plain["totals"]))


@pytest.mark.parametrize("path", CAPTURES, ids=capture_name)
def test_warnings_alone_give_no_verdict(path: Path) -> None:
    for flow in plain_report(path)["flows"]:
        severities = {finding["severity"] for finding in flow["findings"]}
        assert flow["verdicts"] == [] or "error" in severities


@pytest.mark.parametrize("path", CAPTURES[::10], ids=capture_name)
def test_json_text_round_trips(path: Path) -> None:
    plain = json_report.as_plain(analyzer.analyze(path, rules=RULES))
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain


@pytest.mark.parametrize("path", CAPTURES[::5], ids=capture_name)
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_container_does_not_matter(path: Path, order: str, tmp_path: Path) -> None:
    converted = tmp_path / "converted.pcapng"
    converted.write_bytes(to_pcapng(path.read_bytes(), order))
    ours, theirs = plain_report(path), plain_report(converted)
    assert theirs["captures"][0].pop("format") == "pcapng"
    del ours["captures"][0]["format"], ours["captures"][0]["path"], theirs["captures"][0]["path"]
    assert ours == theirs


def test_analyze_can_be_imported_and_is_typed() -> None:
    hints = get_type_hints(analyzer.analyze)
    assert hints["return"] is Report
    assert {"captures", "rules", "progress"} <= set(hints)
    assert analyzer.__all__ == ["__version__", "analyze"]
    assert Path(analyzer.__file__).with_name("py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = analyzer.analyse  # type: ignore[attr-defined]


def test_analyze_takes_text_and_paths() -> None:
    path = sample("connection-refused")
    report = analyzer.analyze(str(path), path)
    assert [capture.packets for capture in report.captures] == [4, 4]
    assert [result.verdicts[0].errno for result in report.flows] == ["ECONNREFUSED"] * 2


def test_a_first_report_in_every_detail(capsys: pytest.CaptureFixture[str]) -> None:
    """What the README's reader sees first: the keys of one verdict, with their values."""
    assert run(["analyze", "-o", "json", str(sample("rst-after-fin-send-first"))]) == 0
    plain = json.loads(capsys.readouterr().out)
    (verdict,) = plain["flows"][0]["verdicts"]
    wanted = {
        "endpoint": "client",
        "errno": "EPIPE",
        "number": 32,
        "call": "send",
        "signal": {"send": "SIGPIPE"},
        "confidence": "certain",
        "calls": {"recv": "EOF", "send": "EPIPE", "so_error": "EPIPE"},
        "later": {"recv": "EOF", "send": "EPIPE", "so_error": "OK"},
        "recovered": False,
        "rule": "rst-after-fin",
    }
    assert {key: verdict[key] for key in wanted} == wanted
    assert plain["incidents"][0]["service"] == "10.9.1.2:{port}".format(**plain["flows"][0]["server"])


def test_icmp_names_its_sender() -> None:
    (flow,) = plain_report(sample("icmp-host-unreachable-connect"))["flows"]
    assert flow["findings"][0]["icmp"] == {"type": 3, "code": 1, "from": "10.9.0.254"}
