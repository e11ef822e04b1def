"""What the shadow sockets make of written packets."""

from __future__ import annotations

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.event import Doubt, Event
from analyzer.model.flow import CLIENT, SERVER
from analyzer.pipeline.tracing import trace
from tests.sockets.story import HANDSHAKE, Story, after_handshake, observe

# How a client comes to each state (RFC 9293 figure 5), and the next numbers of server and client then.
WAYS = {
    "ESTABLISHED": ([], 1, 1),
    "FIN_WAIT_1": (["client > server F. 1:1(0) ack 1"], 1, 1),
    "FIN_WAIT_2": (["client > server F. 1:1(0) ack 1", "server > client . 1:1(0) ack 2"], 1, 2),
    "CLOSE_WAIT": (["server > client F. 1:1(0) ack 1", "client > server . 1:1(0) ack 2"], 2, 1),
    "CLOSING": (
        [
            "client > server F. 1:1(0) ack 1",
            "server > client F. 1:1(0) ack 1",
            "client > server . 2:2(0) ack 2",
        ],
        2,
        1,
    ),
    "LAST_ACK": (
        [
            "server > client F. 1:1(0) ack 1",
            "client > server . 1:1(0) ack 2",
            "client > server F. 1:1(0) ack 2",
        ],
        2,
        1,
    ),
}
TO_TIME_WAIT = [
    "client > server F. 1:1(0) ack 1",
    "server > client . 1:1(0) ack 2",
    "server > client F. 1:1(0) ack 2",
    "client > server . 2:2(0) ack 2",
]


def mirrored(text: str) -> str:
    """The same with the ends exchanged."""
    return text.replace("client", "?").replace("server", "client").replace("?", "server")


def only(events: list[Event]) -> Event:
    assert len(events) == 1, events
    return events[0]


def reset_at(story: Story, number: int = 0) -> tuple[int, str, bool]:
    """Side, state and acceptance of a reset."""
    event = story.resets[number]
    return event.side, event.socket.state, event.segment.accepted


@pytest.mark.parametrize("form", ["R", "R."])
@pytest.mark.parametrize("state", WAYS)
def test_a_reset_in_every_state(state: str, form: str) -> None:
    lines, seq, ack = WAYS[state]
    reset = f"server > client {form} {seq}:{seq}(0)" + (f" ack {ack}" if form == "R." else "")
    story = observe(after_handshake(*lines, reset))
    assert reset_at(story) == (CLIENT, state, True), story
    assert only(story.standing).frames[-1] == 4 + len(lines)
    assert not only(story.events).doubts


@pytest.mark.parametrize("state", WAYS)
def test_a_reset_in_every_state_of_a_server(state: str) -> None:
    lines, seq, _ = WAYS[state]
    story = observe(HANDSHAKE + mirrored("\n".join([*lines, f"server > client R {seq}:{seq}(0)"])))
    assert reset_at(story) == (SERVER, state, True), story


def test_a_reset_refuses_a_connection() -> None:
    story = observe("client > server S 0:0(0)\nserver > client R. 0:0(0) ack 1 win 0")
    assert reset_at(story) == (CLIENT, "SYN_SENT", True), story
    event = story.resets[0]
    assert (event.segment.form, event.segment.answers, event.frames) == ("reply", "syn", (1, 2))
    assert event.socket.activity == "connecting"
    assert not event.doubts


@pytest.mark.parametrize("reset", ["R. 0:0(0) ack 0", "R. 0:0(0) ack 2", "R 0:0(0)", "R 1:1(0)"])
def test_a_reset_that_does_not_acknowledge_the_syn_refuses_nothing(reset: str) -> None:
    story = observe(f"client > server S 0:0(0)\nserver > client {reset}")
    assert reset_at(story) == (CLIENT, "SYN_SENT", False), story


def test_a_reset_of_a_half_open_connection() -> None:
    story = observe("client > server S 0:0(0)\nserver > client S. 0:0(0) ack 1\nclient > server R 1:1(0)")
    assert reset_at(story) == (SERVER, "SYN_RCVD", True), story


