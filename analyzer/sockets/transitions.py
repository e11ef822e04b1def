"""The TCP state table, data only.

RFC 9293 section 3.3.2 (figure 5) and 3.10.7; RFC 5961 decides before this table which RST and SYN count.
A step that is in neither TRANSITIONS nor IGNORED cannot happen to that state.
"""

from __future__ import annotations

from analyzer.model.socket import State, Step

CLOSED, SYN_SENT, SYN_RCVD, ESTABLISHED = State.CLOSED, State.SYN_SENT, State.SYN_RCVD, State.ESTABLISHED
FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT = State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSE_WAIT
CLOSING, LAST_ACK, TIME_WAIT = State.CLOSING, State.LAST_ACK, State.TIME_WAIT

TRANSITIONS: dict[tuple[State, Step], State] = {
    (CLOSED, Step.SEND_SYN): SYN_SENT,
    (CLOSED, Step.RECV_SYN): SYN_RCVD,
    (SYN_SENT, Step.SYN_ACKED): ESTABLISHED,
    (SYN_SENT, Step.RECV_SYN): SYN_RCVD,  # both ends connect at once
    (SYN_RCVD, Step.SYN_ACKED): ESTABLISHED,
    (SYN_RCVD, Step.SEND_FIN): FIN_WAIT_1,
    (SYN_RCVD, Step.RECV_FIN): CLOSE_WAIT,
    (ESTABLISHED, Step.SEND_FIN): FIN_WAIT_1,
    (ESTABLISHED, Step.RECV_FIN): CLOSE_WAIT,
    (FIN_WAIT_1, Step.FIN_ACKED): FIN_WAIT_2,
    (FIN_WAIT_1, Step.RECV_FIN): CLOSING,
    (FIN_WAIT_2, Step.RECV_FIN): TIME_WAIT,
    (CLOSE_WAIT, Step.SEND_FIN): LAST_ACK,
    (CLOSING, Step.FIN_ACKED): TIME_WAIT,
    (LAST_ACK, Step.FIN_ACKED): CLOSED,
    **{
        (state, step): CLOSED
        for state in State
        for step in (Step.SEND_RST, Step.RECV_RST, Step.GIVE_UP)
        if state is not CLOSED
    },
}

IGNORED: frozenset[tuple[State, Step]] = frozenset(
    (state, step) for state in State for step in Step if (state, step) not in TRANSITIONS
) - {
    # These would mean that the shadow is out of step with the real socket.
    (SYN_SENT, Step.FIN_ACKED),
    (SYN_RCVD, Step.FIN_ACKED),
    (ESTABLISHED, Step.FIN_ACKED),
    (CLOSE_WAIT, Step.FIN_ACKED),
}


def step(state: State, taken: Step) -> State:
    """The state after a step; a step that means nothing to a state leaves it as it is."""
    return TRANSITIONS.get((state, taken), state)
