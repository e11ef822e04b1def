"""Lines of logs beside recordings of real programs, whose calls are known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import analyzer
from analyzer.data import load
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.finding import Confidence
from analyzer.model.flow import SIDES, Endpoint
from analyzer.model.log_line import LogMatch, LogReport
from analyzer.reports.log_report import log_lines_of
from tests.captures import CAPTURES, sample

ERRNO = load("errno")["errno"]
RULES = load_rules(rules_folder())


class Called(NamedTuple):
    """A call of a program that failed."""

    time: float
    client: Endpoint
    server: Endpoint
    side: int
    call: str
    errno: str

    def line(self, style: str, ahead: float = 0.0) -> str:
        """As a program may log it, by a clock that is some seconds ahead of UTC."""
        ends = [str(self.client), str(self.server)]
        own, peer = ends if self.side == 0 else ends[::-1]
        where = {"bare": "", "peer": f" {peer}", "both": f" {own}->{peer}"}[style]
        at = datetime.fromtimestamp(self.time + ahead, UTC).isoformat(" ", "milliseconds")[:23]
        known = ERRNO[self.errno]
        return f"{at} ERROR {self.call}{where}: [Errno {known['numbers']['linux']}] {known['text']}"


def called(path: Path) -> Iterator[Called]:
    """The first call of each end that failed while a capture was made."""
    for connection in json.loads(path.with_name(f"{path.stem}.truth.json").read_text())["connections"]:
        ends = Endpoint(*connection["client"]), Endpoint(*connection["server"])
        for side, name in enumerate(SIDES):
            for call in connection["calls"][name] or ():
                if call["result"] in ERRNO:
                    yield Called(call["t"], *ends, side, call["call"], call["result"])
                    break  # what the calls after the first one get is another story


@cache
def samples() -> list[tuple[Path, list[Called]]]:
    """Without the port scan, of which there is a test of its own."""
    paths = [path for path in CAPTURES if path.with_name(f"{path.stem}.truth.json").exists()]
    paths = [path for path in paths if path.parent.name != "port-scan"]
    return [(path, calls) for path in paths if (calls := list(called(path)))]


def aligned(path: Path, *lines: str) -> LogReport:
    log = analyzer.analyze(path, rules=RULES, logs=[lines]).log
    assert log
    return log


def is_true(match: LogMatch, call: Called) -> bool:
    found = match.explained
    assert found
    flow = found.result.flow
    return (flow.client, flow.server) == (call.client, call.server)


@pytest.mark.parametrize(
    ("style", "explained", "certain"), [("bare", 0.85, 0.0), ("peer", 0.85, 0.75), ("both", 0.85, 0.75)]
)
def test_lines_of_real_failures_find_their_connection(style: str, explained: float, certain: float) -> None:
    """The log's clock is in another zone, which nobody told."""
    told: Counter[str] = Counter()
    for path, calls in samples()[::3]:
        for match, call in zip(
            aligned(path, *(c.line(style, 7200) for c in calls)).matches, calls, strict=True
        ):
            told[match.explained.sure.value if match.explained else "none"] += 1
            assert not match.explained or is_true(match, call), (path, call)
    assert told.total() > 90
    assert told["none"] / told.total() <= 1 - explained
    assert told["certain"] / told.total() >= certain


def test_of_many_captures_at_once_no_other_connection_is_certain() -> None:
    """Recordings that were made at the same moments: what a line says without an address fits several."""
    for style in ("bare", "peer", "both"):
        calls = [call for _, calls in samples() for call in calls]
        report = analyzer.analyze(
            *(path for path, _ in samples()), rules=RULES, logs=[[call.line(style) for call in calls]]
        )
        assert report.log
        sure = [
            (match, call)
            for match, call in zip(report.log.matches, calls, strict=True)
            if match.explained and match.explained.sure is Confidence.CERTAIN
        ]
        assert [call for match, call in sure if not is_true(match, call)] == []
        assert (style == "bare") != (len(sure) > 60)


@pytest.mark.parametrize(
    ("zone", "skew"),
    [(0, 0.0), (19800, 0.0), (-12600, 0.0), (50400, 0.0), (3600, 3.7), (0, -90.25), (-18000, 700.0)],
)
def test_zone_and_clock_are_found_out(zone: int, skew: float) -> None:
    calls = [call for _, calls in samples() for call in calls]
    paths = [path for path, _ in samples()]
    log = analyzer.analyze(*paths, rules=RULES, logs=[[call.line("peer", zone + skew) for call in calls]]).log
    assert log
    (clock,) = log.clocks
    assert (clock.found, clock.stated) == (True, False)
    assert abs(clock.zone + clock.ahead / 1e9 - zone - skew) < 0.1
    assert abs(skew) > 600 or clock.zone == zone
    assert clock.agree > clock.of / 2


