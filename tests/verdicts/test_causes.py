"""The two sides of a proxy: the failure of one is the reason of the other's."""

from __future__ import annotations

import io
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports import text
from analyzer.reports.json_report import as_plain
from tests.captures import sample
from tests.crowd import ACK, BEGIN, FIN, MILLI, PSH, RST, SECOND, Ends, Talk, Timed, write

RULES = load_rules(rules_folder())
PROXY, BACKEND = "10.0.0.5", "10.0.9.9"


def asked(number: int, start: int) -> Talk:
    """A client that has asked the proxy."""
    return (
        Talk(Ends("10.0.0.1", 10_000 + number, PROXY, 80), start).open().send(0, PSH | ACK, 100).send(1, ACK)
    )


def upstream(number: int, start: int, after: int) -> list[Timed]:
    """The proxy asks its server, which resets it so much later."""
    talk = Talk(Ends(PROXY, 20_000 + number, BACKEND, 8080), start).open().ask()
    return talk.send(0, PSH | ACK, 100).wait(after).send(1, RST | ACK).frames


def pair(number: int, start: int, later: int = MILLI) -> list[list[Timed]]:
    """The client's connection is closed so much later than the server resets the proxy."""
    behind = upstream(number, start + 5 * MILLI, 500 * MILLI)
    downstream = asked(number, start)
    downstream.time = behind[-1][0] + later
    closed = downstream.send(1, FIN | ACK).send(0, FIN | ACK).send(1, ACK)
    return [closed.frames, behind]


def following(report: Report) -> list[tuple[str, str]]:
    return [
        (str(result.flow.server), str(result.follows.server)) for result in report.flows if result.follows
    ]


@pytest.mark.parametrize("count", [1, 40])
def test_the_client_side_follows(report, count: int) -> None:
    told = report(*(leg for number in range(count) for leg in pair(number, BEGIN + number * SECOND)))
    assert following(told) == [(f"{PROXY}:80", f"{BACKEND}:8080")] * count
    evidence = {incident.service: incident.evidence for incident in told.incidents}
    assert evidence[f"{PROXY}:80"].follow == count
    assert evidence[f"{BACKEND}:8080"].follow == 0
    out = io.StringIO()
    text.write(told, out)
    assert f"{count} of {2 * count} TCP connections failed" in out.getvalue()
    assert f"{count} more in consequence" in out.getvalue()


@pytest.mark.parametrize("later", [-5 * MILLI, 30 * MILLI])
def test_what_fails_before_or_much_later_does_not(report, later: int) -> None:
    assert following(report(*pair(1, BEGIN, later))) == []


def test_another_host_is_no_proxy(report) -> None:
    downstream, _ = pair(1, BEGIN)
    other = Talk(Ends("10.0.0.77", 1, BACKEND, 8080), BEGIN).open().ask().send(0, PSH | ACK, 100)
    assert following(report(downstream, other.wait(495 * MILLI).send(1, RST | ACK).frames)) == []


def test_a_proxy_that_gives_up_because_its_client_did(report) -> None:
    downstream = asked(1, BEGIN).wait(10 * SECOND).send(0, FIN | ACK).send(1, FIN | ACK).send(0, ACK)
    behind = Talk(Ends(PROXY, 20_000, BACKEND, 8080), BEGIN + 5 * MILLI).open()
    behind = behind.send(0, PSH | ACK, 100).send(1, ACK)
    behind.time = BEGIN + 10 * SECOND + 12 * MILLI
    told = report(downstream.frames, behind.send(0, FIN | ACK).send(1, ACK).frames)
    assert following(told) == [(f"{BACKEND}:8080", f"{PROXY}:80")]


def test_by_chance_is_none(report) -> None:
    """Many clients of the host fail all the time, a few of its own connections too."""
    random = Random(2)
    failures = [
        asked(number, BEGIN + random.randrange(60 * SECOND)).wait(2 * SECOND).send(1, RST | ACK).frames
        for number in range(300)
    ]
    behind = [upstream(number, BEGIN + number * SECOND, 100 * MILLI) for number in range(50)]
    assert following(report(*failures, *behind)) == []


@pytest.mark.parametrize("name", ["proxy-upstream-resets", "proxy-upstream-refuses"])
def test_a_real_proxy(name: str) -> None:
    told = analyze(sample(name, "middle"), rules=RULES)
    [(closed, behind)] = following(told)
    assert (closed.split(":")[0], behind.split(":")[0]) == ("10.9.0.254", "10.9.1.2")
    plain = as_plain(told)
    assert [flow["follows"]["server"]["address"] for flow in plain["flows"] if flow["follows"]] == [
        "10.9.1.2"
    ]


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 60))
def test_batches_do_not_matter(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "proxies.pcap"
    if not path.exists():
        write(path, [leg for number in range(12) for leg in pair(number, BEGIN + number * 3 * MILLI)])
    told = as_plain(analyze(path, rules=RULES, max_frames=size))
    assert told == as_plain(analyze(path, rules=RULES))
    assert sum(flow["follows"] is not None for flow in told["flows"]) == 12
