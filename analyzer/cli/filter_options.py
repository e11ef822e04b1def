"""``--host --port --errno --since --until``: which flows are told of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import wraps
from ipaddress import ip_network
from typing import Any

import click

from analyzer.errors import UserError
from analyzer.model.filter import Filter, Moment, Network

_SECOND = 10**9
_NO_ERRNO = "none"
_ALIKE = 0.7
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_FROM_START = re.compile(
    r"\+(?:(\d{1,5})d)?(?:(\d{1,7})h)?(?:(\d{1,9})m)?(?:(\d{1,10}(?:\.\d{1,9})?)s)?", re.ASCII
)
_UNITS = (86400, 3600, 60, 1)
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the five options, as its parameter ``only``."""

    @click.option(
        "--host",
        "hosts",
        multiple=True,
        metavar="ADDRESS",
        help="Only connections of this address or network.",
    )
    @click.option(
        "--port",
        "ports",
        multiple=True,
        metavar="PORT",
        help="Only connections of this port or range (80-90).",
    )
    @click.option(
        "--errno",
        "errnos",
        multiple=True,
        metavar="NAME",
        help="Only where a program got this errno; none: where it failed without one.",
    )
    @click.option(
        "--since",
        metavar="TIME",
        help="Only what failed from then on: 2026-11-20T10:07:00Z, seconds since 1970, or +1h30m from the "
        "start.",
    )
    @click.option("--until", metavar="TIME", help="Only what failed up to then.")
    @wraps(command)
    def with_filter(
        *arguments: Any,
        hosts: Sequence[str],
        ports: Sequence[str],
        errnos: Sequence[str],
        since: str | None,
        until: str | None,
        **others: Any,
    ) -> Any:
        only = Filter(
            hosts=tuple(_network(text) for text in _parts(hosts)),
            ports=tuple(_port_range(text) for text in _parts(ports)),
            errnos=frozenset(_errno(text) for text in _parts(errnos)),
            since=_moment("--since", since),
            until=_moment("--until", until),
        )
        _refuse_nothing(only, since, until)
        return command(*arguments, only=only, **others)

    return with_filter


def _parts(given: Sequence[str]) -> Iterable[str]:
    """``a,b`` stands for both."""
    return (part.strip() for text in given for part in text.split(","))


def _network(text: str) -> Network:
    try:
        return ip_network(text.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError as error:
        hint = "10.9.0.1, 10.9.0.0/16 or 2001:db8::/32; names are not looked up"
        raise UserError("bad-host", f"--host {text}", "this is no address and no network", hint) from error


def _port_range(text: str) -> tuple[int, int]:
    match = _PORTS.fullmatch(text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not low <= high <= 65535:
        raise UserError("bad-port", f"--port {text}", "this is no port and no range", "80, or 8000-8100")
    return low, high


def _errno(text: str) -> str:
    """The name as reports have it; empty for none."""
    from analyzer.data import load
    from analyzer.matching.diagnostics import did_you_mean

    if text.casefold() == _NO_ERRNO:
        return ""
    known = load("errno")["errno"]
    name = text.upper()
    name = name if name in known else name.removeprefix(load("errno")["winsock"]["prefix"])
    if name not in known:
        some = f"names are those of errno.h; {_NO_ERRNO}: no errno, but an end of file or a wait"
        hint = did_you_mean(text, [*known, _NO_ERRNO], _ALIKE) or some
        if text.isdecimal():
            hint = "give its name: numbers differ between systems"
        raise UserError("unknown-errno", f"--errno {text}", "there is no errno of this name", hint)
    return str(name)


def _moment(option: str, text: str | None) -> Moment | None:
    """RFC 3339 with its zone, seconds since the epoch, or a time from the start of the capture."""
    if text is None:
        return None
    where = f"{option} {text}"
    hint = "2026-11-20T10:07:00Z, 2026-11-20T11:07:00+01:00, seconds since 1970, or +5m, +90s, +1h30m"
    if _NUMBER.fullmatch(text):
        return Moment(_nanoseconds([(text, 1)]))
    match = _FROM_START.fullmatch(text)
    if match and any(match.groups()):
        parts = zip(match.groups(), _UNITS, strict=True)
        return Moment(_nanoseconds((part, unit) for part, unit in parts if part), relative=True)
    try:
        at = datetime.fromisoformat(re.sub(r" UTC$", "Z", text))  # as the text report writes it
    except ValueError as error:
        raise UserError("bad-time", where, "this is no time", hint) from error
    if at.tzinfo is None:
        raise UserError(
            "bad-time", where, "the time zone is missing", f"for UTC, write {text}Z" if "T" in text else hint
        )
    whole = int(at.replace(microsecond=0).timestamp())
    return Moment(whole * _SECOND + at.microsecond * 1000)


def _nanoseconds(parts: Iterable[tuple[str, int]]) -> int:
    """The sum of numbers of units of so many seconds."""
    from decimal import Decimal  # few ask for a time

    return int(sum(Decimal(number) * unit for number, unit in parts) * _SECOND)


def _refuse_nothing(only: Filter, since: str | None, until: str | None) -> None:
    """A span that ends before it begins."""
    if only.since and only.until and only.since.relative == only.until.relative and only.since > only.until:
        hint = "exchange the two"
        raise UserError("bad-time", f"--since {since} --until {until}", "it ends before it begins", hint)
