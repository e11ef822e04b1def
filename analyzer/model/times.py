"""Moments, lengths of time, and how often something was, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

_DAYS = 10
"""From so many on hours say nothing."""


def duration(time: int) -> str:
    """A length of time in nanoseconds: ``12 ms``, ``3.4 s``, ``2 h 5 min``, ``12 days``."""
    seconds = time / 1e9
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 600:
        return f"{seconds:.1f} s"
    if seconds >= _DAYS * 86_400:
        return f"{seconds / 86_400:,.0f} days"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def times(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def utc(time: int) -> str:
    """Nanoseconds since the epoch as date and time of day."""
    return datetime.fromtimestamp(time // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
