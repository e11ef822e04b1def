"""Scenarios in which nobody answers for the hardware address of the next hop."""

from __future__ import annotations

import sys

from tests.lab.network import run
from tests.lab.stage import BEACON_PORT, STEP, End, Stage

from .registry import ALL_INTERFACES, AT_THE_CLIENT, scenario

ONE_SEGMENT = """
link add br0 type bridge
link set br0 addrgenmode none
link set br0 up
link set rc master br0
link set rs master br0
"""
CUT = """
table bridge lab
delete table bridge lab
table bridge lab {
chain forward {
type filter hook forward priority 0
RULE
}
}
"""
GROUP = {False: "224.0.0.99", True: "ff05::99"}
NOBODY = "10.9.0.77"


def _one_segment(stage: Stage) -> None:
    """Client and server are neighbours: the router is but a bridge between them."""
    stage.network.ip("middle", ONE_SEGMENT)
    ours, theirs = ("fd00:9::/64", "fd00:9:1::/64") if stage.network.ipv6 else ("10.9.0.0/24", "10.9.1.0/24")
    stage.network.ip("client", f"route replace {theirs} dev c0\n")
    stage.network.ip("server", f"route replace {ours} dev s0\n")


def _bridge(stage: Stage, rule: str) -> None:
    """Let the bridge apply this rule of nftables to all that it forwards."""
    run(stage.network.command("middle", "nft", "-f", "-"), CUT.replace("RULE", rule))


def _soon_doubtful(stage: Stage) -> None:
    """The client trusts what it knows of its neighbours for a second or two, not for some 30."""
    version = "ipv6" if stage.network.ipv6 else "ipv4"
    settings = ("base_reachable_time_ms=1000", "delay_first_probe_time=1")
    stage.network.sysctl("client", *(f"net.{version}.neigh.c0.{setting}" for setting in settings))


def _last_word(stage: Stage) -> None:
    """A frame for which nobody need be asked: it shows that the capture still ran."""
    group = GROUP[stage.network.ipv6]
    if stage.network.ipv6:
        stage.network.ip("client", f"route replace {group}/128 dev c0 table local\n")
    bystander = End(stage.network, "client")
    bystander.do("beacon", address=group, port=BEACON_PORT)
    bystander.kill()
    stage.pause()


def _known(stage: Stage) -> None:
    """Client and server have heard of each other."""
    stage.server.do("beacon_receiver", local=stage.addresses.server, port=BEACON_PORT)
    stage.beacon()


def _silence_router(stage: Stage) -> None:
    """The router does not answer the client's questions for its address."""
    stage.network.sysctl("middle", "net.ipv4.conf.rc.arp_ignore=8", "net.ipv4.conf.all.arp_ignore=8")


@scenario(
    "next-hop-dead",
    "the router does not answer ARP: no SYN is ever sent",
    captures=AT_THE_CLIENT,
    seconds=6,
)
def next_hop_dead(stage: Stage) -> None:
    _silence_router(stage)
    stage.open()
    stage.connect()
    stage.client.run("so_error", "recv", "send", "close")


@scenario(
    "next-hop-dead-any",
    "as next-hop-dead, all interfaces captured: the host tells itself by ICMP",
    captures=ALL_INTERFACES,
    seconds=6,
)
def next_hop_dead_any(stage: Stage) -> None:
    next_hop_dead(stage)


@scenario(
    "next-hop-dead-any-ipv6",
    "as next-hop-dead-ipv6, all interfaces captured: the host tells itself by ICMPv6",
    captures=ALL_INTERFACES,
    ipv6=True,
    seconds=6,
)
def next_hop_dead_any_ipv6(stage: Stage) -> None:
    next_hop_dead_ipv6(stage)


