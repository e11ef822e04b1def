"""Whom a host asked in vain when a retransmission was due: questions laid beside a run."""

from __future__ import annotations

import pytest

from analyzer.model.neighbour import Asked
from analyzer.sockets.next_hops import NextHop, given_up_at, known_by, next_hop, quiet_at
from analyzer.sockets.profiles import profile
from analyzer.sockets.retries import SECOND, Run

LINUX = profile("linux")
PEER, ROUTER = "10.0.0.9", "10.0.0.254"


def run_of(what: str, *seconds: float) -> Run:
    """A run that was sent at these moments."""
    run = Run(what, 1, round(seconds[0] * SECOND), 1)
    for number, moment in enumerate(seconds[1:], 2):
        run.again(round(moment * SECOND), number)
    return run


def asked(target: str, *seconds: float, before: float = 0) -> Asked:
    times = tuple(round(moment * SECOND) for moment in seconds)
    return Asked(target, times, tuple(range(100, 100 + len(times))), round(before * SECOND))


def found(run: Run, *questions: Asked) -> NextHop | None:
    assert LINUX.questions
    return next_hop(run, LINUX.retry, LINUX.questions, questions, PEER)


SYNS = run_of("syn", 0, 1, 2, 3)
DATA = run_of("data", 0, 0.2, 0.6, 1.4, 3.0)


def test_the_peer_was_asked_for_when_the_syn_was_due() -> None:
    hop = found(SYNS, asked(PEER, 4.02, 5.04, 6.06))
    assert hop == NextHop(PEER, round(7.06 * SECOND), 3, (100, 101, 102), round(6.06 * SECOND), True, True)


@pytest.mark.parametrize("begin", [4.3, 9.0])
def test_questions_that_come_later_are_for_something_else(begin: float) -> None:
    assert found(SYNS, asked(PEER, begin, begin + 1, begin + 2)) is None


def test_questions_that_were_over_are_for_something_else() -> None:
    assert found(run_of("syn", 0, 1, 3, 7), asked(PEER, 7.5, 8.5, 9.5)) is None


def test_two_questions_are_no_failure() -> None:
    assert found(SYNS, asked(PEER, 4.02, 5.04)) is None


def test_a_router_is_told_by_the_moment() -> None:
    hop = found(SYNS, asked(ROUTER, 4.02, 5.04, 6.06))
    assert hop is not None
    assert (hop.address, hop.is_peer, hop.begun_for_it) == (ROUTER, False, True)


def test_who_was_asked_before_the_last_syn_was_sent_is_no_router_of_it() -> None:
    assert found(SYNS, asked(ROUTER, 4.02, 5.04, 6.06, before=1.5)) is None
    assert found(SYNS, asked(PEER, 4.02, 5.04, 6.06, before=1.5)) is not None


def test_a_program_may_have_lost_patience_before_the_syn_was_due() -> None:
    assert found(SYNS, asked(ROUTER, 3.5, 4.5, 5.5)) is None
    hop = found(SYNS, asked(PEER, 3.5, 4.5, 5.5))
    assert hop is not None
    assert not hop.begun_for_it


def test_a_program_that_turns_to_a_dead_neighbour_when_its_own_timer_fires_asks_too_early() -> None:
    """Each SYN is a little late, so that the next one is due after the program's whole seconds."""
    late = run_of("syn", 0, 1.02, 2.04)
    assert found(late, asked("10.0.0.8", 3.001, 4.02, 5.05)) is None
    assert found(late, asked("10.0.0.8", 3.06, 4.08, 5.11)) is not None


def test_data_goes_on_behind_a_router_that_others_need_too() -> None:
    hop = found(DATA, asked(ROUTER, 4.0, 5.0, 6.0))
    assert hop is not None
    assert not hop.begun_for_it


def test_a_timer_that_fired_before_it_is_computed_is_the_one() -> None:
    """Measured: the last timeout took 28.16 s for 26.6, so that the next one seems to come 3 s later."""
    run = run_of("data", 0, 0.2, 0.4, 0.8, 1.7, 3.3, 6.8, 13.4, 26.76, 54.92)
    hop = found(run, asked(PEER, 108.17, 109.19, 110.21))
    assert hop is not None
    assert hop.begun_for_it
    assert LINUX.questions
    assert quiet_at(run, LINUX.retry, LINUX.questions, 6, hop) > 214 * SECOND


def test_the_peer_comes_before_a_router() -> None:
    hop = found(DATA, asked(ROUTER, 6.25, 7.27, 8.29), asked(PEER, 6.25, 7.27, 8.29))
    assert hop is not None
    assert hop.address == PEER


def test_the_attempt_that_waited_is_the_one_that_failed() -> None:
    hop = found(DATA, asked(PEER, 6.3, 7.3, 8.3, 9.6, 10.6, 11.6))
    assert hop is not None
    assert (hop.time, hop.asked, hop.last) == (round(9.3 * SECOND), 6, round(11.6 * SECOND))


@pytest.mark.parametrize(
    ("version", "asked_at", "timer"),
    [(4, (6.2, 7.2, 8.2, 9.6, 10.6, 11.6), 12.8), (6, (6.2, 7.2, 8.2), 12.6)],
)
def test_it_was_given_up_at_the_next_timer(version: int, asked_at: tuple[float, ...], timer: float) -> None:
    """Both measured: 0.2 s after the failure for IPv4, at the doubled timeout for IPv6."""
    assert LINUX.questions
    hop = found(DATA, asked(PEER, *asked_at))
    assert hop is not None
    at = given_up_at(DATA, LINUX.retry, LINUX.questions, version, hop)
    assert (timer - 0.45) * SECOND <= at <= timer * SECOND
    assert quiet_at(DATA, LINUX.retry, LINUX.questions, version, hop) > at


def test_it_is_known_once_all_questions_must_have_failed() -> None:
    assert LINUX.questions
    mostly, at_the_latest = known_by(SYNS, LINUX.retry, LINUX.questions)
    assert 7.1 * SECOND < mostly < at_the_latest < 8 * SECOND
