"""Packets of scapy, and open files, instead of paths."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.all import (
    IP,
    TCP,
    UDP,
    VXLAN,
    AsyncSniffer,
    CookedLinux,
    Ether,
    IPv6,
    Loopback,
    PacketList,
    PcapReader,
    Raw,
    conf,
    rdpcap,
)

from analyzer.errors import UserError
from analyzer.pipeline.files import analyze
from analyzer.reports.json_report import as_plain
from analyzer.sources.scapy_packets import ScapySource
from tests.captures import ROOT, frames_of, sample
from tests.report_format import RULES
from tests.sources.build import pcap

FAILED = sample("rst-after-fin-send-first")
NAMES = ["rst-after-fin-send-first", "icmp-host-unreachable-connect", "icmpv6-no-route-connect"]


def essence(report: Any) -> Any:
    """All but what the file is called."""
    plain = as_plain(report)
    for capture in plain["captures"]:
        capture["path"] = capture["format"] = ""
    return plain


@pytest.mark.parametrize("name", [*NAMES, "clean-any-interface", "retransmission-recovers"])
def test_a_packet_list_gives_what_its_file_gives(name: str) -> None:
    path = sample(name)
    report = analyze(rdpcap(str(path)), rules=RULES)
    assert (report.captures[0].path, report.captures[0].format) == ("packets", "packets")
    assert essence(report) == essence(analyze(path, rules=RULES))


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_any_iterable_is_read_as_it_goes(size: int) -> None:
    with PcapReader(str(FAILED)) as reader:
        report = analyze(reader, rules=RULES, max_frames=size)
    assert [verdict.errno for verdict in report.flows[0].verdicts] == ["EPIPE"]


def test_nobody_on_the_network_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """scapy looks for the station of an address where a frame built by hand names none."""
    asked = []
    monkeypatch.setattr(conf.neighbor, "resolve", lambda *packets: asked.append(packets))
    inner = Ether() / IP(dst="192.0.2.9") / TCP()
    packets = [inner, Ether(dst="02:00:00:00:00:01") / IP() / UDP(dport=4789) / VXLAN() / inner]
    (block,) = ScapySource(packets, "packets", 0).blocks()
    spans = zip(block.offsets.tolist(), block.captured.tolist(), strict=True)
    frames = [block.buffer[at : at + length].tobytes() for at, length in spans]
    assert not asked
    assert [frame[:6] for frame in frames] == [b"\xff" * 6, bytes.fromhex("020000000001")]
    assert frames[1].endswith(frames[0])
    assert inner.getfieldval("dst") is None


def test_packets_that_never_end_are_not_collected() -> None:
    taken = 0
    packet = Ether(bytes(Ether() / IP() / TCP()))

    def endless() -> Iterator[Any]:
        nonlocal taken
        while True:
            taken += 1
            yield packet

    blocks = ScapySource(endless(), "packets", 0).blocks()
    assert len(next(blocks)) + len(next(blocks)) == taken < 10_000


def test_large_packets_make_small_blocks() -> None:
    packets = [Ether() / IP() / TCP() / (b"x" * 60_000)] * 200
    sizes = [len(block) for block in ScapySource(packets, "packets", 0).blocks()]
    assert sum(sizes) == 200
    assert max(sizes) <= 70


def one(packet: Any) -> ScapySource:
    source = ScapySource([packet], "packets", 0)
    list(source.blocks())
    return source


@pytest.mark.parametrize(
    ("packet", "link_type"),
    [
        (Ether() / IP(), "EN10MB"),
        (IP() / TCP(), "IPV4"),
        (IPv6() / TCP(), "IPV6"),
        (CookedLinux() / IP() / TCP(), "LINUX_SLL"),
        (Loopback() / IP() / TCP(), "NULL"),
        (Raw(b"any"), "LINKTYPE_65535"),
    ],
)
def test_the_link_type_follows_from_the_class(packet: Any, link_type: str) -> None:
    assert one(packet).capture.link_types == [link_type]


@pytest.mark.parametrize("layer", [None, Ether, CookedLinux, Loopback])
def test_a_connection_in_any_layer(layer: Any) -> None:
    """SYN and the reset that refuses it, built by hand."""
    ends = {"sport": 40_000, "dport": 80}, {"sport": 80, "dport": 40_000}
    syn = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(**ends[0], flags="S", seq=5)
    reset = IP(src="10.0.0.2", dst="10.0.0.1") / TCP(**ends[1], flags="RA", seq=0, ack=6)
    packets = [packet if layer is None else layer() / packet for packet in (syn, reset)]
    if layer is CookedLinux:
        for packet in packets:
            packet.proto = 0x800
    for number, packet in enumerate(packets):
        packet.time = 1_700_000_000.25 + number
    report = analyze(PacketList(packets), rules=RULES)
    assert [verdict.errno for verdict in report.flows[0].verdicts] == ["ECONNREFUSED"]
    assert report.captures[0].first == 1_700_000_000_250_000_000


def test_a_length_on_the_wire_is_kept() -> None:
    packet = Ether() / IP() / TCP()
    packet.wirelen = 1500
    assert one(packet).capture.bytes == 1500


def test_nothing_is_a_capture_without_packets() -> None:
    report = analyze([], rules=RULES)
    assert (report.captures[0].packets, report.captures[0].first, report.flows) == (0, None, ())


@pytest.mark.parametrize("given", [["a.pcap", "b.pcap"], [b"bytes"], [None], 7, None])
def test_what_is_no_capture_is_told(given: Any) -> None:
    with pytest.raises(UserError) as caught:
        analyze(given, rules=RULES)
    assert caught.value.hint


def test_a_thing_among_packets_ends_the_reading() -> None:
    packets = [*rdpcap(str(FAILED)), "no packet"]
    report = analyze(packets, rules=RULES)
    assert report.captures[0].packets == 17
    damage = report.captures[0].damage
    assert damage
    assert (damage.where, damage.what) == ("packets: packet 18", "this is of type str, no packet of scapy")


@pytest.mark.parametrize("change", [{"time": float("nan")}, {"time": "soon"}, {"time": None}])
def test_a_packet_that_makes_no_sense_ends_the_reading(change: dict[str, Any]) -> None:
    good, bad = Ether() / IP() / TCP(), Ether() / IP() / TCP()
    for name, value in change.items():
        setattr(bad, name, value)
    report = analyze([good, bad, good], rules=RULES)
    assert report.captures[0].packets == 1
    assert report.captures[0].damage


def test_a_packet_that_cannot_be_built_ends_the_reading() -> None:
    report = analyze([Ether() / IP(), Ether() / IP() / TCP(sport=70_000)], rules=RULES)
    assert report.captures[0].damage
    assert report.captures[0].damage.where == "packets: packet 2"


def test_what_the_iterable_raises_reaches_its_owner() -> None:
    def failing() -> Iterator[Any]:
        yield Ether() / IP() / TCP()
        raise ConnectionError("the interface is down")

    with pytest.raises(ConnectionError):
        analyze(failing(), rules=RULES)


def test_packets_beside_files() -> None:
    report = analyze(rdpcap(str(FAILED)), FAILED, rules=RULES)
    assert [capture.path for capture in report.captures] == ["packets 1", str(FAILED)]
    assert [capture.carries_on for capture in report.captures] == [None, None]


# Open files


def test_open_binary_files() -> None:
    expected = essence(analyze(FAILED, rules=RULES))
    with FAILED.open("rb") as file:
        assert essence(analyze(file, rules=RULES)) == expected
        assert not file.closed
    for data in (FAILED.read_bytes(), gzip.compress(FAILED.read_bytes())):
        report = analyze(io.BytesIO(data), rules=RULES)
        assert essence(report) == expected
        assert report.captures[0].path == "stream"


def test_open_files_that_give_no_bytes(tmp_path: Path) -> None:
    class Strings:
        def read(self, size: int) -> str:
            return "text"

    with FAILED.open(encoding="latin-1") as text:
        closed = FAILED.open("rb")
        closed.close()
        for given in (text, Strings(), closed, io.BytesIO(b"no capture")):
            with pytest.raises(UserError) as caught:
                analyze(given, rules=RULES)  # type: ignore[arg-type]
            assert caught.value.what


def test_scapy_is_not_imported_for_this() -> None:
    code = (
        "import sys; from analyzer import analyze, UserError\n"
        "try: analyze([object()])\n"
        "except UserError as error: print(error.reference, 'scapy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "not-a-packet False\n"


def test_frames_of_the_sample_are_what_they_are() -> None:
    """The comparisons above rest on a file with microseconds."""
    assert pcap(frames_of(FAILED.read_bytes()))[:4] == FAILED.read_bytes()[:4]


def test_what_an_async_sniffer_kept() -> None:
    sniffer = AsyncSniffer(offline=str(FAILED))
    sniffer.start()
    sniffer.join()
    report = analyze(sniffer, rules=RULES)
    assert [verdict.errno for verdict in report.flows[0].verdicts] == ["EPIPE"]
    assert report.flows[0].verdicts[0].frames == analyze(FAILED, rules=RULES).flows[0].verdicts[0].frames


def test_an_async_sniffer_that_has_nothing_yet() -> None:
    with pytest.raises(UserError, match="stop\\(\\) or join\\(\\)"):
        analyze(AsyncSniffer(offline=str(FAILED)), rules=RULES)
