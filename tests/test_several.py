"""Several files: those of a rotation are one capture, all others stay apart."""

from __future__ import annotations

import io
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports import text
from analyzer.reports.json_report import as_plain
from tests.captures import CAPTURES, capture_name, frames_of, sample
from tests.report_format import RULES, complaints
from tests.sources.build import SECOND, Frame, pcap, pcapng

FAILED = sample("rst-after-fin-send-first")
TIMEOUT = sample("retransmission-timeout")
PLAIN = [path for path in CAPTURES if path.suffix == ".pcap"]


def write(folder: Path, parts: list[list[Frame]], name: str = "cap.pcap") -> list[Path]:
    """The files of a rotation as `tcpdump -C` names them."""
    paths = [folder / f"{name}{number or ''}" for number in range(len(parts))]
    for path, frames in zip(paths, parts, strict=True):
        path.write_bytes(pcap(frames, link_type=frames[0].link_type if frames else 1))
    return paths


def cut(frames: list[Frame], *places: int) -> list[list[Frame]]:
    bounds = [0, *places, len(frames)]
    return [frames[begin:end] for begin, end in pairwise(bounds)]


def told(report: Report, starts: list[int]) -> list[dict[str, Any]]:
    """The flows of a report, frames counted over all files; where a flow spans files, their indices."""
    flows = as_plain(report)["flows"]
    for flow in flows:
        for item in (*flow["verdicts"], *flow["findings"]):
            captures = item.pop("frame_captures", [flow["capture"]] * len(item["frames"]))
            assert len(captures) == len(item["frames"])
            item["frames"] = [
                number + starts[file] for file, number in zip(captures, item["frames"], strict=True)
            ]
        del flow["capture"]
    return flows


def ladders(report: Report, starts: list[int]) -> list[Any]:
    return [
        (line.number + starts[result.flow.capture if line.capture is None else line.capture], line.label)
        for result in report.flows
        for line in result.ladder
    ]


@pytest.mark.parametrize("path", PLAIN, ids=capture_name)
def test_a_capture_in_pieces_gives_the_same_answer(tmp_path: Path, path: Path) -> None:
    """Wherever it is cut, in whatever order the files are given; if the pieces were taken for one capture."""
    frames = frames_of(path.read_bytes())
    whole = analyze(path, rules=RULES)
    chance = random.Random(capture_name(path))
    for _ in range(4):
        places = sorted(chance.sample(range(1, len(frames)), min(2, len(frames) - 1)))
        paths = write(tmp_path, cut(frames, *places))
        starts = [0, *places]
        order = chance.sample(range(len(paths)), len(paths))
        report = analyze(*(paths[index] for index in order), rules=RULES)
        assert [capture.path for capture in report.captures] == [str(paths[index]) for index in order]
        assert list(complaints(as_plain(report))) == []
        if sum(capture.carries_on is not None for capture in report.captures) == len(paths) - 1:
            moved = [starts[index] for index in order]
            assert told(report, moved) == told(whole, [0])
            assert ladders(report, moved) == ladders(whole, [0])
        for path in paths:
            path.unlink()


def joined(report: Report) -> list[int | None]:
    return [capture.carries_on for capture in report.captures]


def test_a_flow_that_spans_files_is_one_flow(tmp_path: Path) -> None:
    frames = frames_of(FAILED.read_bytes())
    paths = write(tmp_path, cut(frames, 8, 15))
    report = analyze(paths[2], paths[0], paths[1], rules=RULES)
    assert joined(report) == [2, None, 1]
    assert [capture.packets for capture in report.captures] == [len(frames) - 15, 8, 7]
    assert report.totals.tcp_flows == 1
    (flow,) = as_plain(report)["flows"]
    (verdict,) = flow["verdicts"]
    assert (verdict["errno"], verdict["frames"], verdict["frame_captures"]) == ("EPIPE", [1, 2], [0, 0])
    assert (flow["capture"], flow["findings"][0]["frame_captures"]) == (1, [0, 0])
    assert report.flows[0].captures == (1, 2, 0)


