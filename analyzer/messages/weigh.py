"""An event, with what was said: the doubts that this settles go, those that it raises come."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

from analyzer.model.event import Doubt, EndOfFile, Event, GaveUp, MessageView, ResetReceived
from analyzer.model.flow import CLIENT, SIDES

_SETTLED = {Doubt.NEVER_ANSWERED, Doubt.MAYBE_ONE_WAY, Doubt.MAYBE_FAREWELL, Doubt.NOT_READ}
"""Once a protocol has told that an answer was due."""

_LONGEST_HELLO = 8192
"""Bytes of a TLS ClientHello at most, as a rule: with post-quantum key shares some 2,000."""

Weighed = EndOfFile | GaveUp | ResetReceived


def depends_on_payload(event: Event) -> TypeGuard[Weighed]:
    """Whether what was said may change what is to be said of the event."""
    if isinstance(event, ResetReceived):
        return event.segment.payload > 0 or event.socket.said_farewell or _ends_first_words(event)
    return isinstance(event, EndOfFile | GaveUp)


def _ends_first_words(event: ResetReceived) -> bool:
    """It reached a client that had sent something, not more than a ClientHello takes, and had no answer."""
    socket = event.socket
    first = 0 < socket.bytes_sent <= _LONGEST_HELLO and not socket.bytes_received
    return socket.role == SIDES[CLIENT] and first and event.segment.accepted and not socket.closed


def weigh(event: Weighed, message: MessageView) -> Weighed:
    """The event as it is once what both ends said is known."""
    doubts = set(event.doubts)
    if message.cut_short and _needs_more(event, message):
        doubts = doubts - {Doubt.NOT_READ} | {Doubt.PAYLOAD_CUT}
    if isinstance(event, ResetReceived):
        farewell = message.farewell if event.socket.role == SIDES[CLIENT] else "unknown"
        segment = replace(
            event.segment,
            says=message.reset_says,
            after_farewell=farewell,
            handshake=message.handshake if message.read else "unknown",
            told=message.told,
        )
        return replace(event, segment=segment, doubts=frozenset(doubts))
    if message.answer in ("due", "cut"):
        doubts -= _SETTLED
    elif message.because == "sealed":
        doubts.add(Doubt.MAYBE_FAREWELL)
    elif message.read and message.protocol == "unknown" and message.server_asks:
        doubts.add(Doubt.SERVER_ASKS)
    if isinstance(event, GaveUp) and message.answer == "unknown" and not event.wait.answered_before:
        doubts.add(Doubt.MAYBE_ONE_WAY)
    return replace(event, doubts=frozenset(doubts), message=message)


def _needs_more(event: Weighed, message: MessageView) -> bool:
    """Whether what is not known of the message would tell more of the event."""
    if isinstance(event, ResetReceived):
        by_client = event.socket.role == SIDES[CLIENT] and event.socket.said_farewell
        return by_client and message.farewell == "unknown"
    return True
