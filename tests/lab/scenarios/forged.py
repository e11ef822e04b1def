"""Resets that no end sent: a device on the path (`injector.py`)."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.lab import injector
from tests.lab.network import LabError, run
from tests.lab.stage import Stage

from .registry import BEFORE_FILTER, EVERYWHERE, SLOW_PATH, scenario

Inject = Callable[..., None]


def _device(stage: Stage) -> Inject:
    """Start the device; the function lets it send segments at once, one for each argument."""
    process = subprocess.Popen(
        stage.network.python("middle", Path(injector.__file__), str(stage.port), "rc", "rs"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )

    def stop() -> None:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def wait(word: bytes) -> None:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], 20)[0] or process.stdout.readline() != word:
            raise LabError("the device on the path failed")

    def inject(*segments: dict[str, Any]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(segments).encode() + b"\n")
        wait(b"sent\n")
        stage.pause()

    stage.helpers.callback(stop)
    wait(b"ready\n")
    return inject


def _rest(stage: Stage) -> None:
    """The connection goes on and ends."""
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "clean-reset-in-window",
    "a device forges a reset with a number ahead: the client answers with a challenge ACK, and goes on",
    seconds=4,
)
@scenario(
    "clean-reset-in-window-ipv6",
    "as clean-reset-in-window, 10 ms round trip; IPv6",
    delay=SLOW_PATH,
    ipv6=True,
    seconds=5,
)
def in_window(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    inject({"as": "server", "flags": "R", "shift": 1000, "ttl": 50})
    _rest(stage)


@scenario(
    "clean-reset-in-window-same-ttl",
    "a device forges a reset with a number ahead and the server's TTL: challenge ACK, and the client goes on",
    seconds=4,
)
def in_window_same_ttl(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    inject({"as": "server", "flags": "R", "shift": 1000, "ttl": 63})
    _rest(stage)


@scenario(
    "clean-reset-out-of-window",
    "a device forges resets with numbers behind and far ahead: the client ignores them",
    seconds=4,
)
def out_of_window(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    inject({"as": "server", "flags": "R", "shift": -5000, "ttl": 63})
    inject({"as": "server", "flags": "RA", "shift": 2**30, "ttl": 63})
    _rest(stage)


@scenario(
    "clean-reset-one-behind",
    "a device forges a reset with the number before the expected one: the client ignores it",
    seconds=4,
)
def one_behind(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    inject({"as": "server", "flags": "R", "shift": -1, "ttl": 63})
    _rest(stage)


@scenario(
    "reset-forged-both-ends",
    "a device resets both ends at the same moment, with another TTL",
    seconds=4,
)
@scenario(
    "reset-forged-both-ends-ipv6",
    "as reset-forged-both-ends, 10 ms round trip; IPv6",
    delay=SLOW_PATH,
    ipv6=True,
    seconds=5,
)
def both_ends(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    stage.client.begin("recv")
    stage.server.begin("recv")
    inject(
        {"as": "server", "flags": "RA", "ttl": 120, "window": 300},
        {"as": "client", "flags": "RA", "ttl": 120, "window": 300},
    )
    for end in (stage.client, stage.server):
        end.finish()
        end.run("recv", "send", "so_error", "close")


@scenario(
    "reset-forged-same-ttl",
    "a device resets both ends at the same moment, with the TTL of the ends but without timestamps",
    captures=EVERYWHERE,
    seconds=4,
)
def same_ttl(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    stage.client.begin("recv")
    stage.server.begin("recv")
    inject(
        {"as": "server", "flags": "RA", "ttl": 63, "window": 300},
        {"as": "client", "flags": "RA", "ttl": 63, "window": 300},
    )
    for end in (stage.client, stage.server):
        end.finish()
        end.run("recv", "send", "so_error", "close")


@scenario(
    "reset-forged-client-only",
    "a device resets the client in the server's name, which answers a request that it goes on to work on",
    delay=SLOW_PATH,
    seconds=5,
)
def client_only(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    stage.client.do("send")
    inject({"as": "server", "flags": "RA", "ttl": 63, "window": 300})
    stage.client.run("recv", "recv", "send", "so_error")
    stage.server.run("recv", "send")
    stage.pause(0.2)
    stage.server.run("send", "recv", "so_error", "close")
    stage.client.run("close")


@scenario(
    "reset-sooner-than-round-trip",
    "a device drops a request after a pause and answers it in the server's name, with its TTL, at once",
    captures=BEFORE_FILTER,
    delay=0.02,
    seconds=6,
)
@scenario(
    "reset-sooner-than-round-trip-ipv6",
    "as reset-sooner-than-round-trip; IPv6",
    captures=BEFORE_FILTER,
    delay=0.02,
    ipv6=True,
    seconds=6,
)
def too_soon(stage: Stage) -> None:
    inject = _device(stage)
    stage.established()
    stage.pause(1)
    stage.network.filter([f"tcp dport {stage.port} drop"])
    inject({"as": "server", "flags": "R", "ttl": 62, "when": "client"})
    stage.client.run("send", "recv", "recv", "send", "so_error", "close")


DNAT = """
table ip labnat {
 chain pre { type nat hook prerouting priority -100;
  iifname rc ip daddr 10.9.0.200 dnat to SERVER
 }
 chain post { type nat hook postrouting priority 100; }
}
"""


@scenario(
    "nat-forgot-answer-untranslated",
    "the router forgets the translation while the server works: its answer comes untranslated, and is reset",
    seconds=8,
)
def untranslated(stage: Stage) -> None:
    server = stage.addresses.server
    run(stage.network.command("middle", "nft", "-f", "-"), DNAT.replace("SERVER", server))
    stage.network.sysctl("middle", "net.netfilter.nf_conntrack_tcp_timeout_established=1")
    run(
        stage.network.command(
            "client", "ip", "route", "add", "10.9.0.200", "via", stage.addresses.router_to_client
        )
    )
    stage.listen()
    stage.open()
    behind = stage.connections[-1]
    stage.connections.append(replace(behind, server=("10.9.0.200", stage.port), server_calls=None))
    stage.client.do("connect", address="10.9.0.200", port=stage.port)
    stage.server.do("accept")
    stage.exchange()
    stage.client.do("send")
    stage.pause()
    stage.server.do("recv")
    stage.client.begin("recv", patience=6000)
    stage.pause(3)
    stage.server.run("send", "send", "recv", "so_error", "close")
    stage.client.finish()
    stage.client.run("close")
    behind.client_calls = None
