"""A port that is used again."""

from __future__ import annotations

from tests.lab.stage import Stage

from .registry import SLOW_PATH, scenario


def _again(stage: Stage) -> None:
    """The client makes a socket with the same port."""
    stage.open(port=stage.connections[-1].client[1])


@scenario(
    "port-reused-server-remembers",
    "the client forgets the connection and connects anew from its old port: challenge ACK, reset, new SYN",
    seconds=3,
)
@scenario(
    "port-reused-server-remembers-ipv6",
    "as port-reused-server-remembers, 10 ms round trip, IPv6",
    ipv6=True,
    delay=SLOW_PATH,
    seconds=5,
)
def server_remembers(stage: Stage) -> None:
    stage.established()
    stage.client.do("vanish")
    stage.server.begin("recv")
    old = stage.server.calls
    stage.open(port=stage.connections[-1].client[1])
    new, stage.server.calls = stage.server.calls, old
    stage.begin_connect()
    stage.server.finish()
    stage.server.run("recv", "send", "close")
    stage.server.calls = new
    stage.client.finish()
    stage.server.do("accept")
    stage.pause()
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "clean-port-reused-both-forgot",
    "both ends forget the connection; the client connects anew from its old port",
    seconds=4,
)
def both_forgot(stage: Stage) -> None:
    stage.established()
    stage.client.do("vanish")
    stage.server.do("vanish")
    _again(stage)
    stage.connect()
    stage.server.do("accept")
    stage.pause()
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "clean-port-reused-time-wait",
    "the server closes first; the client connects anew from its old port into the server's TIME_WAIT",
    seconds=4,
)
def time_wait(stage: Stage) -> None:
    stage.established()
    stage.server.run("close")
    stage.client.run("recv", "close")
    stage.pause(1)
    _again(stage)
    stage.connect()
    stage.server.do("accept")
    stage.pause()
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")
