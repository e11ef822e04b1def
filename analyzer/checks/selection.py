"""Which problems an expectation or a suppression speaks of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from analyzer.checks.problems import LEVELS
from analyzer.checks.reading import KeyPath, Reader
from analyzer.data import load
from analyzer.model.checked import Problem
from analyzer.model.flow import SIDES, Endpoint
from analyzer.model.rule import CALLS, RESULTS


@dataclass(frozen=True, slots=True)
class Address:
    """``10.0.0.1``, ``10.0.0.0/8``, ``10.0.0.1:80``, ``[::1]:80`` or ``:80``."""

    text: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    def covers(self, endpoint: Endpoint) -> bool:
        """Whether an end of a flow is one of these."""
        if self.port is not None and endpoint.port != self.port:
            return False
        return self.network is None or ip_address(endpoint.address) in self.network


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: in nanoseconds since the epoch, or (``relative``) since the capture's first frame."""

    text: str
    nanoseconds: int
    relative: bool

    def at(self, start: int) -> int:
        """Nanoseconds since the epoch in a capture that begins then."""
        return start + self.nanoseconds if self.relative else self.nanoseconds


@dataclass(frozen=True, slots=True)
class Selection:
    """What a problem must be; what is empty or None is not looked at."""

    rule: tuple[str, ...] = ()
    errno: tuple[str, ...] = ()
    call: tuple[str, ...] = ()
    side: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    client: Address | None = None
    server: Address | None = None
    host: Address | None = None
    port: int | None = None
    flow: int | None = None
    after: Moment | None = None
    before: Moment | None = None

    def covers(self, problem: Problem) -> bool:
        """Whether a problem is one of these."""
        return self._is_such(problem) and self._is_of(problem) and self._is_then(problem)

    def _is_such(self, problem: Problem) -> bool:
        return all(
            not wanted or value in wanted
            for wanted, value in (
                (self.rule, problem.rule),
                (self.errno, problem.result),
                (self.call, problem.call),
                (self.side, problem.side),
                (self.severity, problem.severity.value),
                (self.protocol, problem.flow.flow.protocol),
            )
        )

    def _is_of(self, problem: Problem) -> bool:
        client, server = problem.flow.flow.client, problem.flow.flow.server
        return (
            (self.flow is None or problem.index == self.flow)
            and (self.port is None or self.port in (client.port, server.port))
            and (self.client is None or self.client.covers(client))
            and (self.server is None or self.server.covers(server))
            and (self.host is None or self.host.covers(client) or self.host.covers(server))
        )

    def _is_then(self, problem: Problem) -> bool:
        time = problem.finding.time
        return (self.after is None or time >= self.after.at(problem.start)) and (
            self.before is None or time <= self.before.at(problem.start)
        )

    def __str__(self) -> str:
        said = []
        for name in KEYS:
            value = getattr(self, name)
            if value is None or value == ():
                continue
            text = " or ".join(value) if isinstance(value, tuple) else getattr(value, "text", value)
            said.append(f"{name} {text}")
        return ", ".join(said) or "anything"


KEYS = tuple(f.name for f in fields(Selection))


def read_selection(reader: Reader, value: dict[str, Any], path: KeyPath, rules: Collection[str]) -> Selection:
    """The selection in a mapping; ``rules`` are the names of all rules."""
    words = {
        "rule": sorted(rules),
        "errno": (*load("errno")["errno"], *RESULTS),
        "call": CALLS,
        "side": SIDES,
        "severity": tuple(level.value for level in LEVELS),
        "protocol": ("tcp", "udp"),
    }
    made: dict[str, Any] = {}
    for key in [key for key in KEYS if key in value]:
        place = (*path, key)
        if key in words:
            made[key] = reader.words(value[key], place, words[key])
        elif key in ("client", "server", "host"):
            made[key] = reader.parsed(value[key], place, _address)
        elif key in ("after", "before"):
            made[key] = reader.parsed(value[key], place, _moment)
        else:
            made[key] = reader.number(value[key], place)
    return Selection(**made)


def _address(value: Any) -> Address:
    text = str(value)
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
        raise ValueError(f"{text!r}: the port is no number up to 65535")
    try:
        network = ip_network(host, strict=False) if host else None
    except ValueError:
        raise ValueError(
            f"{text!r} is no address: 10.0.0.1, 10.0.0.0/8, 10.0.0.1:80, [::1]:80 or :80"
        ) from None
    return Address(text, network, int(port) if port else None)


def _moment(value: Any) -> Moment:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Moment(f"{value} s", round(value * 1e9), relative=True)
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is no time: 2026-11-21T10:00:00 (UTC unless it says otherwise), or seconds from the "
            "capture's first frame"
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return Moment(str(value), round(at.timestamp() * 1e6) * 1000, relative=False)
