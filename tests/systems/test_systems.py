"""Transcripts of other systems, in every TCP state."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.finding import FlowResult
from analyzer.model.flow import SIDES
from analyzer.model.host import AUTO, Host, Likeness
from analyzer.model.rule import Severity
from analyzer.model.socket import State
from analyzer.pipeline.engine import Engine
from analyzer.sources.transcript import TranscriptSource, parse

RULES = load_rules(rules_folder())
FILES = ("bsd", "freebsd", "macos", "windows")
SYSTEMS = ("freebsd", "macos", "windows")
CASES = [
    (system, case)
    for name in FILES
    for content in [yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text())]
    for system in content["systems"]
    for case in content["cases"]
]

LOOKS = {
    # system: TTL, SYN, SYN+ACK to a SYN with timestamps
    "linux": (
        64,
        "win 64240 ttl 64 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>",
        "win 65160 ttl 64 <mss 1460,sackOK,TS val 1 ecr 1,nop,wscale 7>",
    ),
    "freebsd": (
        64,
        "win 65535 ttl 64 <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 0>",
        "win 65535 ttl 64 <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 1>",
    ),
    "macos": (
        64,
        "win 65535 ttl 64 <mss 1460,nop,wscale 6,nop,nop,TS val 1 ecr 0,sackOK,eol>",
        "win 65535 ttl 64 <mss 1460,nop,wscale 6,nop,nop,TS val 1 ecr 1,sackOK,eol>",
    ),
    "windows": (
        128,
        "win 64240 ttl 128 <mss 1460,nop,wscale 8,nop,nop,sackOK>",
        "win 65535 ttl 128 <mss 1460,nop,wscale 8,sackOK,TS val 1 ecr 1>",
    ),
}
TO_WINDOWS = "win 64240 ttl 64 <mss 1460,nop,nop,sackOK,nop,wscale 7>"
"""Linux's SYN+ACK to a SYN without timestamps."""
OPENINGS = {
    "nothing": "",
    "syn": "client > server  S   0:0(0) SYN\n",
    "syn-ack": "client > server  S   0:0(0) SYN\nserver > client  S.  0:0(0) ack 1 SYN-ACK\n",
    "connection": "client > server  S   0:0(0) SYN\nserver > client  S.  0:0(0) ack 1 SYN-ACK\n"
    "client > server  .   1:1(0) ack 1\n",
}


def transcript(system: str, case: dict[str, Any]) -> str:
    """The lines, each with the TTL, options and timestamps that its sender's system gives it."""
    client, server = (system, "linux") if case["end"] == "client" else ("linux", system)
    timed = client != "windows"
    return "\n".join(
        _line(line, client, server, timed)
        for line in (OPENINGS[case["opens"]] + case["packets"]).splitlines()
    )


def _line(line: str, client: str, server: str, timed: bool) -> str:
    sender = re.search(r"(client|server) >", line)
    if not sender or " icmp " in line:
        return line
    system = client if sender[1] == "client" else server
    ttl, syn, syn_ack = LOOKS[system]
    if line.endswith(" SYN"):
        return line.removesuffix("SYN") + syn
    if line.endswith(" SYN-ACK"):
        return line.removesuffix("SYN-ACK") + (syn_ack if timed else TO_WINDOWS)
    has_timestamps = timed and " udp " not in line and not re.search(r"> (client|server) +R ", line)
    return f"{line} ttl {ttl}" + (" <nop,nop,TS val 2 ecr 2>" if has_timestamps else "")


def run(system: str, case: dict[str, Any]) -> tuple[FlowResult | None, Engine]:
    side = SIDES.index(case["end"])
    hosts = [Host("linux"), Host("linux")]
    hosts[side] = Host(system if case.get("given") else AUTO)
    engine = Engine(
        Matcher(RULES), hosts=(hosts[0], hosts[1]), keep_events=True, all_flows=True, keep_all=True
    )
    results = engine.run(TranscriptSource(parse(transcript(system, case), case["name"])))
    return (results[0] if results else None), engine


@pytest.mark.parametrize(
    ("system", "case"), CASES, ids=[f"{system}: {case['name']}" for system, case in CASES]
)
def test_what_programs_get(system: str, case: dict[str, Any]) -> None:
    result, engine = run(system, case)
    assert result
    side, expect = SIDES.index(case["end"]), case["expect"]
    known = Likeness.GIVEN if case.get("given") else Likeness.SIGNATURE
    assert result.systems[side][:2] == (system, known)
    states = {event.socket.state for event in engine.events if event.side == side}
    assert case["state"] in {*states, "UDP"} or not states
    verdict = next((verdict for verdict in result.verdicts if verdict.side == side), None)
    if expect == "nothing" or "unknown" in expect:
        assert verdict is None
        unknown = [f.rule for f in result.findings if f.side == side and f.severity is Severity.ERROR]
        assert unknown == ([] if expect == "nothing" else [expect["unknown"]])
        return
    assert verdict, [finding.rule for finding in result.findings]
    assert verdict.rule == expect["rule"]
    told = {
        "errno": verdict.errno,
        "number": verdict.number,
        "platform_name": verdict.platform_name,
        "call": verdict.table.call,
        "calls": verdict.table.calls,
        "later": verdict.table.later,
        "signal": verdict.table.signal,
        "confidence": verdict.confidence.value,
        "seconds": round((verdict.time - result.flow.start) / 1e9),
    }
    assert {name: told[name] for name in expect if name != "rule"} == {
        name: value for name, value in expect.items() if name != "rule"
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_state_has_a_transcript(system: str) -> None:
    states = {case["state"] for of, case in CASES if of == system}
    assert states == {state.value for state in State if state is not State.CLOSED} | {"UDP"}