@scenario(
    "next-hop-dead-stale",
    "the router is dead but still in the client's ARP table: SYNs go out, then ARP is asked in vain",
    captures={"client": ("-e",)},
    seconds=30,
)
def next_hop_stale(stage: Stage) -> None:
    stage.network.sysctl("client", "net.ipv4.neigh.c0.delay_first_probe_time=1")
    stage.filter("tcp dport PORT drop")
    _silence_router(stage)
    router = stage.addresses.router_to_client
    run(
        [
            *("ip", "-n", stage.network.namespace("client"), "neigh", "replace", router),
            *("lladdr", "02:00:00:00:00:77", "nud", "stale", "dev", "c0"),
        ]
    )
    stage.open()
    stage.connect(timeout=60)
    stage.client.run("so_error", "recv", "send", "close")
    stage.pause(STEP)


@scenario(
    "next-hop-dead-ipv6",
    "the router does not answer neighbour solicitations: no SYN is ever sent; IPv6",
    captures=AT_THE_CLIENT,
    ipv6=True,
    seconds=6,
)
def next_hop_dead_ipv6(stage: Stage) -> None:
    stage.network.ip(
        "client", f"link set c0 down\nlink set c0 up\naddr replace {stage.addresses.client}/64 dev c0 nodad\n"
    )
    stage.network.ip("client", "route replace default via fd00:9::77\n")
    stage.open()
    stage.connect()
    stage.client.run("so_error", "recv", "send", "close")


# the next hop is the other end itself


@scenario(
    "next-hop-dead-peer-stale",
    "the server, a neighbour, vanished lately: SYNs go out for some seconds, then ARP is asked in vain",
    captures=AT_THE_CLIENT,
    seconds=25,
)
@scenario(
    "next-hop-dead-peer-stale-ipv6",
    "as next-hop-dead-peer-stale, with neighbour discovery; IPv6",
    captures=AT_THE_CLIENT,
    ipv6=True,
    seconds=25,
)
def peer_stale(stage: Stage) -> None:
    _one_segment(stage)
    _known(stage)
    stage.network.ip("client", f"neigh change {stage.addresses.server} dev c0 nud stale\n")
    _bridge(stage, "drop")
    stage.open()
    stage.connect(timeout=60)
    stage.client.run("so_error", "recv", "send", "close")
    _last_word(stage)


def _vanishes(stage: Stage) -> None:
    """The server is gone while data is under way; the client's system gives up in the end."""
    _soon_doubtful(stage)
    stage.sysctl("client", "tcp_retries2", 6)
    stage.established()
    _bridge(stage, "drop")
    stage.client.do("send", n=32)


@scenario(
    "next-hop-dead-peer",
    "the server, a neighbour, vanishes under a connection; tcp_retries2=6",
    captures=AT_THE_CLIENT,
    seconds=40,
)
@scenario(
    "next-hop-dead-peer-ipv6",
    "as next-hop-dead-peer; IPv6",
    captures=AT_THE_CLIENT,
    ipv6=True,
    seconds=60,
)
def peer_vanishes(stage: Stage) -> None:
    _one_segment(stage)
    _vanishes(stage)
    stage.client.begin("recv")
    stage.client.finish(60)
    stage.client.run("recv", "send", "close")
    stage.pause(12 if stage.network.ipv6 else 5)
    _last_word(stage)


@scenario(
    "next-hop-dead-peer-send",
    "as next-hop-dead-peer, but the client sends next",
    captures=AT_THE_CLIENT,
    seconds=45,
)
def peer_vanishes_send(stage: Stage) -> None:
    _one_segment(stage)
    _vanishes(stage)
    stage.pause(30)
    stage.client.run("send", "send", "recv", "close")
    stage.pause(2)
    _last_word(stage)


@scenario(
    "next-hop-dead-peer-cut",
    "the server vanishes; the capture ends while its system still tries",
    captures=AT_THE_CLIENT,
    seconds=20,
)
def peer_vanishes_cut(stage: Stage) -> None:
    _one_segment(stage)
    _vanishes(stage)
    stage.client.begin("recv")
    stage.pause(16)


@scenario(
    "next-hop-dead-router",
    "the router vanishes under a connection; tcp_retries2=6",
    captures=AT_THE_CLIENT,
    seconds=40,
)
def router_vanishes(stage: Stage) -> None:
    _soon_doubtful(stage)
    stage.sysctl("client", "tcp_retries2", 6)
    stage.established()
    stage.filter("tcp dport PORT drop")
    _silence_router(stage)
    stage.client.do("send", n=32)
    stage.client.begin("recv")
    stage.client.finish(60)
    stage.client.run("recv", "send", "close")
    stage.pause(5)
    _last_word(stage)


