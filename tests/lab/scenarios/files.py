"""Captures that see too little, too much, or come in another form."""

from __future__ import annotations

from tests.lab.edit import only_last, tagged, without_every, without_first
from tests.lab.network import run
from tests.lab.stage import Stage

from .basic import (
    clean,
    clean_heavy_loss,
    refused,
    reset_waiting,
    retransmission,
    retransmission_recovers,
    rst_after_fin_send,
)
from .registry import AT_THE_CLIENT, AT_THE_ENDS, SLOW_PATH, Play, scenario

ANY = ("-i", "any")
TO_THE_CLIENT = ("tcp", "and", "dst", "net", "10.9.0.0/24")
TO_THE_SERVER = ("tcp", "and", "dst", "net", "10.9.1.0/24")
IN_BOTH = ("dumpcap", "-q", "-i", "rc", "-i", "rs")


def _more(stage: Stage) -> None:
    """Some requests and answers, then the client closes."""
    stage.established()
    for _ in range(8):
        stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


def _more_then_reset(stage: Stage) -> None:
    """Some requests and answers; the next request is answered by a reset."""
    stage.establish()
    for _ in range(8):
        stage.exchange()
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause()
    stage.server.run("recv")
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


def _bridged(play: Play) -> Play:
    """The client's program sits behind a veth pair and a bridge, as in a container."""

    def bridged(stage: Stage) -> None:
        own = stage.network.addresses
        stage.network.ip(
            "client",
            f"addr del {own.client}/{own.prefix} dev c0\n"
            "link add br0 type bridge\nlink add v0 type veth peer name v1\n"
            "link set c0 master br0\nlink set v1 master br0\n"
            "link set br0 up\nlink set v0 up\nlink set v1 up\n"
            f"addr add {own.client}/{own.prefix} dev v0\nroute add default via {own.router_to_client}\n",
        )
        play(stage)

    return bridged


for _name, _inner in (("clean-any-bridge", clean), ("rst-after-fin-any-bridge", rst_after_fin_send)):
    scenario(
        _name,
        "the client sits behind a veth pair and a bridge; captured on all interfaces: several copies",
        captures={"client": ANY},
        seconds=4,
    )(_bridged(_inner))
scenario(
    "retransmission-timeout-any-bridge",
    "the path breaks; the client sits behind a bridge, captured on all interfaces; tcp_retries2=3",
    captures={"client": ANY},
    seconds=20,
)(_bridged(retransmission))
scenario(
    "clean-any-bridge-loss",
    "60 kB although one packet in five is lost; behind a bridge, captured on all interfaces, frames cut",
    captures={"client": (*ANY, "-s", "100")},
    delay=SLOW_PATH,
    seconds=60,
)(_bridged(clean_heavy_loss))
scenario(
    "clean-any-ipv6",
    "captured on all interfaces of the router: every packet is there twice; IPv6",
    ipv6=True,
    captures={"middle": ANY},
    seconds=4,
)(clean)
scenario(
    "retransmission-recovers-any",
    "the path breaks for a second and heals; captured on all interfaces of the router",
    captures={"middle": ANY},
    seconds=5,
)(retransmission_recovers)
scenario(
    "reset-by-peer-any",
    "the server aborts; captured on all interfaces of the router: every packet is there twice",
    captures={"middle": ANY},
    delay=SLOW_PATH,
    seconds=4,
)(reset_waiting)

scenario(
    "clean-one-direction",
    "each capture has only what comes in; the client closes first",
    captures={"client": TO_THE_CLIENT, "server": TO_THE_SERVER},
    seconds=4,
)(_more)
scenario(
    "reset-by-peer-one-direction",
    "the server aborts; the client's capture has only what the client gets, the server's only what it sends",
    captures={"client": TO_THE_CLIENT, "server": TO_THE_CLIENT},
    seconds=4,
)(reset_waiting)
scenario(
    "rst-after-fin-one-direction",
    "the server closes, the client goes on sending; the capture has only what the client gets",
    captures={"client": TO_THE_CLIENT},
    seconds=4,
)(rst_after_fin_send)
scenario(
    "connection-refused-one-direction",
    "nobody listens on the port; the capture has only what the server's host sends",
    captures={"server": TO_THE_CLIENT},
)(refused)

scenario(
    "clean-packets-missing",
    "every seventh packet was removed from the capture afterwards, as if the kernel had dropped it",
    captures=AT_THE_ENDS,
    edit=without_every(7, last=0),
    seconds=4,
)(_more)
scenario(
    "reset-by-peer-packets-missing",
    "the server aborts; every seventh packet but the last two was removed from the capture afterwards",
    captures=AT_THE_ENDS,
    edit=without_every(7, last=2),
    seconds=4,
)(_more_then_reset)