def test_numbers_of_a_flow_in_a_later_file_need_no_captures(tmp_path: Path) -> None:
    """The first file holds another connection that goes on."""
    first, second = frames_of(FAILED.read_bytes()), frames_of(sample("clean-request-response").read_bytes())
    shift = first[0].time - second[0].time - 2 * SECOND
    second = [frame._replace(time=frame.time + shift) for frame in second]
    late = [frame._replace(time=first[-1].time + SECOND) for frame in second[6:]]
    paths = write(tmp_path, [second[:6], first + late])
    report = analyze(*paths, rules=RULES)
    assert joined(report) == [None, 0]
    (flow,) = as_plain(report)["flows"]
    assert flow["capture"] == 1
    assert flow["verdicts"] == as_plain(analyze(FAILED, rules=RULES))["flows"][0]["verdicts"]


@pytest.mark.parametrize("size", [1, 3, 16_384])
def test_batches_do_not_decide_what_is_joined(tmp_path: Path, size: int) -> None:
    """That a connection goes on shows some frames behind the beginning only."""
    frames = frames_of(FAILED.read_bytes())
    arp = [Frame(b"\xff" * 12 + b"\x08\x06" + bytes(30), 44, frames[8].time)] * 50
    paths = write(tmp_path, [frames[:8], arp + frames[8:]])
    report = analyze(*paths, rules=RULES, max_frames=size)
    assert joined(report) == [None, 0]
    assert [verdict.errno for verdict in report.flows[0].verdicts] == ["EPIPE"]


def test_pieces_of_several_formats_and_link_types(tmp_path: Path) -> None:
    frames = frames_of(FAILED.read_bytes())
    raw = [
        frame._replace(data=frame.data[14:], original=frame.original - 14, link_type=101) for frame in frames
    ]
    (tmp_path / "a.pcap").write_bytes(pcap(frames[:9]))
    (tmp_path / "b.cap").write_bytes(pcapng(raw[9:]))
    report = analyze(tmp_path / "b.cap", tmp_path / "a.pcap", rules=RULES)
    assert joined(report) == [1, None]
    assert [verdict.errno for verdict in report.flows[0].verdicts] == ["EPIPE"]


