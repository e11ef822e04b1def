"""Port scans, which are silent, against outages that look like one; and services of several addresses."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.matching.load import load_rules, rules_folder
from analyzer.pipeline.files import analyze
from analyzer.reports.json_report import as_plain
from tests.captures import sample
from tests.crowd import BEGIN, SECOND, Ends, Timed, checked, outage, refused, served, write

RULES = load_rules(rules_folder())
SCANNER, TARGET = "10.0.0.66", "10.0.0.2"


def at(seconds: float) -> int:
    return BEGIN + round(seconds * SECOND)


def ports(count: int, *, every: float = 0.01, tries: int = 1) -> list[list[Timed]]:
    """A look at so many ports of one host."""
    return [
        refused(Ends(SCANNER, 40_000 + 1000 * again + port, TARGET, 1 + port), at((port + again / 2) * every))
        for again in range(tries)
        for port in range(count)
    ]


def hosts(count: int, *, every: float = 0.01) -> list[list[Timed]]:
    """A look at one port of so many hosts."""
    return [refused(Ends(SCANNER, 40_000 + n, f"10.0.7.{1 + n}", 22), at(n * every)) for n in range(count)]


@pytest.mark.parametrize(
    "scan",
    [ports(15), ports(200, every=0.001), ports(20, every=0.9), ports(40, tries=2), hosts(25), hosts(200)],
    ids=["15 ports", "200 ports", "slowly", "each twice", "25 hosts", "200 hosts"],
)
def test_scans_are_counted_and_silent(report, scan: list[list[Timed]]) -> None:
    told = report(*scan)
    assert (told.flows, told.incidents) == ((), ())
    assert told.totals.harmless == {"port-scan": len(scan)}


@pytest.mark.parametrize(
    "failures",
    [
        ports(14),
        ports(20, every=15),  # not in a row
        ports(20, every=5),  # as a program asks that needs many services of a host that is down
        ports(20, tries=4),  # somebody goes on trying
        hosts(24),
        hosts(60, every=0.5),  # as a monitor asks whose targets are down
        outage(40)[:40],
    ],
    ids=["few ports", "now and then", "slowly", "again and again", "few hosts", "a monitor", "an outage"],
)
def test_failures_that_are_no_scan(report, failures: list[list[Timed]]) -> None:
    told = report(*failures)
    assert told.totals.harmless == {}
    assert len(told.flows) == len(failures)


def test_what_the_scanner_uses_is_no_part_of_a_scan(report) -> None:
    """The one service that it did reach before went down."""
    used = served(Ends(SCANNER, 30_000, TARGET, 3), at(-5))
    told = report(used, *ports(30))
    assert [str(result.flow.server) for result in told.flows] == [f"{TARGET}:3"]
    assert told.totals.harmless == {"port-scan": 29}


def test_open_ports_belong_to_the_scan(report) -> None:
    told = report(*ports(30), checked(Ends(SCANNER, 50_000, TARGET, 80), at(0.1)))
    assert told.flows == ()
    assert told.totals.harmless == {"port-scan": 31}


def test_a_real_scan() -> None:
    report = analyze(sample("port-scan"), rules=RULES)
    assert (report.flows, report.totals.harmless) == ((), {"port-scan": 40})


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 500))
def test_batches_do_not_matter(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "scans.pcap"
    if not path.exists():
        every = [*ports(60), *hosts(30), *outage(20)]
        Random(1).shuffle(every)
        write(path, every)
    told = as_plain(analyze(path, rules=RULES, max_frames=size))
    assert told == as_plain(analyze(path, rules=RULES))
    assert told["harmless"] == {"port-scan": 90}
    assert len(told["flows"]) == 20


def two_addresses(client: str, other: str, after: float) -> list[list[Timed]]:
    first = "fd00::2" if ":" in client else "10.0.0.2"
    own = client if (":" in client) == (":" in other) else "10.0.0.1"
    return [
        refused(Ends(client, 1, first, 80), at(0)),
        served(Ends(own, 2, other, 80), at(after)),
    ]


@pytest.mark.parametrize(
    ("client", "other", "after", "recovered"),
    [
        ("10.0.0.1", "10.0.0.3", 0.01, True),
        ("10.0.0.1", "10.0.0.3", 0.25, True),
        ("10.0.0.1", "10.0.0.3", 0.4, False),
        ("fd00::1", "10.0.0.3", 0.01, True),
        ("fd00::1", "fd00::3", 0.01, True),
    ],
)
def test_the_next_address_of_a_service(
    report, client: str, other: str, after: float, recovered: bool
) -> None:
    told = report(*two_addresses(client, other, after))
    [verdict] = told.flows[0].verdicts
    assert verdict.recovered == recovered
    assert verdict.recovered_by == (f"{other}:80" if recovered and ":" not in other else verdict.recovered_by)
    assert bool(verdict.recovered_by) == recovered


def test_all_addresses_that_were_tried_before_have_recovered(report) -> None:
    tried = [refused(Ends("10.0.0.1", 10 + n, f"10.0.0.{10 + n}", 80), at(n / 100)) for n in range(3)]
    told = report(*tried, served(Ends("10.0.0.1", 50, "10.0.0.99", 80), at(0.04)))
    assert [v.recovered_by for result in told.flows for v in result.verdicts] == ["10.0.0.99:80"] * 3


def test_a_client_that_connects_everywhere_all_the_time_tells_nothing(report) -> None:
    usual = [served(Ends("10.0.0.1", 1000 + n, f"10.0.5.{n % 50}", 80), at(n / 10)) for n in range(600)]
    told = report(*usual, refused(Ends("10.0.0.1", 1, "10.0.0.2", 80), at(40.01)))
    assert [v.recovered for result in told.flows for v in result.verdicts] == [False]


@pytest.mark.parametrize("name", ["connection-refused-then-ipv4", "connection-refused-then-next-address"])
def test_real_second_addresses(name: str) -> None:
    report = analyze(sample(name), rules=RULES)
    [result] = report.flows
    [verdict] = result.verdicts
    assert verdict.recovered_by == f"10.9.1.2:{result.flow.server.port}"


def test_three_of_a_crowd() -> None:
    report = analyze(sample("crowd"), rules=RULES)
    assert report.totals.tcp_flows == 500
    assert [incident.flows for incident in report.incidents] == [1, 1, 1]
    assert {incident.errno for incident in report.incidents} == {"ECONNRESET", "", "EPIPE"}
    assert all(i.evidence.reached_before and i.evidence.reached_after for i in report.incidents)
