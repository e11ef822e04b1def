"""What all connections together say of a failure: whose resets, which timers, which SYNs."""

from __future__ import annotations

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.reports.json_report import as_plain
from analyzer.verdicts.limits import fitting_timers, timer
from tests.crowd import (
    ACK,
    BEGIN,
    FIN,
    MILLI,
    PSH,
    RST,
    SECOND,
    SYN,
    Ends,
    Talk,
    Timed,
    served,
)

RULES = load_rules(rules_folder())


def ends(port: int, client: str = "10.0.0.1", server: str = "10.0.0.2", service: int = 80) -> Ends:
    return Ends(client, port, server, service)


def at(seconds: float) -> int:
    return BEGIN + round(seconds * SECOND)


def rejected(port: int, start: int, ttl: int) -> list[Timed]:
    return Talk(ends(port, service=81), start, ttl=62).send(0, SYN).send(1, RST | ACK, ttl=ttl).frames


@pytest.mark.parametrize(("ttl", "own"), [(62, True), (254, False)])
def test_the_ttl_tells_who_refused(report, ttl: int, own: bool) -> None:
    """The service says nothing else, but another one of the same host does."""
    other = Talk(ends(1), at(0), ttl=62).open().ask().close().frames
    told = report(other, rejected(2, at(1), ttl), rejected(3, at(2), ttl))
    [incident] = told.incidents
    assert incident.evidence.reset_by_host is own
    evidence = as_plain(told)["incidents"][0]["evidence"]
    assert (evidence["reset_ttls"], evidence["host_ttls"]) == ([ttl], [62, 62])


def test_ttls_that_differ_tell_nothing(report) -> None:
    other = Talk(ends(1), at(0), ttl=62).open().ask().close().frames
    told = report(other, rejected(2, at(1), 62), rejected(3, at(2), 254))
    assert told.incidents[0].evidence.reset_by_host is None


def test_a_host_that_says_nothing_else_cannot_be_compared(report) -> None:
    told = report(rejected(2, at(1), 62), served(ends(1, server="10.0.0.9"), at(0)))
    assert told.incidents[0].evidence.reset_by_host is None


def waited(port: int, start: int, seconds: float) -> list[Timed]:
    """A request that is acknowledged, and a client that closes after so long."""
    talk = Talk(ends(port), start).open().send(0, PSH | ACK, 100).send(1, ACK)
    return talk.wait(round(seconds * SECOND)).send(0, FIN | ACK).send(1, ACK).frames


def test_the_same_wait_in_many_connections_is_a_timer(report) -> None:
    told = report(*[waited(port, at(port), 30 + port / 1000) for port in range(1, 9)], waited(20, at(3), 7))
    [incident] = told.incidents
    evidence = incident.evidence
    assert (evidence.waited_flows, round(evidence.waited / SECOND)) == (8, 30)
    assert "Heroku router (H12), 30 s" in evidence.timer_fits


@pytest.mark.parametrize("waits", [[3, 9.1, 27], [30, 30.01], [12, 17, 30, 30, 30]])
def test_waits_of_their_own_are_no_timer(report, waits: list[float]) -> None:
    told = report(*[waited(100 + index, at(index), wait) for index, wait in enumerate(waits)])
    assert {incident.evidence.waited_flows for incident in told.incidents} <= {0}


def closed_idle(port: int, start: int, seconds: float) -> list[Timed]:
    talk = Talk(ends(port), start).open().ask().wait(round(seconds * SECOND))
    return talk.send(1, FIN | ACK).send(0, FIN | ACK).send(1, ACK).frames


def crossed(port: int, start: int) -> list[Timed]:
    """The server closes the idle connection while the next request is on its way."""
    talk = Talk(ends(port), start).open().ask().wait(75 * SECOND - 5 * MILLI).send(0, PSH | ACK, 100)
    ends_before = talk.seq[0] - 100
    talk.seq[0] = ends_before
    talk.send(1, FIN | ACK)
    talk.seq[0] = ends_before + 100
    return talk.send(0, FIN | ACK).send(1, RST).frames


def test_a_server_that_closes_idle_connections(report) -> None:
    told = report(*[closed_idle(port, at(port), 75.001) for port in range(1, 5)], crossed(20, at(9)))
    [incident] = told.incidents
    assert incident.errno == ""
    assert incident.evidence.idle_closes == 4
    assert incident.evidence.timer_fits == ("nginx (keepalive_timeout), 75 s",)
    plain = as_plain(told)["incidents"][0]["evidence"]
    assert plain["idle_close"] == pytest.approx([75.0, 75.0], abs=0.01)


def test_a_server_that_closes_at_any_time_has_no_timer(report) -> None:
    told = report(*[closed_idle(port, at(port), 3 * port) for port in range(1, 5)], crossed(20, at(9)))
    assert told.incidents[0].evidence.idle_closes == 0


def unanswered(port: int, start: int) -> list[Timed]:
    talk = Talk(ends(port), start).send(0, SYN)
    talk.seq[0] -= 1
    for attempt in range(6):
        talk.wait(SECOND << attempt).send(0, SYN)
        talk.seq[0] -= 1
    return talk.frames


def test_only_some_syns_of_a_client_are_unanswered(report) -> None:
    fine = [served(ends(100 + number), at(10 * number)) for number in range(1, 10)]
    again = served(ends(1), at(0))
    told = report(*fine, again, unanswered(1, at(5)), unanswered(2, at(5)), served(ends(9), at(300)))
    [incident] = told.incidents
    assert incident.flows == 2
    assert (incident.evidence.client_answered, incident.evidence.ports_again) == (9, 1)


def test_a_service_that_answers_nobody_is_down(report) -> None:
    told = report(served(ends(1), at(-20)), unanswered(2, at(5)), served(ends(9), at(300)))
    assert told.incidents[0].evidence.client_answered == 0


def test_timers_are_what_most_waits_have_in_common() -> None:
    assert timer([]) == (0, 0)
    assert timer([5.0, 5.01, 5.02, 9.0]) == (pytest.approx(5.01), 3)
    assert fitting_timers(75.2, "idle") == ("nginx (keepalive_timeout), 75 s",)
    assert fitting_timers(75.2, "answer") == ()
