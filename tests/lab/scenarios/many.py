"""Many connections: what only all of them together show."""

from __future__ import annotations

from dataclasses import replace

from tests.lab.network import IPV4, IPV6
from tests.lab.stage import Stage

from .registry import AT_THE_CLIENT, scenario

SCANNED = 24_001
"""The first port that the scan looks at."""


def _both_versions(stage: Stage) -> None:
    """IPv4 beside IPv6 everywhere."""
    own = IPV4
    for place, device, address, router in (
        ("client", "c0", own.client, own.router_to_client),
        ("server", "s0", own.server, own.router_to_server),
        ("middle", "rc", own.router_to_client, ""),
        ("middle", "rs", own.router_to_server, ""),
    ):
        route = f"route add default via {router}\n" if router else ""
        stage.network.ip(place, f"addr add {address}/{own.prefix} dev {device}\n{route}")


def _answered(stage: Stage) -> None:
    stage.open()
    stage.connect()
    stage.server.do("accept")
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "connection-refused-then-ipv4",
    "the server listens on its IPv4 address only: refused on the IPv6 address, connected on the other",
    ipv6=True,
    captures=AT_THE_CLIENT,
    seconds=4,
)
def ipv6_refused(stage: Stage) -> None:
    _both_versions(stage)
    stage.addresses = IPV4
    stage.listen()
    stage.addresses = IPV6
    stage.open()
    stage.connect()
    stage.addresses = IPV4
    _answered(stage)


@scenario(
    "connection-refused-then-next-address",
    "the server listens on one of its addresses only: refused on the first, connected on the second",
    captures=AT_THE_CLIENT,
    seconds=4,
)
def first_address_refused(stage: Stage) -> None:
    other = replace(IPV4, server="10.9.1.3")
    stage.network.ip("server", f"addr add {other.server}/{other.prefix} dev s0\n")
    stage.listen()
    stage.addresses = other
    stage.open()
    stage.connect()
    stage.addresses = IPV4
    _answered(stage)


@scenario(
    "port-scan",
    "the client looks at forty closed ports of the server; then it asks at an open one",
    captures=AT_THE_CLIENT,
    seconds=4,
)
def port_scan(stage: Stage) -> None:
    stage.listen()
    listening = stage.port
    for port in range(SCANNED, SCANNED + 40):
        stage.port = port
        stage.open()
        stage.connect()
        stage.client.do("close")
    stage.port = listening
    _answered(stage)


@scenario(
    "crowd",
    "500 connections one after the other: one is reset, one ends before the answer, one is sent to too late",
    captures={"client": ("-s", "96")},
    seconds=30,
)
def crowd(stage: Stage) -> None:
    stage.listen()
    for number in range(500):
        stage.open()
        stage.connect()
        stage.server.do("accept")
        stage.client.do("send", n=24)
        stage.server.do("recv")
        {100: _aborted, 250: _left, 400: _closed}.get(number, _served)(stage)


def _served(stage: Stage) -> None:
    stage.server.do("send", n=40)
    stage.client.do("recv")
    stage.client.do("close")
    stage.server.do("recv")
    stage.server.do("close")


def _aborted(stage: Stage) -> None:
    """The server aborts in place of an answer."""
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    stage.pause()
    stage.client.run("recv", "close")


def _left(stage: Stage) -> None:
    """The server closes in place of an answer."""
    stage.server.do("close")
    stage.pause()
    stage.client.run("recv", "close")


def _closed(stage: Stage) -> None:
    """The server answers and closes; the client, which has not read that, sends two more requests."""
    stage.server.do("send", n=40)
    stage.client.do("recv")
    stage.server.do("close")
    stage.pause()
    stage.client.run("send", "send", "recv", "close")