def test_two_vantage_points_stay_apart(tmp_path: Path) -> None:
    """Of the same time, named like a rotation, and each with its own rotation."""
    for host in (1, 2):
        frames = frames_of(sample("reset-by-peer-slow-path", ("client", "server")[host - 1]).read_bytes())
        for number, part in enumerate(cut(frames, len(frames) // 2)):
            (tmp_path / f"host{host}-{number}.pcap").write_bytes(pcap(part))
    report = analyze(tmp_path, rules=RULES)
    assert [Path(capture.path).name for capture in report.captures] == [
        "host1-0.pcap",
        "host1-1.pcap",
        "host2-0.pcap",
        "host2-1.pcap",
    ]
    assert joined(report) == [None, 0, None, 2]
    assert report.totals.tcp_flows == 2


@pytest.mark.parametrize("names", [("a.pcap", "b.pcap"), ("x.pcap1", "x.pcap2")])
def test_captures_of_the_same_time_are_never_joined(tmp_path: Path, names: tuple[str, str]) -> None:
    vantages = ("client", "server")
    for name, vantage in zip(names, vantages, strict=True):
        (tmp_path / name).write_bytes(sample("reset-by-peer-slow-path", vantage).read_bytes())
    report = analyze(*(tmp_path / name for name in names), rules=RULES)
    assert joined(report) == [None, None]
    alone = [as_plain(analyze(sample("reset-by-peer-slow-path", v), rules=RULES))["flows"] for v in vantages]
    flows = as_plain(report)["flows"]
    for flow in flows:
        flow["capture"] = 0
    assert flows == alone[0] + alone[1]


def test_after_an_overlap_nothing_is_joined(tmp_path: Path) -> None:
    """The third carries on one of the first two; which, nobody knows."""
    frames = frames_of(FAILED.read_bytes())
    paths = write(tmp_path, [frames[:8], frames[:8], frames[8:]])
    assert joined(analyze(*paths, rules=RULES)) == [None, None, None]


def test_a_file_that_has_nothing_in_common_stays_apart(tmp_path: Path) -> None:
    first, second = frames_of(FAILED.read_bytes()), frames_of(sample("clean-request-response").read_bytes())
    shift = first[-1].time + SECOND - second[0].time
    moved = [frame._replace(time=frame.time + shift) for frame in second]
    assert joined(analyze(*write(tmp_path, [first, moved]), rules=RULES)) == [None, None]


def test_silence_between_files_is_no_evidence_where_nobody_may_have_captured(tmp_path: Path) -> None:
    """A capture that was stopped while a SYN was sent again, and started an hour later."""
    frames = frames_of(sample("connect-timeout").read_bytes())
    head, tail = frames[:6], [frame._replace(time=frame.time + 3600 * SECOND) for frame in frames[6:]]
    report = analyze(*write(tmp_path, [head, tail]), rules=RULES)
    assert joined(report) == [None, None]
    assert [verdict.errno for result in report.flows[:1] for verdict in result.verdicts] == []


def test_a_pause_as_long_as_those_before_is_no_gap(tmp_path: Path) -> None:
    frames = frames_of(FAILED.read_bytes())
    slow = [frame._replace(time=frames[0].time + 100 * SECOND * place) for place, frame in enumerate(frames)]
    assert joined(analyze(*write(tmp_path, cut(slow, 9)), rules=RULES)) == [None, 0]


def test_what_follows_a_damaged_file_stays_apart(tmp_path: Path) -> None:
    frames = frames_of(FAILED.read_bytes())
    paths = write(tmp_path, cut(frames, 8))
    paths[0].write_bytes(paths[0].read_bytes() + b"\xff" * 40)
    report = analyze(*paths, rules=RULES)
    assert joined(report) == [None, None]
    assert report.captures[0].damage
    assert report.totals.packets == len(frames)


def test_a_file_that_cannot_be_read_among_others(tmp_path: Path) -> None:
    frames = frames_of(FAILED.read_bytes())
    paths = write(tmp_path, cut(frames, 8))
    (tmp_path / "cap.pcap2").write_text("no capture")
    missing = tmp_path / "cap.pcap3"
    report = analyze(*paths, tmp_path / "cap.pcap2", missing, rules=RULES)
    plain = as_plain(report)
    assert list(complaints(plain)) == []
    assert [capture["format"] for capture in plain["captures"]] == ["pcap", "pcap", "unknown", "unknown"]
    assert "text" in plain["captures"][2]["problems"][0]
    assert "no such file" in plain["captures"][3]["problems"][0]
    assert [verdict["errno"] for flow in plain["flows"] for verdict in flow["verdicts"]] == ["EPIPE"]


def test_progress_counts_over_all_files(tmp_path: Path) -> None:
    paths = write(tmp_path, cut(frames_of(TIMEOUT.read_bytes()), 4, 9))
    size = sum(path.stat().st_size for path in paths)
    shown: list[tuple[int, int]] = []
    analyze(*paths, rules=RULES, max_frames=2, progress=lambda read, of: shown.append((read, of)))
    assert {of for _, of in shown} == {size}
    assert [read for read, _ in shown] == sorted(read for read, _ in shown)
    assert shown[-1][0] <= size


def test_the_text_report_names_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, cut(frames_of(FAILED.read_bytes()), 8, 15))
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    text.write(analyze("cap.pcap*", rules=RULES), out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("3 files read as one, cap.pcap to cap.pcap2: 17 frames, 1 TCP connection")
    assert "   in cap.pcap, cap.pcap1, cap.pcap2" in lines
    ladder = [line.strip() for line in lines]
    assert ladder.index("cap.pcap") < ladder.index("cap.pcap1") < ladder.index("cap.pcap2")
    starred = [line.split()[1] for line in lines if line.startswith("   * ") and line.split()[1].isdigit()]
    assert starred == ["1", "2"]
    assert sum("wireshark cap.pcap" in line for line in lines) == 3
