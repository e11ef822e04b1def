"""The report as programs read it: what every key holds, for every sample capture."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import get_type_hints

import pytest

import analyzer
from analyzer.cli.main import run
from analyzer.model.report import Report
from analyzer.reports import json_report
from tests.captures import CAPTURES, capture_name, sample, to_pcapng
from tests.report_format import RULES, Plain, complaints, shaped


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


@pytest.mark.parametrize("scenario", ["retransmission-storm-cut", "retransmission-recovers"])
def test_warnings_give_no_verdict(scenario: str) -> None:
    for flow in plain_report(sample(scenario))["flows"]:
        assert {finding["severity"] for finding in flow["findings"]} <= {"warning", "info"}
        assert flow["verdicts"] == []


@pytest.mark.parametrize(
    ("scenario", "lasts"),
    [
        ("next-hop-of-others-dead", ["connect-stopped"]),
        ("retransmission-timeout", ["retransmission-timeout"]),
        ("retransmission-storm-cut", ["retransmission-storm"]),
    ],
)
def test_a_warning_lasts_until_something_overtakes_it(scenario: str, lasts: list[str]) -> None:
    (result,) = analyzer.analyze(sample(scenario)).flows
    assert [finding.rule for finding in result.lasting] == lasts


@pytest.mark.parametrize("path", CAPTURES[::10], ids=capture_name)
def test_json_text_round_trips(path: Path) -> None:
    plain = json_report.as_plain(analyzer.analyze(path, rules=RULES))
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain


@pytest.mark.parametrize("path", [path for path in CAPTURES if path.suffix == ".pcap"][::5], ids=capture_name)
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
    assert analyzer.__all__ == ["UserError", "__version__", "analyze"]
    assert Path(analyzer.__file__).with_name("py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = analyzer.analyse  # type: ignore[attr-defined]  # that is the test


def test_analyze_takes_text_and_paths(tmp_path: Path) -> None:
    path, copy = sample("connection-refused"), tmp_path / "copy.pcap"
    copy.write_bytes(path.read_bytes())
    report = analyzer.analyze(str(path), copy)
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