def test_a_reset_in_time_wait_harms_nobody() -> None:
    story = observe(after_handshake(*TO_TIME_WAIT, "server > client R 2:2(0)"))
    assert [event.socket.state for event in story.resets] in ([], ["TIME_WAIT"])


def test_a_reset_to_a_closed_socket_is_no_event() -> None:
    """The server's last FIN is acknowledged."""
    story = observe(after_handshake(*TO_TIME_WAIT, "client > server R 2:2(0)"))
    assert story.told == [], story


def test_no_event_in_an_undisturbed_connection() -> None:
    lines = ["client > server P. 1:101(100) ack 1", "server > client P. 1:1001(1000) ack 101"]
    closing = ["client > server F. 101:101(0) ack 1001", "server > client F. 1001:1001(0) ack 102"]
    story = observe(after_handshake(*lines, *closing, "client > server . 102:102(0) ack 1002", "+300 end"))
    assert story.told == [], story


# Which reset is believed: RFC 5961 section 3.2, and what Linux makes of it.


@pytest.mark.parametrize(
    ("state", "offset", "accepted"),
    [
        *((state, 0, True) for state in WAYS),
        *((state, -1, state in ("CLOSE_WAIT", "LAST_ACK", "CLOSING")) for state in WAYS),
        *((state, 1, False) for state in WAYS),
        *((state, 1000, False) for state in WAYS),
        *((state, -2, False) for state in WAYS),
        *((state, -1000, False) for state in WAYS),
        *((state, 1 << 31, False) for state in WAYS),
    ],
)
def test_the_number_of_a_reset(state: str, offset: int, accepted: bool) -> None:
    lines, seq, _ = WAYS[state]
    number = seq + offset
    story = observe(after_handshake(*lines, f"server > client R {number}:{number}(0)", "+5 end"))
    assert reset_at(story) == (CLIENT, state, accepted), story


def test_data_on_the_way_counts_for_the_number() -> None:
    """The receiver has got it, though its acknowledgement is still delayed."""
    lines = ["server > client P. 1:101(100) ack 1", "server > client R. 101:101(0) ack 1"]
    assert reset_at(observe(after_handshake(*lines))) == (CLIENT, "ESTABLISHED", True)
    lines[1] = "server > client R. 1:1(0) ack 1"
    assert (
        reset_at(observe(after_handshake(lines[0], "client > server . 1:1(0) ack 101", lines[1])))[2] is False
    )


def test_a_challenge_and_the_reset_that_answers_it() -> None:
    story = observe(
        after_handshake(
            "client > server P. 1:11(10) ack 1",
            "server > client R 6:6(0)",
            "client > server . 11:11(0) ack 1",
            "server > client R 1:1(0)",
        )
    )
    assert [(r.segment.accepted, r.socket.state) for r in story.resets] == [
        (False, "ESTABLISHED"),
        (True, "ESTABLISHED"),
    ], story
    assert not story.resets[1].doubts
    assert story.withdrawn == []


def test_a_reset_that_is_not_believed_changes_nothing() -> None:
    story = observe(
        after_handshake(
            "server > client R 900:900(0)",
            "server > client F. 1:1(0) ack 1",
            "client > server . 1:1(0) ack 2",
            "server > client R 2:2(0)",
        )
    )
    assert [reset_at(story, n)[1:] for n in (0, 1)] == [("ESTABLISHED", False), ("CLOSE_WAIT", True)], story


def test_the_number_that_the_receiver_acknowledged_after_a_loss() -> None:
    """The server's 1:101 was lost behind the capture: the client still expects 1."""
    story = observe(
        after_handshake(
            "server > client P. 1:101(100) ack 1",
            "+0.3 client > server P. 1:11(10) ack 1",
            "server > client R 1:1(0)",
        )
    )
    assert reset_at(story) == (CLIENT, "ESTABLISHED", True), story
    assert story.resets[0].doubts == {Doubt.RESET_NUMBER_UNPROVEN}


def test_a_reset_behind_lost_bytes_is_challenged() -> None:
    """The server's 1:11 never came; its next segment shows that, and the client still acknowledges 1."""
    story = observe(
        after_handshake(
            "server > client . 11:11(0) ack 1",
            "client > server . 1:1(0) ack 1",
            "server > client R. 11:11(0) ack 1",
            "client > server . 1:1(0) ack 1",
        )
    )
    assert reset_at(story) == (CLIENT, "ESTABLISHED", False), story


