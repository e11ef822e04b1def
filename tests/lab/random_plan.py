"""What a random run will do: for each connection what both programs call, and what the path does to it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

Step = dict[str, Any]
Connection = dict[str, Any]

FIRST_SERVER_PORT = 10_000
FIRST_CLIENT_PORT = 33_000
MOST = 20_000
HOSTS = 200
"""Addresses of the server, in turn: a client that meets many closed ports of one host is a port scan."""
_NETWORKS = {4: "10.9.1.{}", 6: "fd00:9:1::{}"}
SPREAD_S = 0.16
"""Mean time between two connections: about twenty live at once."""

ICMP_CODES = {
    4: (
        "net-unreachable",
        "host-unreachable",
        "prot-unreachable",
        "port-unreachable",
        "net-prohibited",
        "host-prohibited",
        "admin-prohibited",
    ),
    6: ("no-route", "admin-prohibited", "addr-unreachable", "port-unreachable"),
}
DIRECTIONS = ("to_server", "to_client")
KINDS = {"plain": 52, "fault": 24, "refused": 5, "rejected": 6, "unanswered": 3, "late": 7, "never": 3}


def server_address(number: int, version: int) -> str:
    """The server's address for this connection: 10 to 209, also as IPv6 writes them."""
    return _NETWORKS[version].format(10 + number % HOSTS)


def faults(version: int) -> tuple[str, ...]:
    """What the path can do to a connection: drop, reset, or answer with an ICMP error."""
    return ("drop", "reset", *ICMP_CODES[version])


@dataclass(frozen=True)
class _Draw:
    """The dice of one connection."""

    dice: random.Random
    version: int

    def chance(self, part: float) -> bool:
        return self.dice.random() < part

    def seconds(self, low: float, high: float) -> float:
        return round(self.dice.uniform(low, high), 3)

    def patience(self, faulty: bool) -> float:
        """How long a recv() waits before its program does something else."""
        if faulty and self.chance(0.5):
            return self.seconds(2, 5)
        return self.seconds(0.05, 0.5) if self.chance(0.65) else self.seconds(0.5, 2.5)


def make_plan(seed: int, connections: int, version: int) -> list[Connection]:
    """All connections of a run; the same for the same arguments."""
    if not 0 < connections <= MOST:
        raise ValueError(f"from 1 to {MOST} connections")
    dice = random.Random(seed)
    made = []
    start = 0.0
    for number in range(connections):
        made.append(_connection(_Draw(dice, version), number, round(start, 3)))
        start += dice.expovariate(1 / SPREAD_S)
    return made


def _connection(draw: _Draw, number: int, start: float) -> Connection:
    kind = draw.dice.choices(list(KINDS), list(KINDS.values()))[0]
    faulty = kind in ("fault", "unanswered")
    client, server = _scripts(draw, faulty)
    made: Connection = {
        "number": number,
        "kind": kind,
        "start": start,
        "client_port": FIRST_CLIENT_PORT + number,
        "server_address": server_address(number, draw.version),
        "server_port": FIRST_SERVER_PORT + number,
        "client": _end(draw, client, faulty),
        "server": None if kind == "refused" else _end(draw, server, faulty),
        "faults": _faults(draw, kind),
    }
    made["client"]["connect"] = {"nonblocking": draw.chance(0.5), "patience": draw.seconds(1, 6)}
    if kind == "unanswered" and draw.chance(0.5):
        made["client"]["options"]["TCP_SYNCNT"] = draw.dice.choice((1, 2))
    if made["server"]:
        late = {"late": draw.seconds(0.2, 2), "never": draw.seconds(0.5, 3)}.get(kind, 0.0)
        made["server"]["accept"] = {"late": late, "never": kind == "never", "patience": 5.0}
    return made


