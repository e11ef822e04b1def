"""A client's wait for an answer: what ends it, and what else it may have been."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.event import Doubt, EndOfFile, Event, GaveUp
from analyzer.model.flow import CLIENT, Endpoint, Flow
from analyzer.pipeline.tracing import trace
from analyzer.sockets.waits import roles_are_known
from tests.sockets.story import HANDSHAKE, after_handshake, observe

RULES = load_rules(rules_folder())
REQUEST = "client > server P. 1:101(100) ack 1"
ANSWERED = [REQUEST, "server > client P. 1:21(20) ack 101", "client > server . 101:101(0) ack 21"]
E = TypeVar("E", bound=Event)


def told(kind: type[E], *lines: str) -> E | None:
    """What is left of this kind of event in the end."""
    found = [event for event in observe(after_handshake(*lines)).standing if isinstance(event, kind)]
    assert len(found) <= 1
    return found[0] if found else None


def one(kind: type[E], *lines: str) -> E:
    event = told(kind, *lines)
    assert event is not None
    return event


def of_the_answer(event: Event) -> set[Doubt]:
    """The doubts but those about the way of the FIN, 10 ms long in a transcript, and what was said."""
    return set(event.doubts) - {Doubt.FIN_UNPROVEN, Doubt.NOT_READ}


def test_a_fin_in_place_of_the_first_answer() -> None:
    event = one(EndOfFile, REQUEST, "+0.25 server > client F. 1:1(0) ack 101")
    assert (event.frames, event.wait.acknowledged, event.wait.answered_before) == ((4, 5), True, False)
    assert event.wait.seconds == pytest.approx(0.25)
    assert (event.socket.role, event.socket.state) == ("client", "ESTABLISHED")
    assert of_the_answer(event) == {Doubt.NEVER_ANSWERED}


def test_a_fin_in_place_of_a_later_answer() -> None:
    request = "+1 client > server P. 101:301(200) ack 21"
    event = one(EndOfFile, *ANSWERED, request, "server > client F. 21:21(0) ack 301")
    assert event.wait.answered_before
    assert of_the_answer(event) == set()


def test_last_words_may_be_a_farewell() -> None:
    last = "+1 client > server P. 101:107(6) ack 21"
    event = one(EndOfFile, *ANSWERED, last, "server > client F. 21:21(0) ack 107")
    assert of_the_answer(event) == {Doubt.MAYBE_FAREWELL}


def test_a_farewell_does_not_cross_a_fin() -> None:
    last = "+1 client > server P. 101:107(6) ack 21"
    event = one(EndOfFile, *ANSWERED, last, "server > client F. 21:21(0) ack 101")
    assert not event.wait.acknowledged
    assert of_the_answer(event) == set()


@pytest.mark.parametrize(("pause", "one_way", "doubt"), [(0.3, False, True), (6, True, True)])
def test_several_messages_without_any_answer(pause: float, one_way: bool, doubt: bool) -> None:
    again = f"+{pause} client > server P. 101:201(100) ack 1"
    event = one(EndOfFile, REQUEST, again, "server > client F. 1:1(0) ack 201")
    assert event.wait.one_way == one_way
    assert (Doubt.MAYBE_ONE_WAY in event.doubts) == doubt


@pytest.mark.parametrize(
    "lines",
    [
        (*ANSWERED, "server > client F. 21:21(0) ack 101"),
        (REQUEST, "server > client FP. 1:21(20) ack 101"),
        (REQUEST, "client > server F. 101:101(0) ack 1", "server > client F. 1:1(0) ack 102"),
        (REQUEST, "server > client F. 21:21(0) ack 101", "server > client P. 1:21(20) ack 101"),
        (REQUEST, "server > client F. 21:21(0) ack 101"),
        ("server > client P. 1:21(20) ack 1", "server > client F. 21:21(0) ack 1"),
        (),
    ],
)
def test_no_answer_was_due_or_it_was_lost(lines: tuple[str, ...]) -> None:
    assert told(EndOfFile, *lines) is None


def test_a_server_that_is_left_by_its_client_waits_for_nothing() -> None:
    assert told(EndOfFile, "server > client P. 1:21(20) ack 1", "client > server F. 1:1(0) ack 21") is None


def test_ports_may_tell_who_asks() -> None:
    lines = [REQUEST, "server > client . 1:1(0) ack 101", "server > client F. 1:1(0) ack 101"]
    (event,) = observe("\n".join(lines)).standing
    assert (event.name, event.side) == ("end_of_file", CLIENT)
    assert Doubt.HANDSHAKE_NOT_SEEN in event.doubts


@pytest.mark.parametrize(
    ("client", "server", "known"), [(40001, 80, True), (40001, 40000, False), (8080, 80, False)]
)
def test_without_the_handshake_ports_must_tell_the_roles(client: int, server: int, known: bool) -> None:
    ends = Endpoint("192.0.2.1", client), Endpoint("192.0.2.2", server)
    flow = Flow(0, "tcp", 4, *ends, client_guessed=True, capture=0, start=0)
    assert roles_are_known(flow) == known
    assert roles_are_known(replace(flow, client_guessed=False))


@pytest.mark.parametrize(
    ("waited", "is_round"),
    [
        (1.0, True), (2.009, True), (2.2, False), (7.05, True), (11, False), (15.02, True), (30.1, True),
        (59, False), (60.1, True), (90.05, True), (100, False), (300.5, True), (1.5, False), (10.995, False),
    ],
)  # fmt: skip
def test_round_waits(waited: float, is_round: bool) -> None:
    event = one(GaveUp, REQUEST, f"+{waited} client > server F. 101:101(0) ack 1")
    assert event.wait.round_time == is_round
    assert (Doubt.NO_ROUND_TIME in event.doubts) == (not is_round)


def test_a_short_wait_is_no_loss_of_patience() -> None:
    assert told(GaveUp, REQUEST, "+0.9 client > server F. 101:101(0) ack 1") is None


def test_an_answer_that_is_refused_shows_that_one_was_due() -> None:
    event = one(
        GaveUp,
        REQUEST,
        "+1.3 client > server F. 101:101(0) ack 1",
        "server > client . 1:1(0) ack 102",
        "+0.5 server > client P. 1:21(20) ack 102",
        "client > server R 102:102(0) win 0",
    )
    assert event.wait.refused
    assert event.doubts == {Doubt.OWN_TIMER}


def test_a_client_that_reads_on_has_not_given_up() -> None:
    story = observe(
        after_handshake(
            REQUEST,
            "+3 client > server F. 101:101(0) ack 1",
            "+3 server > client P. 1:21(20) ack 102",
            "client > server . 102:102(0) ack 21",
        )
    )
    assert [event.name for event in story.events] == ["gave_up"]
    assert story.standing == []


def verdicts(*lines: str) -> list[tuple[str, str, str]]:
    results, _ = trace(RULES, packets=after_handshake(*lines))
    return [(v.endpoint, v.rule, v.errno) for result in results for v in result.verdicts]


CROSSING = (
    "client > server P. 1:60(59) ack 1",
    "+0.04 server > client P. 1:41(40) ack 60",
    "client > server . 60:60(0) ack 41",
    "+1 client > server P. 60:119(59) ack 41",
    "+0.015 server > client F. 41:41(0) ack 60",
)


def test_a_client_that_closes_at_the_end_of_file_never_meets_the_resets() -> None:
    closes = "client > server F. 119:119(0) ack 42"
    resets = ("+0.025 server > client R 41:41(0) win 0", "+0.015 server > client R 42:42(0) win 0")
    assert verdicts(*CROSSING, closes, *resets) == [("client", "premature-eof", "")]


AT_THE_SERVER = (
    "client > server P. 1:60(59) ack 1",
    "server > client P. 1:41(40) ack 60",
    "+0.04 client > server . 60:60(0) ack 41",
    "+1 server > client F. 41:41(0) ack 60",
    "+0.02 client > server P. 60:119(59) ack 41",
    "server > client R 41:41(0) win 0",
)


def test_a_fin_that_crosses_is_told_once_it_is_acknowledged() -> None:
    assert told(EndOfFile, *AT_THE_SERVER, "+9 end") is None  # it may have been lost
    event = one(EndOfFile, *AT_THE_SERVER, "+0.02 client > server F. 119:119(0) ack 42")
    assert (event.frames, event.wait.acknowledged) == ((7, 8, 9), False)


def test_a_fin_that_has_far_to_go_may_be_lost() -> None:
    far = "+0.05 " + "\n".join(HANDSHAKE.strip().splitlines()[2:])
    lines = [*HANDSHAKE.strip().splitlines()[:2], far, REQUEST, "+1 server > client F. 1:1(0) ack 101"]
    (event,) = observe("\n".join(lines)).standing
    assert Doubt.FIN_UNPROVEN in event.doubts
    (event,) = observe("\n".join([*lines, "+0.05 client > server F. 101:101(0) ack 2"])).standing
    assert Doubt.FIN_UNPROVEN not in event.doubts


def test_a_client_that_does_not_close_can_meet_both() -> None:
    """recv() would give end of file, send() EPIPE: the table of the reset tells both."""
    reset = "+0.025 server > client R 41:41(0) win 0"
    assert verdicts(*CROSSING, reset, "+9 end") == [("client", "rst-after-fin", "EPIPE")]
