"""Handshakes that go wrong, or well in an unusual way."""

from __future__ import annotations

from tests.lab.network import run
from tests.lab.stage import Stage

from .registry import ALL_INTERFACES, BEFORE_FILTER, SLOW_PATH, Play, scenario

CROSSING = 0.02


def _connect_both(stage: Stage) -> None:
    """Both programs call connect() to each other at the same moment, over a slow path."""
    stage.server_runs = True
    stage.open()
    local = stage.addresses.server
    stage.server.do("open", local=local, datagram=False, port=stage.port)
    here = stage.connections[-1].client
    stage.begin_connect()
    stage.server.begin("connect", address=here[0], port=here[1])


@scenario(
    "clean-simultaneous-open",
    "both programs call connect() to each other at the same moment; then a question and its answer",
    delay=CROSSING,
    seconds=4,
)
@scenario(
    "clean-simultaneous-open-ipv6",
    "as clean-simultaneous-open; IPv6",
    delay=CROSSING,
    ipv6=True,
    seconds=5,
)
def simultaneous(stage: Stage) -> None:
    _connect_both(stage)
    stage.client.finish()
    stage.server.finish()
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "simultaneous-open-reset",
    "both programs call connect() to each other; a device resets the client, and that the server",
    delay=CROSSING,
    captures=BEFORE_FILTER,
    seconds=4,
)
def simultaneous_reset(stage: Stage) -> None:
    stage.filter(
        "tcp sport PORT tcp flags & (syn | ack) == (syn | ack) drop",
        "tcp dport PORT tcp flags & (syn | ack) == (syn | ack) reject with tcp reset",
    )
    _connect_both(stage)
    stage.client.finish()
    stage.unfilter()
    stage.client.run("recv", "send", "so_error", "close")
    stage.server.finish()
    stage.server.run("recv", "send", "so_error", "close")


@scenario(
    "reset-before-established",
    "the client loses patience before the SYN-ACK comes and closes: a reset answers the SYN-ACK",
    delay=0.1,
    seconds=4,
)
@scenario(
    "reset-before-established-ipv6",
    "as reset-before-established; IPv6",
    delay=0.1,
    ipv6=True,
    seconds=5,
)
def reset_before_established(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect(nonblocking=True, patience=10)
    stage.client.run("close")
    stage.pause(0.5)
    stage.beacon()


def _into_time_wait(stage: Stage) -> None:
    """The server has closed first, so that it keeps the connection in TIME_WAIT; the port is used again."""
    stage.sysctl("client", "tcp_timestamps", 0)
    stage.listen()
    stage.open()
    stage.client.do("first_number", value=2**30)
    stage.connect()
    stage.server.do("accept")
    stage.exchange()
    stage.server.run("close")
    stage.client.run("recv", "close")
    stage.pause(0.3)
    stage.server.calls = []
    stage.open(port=stage.connections[-1].client[1])
    stage.client.do("first_number", value=1)


@scenario(
    "clean-port-reused-time-wait-challenged",
    "a SYN with a lower number meets TIME_WAIT: ACK, reset, and the SYN sent again is answered",
    seconds=4,
)
def time_wait_challenged(stage: Stage) -> None:
    _into_time_wait(stage)
    stage.connect()
    stage.server.do("accept")
    stage.pause()
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "port-reused-time-wait-unanswered",
    "a SYN with a lower number meets TIME_WAIT, which tcp_rfc1337 keeps: ACKs answer it; TCP_SYNCNT=2",
    seconds=15,
)
def time_wait_unanswered(stage: Stage) -> None:
    stage.sysctl("server", "tcp_rfc1337", 1)
    _into_time_wait(stage)
    stage.client.option("TCP_SYNCNT", 2)
    stage.connect()
    stage.client.run("so_error", "recv", "send", "close")
    stage.pause(7)
    stage.beacon()