scenario(
    "clean-begins-midway",
    "the first ten packets were removed afterwards, as if the capture had begun midway",
    captures=AT_THE_ENDS,
    edit=without_first(10),
    seconds=4,
)(_more)
scenario(
    "reset-by-peer-begins-midway",
    "the server aborts; the first ten packets were removed afterwards, as if the capture had begun midway",
    captures=AT_THE_ENDS,
    edit=without_first(10),
    seconds=4,
)(_more_then_reset)
scenario(
    "rst-after-fin-begins-midway",
    "the server closes, the client goes on sending; the handshake was removed from the capture afterwards",
    captures=AT_THE_ENDS,
    edit=without_first(4),
    seconds=4,
)(rst_after_fin_send)

scenario(
    "clean-end-only",
    "only the last four packets were kept afterwards, as if the capture had begun just before the end",
    captures=AT_THE_ENDS,
    edit=only_last(4),
    seconds=4,
)(_more)
scenario(
    "reset-by-peer-end-only",
    "the server aborts; only the last three packets were kept afterwards",
    captures=AT_THE_ENDS,
    edit=only_last(3),
    seconds=4,
)(_more_then_reset)

scenario(
    "clean-snapshot-length",
    "frames of 1000 bytes and more, cut to 96 bytes",
    captures={"client": ("-s", "96"), "server": ("-s", "96")},
    seconds=4,
)(lambda stage: _large(stage, fails=False))
scenario(
    "reset-by-peer-snapshot-length",
    "the server aborts in the middle of its answer; frames cut to 96 bytes",
    captures={"client": ("-s", "96"), "server": ("-s", "96")},
    seconds=4,
)(lambda stage: _large(stage, fails=True))


def _large(stage: Stage, fails: bool) -> None:
    """A request, and an answer of some full segments."""
    stage.established()
    stage.client.run("send")
    stage.server.run("recv")
    stage.server.do("send", n=8000)
    stage.pause()
    stage.client.do("recv_all", n=8000)
    if fails:
        stage.client.begin("recv")
        stage.server.option("SO_LINGER", 0)
        stage.server.do("close")
        stage.client.finish()
        stage.client.run("recv", "send", "close")
    else:
        stage.client.run("close")
        stage.server.run("recv", "close")


scenario(
    "rst-after-fin-nanoseconds",
    "the server closes, the client goes on sending; a pcap file with nanoseconds",
    captures={"client": ("--time-stamp-precision=nano",)},
    seconds=4,
)(rst_after_fin_send)
scenario(
    "rst-after-fin-pcapng",
    "the server closes, the client goes on sending; pcapng with both interfaces of the router",
    captures={"middle": IN_BOTH},
    seconds=4,
)(rst_after_fin_send)
scenario(
    "rst-after-fin-vlan",
    "the server closes, the client goes on sending; each frame was put into VLAN 42 inside of 7 afterwards",
    captures=AT_THE_CLIENT,
    edit=tagged(7, 42),
    seconds=4,
)(rst_after_fin_send)


@scenario(
    "rst-after-fin-rotated",
    "the server closes, the client goes on sending; a new capture file every second",
    captures={"client": ("-G", "1")},
    seconds=7,
)
def rotated(stage: Stage) -> None:
    stage.establish()
    for _ in range(3):
        stage.exchange()
        stage.pause(1)
    stage.server.run("close")
    stage.pause(1)
    stage.client.run("send", "send", "recv", "close")


@scenario(
    "reset-by-peer-fragments",
    "the server aborts; requests of 1000 bytes are cut into IP fragments by a small link after the router",
    captures=AT_THE_ENDS,
    seconds=4,
)
def fragments(stage: Stage) -> None:
    for place in ("client", "server"):
        stage.sysctl(place, "ip_no_pmtu_disc", 1)
    run(["ip", "-n", stage.network.namespace("middle"), "link", "set", "rs", "mtu", "576"])
    stage.establish()
    for _ in range(2):
        stage.client.do("send", n=1000)
        stage.pause()
        stage.server.do("recv")
        stage.server.do("send", n=100)
        stage.pause()
        stage.client.do("recv")
    stage.client.do("send", n=1000)
    stage.client.begin("recv")
    stage.pause()
    stage.server.run("recv")
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    stage.client.finish()
    stage.client.run("recv", "send", "close")
