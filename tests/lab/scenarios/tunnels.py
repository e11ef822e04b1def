"""Connections inside of a tunnel, captured outside of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab.network import Addresses, LabError
from tests.lab.stage import Stage

from .basic import clean, reset_waiting, rst_after_fin_send
from .registry import AT_THE_CLIENT, AT_THE_ENDS, Play, scenario

PROGRAM = Path(__file__).resolve().parent.parent / "tunnel.py"
INSIDE = Addresses("10.8.0.1", "", "", "10.8.0.2", 24)
DEVICE = "tun0"
MTU = 1400
OUTSIDE = {"client": "c0", "server": "s0"}


def _vxlan(stage: Stage, place: str, local: str, remote: str) -> None:
    """The kernel's own."""
    wire = OUTSIDE[place]
    stage.network.ip(
        place,
        f"link add {DEVICE} type vxlan id 42 local {local} remote {remote} dstport 4789 dev {wire}\n",
    )


def _in_user_space(stage: Stage, place: str, kind: str, local: str, remote: str) -> None:
    process = subprocess.Popen(
        stage.network.python(place, PROGRAM, kind, DEVICE, local, remote), stdout=subprocess.PIPE, text=True
    )

    def end() -> None:
        process.kill()
        process.communicate()

    stage.helpers.callback(end)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise LabError("the tunnel did not start")


def _tunnel(stage: Stage, kind: str) -> None:
    """A tunnel between client and server, which talk through it from now on."""
    outside = stage.network.addresses
    for place, local, remote, inside in (
        ("client", outside.client, outside.server, INSIDE.client),
        ("server", outside.server, outside.client, INSIDE.server),
    ):
        if kind == "vxlan":
            _vxlan(stage, place, local, remote)
        else:
            _in_user_space(stage, place, kind, local, remote)
        stage.network.ip(
            place,
            f"link set {DEVICE} mtu {MTU} up\naddr add {inside}/{INSIDE.prefix} dev {DEVICE}\n",
        )
    stage.addresses = INSIDE


def refused(stage: Stage) -> None:
    stage.open()
    stage.connect()
    stage.client.run("recv", "send", "close")


def inside(kind: str, play: Play) -> Play:
    def run(stage: Stage) -> None:
        _tunnel(stage, kind)
        play(stage)

    return run


for _kind, _what in (
    ("vxlan", "VXLAN (the kernel's)"),
    ("geneve", "Geneve (in user space)"),
    ("gre", "GRE with a key (in user space)"),
    ("ipip", "IP in IP (in user space)"),
):
    for _name, _play, _told in (
        ("connection-refused", refused, "nobody listens on the port"),
        ("reset-by-peer", reset_waiting, "the server aborts"),
        ("clean", clean, "request and answer"),
    ):
        scenario(
            f"{_name}-{_kind}",
            f"{_told}, inside of {_what}, captured outside",
            captures=AT_THE_CLIENT if _play is refused else AT_THE_ENDS,
            seconds=4,
        )(inside(_kind, _play))
    scenario(
        f"rst-after-fin-{_kind}",
        f"the server answers and closes, the client goes on sending, inside of {_what}",
        captures=AT_THE_CLIENT,
        seconds=4,
    )(inside(_kind, rst_after_fin_send))
