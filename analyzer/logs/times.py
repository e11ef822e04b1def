"""The time at which a line was logged; the formats stand in data/log_times.yaml."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from analyzer.data import load
from analyzer.model.log_line import LogTime

_SECOND = 10**9
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_EPOCHS = {"epoch": 0, "epoch_ms": 3, "epoch_us": 6}
"""Digits of the fraction that stand in the number itself."""


def time_of(line: str, near: int) -> LogTime | None:
    """When a line says that it was written; None where it does not say, or says what is no time.

    ``near`` (nanoseconds since the epoch) is a time close to it: from there come a year or a date that the
    line leaves out.
    """
    found = [match for pattern in _patterns("patterns") if (match := pattern.search(line))]
    found = found or [match for pattern in _patterns("without_date") if (match := pattern.search(line))]
    for match in sorted(found, key=re.Match.start):
        try:
            return _time(match.groupdict(), near)
        except (ValueError, OverflowError):
            continue
    return None


def _time(parts: dict[str, str | None], near: int) -> LogTime:
    """Raises ValueError where the parts are no time."""
    for name, digits in _EPOCHS.items():
        if number := parts.get(name):
            fraction = parts.get("fraction") or ""
            since = int(number) * 10 ** (9 - digits) + int(fraction.ljust(9, "0"))
            return LogTime(since, 10 ** (9 - digits - len(fraction)), zone=0)
    at = _clock(parts, near)
    fraction = parts.get("fraction") or ""
    zone = _zone(parts.get("zone"))
    whole = int((at - timedelta(seconds=zone or 0)).timestamp())
    return LogTime(whole * _SECOND + int(fraction.ljust(9, "0")), 10 ** (9 - len(fraction)), zone)


def _clock(parts: dict[str, str | None], near: int) -> datetime:
    """What a clock on the wall showed, as if it were UTC."""
    told = {name: value for name, value in parts.items() if value}
    hour = int(told["hour"])
    if half := told.get("half"):
        hour = hour % 12 + 12 * (half == "PM")
    clock = time(hour, int(told["minute"]), min(int(told["second"]), 59), tzinfo=UTC)
    about = datetime.fromtimestamp(near // _SECOND, UTC)
    if "day" not in told:
        days = [datetime.combine(about + timedelta(days=days), clock) for days in (-1, 0, 1)]
        return min(days, key=lambda day: abs(day - about))
    month = _MONTHS.get(told["month"]) or int(told["month"])
    if "year" in told:
        return datetime.combine(date(int(told["year"]), month, int(told["day"])), clock)
    return min(_years(about, month, int(told["day"]), clock), key=lambda day: abs(day - about))


def _years(about: datetime, month: int, day: int, clock: time) -> list[datetime]:
    """That day in the years around; raises ValueError where none of them has it."""
    days = []
    for year in (about.year - 1, about.year, about.year + 1):
        try:
            days.append(datetime.combine(date(year, month, day), clock))
        except ValueError:
            continue  # the 29th of February
    if not days:
        raise ValueError("no such day")
    return days


def _zone(text: str | None) -> int | None:
    """Seconds that clocks there are ahead of UTC."""
    if text is None:
        return None
    text = text.strip()
    if not text.startswith(("+", "-")):
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if text.startswith("-") else seconds


@cache
def _patterns(which: str) -> list[re.Pattern[str]]:
    return [re.compile(entry["pattern"]) for entry in load("log_times")[which]]
