"""The answer does not depend on batches, on the IP version, on numbers, on who is who, or on the filter."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.finding import FlowResult
from analyzer.model.rule import Rule, Sample
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.files import analyze
from analyzer.reports import text
from analyzer.reports.json_report import as_plain
from analyzer.sources.open import open_capture
from analyzer.sources.transcript import TranscriptSource, parse
from tests.captures import frames_of, record_offsets
from tests.decode.frames import framed, in_udp, vxlan
from tests.sources.build import Frame, pcap

RULES = load_rules(rules_folder())
SAMPLES = rules_folder().parent / "samples"
CAPTURES = sorted(SAMPLES.glob("*/*.pcap"))
UNLIKE = ("vxlan", "geneve", "gre", "ipip", "nanoseconds")  # in a tunnel already, or in another unit of time
ON_ETHERNET = [
    path
    for path in CAPTURES
    if path.read_bytes()[20:24] == b"\1\0\0\0"
    and not path.parent.name.endswith(UNLIKE)
    and not path.parent.name.startswith("next-hop")  # who asks for hardware addresses in a tunnel is not read
]
TRANSCRIPTS = [
    pytest.param(sample, id=f"{rule.name}: {sample.name}")
    for rule in RULES
    for sample in rule.samples
    # ICMP has other codes in IPv6; copies are told by the IP ID, which IPv6 does not have.
    if sample.packets and not any(word in sample.packets for word in ("icmp", "ipv6", " id "))
]


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def whole(path: Path, max_frames: int) -> dict[str, Any]:
    return as_plain(analyze(path, rules=RULES, max_frames=max_frames))


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_batches_of_any_size_give_the_same_report(path: Path) -> None:
    expected = whole(path, 16_384)
    for size in (1, 7):
        assert whole(path, size) == expected


def in_vxlan(frame: Frame) -> Frame:
    """The same frame, carried between two other hosts."""
    around = framed(in_udp(vxlan(frame.data, vni=42), 4789))
    longer = len(around) - len(frame.data)
    lengths = struct.pack("!H", frame.original + longer - 14)  # of the outer IP packet
    return frame._replace(data=around[:16] + lengths + around[18:], original=frame.original + longer)


@pytest.mark.parametrize("path", ON_ETHERNET[::3], ids=name)
def test_a_tunnel_changes_nothing_but_its_name(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(pcap(map(in_vxlan, frames_of(path.read_bytes()))))
    plain, inside = whole(path, 16_384), whole(copy, 16_384)
    for report, tunnel in ((plain, None), (inside, "VXLAN 42")):
        assert all(flow.pop("tunnel") == tunnel for flow in report["flows"])
        assert all(
            incident.pop("tunnel") == tunnel and incident.pop("id") for incident in report["incidents"]
        )
    for part in ("flows", "incidents"):
        assert inside[part] == plain[part]


def test_the_text_names_the_tunnel(tmp_path: Path) -> None:
    path, copy, out = (
        SAMPLES / "rst-after-fin-send-first" / "client.pcap",
        tmp_path / "in-a-tunnel.pcap",
        io.StringIO(),
    )
    copy.write_bytes(pcap(map(in_vxlan, frames_of(path.read_bytes()))))
    text.write(analyze(copy, rules=RULES), out)
    assert " in VXLAN 42   20" in out.getvalue()


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_frames_that_were_captured_three_times_give_the_same_verdicts(path: Path, tmp_path: Path) -> None:
    """As by every interface on a bridge at once: each frame again 50 and 100 microseconds later."""
    data = path.read_bytes()
    copied = bytearray(data[:24])
    for start, end in pairwise(record_offsets(data)):
        seconds, fraction = struct.unpack_from("<II", data, start)
        for later in (0, 50, 100):
            copied += struct.pack("<II", seconds, fraction + later) + data[start + 8 : end]
    file = tmp_path / "copied.pcap"
    file.write_bytes(copied)

    def told(capture: Path) -> list[tuple[Any, ...]]:
        return [
            (flow.flow.client, verdict.rule, verdict.side, verdict.errno, verdict.confidence)
            for flow in analyze(capture, rules=RULES).flows
            for verdict in flow.verdicts
        ]

    assert told(file) == told(path)


def results_of(rules: list[Rule], packets: str, **options: Any) -> list[FlowResult]:
    return Engine(Matcher(rules)).run(TranscriptSource(parse(packets, **options)))


def essence(results: list[FlowResult]) -> list[tuple[Any, ...]]:
    """What was found, without addresses."""
    return [
        (finding.rule, finding.side, finding.frames, finding.time, finding.doubts, finding.summary)
        for result in results
        for finding in result.findings
    ] + [
        (verdict.rule, verdict.side, verdict.errno, verdict.confidence, verdict.table)
        for result in results
        for verdict in result.verdicts
    ]


@pytest.mark.parametrize("sample", TRANSCRIPTS)
def test_ipv6_gives_the_same_as_ipv4(sample: Sample) -> None:
    four = essence(results_of(RULES, sample.packets, version=4))
    six = essence(results_of(RULES, sample.packets, version=6))
    assert six == four


@pytest.mark.parametrize("sample", TRANSCRIPTS)
@settings(max_examples=5, deadline=None)
@given(
    client=st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 300, 2**32 - 1)),
    server=st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 300, 2**32 - 1)),
)
def test_initial_sequence_numbers_do_not_matter(sample: Sample, client: int, server: int) -> None:
    expected = essence(results_of(RULES, sample.packets))
    assert essence(results_of(RULES, sample.packets, initial=(client, server))) == expected


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_filtering_segments_loses_no_finding(path: Path) -> None:
    """Every flow and kind of segment through the shadow sockets, or only those that rules need: the same."""
    found = []
    for keep_all in (False, True):
        engine = Engine(Matcher(RULES), keep_all=keep_all)
        with open_capture(str(path), 0) as source:
            results = engine.run(source)
        found.append([replace(result, ladder=()) for result in results])
    assert found[0] == found[1]


def test_rules_alone_decide_what_is_looked_at() -> None:
    """A single rule finds what it finds among all: what it needs is derived from its event."""
    path = SAMPLES / "retransmission-timeout" / "client.pcap"
    for rule in RULES:
        alone = analyze(path, rules=[replace(rule, refines=())])
        among = analyze(path, rules=RULES)
        expected = {f.frames for r in among.flows for f in r.findings if f.rule == rule.name}
        assert {f.frames for r in alone.flows for f in r.findings} == expected
