"""Pictures of flows: every packet of them, from a second reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import analyzer
from analyzer.decode.packets import decode
from analyzer.flows.shown import LAST, is_sampled
from analyzer.model.finding import FlowResult
from analyzer.model.flow import Kind
from analyzer.model.picture import Picture
from analyzer.model.report import Report
from analyzer.pipeline.pictures import chains, pictures
from analyzer.sources.open import open_capture
from tests.captures import CAPTURES, SAMPLES, capture_name, sample
from tests.crowd import ACK, BEGIN, PSH, RST, SECOND, Ends, Talk, crowd, write


def drawn(*paths: Path) -> tuple[Report, dict[int, Picture]]:
    report = analyzer.analyze(*paths)
    return report, pictures(report, report.flows)


def only(*paths: Path) -> tuple[FlowResult, Picture]:
    report, found = drawn(*paths)
    (result,) = report.flows
    return result, found[id(result)]


def questions(path: Path) -> set[int]:
    """The frames that ask for hardware addresses: those may decide, and are packets of no flow."""
    with open_capture(str(path), 0) as source:
        return {int(frame) for block in source.blocks() for frame in decode(block).neighbours["frame"]}


@pytest.mark.parametrize("path", CAPTURES[::7], ids=capture_name)
def test_every_packet_of_a_flow_is_in_its_picture(path: Path) -> None:
    report, found = drawn(path)
    assert set(found) == {id(result) for result in report.flows}
    for result in report.flows:
        picture = found[id(result)]
        assert len(picture) == result.packets
        assert [seen.number for seen in picture] == sorted(seen.number for seen in picture)
        assert not any(seen.skipped for seen in picture)
        decide = {number for verdict in result.verdicts for number in verdict.frames}
        assert decide - questions(path) <= {seen.number for seen in picture}
        for line in result.ladder:
            (same,) = [seen for seen in picture if seen.number == line.number]
            assert (same.time, same.side, same.reporter) == (line.time, line.side, line.reporter)


def test_labels_states_and_windows() -> None:
    result, picture = only(sample("rst-after-fin-send-first"))
    assert [
        (seen.number, seen.label, seen.states) for seen in picture if seen.number in (3, 4, 10, 15, 17)
    ] == [
        (3, "SYN", ("SYN_SENT", "")),
        (4, "SYN+ACK, ack 1", ("ESTABLISHED", "SYN_RCVD")),
        (10, "PSH data 33:49, 16 bytes, ack 33", ("ESTABLISHED", "ESTABLISHED")),
        (15, "ack 50", ("CLOSE_WAIT", "FIN_WAIT_2")),
        (17, "RST 50", ("CLOSED", "CLOSED")),
    ]
    (request,) = [seen for seen in picture if seen.number == 10]
    assert (request.seq, request.ack, request.payload, request.window) == (33, 33, 16, 64512)
    assert result.flow.start == picture[0].time


def test_copies_are_marked_and_icmp_has_its_sender() -> None:
    _, picture = only(sample("retransmission-timeout-any-bridge"))
    copies = [seen for seen in picture if seen.kinds & Kind.COPY]
    assert len(copies) == 26
    assert all(seen.label.endswith("copy") for seen in copies)
    _, picture = only(sample("icmp-host-unreachable-connect"))
    assert [(seen.label, seen.reporter, seen.states) for seen in picture] == [
        ("SYN", "", ("SYN_SENT", "")),
        ("ICMP 3/1", "10.9.0.254", ("CLOSED", "")),
    ]


def test_a_rotation_is_one_picture() -> None:
    folder = SAMPLES / "rst-after-fin-rotated" / "client"
    report, found = drawn(folder)
    assert list(chains(report.captures)) == [list(range(len(report.captures)))]
    (result,) = report.flows
    places = [(seen.capture, seen.number) for seen in found[id(result)]]
    assert len(places) == len(set(places)) == result.packets
    assert places == sorted(places)
    assert {capture for capture, _ in places} == set(range(len(report.captures)))


def test_other_connections_between_the_same_ends_are_not_in_it(tmp_path: Path) -> None:
    ends = Ends("10.0.0.1", 4000, "10.0.0.2", 80)
    first = Talk(ends, BEGIN).open().ask().send(1, RST | ACK).frames
    second = Talk(ends, BEGIN + 200 * SECOND).open().ask().close().frames
    result, picture = only(write(tmp_path / "two.pcap", [first, second]))
    assert len(picture) == result.packets == len(first)


def test_of_a_long_flow_a_part_is_shown(tmp_path: Path) -> None:
    talk = Talk(Ends("10.0.0.1", 4000, "10.0.0.2", 80), BEGIN).open()
    for _ in range(2500):
        talk.send(0, PSH | ACK, 100).send(1, ACK)
    result, picture = only(write(tmp_path / "long.pcap", [talk.send(1, RST | ACK).frames]))
    assert result.packets == 5004
    assert len(picture) < 2000
    assert len(picture) + sum(seen.skipped for seen in picture) == result.packets
    assert [seen.skipped for seen in picture[:512]] == [0] * 512
    assert [seen.skipped for seen in picture[-LAST + 1 :]] == [0] * (LAST - 1)


def test_the_sample_grows_with_the_logarithm() -> None:
    places = np.arange(1 << 20)
    assert is_sampled(places[:512]).all()
    assert int(is_sampled(places).sum()) == 512 + 256 * 11


def test_many_flows(tmp_path: Path) -> None:
    report, found = drawn(write(tmp_path / "crowd.pcap", crowd(400)))
    assert {key: len(picture) for key, picture in found.items()} == {
        id(result): result.packets for result in report.flows
    }