@scenario(
    "port-reused-reset-dropped",
    "the server remembers the connection: ACKs answer the SYN, and a firewall drops the client's resets",
    captures=BEFORE_FILTER,
    seconds=15,
)
@scenario(
    "port-reused-reset-dropped-ipv6",
    "as port-reused-reset-dropped, 10 ms round trip; IPv6",
    captures=BEFORE_FILTER,
    delay=SLOW_PATH,
    ipv6=True,
    seconds=16,
)
def reset_dropped(stage: Stage) -> None:
    stage.established()
    stage.client.do("vanish")
    stage.filter("tcp dport PORT tcp flags & rst == rst drop")
    stage.open(port=stage.connections[-1].client[1])
    stage.client.option("TCP_SYNCNT", 2)
    stage.connect()
    stage.client.run("so_error", "recv", "send", "close")
    stage.pause(7)
    stage.beacon()


# ICMP of more kinds than in basic.py


def _rejected(reject: str) -> Play:
    def play(stage: Stage) -> None:
        stage.filter(f"tcp dport PORT reject with {reject}")
        _refused(stage)

    return play


def _refused(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.run("recv", "send", "so_error", "close")


for _family, _name, _type in (
    ("icmp", "protocol-unreachable", "prot-unreachable"),
    ("icmp", "net-prohibited", "net-prohibited"),
    ("icmp", "host-prohibited", "host-prohibited"),
    ("icmpv6", "policy-fail", "policy-fail"),
    ("icmpv6", "reject-route", "reject-route"),
):
    scenario(
        f"{_family}-{_name}-connect",
        f"the router answers the SYN with {_family.replace('icmp', 'ICMP')} {_name}; slow path",
        captures=BEFORE_FILTER,
        delay=SLOW_PATH,
        ipv6=_family == "icmpv6",
    )(_rejected(f"{_family} type {_type}"))

LAST_HOP = """
table inet labhops {
 chain pre { type filter hook prerouting priority -150;
  iifname rc tcp dport PORT RULE
 }
}
"""


@scenario(
    "icmp-ttl-exceeded-connect",
    "the router finds the SYN's TTL used up, as in a routing loop",
    captures=BEFORE_FILTER,
    delay=SLOW_PATH,
)
@scenario(
    "icmpv6-hop-limit-exceeded-connect",
    "the router finds the SYN's hop limit used up, as in a routing loop; IPv6",
    captures=BEFORE_FILTER,
    delay=SLOW_PATH,
    ipv6=True,
)
def hops_used_up(stage: Stage) -> None:
    rule = "ip6 hoplimit set 1" if stage.network.ipv6 else "ip ttl set 1"
    text = LAST_HOP.replace("PORT", str(stage.port)).replace("RULE", rule)
    run(stage.network.command("middle", "nft", "-f", "-"), text)
    _refused(stage)


OWN_FIREWALL = """
table inet labown {
 chain out { type filter hook output priority 0;
  tcp dport PORT RULE reject with tcp reset
 }
}
"""


def _own_firewall(stage: Stage, rule: str = "") -> None:
    """The client's own host rejects what it sends to the server's port."""
    text = OWN_FIREWALL.replace("PORT", str(stage.port)).replace("RULE", rule)
    run(stage.network.command("client", "nft", "-f", "-"), text)


@scenario(
    "connection-refused-by-own-firewall",
    "the client's own firewall refuses the SYN with a reset; all interfaces captured",
    captures=ALL_INTERFACES,
)
@scenario(
    "connection-refused-by-own-firewall-ipv6",
    "the client's own firewall refuses the SYN with a reset, IPv6; all interfaces captured",
    captures=ALL_INTERFACES,
    ipv6=True,
)
def refused_by_own_firewall(stage: Stage) -> None:
    _own_firewall(stage)
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.run("so_error", "send", "recv", "close")


@scenario(
    "reset-by-own-firewall-any",
    "the client's own firewall answers its data with a reset, once connected; all interfaces captured",
    captures=ALL_INTERFACES,
)
def reset_by_own_firewall(stage: Stage) -> None:
    stage.established()
    _own_firewall(stage, "tcp flags & psh == psh")
    stage.client.run("send", "recv", "send", "close")
