"""What could not be judged because the capture kept the begin of each frame only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analyzer.model.application import Dissection
from analyzer.model.event import Doubt
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports import live_text
from analyzer.reports.live_changes import Change
from tests.captures import frames_of, sample
from tests.sources.build import pcap

HEADERS = 66
NOT_JUDGED = "cut short by the capture (-s 0 keeps all of"


def cut(scenario: str, length: int, folder: Path) -> Report:
    frames = frames_of(sample(scenario).read_bytes())
    path = folder / "cut.pcap"
    path.write_bytes(pcap([frame._replace(data=frame.data[:length]) for frame in frames]))
    return analyze(path)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_what_tshark_could_not_see_is_said_too(tmp_path: Path) -> None:
    """In frame 8 the head of the answer and some of its body."""
    frames = frames_of(sample("curl-reset-mid-body").read_bytes())
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap([frame._replace(data=frame.data[: HEADERS + 90]) for frame in frames]))
    report = analyze(path, dissection=Dissection())
    (result,) = report.flows
    assert [(message.number, message.cut) for message in result.messages] == [(6, False), (8, True)]
    assert result.messages[-1].words == "200 OK [cut short by the capture]"
    assert any("in 1 connection what the programs said was not judged, or in part" in n for n in report.notes)
    whole = analyze(sample("curl-reset-mid-body"), dissection=Dissection())
    assert not any(message.cut for result in whole.flows for message in result.messages)
    assert not any("not judged" in note for note in whole.notes)


def not_judged(report: Report) -> list[str]:
    return [problem for capture in report.captures for problem in capture.problems if NOT_JUDGED in problem]


def test_a_verdict_without_what_was_said_says_so(tmp_path: Path) -> None:
    report = cut("premature-eof-client-hello", HEADERS + 30, tmp_path)
    (result,) = report.flows
    (verdict,) = result.verdicts
    assert Doubt.PAYLOAD_CUT in verdict.doubts
    assert Doubt.NOT_READ not in verdict.doubts
    assert [text.split(" it")[0] for text in not_judged(report)] == ["in 1 connection"]
    (line,) = live_text.lines([Change(result, verdict.side, None, verdict)])
    assert line.endswith("[not judged by what was said: the capture cut it short (-s 0 keeps all of it)]")


@pytest.mark.parametrize(
    ("scenario", "length", "told"),
    [
        (
            "premature-eof-mid-answer",
            HEADERS + 30,
            "in 1 connection it was not judged whether all of the last",
        ),
        ("eof-in-tls-record", HEADERS + 30, "in 1 connection it matters what both ends said"),
    ],
)
def test_what_is_not_found_for_want_of_payload_is_said(
    scenario: str, length: int, told: str, tmp_path: Path
) -> None:
    report = cut(scenario, length, tmp_path)
    assert not [verdict for result in report.flows for verdict in result.verdicts]
    (problem,) = not_judged(report)
    assert problem.startswith(told)


@pytest.mark.parametrize(
    "scenario",
    ["premature-eof-client-hello", "premature-eof-mid-answer", "eof-in-tls-record", "clean-request-response"],
)
def test_nothing_is_said_of_whole_frames(scenario: str, tmp_path: Path) -> None:
    report = cut(scenario, 65_535, tmp_path)
    assert not_judged(report) == []
    doubts = {doubt for result in report.flows for verdict in result.verdicts for doubt in verdict.doubts}
    assert Doubt.PAYLOAD_CUT not in doubts


def test_nothing_is_said_where_payload_does_not_matter(tmp_path: Path) -> None:
    report = cut("rst-after-fin-send-first", HEADERS + 2, tmp_path)
    assert report.flows[0].verdicts
    assert not_judged(report) == []