def test_the_sender_of_a_withdrawn_reset_lives_too() -> None:
    """A box in the middle sent the first reset, with an old number."""
    story = observe(
        after_handshake(
            "server > client P. 1:101(100) ack 1",
            "server > client R 1:1(0)",
            "client > server . 1:1(0) ack 101",
            "+0.1 server > client P. 101:201(100) ack 1",
            "client > server . 1:1(0) ack 201",
            "client > server F. 1:1(0) ack 201",
            "server > client . 201:201(0) ack 2",
            "+0.1 server > client P. 201:301(100) ack 2",
            "client > server R 2:2(0)",
        )
    )
    assert [reset_at(story, n)[::2] for n in range(len(story.resets))][-1] == (SERVER, True), story


def test_only_the_first_of_two_resets_ends_the_socket() -> None:
    story = observe(after_handshake("server > client R. 1:1(0) ack 1", "+0.1 server > client R 1:1(0)"))
    assert len(story.resets) == 1, story


# What a reset answers.


@pytest.mark.parametrize(
    ("lines", "form", "answers"),
    [
        (["client > server P. 1:11(10) ack 1", "server > client R 1:1(0)"], "reply", "data"),
        (["client > server P. 1:11(10) ack 1", "server > client R. 1:1(0) ack 11"], "active", "nothing"),
        (["client > server F. 1:1(0) ack 1", "server > client R 1:1(0)"], "reply", "fin"),
        (["server > client R. 1:1(0) ack 1"], "active", "nothing"),
    ],
)
def test_what_a_reset_answers(lines: list[str], form: str, answers: str) -> None:
    event = observe(after_handshake(*lines)).resets[0]
    assert (event.segment.form, event.segment.answers) == (form, answers)
    assert event.frames == ((4, 5) if answers != "nothing" else (3 + len(lines),))


# Closed, or only shut down.


def test_a_fin_is_taken_as_a_close() -> None:
    lines, seq, _ = WAYS["FIN_WAIT_2"]
    assert observe(after_handshake(*lines, f"server > client R {seq}:{seq}(0)")).resets[0].socket.closed


def test_who_acknowledges_what_came_after_the_own_fin_reads_on() -> None:
    lines = [
        "client > server F. 1:1(0) ack 1",
        "server > client P. 1:101(100) ack 2",
        "client > server . 2:2(0) ack 101",
        "server > client R. 101:101(0) ack 2",
    ]
    event = observe(after_handshake(*lines)).resets[0]
    assert (event.socket.state, event.socket.closed) == ("FIN_WAIT_2", False)


def test_acknowledging_what_came_before_the_own_fin_proves_nothing() -> None:
    lines = [
        "server > client P. 1:101(100) ack 1",
        "client > server F. 1:1(0) ack 1",
        "client > server . 2:2(0) ack 101",
        "server > client R. 101:101(0) ack 2",
    ]
    assert observe(after_handshake(*lines)).resets[0].socket.closed


def test_acknowledging_the_peers_fin_proves_nothing() -> None:
    lines = [
        "client > server F. 1:1(0) ack 1",
        "server > client F. 1:1(0) ack 1",
        "client > server . 2:2(0) ack 2",
        "server > client R 2:2(0)",
    ]
    event = observe(after_handshake(*lines)).resets[0]
    assert (event.socket.state, event.socket.closed) == ("CLOSING", True)


def test_a_half_closed_client_still_gets_the_answer_and_no_error() -> None:
    lines = [
        "client > server F. 1:1(0) ack 1",
        "server > client P. 1:101(100) ack 2",
        "client > server . 2:2(0) ack 101",
        "server > client F. 101:101(0) ack 2",
        "client > server . 2:2(0) ack 102",
    ]
    assert observe(after_handshake(*lines)).told == []


