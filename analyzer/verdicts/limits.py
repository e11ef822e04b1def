"""Limits of idleness that fit what connections lived through and died of."""

from __future__ import annotations

from analyzer.data import load

_SLACK_NS = 10**9
"""Boxes count whole seconds, and from when they saw the packet."""


def fitting(lived: int, died: int, *, silent: bool) -> tuple[str, ...]:
    """Names and seconds of the known limits between the two pauses (nanoseconds), the shortest first.

    ``silent``: what came after the pause had no answer, not even a reset.
    """
    found = [
        limit
        for limit in load("idle_limits")["limits"]
        if lived - _SLACK_NS <= limit["seconds"] * 10**9 <= died + _SLACK_NS
        and limit["then"] == ("silence" if silent else "reset")
    ]
    found.sort(key=lambda limit: limit["seconds"])
    return tuple(f"{limit['name']} ({limit['seconds']:,} s)" for limit in found)