def _scripts(draw: _Draw, faulty: bool) -> tuple[list[Step], list[Step]]:
    """A conversation of requests and answers, spoiled at both ends; or nonsense from the start."""
    if draw.chance(0.35):
        return tuple(  # type: ignore[return-value]  # two, one for each direction
            [_any_step(draw, faulty) for _ in range(draw.dice.randint(0, 7))] for _ in DIRECTIONS
        )
    client: list[Step] = []
    server: list[Step] = []
    for _ in range(draw.dice.randint(1, 3)):
        client += [_send(draw), _recv(draw, faulty)]
        server += [_recv(draw, faulty), _send(draw)]
    if draw.chance(0.5):
        client.append(_recv(draw, faulty))
    if draw.chance(0.5):
        server.append(_recv(draw, faulty))
    return _spoil(draw, client, faulty), _spoil(draw, server, faulty)


def _spoil(draw: _Draw, steps: list[Step], faulty: bool) -> list[Step]:
    """Add steps, or stop early."""
    for _ in range(draw.dice.choice((0, 0, 1, 1, 2))):
        steps.insert(draw.dice.randint(0, len(steps)), _any_step(draw, faulty))
    return steps[: draw.dice.randint(0, len(steps))] if draw.chance(0.3) else steps


def _send(draw: _Draw) -> Step:
    large = draw.chance(0.12)
    size = draw.dice.randint(20_000, 300_000) if large else draw.dice.randint(1, 3000)
    return {"do": "send", "n": size, "patience": draw.seconds(0.2, 2)}


def _recv(draw: _Draw, faulty: bool) -> Step:
    size = 65536 if draw.chance(0.8) else draw.dice.randint(1, 500)
    return {"do": "recv", "n": size, "patience": draw.patience(faulty)}


def _any_step(draw: _Draw, faulty: bool) -> Step:
    what = draw.dice.choices(
        ("send", "recv", "wait", "so_error", "shutdown", "drain"), (28, 25, 28, 8, 7, 4)
    )[0]
    if what == "send":
        return _send(draw)
    if what == "wait":
        return {"do": "wait", "s": draw.seconds(0.01, 0.3)}
    if what == "shutdown":
        return {"do": "shutdown", "how": "SHUT_RDWR" if draw.chance(0.2) else "SHUT_WR"}
    return {**_recv(draw, faulty), "do": what}


def _end(draw: _Draw, steps: list[Step], faulty: bool) -> dict[str, Any]:
    """One program: its steps, how it ends, and what it makes of an error and of an end of file."""
    options = {}
    if draw.chance(0.7 if faulty else 0.1):
        options["TCP_USER_TIMEOUT"] = draw.dice.randint(1000, 3000)
    if draw.chance(0.06):
        options.update(SO_KEEPALIVE=1, TCP_KEEPIDLE=1, TCP_KEEPINTVL=1, TCP_KEEPCNT=2)
    if draw.chance(0.05):
        options["SO_RCVBUF"] = 4096
    last = draw.dice.choices(("close", "abort", "die"), (70, 12, 18))[0]
    return {
        "options": options,
        "steps": [*steps, {"do": last}],
        "stops_at_error": draw.chance(0.4),
        "stops_at_eof": draw.chance(0.6),
    }


def _faults(draw: _Draw, kind: str) -> list[Step]:
    """What the path does, and when, in seconds from the connection's start; some of it passes."""
    if kind == "unanswered":
        return [{"at": None, "what": "drop", "directions": [draw.dice.choice(DIRECTIONS)]}]
    if kind == "rejected":
        what = draw.dice.choice(faults(draw.version)[1:])
        return [{"at": None, "what": what, "directions": ["to_server"]}]
    if kind != "fault":
        return []
    what = "drop" if draw.chance(0.5) else draw.dice.choice(faults(draw.version)[1:])
    both = draw.chance(0.6)
    directions = list(DIRECTIONS) if both else [draw.dice.choice(DIRECTIONS)]
    at = draw.seconds(0.02, 1.0)
    fault: Step = {"at": at, "what": what, "directions": directions}
    if draw.chance(0.2):
        fault["until"] = round(at + draw.seconds(0.5, 2.5), 3)
    return [fault]