def test_who_sends_after_the_peers_fin_was_sending() -> None:
    lines = [
        "server > client F. 1:1(0) ack 1",
        "client > server . 1:1(0) ack 2",
        "client > server P. 1:11(10) ack 2",
        "server > client R 2:2(0)",
    ]
    event = observe(after_handshake(*lines)).resets[0]
    assert (event.socket.state, event.socket.sent_after_fin, event.socket.activity) == (
        "CLOSE_WAIT",
        True,
        "sending",
    )
    assert event.segment.answers == "data"


def test_data_before_the_peers_fin_does_not_count_as_sent_after_it() -> None:
    lines = [
        "client > server P. 1:11(10) ack 1",
        "server > client F. 1:1(0) ack 11",
        "client > server . 11:11(0) ack 2",
        "server > client R 2:2(0)",
    ]
    assert not observe(after_handshake(*lines)).resets[0].socket.sent_after_fin


def test_a_stream_is_sending_and_a_request_is_waiting() -> None:
    request = ["client > server P. 1:11(10) ack 1", "server > client R 1:1(0)"]
    assert observe(after_handshake(*request)).resets[0].socket.activity == "waiting"
    stream = [f"+0.03 client > server P. {n}:{n + 10}(10) ack 1" for n in range(1, 61, 10)]
    assert (
        observe(after_handshake(*stream, "server > client R 1:1(0)")).resets[0].socket.activity == "sending"
    )


# What is taken back.


@pytest.mark.parametrize("life", ["P. 1:11(10) ack 1", ". 1:1(0) ack 1", "F. 1:1(0) ack 1"])
def test_a_reset_is_withdrawn_when_its_receiver_lives_on(life: str) -> None:
    story = observe(after_handshake("server > client R. 1:1(0) ack 1", f"+2 client > server {life}"))
    assert story.resets[0].key in story.withdrawn, story
    assert story.standing == []


def test_what_was_under_way_when_the_reset_came_is_no_life() -> None:
    lines = ["server > client R. 1:1(0) ack 1", "+0.05 client > server P. 1:11(10) ack 1"]
    story = observe(after_handshake(*lines))
    assert story.withdrawn == [], story


def test_the_resets_of_the_receiver_are_no_life() -> None:
    lines = ["server > client R. 1:1(0) ack 1", "+2 client > server R 1:1(0)"]
    assert observe(after_handshake(*lines)).withdrawn == []


def test_a_refusal_is_withdrawn_when_the_syn_comes_again() -> None:
    syn = "client > server S 0:0(0)"
    story = observe(f"{syn}\nserver > client R. 0:0(0) ack 1\n+1 {syn}\nserver > client S. 0:0(0) ack 1")
    assert story.resets[0].key in story.withdrawn, story


def test_a_fin_that_passes_the_reset_shows_that_the_program_had_closed() -> None:
    lines = ["server > client R. 1:1(0) ack 1", "+0.02 client > server F. 1:1(0) ack 1"]
    story = observe(after_handshake(*lines))
    assert story.standing == [], story


RETRIES = [
    "client > server P. 1:11(10) ack 1",
    "+0.2 client > server P. 1:11(10) ack 1",
    "+0.4 client > server P. 1:11(10) ack 1",
    "+0.8 client > server P. 1:11(10) ack 1",
]


def test_silence_after_retransmissions_is_a_timeout_once_the_next_one_is_missing() -> None:
    assert observe(after_handshake(*RETRIES, "+1.5 end")).timeouts == []
    story = observe(after_handshake(*RETRIES, "+60 end"))
    [event] = story.timeouts
    assert (event.side, event.socket.state) == (CLIENT, "ESTABLISHED")
    assert (event.retry.what, event.retry.count, event.retry.stopped) == ("data", 3, True)
    assert event.retry.elapsed == pytest.approx(1.4)
    assert event.time == story.retries[-1].time + round(1.6e9)
    assert Doubt.OWN_LIMIT in event.doubts
    assert event.frames == (4, 5, 6, 7)


