"""Both sides of a proxy, captured where it runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab.network import LabError
from tests.lab.stage import Stage

from .files import ANY
from .registry import scenario

PROGRAM = Path(__file__).resolve().parent.parent / "proxy.py"


def _asked(stage: Stage, *answer: str) -> None:
    """The client has asked the proxy, whose address is the router's."""
    own = stage.addresses
    stage.virtual = own.router_to_client
    process = subprocess.Popen(
        stage.network.python("middle", PROGRAM, stage.virtual, str(stage.port), own.server, *answer),
        stdout=subprocess.PIPE,
        text=True,
    )

    def end() -> None:
        process.kill()
        process.communicate()

    stage.helpers.callback(end)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise LabError("the proxy did not start")
    stage.open()
    stage.connections[-1].server_calls = None  # what the server calls is about its connection to the proxy
    stage.connect()
    stage.client.do("send", n=32)


def _answered(stage: Stage) -> None:
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("close")


def _upstream_resets(stage: Stage, *answer: str) -> None:
    stage.listen()
    _asked(stage, *answer)
    stage.server.do("accept")
    stage.pause(0.2)
    stage.server.run("recv")
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    _answered(stage)


@scenario(
    "proxy-upstream-resets",
    "the server resets the proxy, which closes the client's connection; captured at the proxy",
    captures={"middle": ANY},
    seconds=4,
)
def upstream_resets(stage: Stage) -> None:
    _upstream_resets(stage)


@scenario(
    "proxy-upstream-refuses",
    "the server refuses the proxy, which closes the client's connection; captured at the proxy",
    captures={"middle": ANY},
    seconds=4,
)
def upstream_refuses(stage: Stage) -> None:
    _asked(stage)
    _answered(stage)


@scenario(
    "proxy-upstream-resets-502",
    "the server resets the proxy, which answers the client with 502; captured at the proxy",
    captures={"middle": ANY},
    seconds=4,
)
def upstream_resets_told(stage: Stage) -> None:
    _upstream_resets(stage, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")


@scenario(
    "clean-proxy",
    "request and answer through a proxy; captured at the proxy",
    captures={"middle": ANY},
    seconds=4,
)
def passed_on(stage: Stage) -> None:
    stage.listen()
    _asked(stage)
    stage.server.do("accept")
    stage.server.run("recv", "send")
    _answered(stage)
    stage.server.run("recv", "close")
