"""The state table against RFC 9293: figure 5, and the paths through it that connections take."""

from __future__ import annotations

import pytest

from analyzer.model.socket import State, Step
from analyzer.sockets.transitions import IGNORED, TRANSITIONS, step

IMPOSSIBLE = {
    (State.SYN_SENT, Step.FIN_ACKED),
    (State.SYN_RCVD, Step.FIN_ACKED),
    (State.ESTABLISHED, Step.FIN_ACKED),
    (State.CLOSE_WAIT, Step.FIN_ACKED),
}
"""Nothing can be acknowledged that was not sent."""

FIGURE_5 = {
    ("CLOSED", "SEND_SYN", "SYN_SENT"),
    ("CLOSED", "RECV_SYN", "SYN_RCVD"),  # by way of LISTEN
    ("SYN_SENT", "RECV_SYN", "SYN_RCVD"),
    ("SYN_SENT", "SYN_ACKED", "ESTABLISHED"),
    ("SYN_RCVD", "SYN_ACKED", "ESTABLISHED"),
    ("SYN_RCVD", "SEND_FIN", "FIN_WAIT_1"),
    ("ESTABLISHED", "SEND_FIN", "FIN_WAIT_1"),
    ("ESTABLISHED", "RECV_FIN", "CLOSE_WAIT"),
    ("FIN_WAIT_1", "FIN_ACKED", "FIN_WAIT_2"),
    ("FIN_WAIT_1", "RECV_FIN", "CLOSING"),
    ("FIN_WAIT_2", "RECV_FIN", "TIME_WAIT"),
    ("CLOSE_WAIT", "SEND_FIN", "LAST_ACK"),
    ("CLOSING", "FIN_ACKED", "TIME_WAIT"),
    ("LAST_ACK", "FIN_ACKED", "CLOSED"),
}
BESIDES = {("SYN_RCVD", "RECV_FIN", "CLOSE_WAIT")}
"""In section 3.10.7.4, eighth step, but not in the figure."""

PATHS = {
    "active open": ("CLOSED", "SEND_SYN SYN_ACKED", "SYN_SENT ESTABLISHED"),
    "passive open": ("CLOSED", "RECV_SYN SYN_ACKED", "SYN_RCVD ESTABLISHED"),
    "simultaneous open": ("CLOSED", "SEND_SYN RECV_SYN SYN_ACKED", "SYN_SENT SYN_RCVD ESTABLISHED"),
    "active close": ("ESTABLISHED", "SEND_FIN FIN_ACKED RECV_FIN", "FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT"),
    "active close, FIN and its acknowledgement in one": (
        "ESTABLISHED",
        "SEND_FIN RECV_FIN FIN_ACKED",
        "FIN_WAIT_1 CLOSING TIME_WAIT",
    ),
    "passive close": ("ESTABLISHED", "RECV_FIN SEND_FIN FIN_ACKED", "CLOSE_WAIT LAST_ACK CLOSED"),
    "simultaneous close": ("ESTABLISHED", "SEND_FIN RECV_FIN FIN_ACKED", "FIN_WAIT_1 CLOSING TIME_WAIT"),
    "closed before it was established": ("SYN_RCVD", "SEND_FIN FIN_ACKED", "FIN_WAIT_1 FIN_WAIT_2"),
    "refused": ("CLOSED", "SEND_SYN RECV_RST", "SYN_SENT CLOSED"),
    "nobody answered": ("CLOSED", "SEND_SYN GIVE_UP", "SYN_SENT CLOSED"),
    "half-open, reset": ("CLOSED", "RECV_SYN RECV_RST", "SYN_RCVD CLOSED"),
    "aborted": ("ESTABLISHED", "SEND_RST", "CLOSED"),
    "reset after the peer's FIN": ("CLOSE_WAIT", "RECV_RST", "CLOSED"),
    "a FIN twice": ("ESTABLISHED", "RECV_FIN RECV_FIN", "CLOSE_WAIT CLOSE_WAIT"),
    "the own FIN twice": ("ESTABLISHED", "SEND_FIN SEND_FIN", "FIN_WAIT_1 FIN_WAIT_1"),
    "acknowledged again and again": ("ESTABLISHED", "SYN_ACKED SYN_ACKED", "ESTABLISHED ESTABLISHED"),
    "a late FIN in TIME_WAIT": ("TIME_WAIT", "RECV_FIN FIN_ACKED", "TIME_WAIT TIME_WAIT"),
    "nothing wakes the dead": ("CLOSED", "RECV_FIN SYN_ACKED FIN_ACKED RECV_RST", "CLOSED " * 4),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("taken", Step)
def test_every_pair_is_decided(state: State, taken: Step) -> None:
    pair = (state, taken)
    assert [pair in TRANSITIONS, pair in IGNORED, pair in IMPOSSIBLE].count(True) == 1


def test_figure_5() -> None:
    aborts = {Step.SEND_RST, Step.RECV_RST, Step.GIVE_UP}
    table = {
        (state.value, taken.value, then.value)
        for (state, taken), then in TRANSITIONS.items()
        if taken not in aborts
    }
    assert table == FIGURE_5 | BESIDES


@pytest.mark.parametrize("taken", [Step.SEND_RST, Step.RECV_RST, Step.GIVE_UP])
def test_an_abort_ends_every_state(taken: Step) -> None:
    assert {step(state, taken) for state in State} == {State.CLOSED}


@pytest.mark.parametrize(("begin", "steps", "states"), PATHS.values(), ids=PATHS.keys())
def test_path(begin: str, steps: str, states: str) -> None:
    state, seen = State(begin), []
    for taken in steps.split():
        state = step(state, Step(taken))
        seen.append(state.value)
    assert seen == states.split()


@pytest.mark.parametrize("pair", sorted(IGNORED))
def test_what_is_ignored_changes_nothing(pair: tuple[State, Step]) -> None:
    assert step(*pair) is pair[0]