def test_a_system_that_resets_when_it_gives_up() -> None:
    """FreeBSD's tcp_drop() after 12 retransmissions; Linux never sends one then."""
    gaps = [0.23 * 2**n for n in range(9)] + [64.0] * 3
    lines = [
        "client > server P. 1:11(10) ack 1",
        *(f"+{gap} client > server P. 1:11(10) ack 1" for gap in gaps),
    ]
    reset = "+64 client > server R. 11:11(0) ack 1"
    [event] = observe(after_handshake(*lines, reset), client="freebsd").timeouts
    assert (event.side, event.retry.count, event.frames[-1]) == (CLIENT, 12, 17)
    assert Doubt.OWN_LIMIT not in event.doubts
    assert (
        observe(
            after_handshake(*lines[:5], "+4 client > server R. 11:11(0) ack 1"), client="freebsd"
        ).timeouts
        == []
    )
    assert observe(after_handshake(*lines, reset)).timeouts == []


def test_a_timeout_is_withdrawn_when_it_sends_again() -> None:
    story = observe(after_handshake(*RETRIES, "+60 client > server P. 1:11(10) ack 1", "+1 end"))
    assert story.withdrawn == [story.timeouts[0].key], story
    assert not any(event.name == "retransmission_timeout" for event in story.standing)


def test_one_retransmission_tells_nothing_and_each_later_one_replaces_the_story() -> None:
    assert observe(after_handshake(*RETRIES[:2])).told == []
    story = observe(after_handshake(*RETRIES))
    assert [event.retry.count for event in story.retries] == [2, 3]
    assert only(story.standing) == story.retries[-1]
    assert story.retries[-1].frames == (4, 5, 6, 7)


def test_nothing_is_told_of_a_time_that_the_capture_does_not_reach() -> None:
    """The ports are used again 0.1 s after a retransmission; the reset before it was not believed."""
    opened = ["+0.1 client > server S 70000:70000(0)", "server > client S. 70000:70000(0) ack 70001"]
    story = observe(after_handshake("server > client R 900:900(0)", *RETRIES, *opened))
    assert story.timeouts == [], story


def test_acknowledged_data_is_no_timeout() -> None:
    story = observe(after_handshake(*RETRIES, "server > client . 1:1(0) ack 11", "+600 end"))
    assert story.timeouts == [], story


def test_a_closed_program_gets_no_timeout() -> None:
    fin = "client > server F. 1:1(0) ack 1"
    story = observe(after_handshake(fin, f"+0.2 {fin}", f"+0.4 {fin}", f"+0.8 {fin}", "+600 end"))
    assert story.timeouts == [], story


# Copies of packets.


@pytest.mark.parametrize(
    "lines",
    [
        ["client > server P. 1:11(10) ack 1 id 7"],
        ["client > server F. 1:1(0) ack 1 id 7"],
        ["server > client F. 1:1(0) ack 1 id 7", "client > server . 1:1(0) ack 2 id 8"],
    ],
)
def test_copies_tell_nothing(lines: list[str]) -> None:
    copied = [text for line in lines for text in (line, f"+0.0001 {line}", f"+0.0001 {line}")]
    assert observe(after_handshake(*copied)).told == []


def test_copies_of_a_syn_are_not_sent_again() -> None:
    syn = "client > server S 0:0(0) id 7"
    story = observe(f"{syn}\n+0.0001 {syn}\n+0.0001 {syn}\n+30 end")
    assert story.told == [], story


def test_a_copied_reset_comes_once() -> None:
    reset = "server > client R 900:900(0) id 9"
    story = observe(after_handshake(reset, f"+0.0001 {reset}"))
    assert len(story.resets) == 1, story


def test_a_reset_again_is_no_copy() -> None:
    story = observe(
        after_handshake("server > client R 900:900(0) id 9", "server > client R 900:900(0) id 10")
    )
    assert len(story.resets) == 2, story


# ICMP errors.

UNREACHABLE = "router > client icmp unreachable host_unreachable"


def test_icmp_ends_a_connection_attempt() -> None:
    story = observe(f"client > server S 0:0(0)\n+0.5 {UNREACHABLE} [0:0(0)]")
    [event] = story.icmp
    assert (event.side, event.socket.state, event.icmp.errno) == (CLIENT, "SYN_SENT", "EHOSTUNREACH")
    assert (event.icmp.fatal, event.icmp.quotes_our_syn, event.icmp.reporter) == (True, True, "192.0.2.254")
    assert not event.doubts
    assert story.withdrawn == []


