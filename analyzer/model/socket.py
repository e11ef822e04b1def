"""TCP states and the inputs that change them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """RFC 9293 section 3.3.2. A listener's own LISTEN never shows: its children begin as CLOSED."""

    CLOSED = "CLOSED"
    SYN_SENT = "SYN_SENT"
    SYN_RCVD = "SYN_RCVD"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN_WAIT_1"
    FIN_WAIT_2 = "FIN_WAIT_2"
    CLOSE_WAIT = "CLOSE_WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST_ACK"
    TIME_WAIT = "TIME_WAIT"


class Step(StrEnum):
    """One input of the state table; a segment is one to three of them, in the order of RFC 9293 3.10.7.4."""

    SEND_SYN = "SEND_SYN"
    RECV_SYN = "RECV_SYN"
    SYN_ACKED = "SYN_ACKED"
    SEND_FIN = "SEND_FIN"
    RECV_FIN = "RECV_FIN"
    FIN_ACKED = "FIN_ACKED"
    SEND_RST = "SEND_RST"
    RECV_RST = "RECV_RST"
    GIVE_UP = "GIVE_UP"
