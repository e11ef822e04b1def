"""Known limits and timers that fit what connections lived through, died of and waited for."""

from __future__ import annotations

from collections.abc import Sequence

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


_EARLY, _LATE = 0.02, 0.03
"""Parts of a wait by which it may seem shorter and longer than the timer that ended it."""
_LEAST_S = 0.05
_ALIKE = 3
"""Waits that must be the same for a timer to be told."""
_MOSTLY = 0.75


def timer(waits: Sequence[float]) -> tuple[float, int]:
    """The wait (seconds) that most of these have in common, and how many; (0, 0) where they have none."""
    middle = sorted(waits)[len(waits) // 2] if waits else 0.0
    alike = [wait for wait in waits if abs(wait - middle) <= max(_LEAST_S, _EARLY * middle)]
    if len(alike) < max(_ALIKE, _MOSTLY * len(waits)):
        return 0.0, 0
    return sum(alike) / len(alike), len(alike)


def fitting_timers(wait: float, what: str) -> tuple[str, ...]:
    """Names of the known timers of this kind (``answer``, ``idle``) that a wait (seconds) fits."""
    return tuple(
        f"{known['name']}, {known['seconds']:,} s"
        for known in load("timers")["timers"]
        if known["for"] == what
        and -max(_LEAST_S, _EARLY * known["seconds"])
        <= wait - known["seconds"]
        <= max(_LEAST_S, _LATE * known["seconds"])
    )
