"""Connections that a capture shows twice: before and after a NAT, inside and outside of a tunnel."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports.json_report import as_plain
from tests.captures import SAMPLES
from tests.crowd import ACK, BEGIN, RST, Ends, Talk, Timed, checked, refused, served, translated, write

RULES = load_rules(rules_folder())
TWICE = sorted(path for path in SAMPLES.glob("*-any-*/*.pcap") if path.parent.name.endswith(("nat", "vxlan")))
SERVICE, BACKEND = "10.96.0.12", "10.0.8.15"


def made(path: Path, *conversations: list[Timed]) -> Report:
    return analyze(write(path / "made.pcap", conversations), rules=RULES)


@pytest.mark.parametrize("path", TWICE, ids=lambda path: str(path.parent.name))
def test_real_connections_are_counted_once(path: Path) -> None:
    report = analyze(path, rules=RULES)
    plain = as_plain(report)
    [seen] = report.twice
    assert (report.totals.tcp_flows, seen.flows) == (2, 1)
    if path.parent.name.endswith("nat"):
        assert (seen.first.split(":")[0], seen.again.split(":")[0]) == (SERVICE, "10.9.1.2")
        assert seen.client_moved
    else:
        assert seen.first == seen.again
        assert seen.tunnels == ("", "VXLAN 42")
    assert len(plain["flows"]) == (not path.parent.name.startswith("clean-"))
    for flow in plain["flows"]:
        assert [verdict["endpoint"] for verdict in flow["verdicts"]] == ["client"]
        [other] = flow["same_as"]
        assert other["server"]["address"] != flow["server"]["address"] or other["tunnel"]
    assert [incident["flows"] for incident in plain["incidents"]] == [1] * len(plain["flows"])


def twice(kind: object, start: int, port: int = 5000) -> list[list[Timed]]:
    """A connection to the service, and the same one to what stands behind it."""
    first = kind(Ends("10.0.0.1", port, SERVICE, 80), start)
    return [first, translated(first, Ends("10.0.0.1", port, BACKEND, 8080), later=30_000)]


def test_health_checks_behind_a_nat_count_once(tmp_path: Path) -> None:
    each = [twice(checked, BEGIN + second * 10**9, 5000 + second) for second in range(0, 40, 2)]
    report = made(tmp_path, *(leg for legs in each for leg in legs))
    assert report.flows == ()
    assert report.totals.harmless == {"health-check": 20}
    assert [(seen.first, seen.again, seen.flows) for seen in report.twice] == [
        (f"{SERVICE}:80", f"{BACKEND}:8080", 20)
    ]


def test_failures_behind_a_nat_count_once(tmp_path: Path) -> None:
    each = [twice(refused, BEGIN + second * 10**9, 5000 + second) for second in range(8)]
    report = made(tmp_path, *(leg for legs in each for leg in legs))
    [incident] = report.incidents
    assert (incident.service, incident.flows) == (f"{SERVICE}:80", 8)
    assert len(report.flows) == 8
    assert {str(flow.server) for result in report.flows for flow in result.same_as} == {f"{BACKEND}:8080"}


def test_a_retry_through_the_nat_is_still_one(tmp_path: Path) -> None:
    report = made(tmp_path, *twice(refused, BEGIN), *twice(served, BEGIN + 10**9, 5001))
    assert [verdict.recovered for result in report.flows for verdict in result.verdicts] == [True]


def reset_behind(start: int, port: int = 5000) -> tuple[list[Timed], list[Timed]]:
    """Before the NAT, and behind it, where the server resets in the end; the NAT keeps that to itself."""
    first = Talk(Ends("10.0.0.1", port, SERVICE, 80), start).open().ask()
    behind = translated(first.send(1, RST | ACK).frames, Ends("10.0.0.1", port, BACKEND, 8080), later=30_000)
    return first.frames[:-1], behind


def test_what_the_nearest_side_shows_counts(tmp_path: Path) -> None:
    """The client's side shows both ends, and no reset that could have reached the client."""
    report = made(tmp_path, *reset_behind(BEGIN))
    assert report.flows == ()
    assert [seen.flows for seen in report.twice] == [1]


def test_what_the_nearest_side_cannot_show_is_taken_from_the_other(tmp_path: Path) -> None:
    """Answers take another way, so that the client's side shows its own packets alone."""
    first, behind = reset_behind(BEGIN)
    client = first[0][1][12:16]
    report = made(tmp_path, [(time, frame) for time, frame in first if frame[12:16] == client], behind)
    [result] = report.flows
    assert [(verdict.endpoint, verdict.errno) for verdict in result.verdicts] == [("client", "ECONNRESET")]


@pytest.mark.parametrize("later", [10**7, 10**9])
def test_what_comes_later_is_another_connection(tmp_path: Path, later: int) -> None:
    first = refused(Ends("10.0.0.1", 5000, SERVICE, 80), BEGIN)
    again = translated(first, Ends("10.0.0.1", 5000, BACKEND, 80), later=0)
    report = made(tmp_path, first, [(time + later, frame) for time, frame in again])
    assert (len(report.flows), report.twice) == (2, ())


def test_other_connections_at_the_same_moment_are_others(tmp_path: Path) -> None:
    """Of one client, from one port, to two services."""
    ends = [Ends("10.0.0.1", 5000, address, 80) for address in (SERVICE, BACKEND)]
    report = made(tmp_path, *(refused(each, BEGIN) for each in ends))
    assert (len(report.flows), report.twice) == (2, ())


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 40))
def test_batches_do_not_matter(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "twice.pcap"
    if not path.exists():
        each = [twice(kind, BEGIN + n * 10**6, 5000 + n) for n, kind in enumerate([refused, served] * 5)]
        write(path, [leg for legs in each for leg in legs])
    told = as_plain(analyze(path, rules=RULES, max_frames=size))
    assert told == as_plain(analyze(path, rules=RULES))
    assert told["counted_once"][0]["flows"] == 10
    assert len(told["flows"]) == 5