def test_a_syn_after_icmp_shows_that_it_ended_nothing() -> None:
    story = observe(f"client > server S 0:0(0)\n+0.5 {UNREACHABLE} [0:0(0)]\n+0.5 client > server S 0:0(0)")
    assert story.withdrawn == [story.icmp[0].key], story


def test_icmp_at_once_may_meet_connect_itself() -> None:
    story = observe(f"client > server S 0:0(0)\n+0.0001 {UNREACHABLE} [0:0(0)]")
    assert story.icmp[0].doubts == {Doubt.CONNECT_MAY_HOLD_THE_SOCKET}


def test_icmp_that_quotes_another_number_ends_nothing() -> None:
    story = observe(f"client > server S 0:0(0)\n+0.5 {UNREACHABLE} [500:500(0)]")
    assert not story.icmp[0].icmp.quotes_our_syn
    refused = observe(
        f"client > server S 0:0(0)\n{UNREACHABLE} [500:500(0)]\nserver > client R. 0:0(0) ack 1"
    )
    assert reset_at(refused) == (CLIENT, "SYN_SENT", True), refused


def test_a_soft_error_is_kept_for_the_timeout() -> None:
    lines = [RETRIES[0], f"{UNREACHABLE} [1:11(10)]", *RETRIES[1:], "+60 end"]
    story = observe(after_handshake(*lines))
    assert (story.icmp[0].icmp.soft, story.icmp[0].icmp.in_window) == (True, True)
    assert story.icmp[0].socket.state == "ESTABLISHED"
    assert story.timeouts[0].retry.soft_errno == "EHOSTUNREACH", story


def test_an_answer_clears_the_soft_error() -> None:
    lines = [
        RETRIES[0],
        f"{UNREACHABLE} [1:11(10)]",
        "server > client . 1:1(0) ack 1",
        *RETRIES[1:],
        "+60 end",
    ]
    assert observe(after_handshake(*lines)).timeouts[0].retry.soft_errno == ""


def test_icmp_about_what_was_acknowledged_is_not_believed() -> None:
    lines = [RETRIES[0], "server > client . 1:1(0) ack 11", "client > server P. 11:21(10) ack 1"]
    story = observe(after_handshake(*lines, f"{UNREACHABLE} [1:11(10)]"))
    assert not story.icmp[0].icmp.in_window


def test_icmp_of_ipv6() -> None:
    story = observe("client > server S 0:0(0)\n+1 router > client icmp port_unreachable [0:0(0)]", version=6)
    assert (story.icmp[0].icmp.errno, story.icmp[0].flow.ip_version) == ("ECONNREFUSED", 6)


# Connecting.


def syns(*gaps: float) -> str:
    return "\n".join(f"+{gap} client > server S 0:0(0)" for gap in gaps)


def test_nobody_answers_a_connect() -> None:
    story = observe(syns(0, 1, 1.1, 1, 1, 1, 2, 4.3, 8.2, 16.1, 33.3) + "\n+200 end")
    [event] = story.timeouts
    assert (event.side, event.socket.state, event.retry.what) == (CLIENT, "SYN_SENT", "syn")
    assert (event.retry.count, event.retry.exhausted, event.retry.stopped) == (10, True, True)
    assert event.doubts == frozenset()
    assert event.retry.gives_up_after == pytest.approx(134.5, rel=0.03)


def test_a_program_that_gives_up_connecting_early() -> None:
    story = observe(syns(0, 1, 2) + "\n+200 end")
    assert Doubt.OWN_LIMIT in story.timeouts[0].doubts


def test_the_capture_ends_before_the_last_timer() -> None:
    story = observe(syns(0, 1, 1.1, 1, 1, 1, 2, 4.3, 8.2, 16.1, 33.3) + "\n+2 end")
    assert Doubt.NO_LATER_FRAME in story.timeouts[0].doubts, story
    assert not story.timeouts[0].retry.stopped


@pytest.mark.parametrize(("later", "doubted"), [("+0.0002", True), ("+0.002", False)])
def test_right_after_the_handshake_connect_may_have_returned(later: str, doubted: bool) -> None:
    near = HANDSHAKE.replace("server >", "+0.0001 server >").replace(
        "client > server  .", "+0.0001 client > server ."
    )
    story = observe(f"{near}{later} server > client R. 1:1(0) ack 1")
    assert (Doubt.CONNECT_MAY_HAVE_RETURNED in story.resets[0].doubts) == doubted


