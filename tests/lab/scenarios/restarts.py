"""Keepalive, and an end that has forgotten the connection."""

from __future__ import annotations

from tests.lab.network import run
from tests.lab.stage import Stage

from .registry import BEFORE_FILTER, DROP, SLOW_PATH, scenario


def _keepalive(stage: Stage) -> None:
    for name, value in (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3)):
        stage.client.option(name, value)


@scenario(
    "keepalive-reset",
    "the server has forgotten the idle connection; the client's keepalive probe is answered by a reset",
    seconds=3,
)
def keepalive_reset(stage: Stage) -> None:
    stage.established()
    _keepalive(stage)
    stage.server.do("vanish")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "keepalive-icmp",
    "the path breaks on an idle connection: keepalive probes are answered by ICMP host unreachable",
    delay=SLOW_PATH,
    captures=BEFORE_FILTER,
    seconds=10,
)
def keepalive_icmp(stage: Stage) -> None:
    stage.established()
    _keepalive(stage)
    stage.filter("tcp dport PORT reject with icmp type host-unreachable", "tcp sport PORT drop")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    stage.unfilter()
    stage.pause(3)
    stage.beacon()


@scenario(
    "keepalive-after-icmp",
    "ICMP host unreachable answers an acknowledgement, then nobody answers the keepalive probes",
    delay=SLOW_PATH,
    captures=BEFORE_FILTER,
    seconds=10,
)
def keepalive_after_icmp(stage: Stage) -> None:
    stage.established()
    _keepalive(stage)
    stage.filter("tcp dport PORT reject with icmp type host-unreachable")
    stage.server.do("send")
    stage.client.do("recv")
    stage.pause(0.5)
    stage.filter(*DROP)
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    stage.unfilter()
    stage.pause(3)
    stage.beacon()


@scenario(
    "keepalive-timeout-ipv6",
    "the path breaks on an idle connection with keepalive; the client sends later; IPv6",
    captures=BEFORE_FILTER,
    ipv6=True,
    seconds=15,
)
def keepalive_send(stage: Stage) -> None:
    stage.established()
    _keepalive(stage)
    stage.filter(*DROP)
    stage.pause(6)
    stage.client.run("send", "send", "recv", "so_error", "close")
    stage.beacon()


@scenario(
    "clean-keepalive-probe-lost",
    "one keepalive probe of an idle connection is lost, the next is answered",
    seconds=7,
)
def keepalive_probe_lost(stage: Stage) -> None:
    stage.established()
    _keepalive(stage)
    stage.filter(*DROP)
    stage.pause(1.5)
    stage.unfilter()
    stage.pause(2)
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "server-restarted",
    "the server has forgotten the connection; the client sends its next request",
    seconds=3,
)
def restarted(stage: Stage) -> None:
    stage.established()
    stage.server.do("vanish")
    stage.client.run("send", "recv", "send", "so_error", "close")


@scenario(
    "server-restarted-waiting",
    "the server forgets the connection; the client sends and already waits when the reset comes; IPv6",
    ipv6=True,
    delay=SLOW_PATH,
    seconds=4,
)
def restarted_waiting(stage: Stage) -> None:
    stage.established()
    stage.pause(1)
    stage.server.do("vanish")
    stage.client.do("send")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "server-restarted-two-sends",
    "the server has forgotten the connection; the client sends twice before the reset comes",
    delay=0.02,
    seconds=4,
)
def restarted_two_sends(stage: Stage) -> None:
    stage.established()
    stage.server.do("vanish")
    stage.client.do("send")
    stage.client.do("send")
    stage.pause(0.2)
    stage.client.run("send", "send", "recv", "close")


@scenario(
    "server-restarted-request-unread",
    "the server acknowledges the request and forgets the connection; a reset answers the next request",
    seconds=4,
)
def restarted_unread(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.pause()
    stage.server.do("vanish")
    stage.client.run("send", "send", "recv", "close")


@scenario(
    "client-restarted",
    "the client has forgotten the connection; the server sends an answer to it",
    seconds=4,
)
def client_restarted(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.pause()
    stage.client.do("vanish")
    stage.server.run("recv", "send", "send", "recv", "so_error", "close")


@scenario(
    "clean-close-after-restart",
    "the server has forgotten the connection; the client closes: a reset for nobody",
    seconds=3,
)
def close_after_restart(stage: Stage) -> None:
    stage.established()
    stage.server.do("vanish")
    stage.client.run("close")
    stage.pause(0.3)


NAT = """
table ip labnat {
 chain post { type nat hook postrouting priority 100;
  oifname rs masquerade
 }
 chain forward { type filter hook forward priority 10;
  ct state invalid REJECT
 }
}
"""


def _forgetful_nat(stage: Stage, reject: str) -> None:
    """A router that translates addresses, does not pick up connections midway, and forgets idle ones."""
    run(stage.network.command("middle", "nft", "-f", "-"), NAT.replace("REJECT", reject))
    stage.network.sysctl("middle", "net.netfilter.nf_conntrack_tcp_loose=0")
    stage.network.sysctl("middle", "net.netfilter.nf_conntrack_tcp_timeout_established=1")


@scenario(
    "nat-forgot-passes-on",
    "the router forgets the translation of an idle connection and passes on what comes: the server resets it",
    captures=BEFORE_FILTER,
    seconds=7,
)
def nat_passes_on(stage: Stage) -> None:
    _forgetful_nat(stage, "accept")
    stage.established()
    stage.pause(3)
    stage.client.run("send", "send", "recv", "so_error", "close")


@scenario(
    "nat-forgot-resets",
    "the router forgets the translation of an idle connection and answers what comes with a reset",
    captures=BEFORE_FILTER,
    seconds=7,
)
def nat_resets(stage: Stage) -> None:
    _forgetful_nat(stage, "reject with tcp reset")
    stage.established()
    stage.pause(3)
    stage.client.run("send", "recv", "send", "so_error", "close")


@scenario(
    "clean-nat",
    "request and answer through a router that translates addresses",
    captures=BEFORE_FILTER,
    seconds=4,
)
def nat(stage: Stage) -> None:
    run(stage.network.command("middle", "nft", "-f", "-"), NAT.replace("REJECT", "accept"))
    stage.established()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "keepalive-user-timeout",
    "the path breaks on an idle connection with keepalive; TCP_USER_TIMEOUT=2500 ends it sooner",
    captures=BEFORE_FILTER,
    seconds=12,
)
def keepalive_user_timeout(stage: Stage) -> None:
    stage.established()
    _keepalive(stage)
    stage.client.option("TCP_KEEPCNT", 9)
    stage.client.option("TCP_USER_TIMEOUT", 2500)
    stage.filter(*DROP)
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    stage.pause(3)
    stage.beacon()


@scenario(
    "keepalive-timeout-server",
    "the client forgets the connection and its network is gone: the server's keepalive notices",
    captures={"server": ()},
    seconds=12,
)
def keepalive_server(stage: Stage) -> None:
    stage.established()
    for name, value in (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3)):
        stage.server.option(name, value)
    stage.client.do("vanish")
    stage.filter(*DROP)
    stage.server.begin("recv")
    stage.server.finish()
    stage.server.run("recv", "send", "so_error", "close")


@scenario(
    "clean-keepalive-server-ipv6",
    "the server's keepalive probes are answered; IPv6",
    ipv6=True,
    captures={"client": (), "server": ()},
    seconds=7,
)
def keepalive_of_server(stage: Stage) -> None:
    stage.established()
    for name, value in (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1)):
        stage.server.option(name, value)
    stage.pause(3.5)
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")