# what looks alike


@scenario(
    "next-hop-answers-late",
    "the server answers ARP at the third question only: connect() succeeds",
    captures=AT_THE_CLIENT,
    seconds=5,
)
def answers_late(stage: Stage) -> None:
    _one_segment(stage)
    stage.listen()
    _bridge(stage, "drop")
    stage.open()
    stage.begin_connect()
    stage.pause(1.4)
    _bridge(stage, "accept")
    stage.client.finish(30)
    stage.server.do("accept")
    stage.exchange()
    stage.client.run("close")
    stage.server.run("close")
    _last_word(stage)


@scenario(
    "next-hop-comes-back",
    "the server vanishes under a connection, ARP is asked in vain; then it is back, and all goes on",
    captures=AT_THE_CLIENT,
    seconds=25,
)
def comes_back(stage: Stage) -> None:
    _one_segment(stage)
    _soon_doubtful(stage)
    stage.established()
    _bridge(stage, "drop")
    stage.client.do("send", n=32)
    stage.pause(13)
    _bridge(stage, "accept")
    stage.server.do("recv")
    stage.server.do("send", n=32)
    stage.client.run("recv", "close")
    stage.server.run("recv", "close")
    _last_word(stage)


@scenario(
    "next-hop-of-others-dead",
    "SYNs are lost behind the router, TCP_SYNCNT=2; for other programs a dead neighbour is asked for",
    captures=AT_THE_CLIENT,
    seconds=25,
)
def others_dead_connect(stage: Stage) -> None:
    stage.filter("tcp dport PORT drop")
    stage.open()
    stage.client.option("TCP_SYNCNT", 2)
    stage.begin_connect()
    bystander = End(stage.network, "client")
    for _ in range(20):
        bystander.do("beacon", address=NOBODY, port=BEACON_PORT)
        stage.pause(1.1)
    bystander.kill()
    stage.client.finish(60)
    stage.client.run("so_error", "recv", "send", "close")
    _last_word(stage)


@scenario(
    "next-hop-of-others-dead-data",
    "data is lost behind the router, tcp_retries2=3; for other programs a dead neighbour is asked for",
    captures=AT_THE_CLIENT,
    seconds=25,
)
def others_dead_data(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    stage.established()
    stage.filter("tcp dport PORT drop")
    stage.client.do("send", n=32)
    stage.client.begin("recv")
    bystander = End(stage.network, "client")
    for _ in range(14):
        bystander.do("beacon", address=NOBODY, port=BEACON_PORT)
        stage.pause(0.7)
    bystander.kill()
    stage.client.finish(60)
    stage.client.run("so_error", "recv", "send", "close")
    _last_word(stage)


ANNOUNCED = """
import socket, sys
address = socket.inet_aton(sys.argv[1])
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind((sys.argv[2], 0))
own = sock.getsockname()[4]
arp = b"\\0\\1\\x08\\0\\6\\4\\0\\1" + own + address + bytes(6) + address
sock.send(b"\\xff" * 6 + own + b"\\x08\\6" + arp)
"""
"""Tells everybody an own IPv4 address, on that interface: RFC 5227 section 2.3."""


@scenario(
    "next-hop-announces-itself",
    "the router answers no ARP, but announces its address after the third question: connect() succeeds",
    captures=AT_THE_CLIENT,
    seconds=5,
)
def announces_itself(stage: Stage) -> None:
    stage.listen()
    stage.beacon()  # the router knows the client, and need not ask for it
    _silence_router(stage)
    stage.network.ip("client", "neigh flush dev c0\n")
    stage.open()
    stage.begin_connect()
    stage.pause(2.5)
    router = stage.addresses.router_to_client
    run(stage.network.command("middle", sys.executable, "-I", "-S", "-c", ANNOUNCED, router, "rc"))
    stage.client.finish(30)
    stage.server.do("accept")
    stage.exchange()
    stage.client.run("close")
    stage.server.run("close")
