"""Keepalives and closed windows."""

from __future__ import annotations

import pytest

from analyzer.model.event import Doubt, KeepaliveTimeout, RetransmissionTimeout, ZeroWindow
from tests.sockets.story import Story, after_handshake, observe

EXCHANGE = [
    "client > server P. 1:11(10) ack 1",
    "server > client P. 1:21(20) ack 11",
    "client > server . 11:11(0) ack 21",
]
FULL = ["client > server P. 1:1001(1000) ack 1", "server > client . 1:1(0) ack 1001 win 0"]
PROBE = "client > server . 10:10(0) ack 21"
ANSWER = "server > client . 21:21(0) ack 11"
RESET = "client > server R. 11:11(0) ack 21"
WINDOW_PROBE = "client > server . 1000:1000(0) ack 1"
STILL_CLOSED = "server > client . 1:1(0) ack 1001 win 0"


def idle(*lines: str) -> Story:
    return observe(after_handshake(*EXCHANGE, *lines))


def keepalives(story: Story) -> list[KeepaliveTimeout]:
    return [event for event in story.standing if isinstance(event, KeepaliveTimeout)]


def stalls(story: Story) -> list[ZeroWindow]:
    return [event for event in story.standing if isinstance(event, ZeroWindow)]


def test_keepalive_gives_up() -> None:
    (event,) = keepalives(idle(f"+60 {PROBE}", f"+10 {PROBE}", f"+10.1 {PROBE}", f"+10.2 {RESET}"))
    assert (event.frames, event.probe.count) == ((7, 8, 9, 10), 3)
    assert event.probe.interval == pytest.approx(10.2)
    assert event.probe.seconds == pytest.approx(90.31)
    assert event.doubts == frozenset()


def test_earlier_probes_that_were_answered_do_not_count() -> None:
    story = idle(f"+60 {PROBE}", ANSWER, f"+60 {PROBE}", ANSWER, f"+60 {PROBE}", f"+5 {PROBE}", f"+5 {RESET}")
    (event,) = keepalives(story)
    assert event.probe.count == 2


def test_a_single_probe_leaves_a_doubt() -> None:
    (event,) = keepalives(idle(f"+60 {PROBE}", f"+3.03 {RESET}"))
    assert event.doubts == {Doubt.INTERVAL_UNPROVEN}
    assert keepalives(idle(f"+60 {PROBE}", f"+3.4 {RESET}")) == []


@pytest.mark.parametrize(
    "lines",
    [
        (f"+60 {PROBE}", f"+10 {PROBE}", f"+4 {RESET}"),
        (f"+60 {PROBE}", f"+10 {PROBE}", ANSWER, f"+10 {RESET}"),
        (f"+60 {PROBE}", f"+10 {PROBE}", "+10 client > server R 11:11(0) win 0"),
        (f"+60 {RESET}",),
        (f"+60 {PROBE}", f"+10 {PROBE}", "+10 end"),
    ],
)
def test_no_keepalive_gave_up(lines: tuple[str, ...]) -> None:
    assert keepalives(idle(*lines)) == []


def test_who_lives_on_did_not_give_up() -> None:
    """The reset came from somebody else: this end goes on a second later."""
    story = idle(f"+60 {PROBE}", f"+10 {PROBE}", f"+10 {RESET}", "+1 client > server P. 11:21(10) ack 21")
    assert keepalives(story) == []
    assert "keepalive client" in story.withdrawn


def test_a_closed_window() -> None:
    lines = [f"+0.2 {WINDOW_PROBE}", STILL_CLOSED, f"+0.4 {WINDOW_PROBE}", STILL_CLOSED]
    assert stalls(observe(after_handshake(*FULL, *lines))) == []
    (event,) = stalls(observe(after_handshake(*FULL, *lines, f"+0.8 {WINDOW_PROBE}", STILL_CLOSED)))
    assert event.probe.seconds == pytest.approx(1.42)
    assert (event.frames, event.socket.role) == ((5, 10), "client")


def test_a_window_that_opens() -> None:
    opens = "server > client . 1:1(0) ack 1001 win 900"
    story = observe(after_handshake(*FULL, f"+1.2 {WINDOW_PROBE}", STILL_CLOSED, f"+2 {WINDOW_PROBE}", opens))
    assert stalls(story) == []


def test_nobody_answers_the_probes_of_a_closed_window() -> None:
    probes = [f"+{pause} {WINDOW_PROBE}" for pause in (0.2, 0.4, 0.8, 1.6)]
    story = observe(after_handshake(*FULL, *probes, "+9 end"))
    (event,) = (e for e in story.standing if isinstance(e, RetransmissionTimeout))
    assert (event.retry.what, event.retry.count, event.frames) == ("probe", 4, (6, 7, 8, 9))
    assert event.doubts == {Doubt.OWN_LIMIT}


def test_the_default_limit_of_window_probes() -> None:
    """15 unanswered probes: tcp_retries2."""
    pauses = [0.2 * 2**n for n in range(9)] + [110, 120, 120, 120, 120, 120]
    probes = [f"+{pause:.1f} {WINDOW_PROBE}" for pause in pauses]
    story = observe(after_handshake(*FULL, *probes, "+300 end"))
    (event,) = (e for e in story.standing if isinstance(e, RetransmissionTimeout))
    assert (event.retry.count, event.retry.exhausted, event.doubts) == (15, True, frozenset())


def test_a_window_probe_that_is_answered_late_ends_nothing() -> None:
    probes = [f"+{pause} {WINDOW_PROBE}" for pause in (0.2, 0.4, 0.8)]
    story = observe(after_handshake(*FULL, *probes, "+5 server > client . 1:1(0) ack 1001 win 900", "+9 end"))
    assert [e for e in story.standing if isinstance(e, RetransmissionTimeout)] == []
