"""Captures that tshark reads: the same answers, slowly."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli.main import run
from analyzer.pipeline.files import analyze
from analyzer.sources.tshark_source import TsharkSource
from tests.captures import CAPTURES, capture_name, frames_of, sample
from tests.sources.build import pcap

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

TOLD_OTHERWISE = ("fragments", "fragments-ipv6", "any-vxlan")
"""Of fragments tshark tells no ports, and of no packet which tunnel it came through."""
NEXT_HOPS = "next-hop-"
"""Captures whose answer rests on ARP or neighbour discovery, for which tshark is not asked (README)."""

CHOSEN = [
    path
    for path in CAPTURES
    if path.stem == "client"
    and path.suffix == ".pcap"
    and not path.parent.name.endswith(TOLD_OTHERWISE)
    and not path.parent.name.startswith(NEXT_HOPS)
][::6] + [
    sample(name) for name in ("icmp-host-unreachable-connect", "rst-after-fin-vxlan", "udp-no-route-ipv6")
]


def flows(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    """What is told of the flows, but for the names of tunnels, which tshark does not tell."""
    assert run(["analyze", str(path), "-o", "json", *options]) == 0
    told = json.loads(capsys.readouterr().out)["flows"]
    return [flow | {"tunnel": None} for flow in told]


@pytest.mark.parametrize("path", CHOSEN, ids=capture_name)
def test_the_answer_is_that_of_the_own_decoder(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert flows(path, capsys, "--decoder", "tshark") == flows(path, capsys)


def test_frames_are_counted_whatever_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    path = sample("connection-refused")
    report = analyze(path, decoder="tshark")
    assert report.captures[0].packets == len(frames_of(path.read_bytes()))
    assert report.captures[0].format == "tshark"


def test_a_link_type_that_only_tshark_knows(tmp_path: Path) -> None:
    """LINKTYPE_NFLOG: IP packets as an attribute of netfilter (family, version, resource; type, length)."""
    frames = [
        frame
        for frame in frames_of(sample("connection-refused").read_bytes())
        if frame.data[12:14] == b"\x08\x00"
    ]
    packets = [frame.data[14:] for frame in frames]
    logged = [
        b"\x02\x00\x00\x00" + struct.pack("<HH", 4 + len(packet), 9) + packet + bytes(-len(packet) % 4)
        for packet in packets
    ]
    path = tmp_path / "nflog.pcap"
    data = [frame._replace(data=body, original=len(body)) for frame, body in zip(frames, logged, strict=True)]
    path.write_bytes(pcap(data, link_type=239))
    assert analyze(path).flows == ()
    (result,) = analyze(path, decoder="tshark").flows
    assert [verdict.rule for verdict in result.verdicts] == ["connection-refused"]


def test_what_is_no_capture_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no capture at all\n" * 10)
    assert run(["analyze", str(path), "--decoder", "tshark"]) == 2
    assert "isn't a capture file" in capsys.readouterr().err


def test_a_file_that_is_cut_in_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(sample("connection-refused").read_bytes()[:-10])
    assert run(["analyze", str(path), "--decoder", "tshark"]) == 2
    out, err = capsys.readouterr()
    assert "cut short" in err
    assert "TCP connection" in out


def test_without_tshark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(["analyze", str(sample("connection-refused")), "--decoder", "tshark"]) == 2
    assert "tshark is not installed" in capsys.readouterr().err


def test_leaving_early_leaves_no_process() -> None:
    with TsharkSource(str(sample("clean-upload-client-closes")), 0, max_frames=1) as source:
        next(source.blocks())
    assert source._process.poll() is not None