FAILED = sample("rst-after-fin-send-first")


def one(*lines: str) -> LogMatch:
    (match,) = aligned(FAILED, *lines).matches
    return match


def test_a_line_without_time_is_matched_by_what_it_says() -> None:
    match = one("BrokenPipeError: [Errno 32] Broken pipe")
    assert match.explained
    assert (match.explained.rule, match.explained.sure, match.explained.delay) == (
        "rst-after-fin",
        Confidence.POSSIBLE,
        None,
    )
    match = one("write tcp 10.9.0.1:50835->10.9.1.2:8036: write: broken pipe")
    assert match.explained
    assert match.explained.sure is Confidence.LIKELY


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "2026-11-21T05:56:23.700Z ConnectionResetError: [Errno 104]",
            "no connection failed in this way at that time",
        ),
        ("2026-11-21T05:46:23.700Z BrokenPipeError: [Errno 32]", "the capture does not cover this time"),
        ("2026-11-21T05:56:23.700Z connect ECONNREFUSED 10.9.7.7:80", "10.9.7.7 is not in the capture"),
        (
            "read tcp 10.9.0.1:50835->10.9.1.2:8036: read: connection timed out",
            "10.9.0.1:50835 -> 10.9.1.2:8036 is in the capture, but nothing in it gives this",
        ),
    ],
)
def test_a_line_that_nothing_explains_says_why(line: str, why: str) -> None:
    match = one(line)
    assert match.explained is None
    assert match.why == why


RESET = (sample("reset-by-peer-waiting"), sample("reset-by-peer-sending"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "Error: read ECONNRESET",
            "2 connections failed in this way, and the line names neither time nor address by which one "
            "could be chosen: give the line with its time, or the address",
        ),
        (
            "2020-01-01 00:00:00.123 Error: read ECONNRESET",
            "2 connections failed in this way, and no time zone brings its time together with one, and the "
            "line names no address by which one could be chosen",
        ),
    ],
)
def test_a_line_that_many_failures_explain_says_so(line: str, why: str) -> None:
    report = analyzer.analyze(*RESET, rules=RULES, logs=[[line]])
    assert report.log
    (match,) = report.log.matches
    assert (match.explained, match.why, match.candidates) == (None, why, 2)
    text = " ".join("\n".join(log_lines_of(report)).split())
    assert "it is not known which: 1 log line" in text
    assert "No connection in the capture" not in text


def test_a_line_that_nothing_explains_has_no_candidates() -> None:
    assert one("2026-11-21T05:56:23.700Z ConnectionResetError: [Errno 104]").candidates == 0
    log = analyzer.analyze(*RESET, rules=RULES, logs=[["Error: connect ECONNREFUSED"]]).log
    assert log
    assert (log.matches[0].why, log.matches[0].candidates) == ("no connection failed in this way", 0)


def test_what_harmed_nobody_explains_a_line_and_stands_in_no_report() -> None:
    path = sample("port-scan")
    calls = list(called(path))[:3]
    report = analyzer.analyze(path, rules=RULES, logs=[[call.line("both") for call in calls]])
    assert report.flows == ()
    assert report.log
    for match, call in zip(report.log.matches, calls, strict=True):
        assert is_true(match, call)
        assert match.explained
        assert match.explained.result.harmless == "port-scan"
        assert match.explained.sure is Confidence.LIKELY
    assert "it harmed nobody (port-scan)" in " ".join("\n".join(log_lines_of(report)).split())


def test_a_line_that_no_kernel_stands_behind_is_seen_through() -> None:
    match = one("java.net.SocketException: Socket closed")
    assert (match.explained, match.why, match.seen_through) == (None, "", True)


def test_a_timer_of_the_program_is_found_by_the_wait() -> None:
    path = sample("gave-up-waiting")
    (call,) = analyzer.analyze(path, rules=RULES).flows
    at = datetime.fromtimestamp(call.verdicts[0].time / 1e9, UTC).isoformat()
    (match,) = aligned(path, f"{at} TimeoutError: timed out").matches
    assert match.explained
    assert (match.explained.rule, match.seen_through) == ("gave-up-waiting", True)


def test_nodes_socket_hang_up_is_an_end_of_file() -> None:
    path = sample("premature-eof-idle-close")
    (result,) = analyzer.analyze(path, rules=RULES).flows
    at = datetime.fromtimestamp(result.verdicts[0].time / 1e9, UTC).isoformat()
    (match,) = aligned(path, f"{at} Error: socket hang up", "  code: 'ECONNRESET'").matches
    assert match.explained
    assert (match.explained.rule, match.seen_through) == ("premature-eof", True)
