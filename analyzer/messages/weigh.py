"""An event, with what was said: the doubts that this settles go, those that it raises come."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from analyzer.model.event import Doubt, EndOfFile, GaveUp, MessageView

E = TypeVar("E", bound=EndOfFile | GaveUp)

_SETTLED = {Doubt.NEVER_ANSWERED, Doubt.MAYBE_ONE_WAY, Doubt.MAYBE_FAREWELL, Doubt.NOT_READ}
"""Once a protocol has told that an answer was due."""


def weigh(event: E, message: MessageView) -> E:
    """The event as it is once what both ends said is known."""
    doubts = set(event.doubts)
    if message.answer in ("due", "cut"):
        doubts -= _SETTLED
    elif message.read and message.protocol == "unknown" and message.server_asks:
        doubts.add(Doubt.SERVER_ASKS)
    if isinstance(event, GaveUp) and message.answer == "unknown" and not event.wait.answered_before:
        doubts.add(Doubt.MAYBE_ONE_WAY)
    return replace(event, doubts=frozenset(doubts), message=message)