def test_a_server_whose_answer_is_lost() -> None:
    answer = "server > client S. 0:0(0) ack 1"
    times = "\n".join(f"+{gap} {answer}" for gap in (0.01, 1, 2, 4, 8, 16))
    story = observe(f"client > server S 0:0(0)\n{times}\n+300 end")
    assert {(event.side, event.retry.what, event.socket.state) for event in story.timeouts} == {
        (SERVER, "syn-ack", "SYN_RCVD")
    }, story


def test_a_syn_again_after_the_syn_ack_opens_nothing_twice() -> None:
    syn, answer = "client > server S 0:0(0)", "server > client S. 0:0(0) ack 1"
    story = observe(
        f"{syn}\n{answer}\n+1 {syn}\n{answer}\nclient > server . 1:1(0) ack 1\nserver > client R 1:1(0)"
    )
    assert reset_at(story) == (CLIENT, "ESTABLISHED", True), story


SIMULTANEOUS = ["client > server S 0:0(0)", "server > client S 0:0(0)"]
BOTH_ANSWER = ["client > server S. 0:0(0) ack 1", "server > client S. 0:0(0) ack 1"]


@pytest.mark.parametrize("order", [1, -1])
def test_both_ends_connect_at_once(order: int) -> None:
    lines = [*SIMULTANEOUS, *BOTH_ANSWER[::order], "server > client R 1:1(0)"]
    assert reset_at(observe("\n".join(lines))) == (CLIENT, "ESTABLISHED", True)


def test_both_ends_connect_at_once_and_one_gives_up_before_it_is_answered() -> None:
    lines = [*SIMULTANEOUS, BOTH_ANSWER[0], "server > client R. 1:1(0) ack 1"]
    assert reset_at(observe("\n".join(lines))) == (CLIENT, "SYN_RCVD", True)


# What the capture does not show.


def test_a_connection_that_began_before_the_capture() -> None:
    story = observe("client > server P. 1:11(10) ack 1\nserver > client R 1:1(0)")
    assert reset_at(story) == (CLIENT, "ESTABLISHED", True), story
    assert Doubt.HANDSHAKE_NOT_SEEN in story.resets[0].doubts
    assert not story.resets[0].flow.handshake_seen


def test_a_close_in_a_connection_that_began_before_the_capture() -> None:
    lines = [
        "client > server P. 1:11(10) ack 1",
        "server > client F. 1:1(0) ack 11",
        "client > server . 11:11(0) ack 2",
        "server > client R 2:2(0)",
    ]
    assert reset_at(observe("\n".join(lines))) == (CLIENT, "CLOSE_WAIT", True)


def test_the_syn_was_not_captured() -> None:
    lines = ["server > client S. 0:0(0) ack 1", "client > server . 1:1(0) ack 1", "server > client R 1:1(0)"]
    story = observe("\n".join(lines))
    assert reset_at(story) == (CLIENT, "ESTABLISHED", True), story


def test_one_direction_only() -> None:
    story = observe("server > client P. 1:101(100) ack 11\nserver > client R. 101:101(0) ack 11")
    assert Doubt.ONE_DIRECTION in story.resets[0].doubts


def test_bytes_that_were_not_captured() -> None:
    lines = ["client > server . 1:1(0) ack 501", "server > client R 501:501(0)"]
    story = observe(after_handshake(*lines))
    assert reset_at(story) == (CLIENT, "ESTABLISHED", True), story
    assert Doubt.BYTES_NOT_CAPTURED in story.resets[0].doubts


def test_bytes_that_were_not_captured_long_ago_are_no_doubt() -> None:
    lines = [
        "client > server . 1:1(0) ack 501",
        "server > client P. 501:601(100) ack 1",
        "client > server . 1:1(0) ack 601",
        "server > client R 601:601(0)",
    ]
    assert not observe(after_handshake(*lines)).resets[0].doubts


