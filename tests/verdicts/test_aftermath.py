"""What other connections say of a failure: retries, health checks, the other address of localhost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports.json_report import as_plain
from tests.crowd import (
    ACK,
    BEGIN,
    MILLI,
    PSH,
    RST,
    SECOND,
    Ends,
    Talk,
    Timed,
    checked,
    crowd,
    forgotten,
    paused,
    refused,
    served,
    vanished,
    write,
)

RULES = load_rules(rules_folder())


def ends(port: int, client: str = "10.0.0.1", server: str = "10.0.0.2", service: int = 80) -> Ends:
    return Ends(client, port, server, service)


def at(seconds: float) -> int:
    return BEGIN + round(seconds * SECOND)


def recovered(report: Report) -> list[bool]:
    return [verdict.recovered for result in report.flows for verdict in result.verdicts]


def test_a_refused_client_that_tries_again_has_recovered(report) -> None:
    told = report(refused(ends(1), at(0)), served(ends(2), at(1)))
    [result] = told.flows
    assert result.verdicts[0].recovered
    assert result.verdicts[0].recovered_at == at(1)
    assert told.incidents[0].recovered == 1


@pytest.mark.parametrize(
    ("second", "start"),
    [
        (ends(2), 9),  # too late
        (ends(2), -1),  # before
        (ends(2, client="10.0.0.9"), 1),  # somebody else
        (ends(2, server="10.0.0.9"), 1),  # somewhere else
        (ends(2, service=81), 1),
    ],
)
def test_what_is_no_retry(report, second: Ends, start: float) -> None:
    assert recovered(report(refused(ends(1), at(0)), served(second, at(start)))) == [False]


def test_tries_that_fail_before_one_works_have_recovered_too(report) -> None:
    tries = [refused(ends(port), at(port)) for port in range(1, 4)]
    assert recovered(report(*tries, served(ends(9), at(4)))) == [True] * 3
    assert recovered(report(*tries)) == [False] * 3


def test_each_success_is_the_retry_of_one_failure(report) -> None:
    tries = [refused(ends(port), at(0) + port) for port in range(1, 11)]
    told = report(*tries, served(ends(50), at(1)), served(ends(51), at(1.1)))
    assert sorted(recovered(told)) == [False] * 8 + [True] * 2


def test_a_client_that_connects_all_the_time_has_not_tried_again(report) -> None:
    usual = [served(ends(100 + index), at(index / 10)) for index in range(600)]
    aborted = Talk(ends(1), at(30.03)).open().send(0, PSH | ACK, 100).send(1, RST | ACK).frames
    assert recovered(report(*usual, aborted)) == [False]


def checks(count: int, interval: float, *, jitter: float = 0.0) -> list[list[Timed]]:
    return [
        checked(ends(1000 + index), at(index * interval + (jitter if index % 2 else 0)))
        for index in range(count)
    ]


@pytest.mark.parametrize("interval", [0.5, 2, 30])
@pytest.mark.parametrize("count", [3, 40])
def test_health_checks_are_counted_and_silent(report, interval: float, count: int) -> None:
    told = report(*checks(count, interval, jitter=interval / 20))
    assert (told.flows, told.incidents) == ((), ())
    assert told.totals.harmless == {"health-check": count}


def test_health_checks_of_two_checkers_behind_one_address(report) -> None:
    other = [checked(ends(2000 + index), at(index * 2 + 0.3)) for index in range(10)]
    assert report(*checks(10, 2), *other).totals.harmless == {"health-check": 20}


@pytest.mark.parametrize("times", [[0], [0, 5], [0, 1, 7, 9.5, 30, 31, 44, 70]])
def test_few_or_irregular_resets_stay_what_they_are(report, times: list[float]) -> None:
    told = report(*[checked(ends(1000 + index), at(time)) for index, time in enumerate(times)])
    assert told.totals.harmless == {}
    assert [i.flows for i in told.incidents] == [len(times)]
    assert [result.verdicts[0].rule for result in told.flows] == ["rst-in-accept-queue"] * len(times)


def test_a_client_that_waited_in_vain_is_no_health_check(report) -> None:
    """Regular, and no byte either way: but it waited for a greeting that never came."""
    waited = [
        Talk(ends(1000 + index), at(20 * index)).open().wait(10 * SECOND).send(0, RST | ACK).frames
        for index in range(5)
    ]
    told = report(*waited)
    assert told.totals.harmless == {}
    assert len(told.flows) == 5


def test_localhost_is_tried_by_its_other_address(report) -> None:
    six = refused(ends(1, "::1", "::1"), at(0))
    four = served(ends(2, "127.0.0.1", "127.0.0.1"), at(0.002))
    told = report(six, four)
    assert (told.flows, told.totals.harmless) == ((), {"localhost-fallback": 1})


@pytest.mark.parametrize("other", [[], [served, 3], [refused, 0.002]])
def test_localhost_is_refused_on_both_or_too_late(report, other: list[object]) -> None:
    four = [other[0](ends(2, "127.0.0.1", "127.0.0.1"), at(other[1]))] if other else []
    told = report(refused(ends(1, "::1", "::1"), at(0)), *four)
    assert told.totals.harmless == {}
    assert told.flows[0].verdicts[0].rule == "connection-refused"


def test_pauses_that_lived_and_died(report) -> None:
    lived = [paused(ends(10 + pause), at(pause), pause=pause * SECOND) for pause in (15, 100, 340)]
    died = [forgotten(ends(1000 + pause), at(pause), pause=pause * SECOND) for pause in (352, 500)]
    told = report(*lived, *died)
    evidence = told.incidents[0].evidence
    assert evidence.longest_survived == pytest.approx(340 * SECOND, abs=SECOND)
    assert evidence.shortest_fatal == pytest.approx(352 * SECOND, abs=SECOND)
    assert evidence.idle_limit
    told = report(*lived, *died, forgotten(ends(9), at(9), pause=200 * SECOND))
    assert not told.incidents[0].evidence.idle_limit


@pytest.mark.parametrize(
    ("lived", "died", "fits"),
    [
        (348, 352, ["AWS NAT gateway (350 s)", "AWS Network Load Balancer (350 s)"]),
        (270, 295, []),
        (100, 352, []),  # too far apart
    ],
)
def test_a_bracketed_idle_limit_is_compared(report, lived: int, died: int, fits: list[str]) -> None:
    told = report(
        paused(ends(10), at(0), pause=lived * SECOND), forgotten(ends(20), at(0), pause=died * SECOND)
    )
    [incident] = told.incidents
    assert sorted(incident.evidence.idle_fits) == fits
    assert as_plain(told)["incidents"][0]["evidence"].get("idle_fits", []) == list(
        incident.evidence.idle_fits
    )


def test_a_pause_that_the_failed_connection_survived_counts(report) -> None:
    talk = Talk(ends(1), at(0)).open().ask().wait(340 * SECOND).ask().wait(352 * SECOND)
    told = report(talk.send(0, PSH | ACK, 100).send(1, RST | ACK, ttl=254).frames)
    evidence = told.incidents[0].evidence
    assert (evidence.survivors, round(evidence.longest_survived / SECOND)) == (1, 340)
    assert evidence.idle_fits


@pytest.mark.parametrize("lived", [230, 0])
def test_silence_after_a_pause(report, lived: int) -> None:
    """What is dropped fits boxes that drop; without a survivor the path may have broken for any reason."""
    talk = Talk(ends(1), at(0)).open().ask()
    talk = (talk.wait(lived * SECOND).ask() if lived else talk).wait(250 * SECOND).send(0, PSH | ACK, 100)
    for attempt in range(10):
        talk.wait(200 * MILLI << attempt).send(0, PSH | ACK, 100, again=True)
    told = report(talk.frames, served(ends(9, client="10.0.0.8"), at(2000)))
    [incident] = told.incidents
    assert incident.evidence.fell_silent
    assert incident.evidence.idle_limit == bool(lived)
    assert incident.evidence.idle_fits == (
        ("Azure Load Balancer, or its outbound NAT (240 s)",) if lived else ()
    )


def test_sizes_that_arrive_and_that_do_not(report) -> None:
    fine = Talk(ends(1), at(0)).open().ask(1300).close().frames
    lost = [vanished(ends(size), at(60), size=size) for size in (1380, 1400)]
    told = report(fine, *lost, served(ends(4, client="10.0.0.8"), at(1200)))
    [evidence] = [incident.evidence for incident in told.incidents]
    assert (evidence.largest_acknowledged, evidence.smallest_lost, evidence.size_limit) == (1300, 1380, True)


def test_when_a_service_worked_before_and_after(report) -> None:
    told = report(
        served(ends(1), at(0)),
        served(ends(2, client="10.0.0.7"), at(5)),
        *[refused(ends(port), at(port)) for port in range(20, 50)],
        served(ends(3, client="10.0.0.8"), at(30)),
        served(ends(4, client="10.0.0.9"), at(90)),
    )
    [incident] = told.incidents
    evidence = incident.evidence
    assert (incident.clients, incident.flows) == (1, 30)
    assert (evidence.reached_before, evidence.reached_after, evidence.reached_meanwhile) == (at(5), at(90), 1)


def test_incidents_have_names_that_stay(report) -> None:
    first = report(refused(ends(1), at(0))).incidents[0]
    later = report(served(ends(7), at(0)), refused(ends(2, client="10.0.0.7"), at(99))).incidents[0]
    other = report(refused(ends(1, service=81), at(0))).incidents[0]
    assert first.id == later.id != other.id


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 2000))
def test_batches_do_not_matter(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "crowd.pcap"
    if not path.exists():
        write(path, crowd(300))
    told = as_plain(analyze(path, rules=RULES, max_frames=size))
    assert told == as_plain(analyze(path, rules=RULES))
    assert told["harmless"]["health-check"] == 37
    assert len(told["incidents"]) == 3
