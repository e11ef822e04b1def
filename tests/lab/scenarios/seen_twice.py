"""Connections that a capture shows twice: before and after a NAT, inside and outside of a tunnel."""

from __future__ import annotations

from tests.lab.network import run
from tests.lab.stage import Stage

from .basic import clean, reset_waiting, rst_after_fin_send
from .files import ANY
from .registry import Play, scenario
from .restarts import nat_resets
from .tunnels import inside, refused

VIRTUAL = "10.96.0.12"
"""The service's address as clients know it, as in a cluster."""
NAT = """
table ip labtwice {
 chain pre { type nat hook prerouting priority -100;
  ip daddr VIRTUAL dnat to SERVER
 }
 chain post { type nat hook postrouting priority 100;
  oifname rs masquerade
 }
}
"""


def _translated(play: Play) -> Play:
    """The router gives both ends another address."""

    def played(stage: Stage) -> None:
        rules = NAT.replace("VIRTUAL", VIRTUAL).replace("SERVER", stage.addresses.server)
        run(stage.network.command("middle", "nft", "-f", "-"), rules)
        stage.virtual = VIRTUAL
        play(stage)

    return played


for _name, _play, _told in (
    ("connection-refused", refused, "nobody listens on the port"),
    ("reset-by-peer", reset_waiting, "the server aborts"),
    ("rst-after-fin", rst_after_fin_send, "the server answers and closes, the client goes on sending"),
    ("clean", clean, "request and answer"),
):
    scenario(
        f"{_name}-any-nat",
        f"{_told}; the router gives both ends another address, captured on all of its interfaces",
        captures={"middle": ANY},
        seconds=4,
    )(_translated(_play))
    scenario(
        f"{_name}-any-vxlan",
        f"{_told}; captured inside and outside of VXLAN, on all interfaces of the client",
        captures={"client": ANY},
        seconds=4,
    )(inside("vxlan", _play))


def _swallowed(stage: Stage) -> None:
    stage.filter("tcp sport PORT tcp flags & rst == rst drop")
    stage.established()
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    stage.pause(1.5)
    stage.client.run("so_error")


scenario(
    "clean-reset-swallowed-any-nat",
    "the server aborts, and the router that gives both ends another address drops the reset; captured on all "
    "of its interfaces",
    captures={"middle": ANY},
    seconds=4,
)(_translated(_swallowed))
scenario(
    "nat-forgot-resets-any",
    "the router forgets an idle connection's translation and resets it; captured on all of its interfaces",
    captures={"middle": ANY},
    seconds=7,
)(nat_resets)