def test_a_reset_captured_where_it_was_sent_may_not_have_arrived() -> None:
    lines = ["client > server P. 1:11(10) ack 1 ttl 57", "server > client R. 1:1(0) ack 11"]
    story = observe(
        HANDSHAKE.replace("ack 1\n", "ack 1 ttl 57\n").replace("<mss 1460>", "ttl 57") + "\n".join(lines)
    )
    assert story.resets[0].segment.accepted
    near = observe(
        "client > server S 0:0(0) ttl 57\nserver > client S. 0:0(0) ack 1\n"
        "client > server . 1:1(0) ack 1 ttl 57\nserver > client F. 1:1(0) ack 1\n"
        "client > server F. 1:1(0) ack 2 ttl 57\nserver > client R 2:2(0)"
    )
    assert Doubt.MAY_NOT_HAVE_ARRIVED in near.resets[0].doubts, near


def test_a_reset_to_an_end_that_had_fallen_silent_may_not_have_arrived() -> None:
    lines = ["server > client P. 1:101(100) ack 1", "+2 server > client P. 1:101(100) ack 1"]
    story = observe(after_handshake(*lines, "server > client R. 101:101(0) ack 1"))
    assert Doubt.SENDER_UNANSWERED in story.resets[0].doubts, story


# The same for any batches, and by way of the whole pipeline.

STORIES = {
    "challenge": after_handshake(
        "server > client R 6:6(0)", "client > server . 1:1(0) ack 1", "server > client R 1:1(0)"
    ),
    "withdrawn reset": after_handshake(
        "server > client R. 1:1(0) ack 1", "+2 client > server . 1:1(0) ack 1"
    ),
    "withdrawn timeout": after_handshake(*RETRIES, "+60 client > server P. 1:11(10) ack 1"),
    "soft error": after_handshake(RETRIES[0], f"{UNREACHABLE} [1:11(10)]", *RETRIES[1:], "+60 end"),
    "connect": syns(0, 1, 2, 4, 8, 16, 32) + "\n+200 end",
    "icmp": f"client > server S 0:0(0)\n+0.5 {UNREACHABLE} [0:0(0)]\n+0.5 client > server S 0:0(0)",
    "a port used again": after_handshake(*TO_TIME_WAIT, "+1 client > server S 9000:9000(0)")
    + "\nserver > client R. 0:0(0) ack 9001",
}


@pytest.mark.parametrize("text", STORIES.values(), ids=STORIES.keys())
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_batches_change_nothing(text: str, batch: int) -> None:
    whole, cut = observe(text), observe(text, batch=batch)
    assert cut.told == whole.told
    assert whole.told


@pytest.mark.parametrize("text", STORIES.values(), ids=STORIES.keys())
def test_the_pipeline_tells_the_same(text: str) -> None:
    _, events = trace(load_rules(rules_folder()), packets=text)
    assert events == observe(text).events


def test_nobody_can_read_an_end_of_file_that_comes_after_a_hole() -> None:
    hole = [
        "client > server P. 1:101(100) ack 1",
        "server > client P. 51:101(50) ack 101",  # 1:51 got lost
        "client > server P. 101:201(100) ack 1",
        "server > client F. 101:101(0) ack 101",
        "client > server . 201:201(0) ack 1",
    ]
    reset = "server > client R 1:1(0) win 0"
    names = [event.name for event in observe(after_handshake(*hole, reset)).standing]
    assert names == ["reset_received"]
    filled = observe(after_handshake(*hole, "client > server . 201:201(0) ack 102"))
    assert [event.name for event in filled.standing] == ["end_of_file"]


def test_a_reset_that_icmp_returns_ended_nobody_unless_another_arrived() -> None:
    closes = ["server > client F. 1:1(0) ack 1", "client > server . 1:1(0) ack 2"]
    reset = ["client > server P. 1:11(10) ack 2", "server > client R 2:2(0) win 0"]
    again = [reset[0].replace("1:11", "11:21"), reset[1]]
    returned = "router > server icmp unreachable port_unreachable [2:2(0)]"
    assert observe(after_handshake(*closes, *reset, returned)).withdrawn
    assert not observe(after_handshake(*closes, *reset, *again, returned)).withdrawn
    assert observe(after_handshake(*closes, *reset, *again, returned, returned)).withdrawn
