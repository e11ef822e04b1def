"""UDP."""

from __future__ import annotations

from tests.lab.stage import BEACON_PORT, Stage

from .registry import AT_THE_CLIENT, AT_THE_ENDS, BEFORE_FILTER, EVERYWHERE, SLOW_PATH, scenario

DONT_FRAGMENT = 2  # IP_PMTUDISC_DO


@scenario(
    "udp-connection-refused-waiting",
    "nobody has the UDP port; the client already waits when the ICMP comes",
    delay=SLOW_PATH,
    seconds=3,
)
@scenario(
    "udp-connection-refused-ipv6",
    "nobody has the UDP port; the client already waits when the ICMP comes; IPv6",
    delay=SLOW_PATH,
    ipv6=True,
    seconds=4,
)
def refused_waiting(stage: Stage) -> None:
    stage.open(datagram=True)
    stage.connect()
    stage.client.do("send")
    stage.client.do("recv")
    stage.client.do("recv", patience=200)
    stage.client.do("send")
    stage.pause()
    stage.client.run("so_error", "close")


DNS_QUESTION = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"


@scenario(
    "dns-unanswered",
    "a resolver asks twice, as with timeout:2 attempts:2, and a firewall drops its questions",
    captures=AT_THE_CLIENT,
    seconds=14,
)
def dns_unanswered(stage: Stage) -> None:
    stage.port = 53
    stage.listen_datagrams()
    stage.server.do("beacon_receiver", local=stage.addresses.server, port=BEACON_PORT)
    stage.filter("udp dport PORT drop")
    stage.open(datagram=True)
    stage.connect()
    for _ in range(2):
        stage.client.do("send", text=DNS_QUESTION)
        stage.client.do("recv", patience=2000)
    stage.client.run("close")
    stage.network.pause(4)
    stage.beacon()


@scenario("udp-connection-refused-later", "the server answers, then closes; the client asks again", seconds=4)
def refused_later(stage: Stage) -> None:
    _asked(stage)
    stage.server.run("close")
    stage.client.run("send", "recv", "close")


def _asked(stage: Stage) -> None:
    """A question and its answer."""
    stage.listen_datagrams()
    stage.open(datagram=True)
    stage.connect()
    stage.client.run("send")
    stage.server.run("recv")
    stage.server.do("send", back=True)
    stage.pause()
    stage.client.run("recv")


@scenario("clean-udp", "a question and its answer over UDP", captures=AT_THE_ENDS, seconds=4)
@scenario(
    "clean-udp-ipv6", "a question and its answer over UDP; IPv6", ipv6=True, captures=AT_THE_ENDS, seconds=4
)
def answered(stage: Stage) -> None:
    _asked(stage)
    stage.client.run("close")
    stage.server.run("close")


@scenario(
    "udp-refused-unconnected",
    "nobody has the UDP port; the socket is not connected, so that its program is never told",
    seconds=3,
)
def unconnected(stage: Stage) -> None:
    stage.open(datagram=True)
    to = [stage.addresses.server, stage.port]
    for _ in range(2):
        stage.client.do("send", to=to)
        stage.pause()
        stage.client.do("recv", patience=200)
    stage.client.run("so_error", "close")


@scenario(
    "udp-refused-unconnected-recverr",
    "nobody has the UDP port; the socket is not connected, but asks for errors (IP_RECVERR)",
    captures=AT_THE_CLIENT,
    seconds=4,
)
def unconnected_recverr(stage: Stage) -> None:
    stage.open(datagram=True)
    stage.client.option("IP_RECVERR", 1)
    stage.client.do("send", to=[stage.addresses.server, stage.port])
    stage.pause()
    stage.client.run("recv", "so_error", "close")


def _rejected(stage: Stage, kind: str, recverr: bool) -> None:
    family = "icmpv6" if stage.network.ipv6 else "icmp"
    stage.filter(f"udp dport PORT reject with {family} type {kind}")
    stage.listen_datagrams()
    stage.open(datagram=True)
    if recverr:
        stage.client.option("IP_RECVERR", 1)
    stage.connect()
    for _ in range(2):
        stage.client.do("send")
        stage.pause()
        stage.client.do("recv", patience=200)
    stage.client.run("so_error", "close")


@scenario(
    "udp-host-unreachable",
    "the router answers with ICMP host unreachable; without IP_RECVERR the program is not told",
    captures=BEFORE_FILTER,
    seconds=4,
)
def host_unreachable(stage: Stage) -> None:
    _rejected(stage, "host-unreachable", recverr=False)


@scenario(
    "udp-host-unreachable-recverr",
    "the router answers with ICMP host unreachable; IP_RECVERR: the program is told",
    captures=BEFORE_FILTER,
    seconds=4,
)
def host_unreachable_recverr(stage: Stage) -> None:
    _rejected(stage, "host-unreachable", recverr=True)


@scenario(
    "udp-admin-prohibited",
    "the router answers with ICMP administratively prohibited",
    captures=BEFORE_FILTER,
    seconds=4,
)
def admin_prohibited(stage: Stage) -> None:
    _rejected(stage, "admin-prohibited", recverr=False)


@scenario(
    "udp-message-too-long",
    "the next link takes 1000 bytes only; the client forbids fragments and is told by ICMP",
    captures=BEFORE_FILTER,
    seconds=3,
)
def message_too_long(stage: Stage) -> None:
    stage.network.ip("middle", "link set rs mtu 1000\n")
    stage.listen_datagrams()
    stage.open(datagram=True)
    stage.client.option("IP_MTU_DISCOVER", DONT_FRAGMENT)
    stage.connect()
    stage.client.do("send", n=1400)
    stage.pause()
    stage.client.do("recv", patience=200)
    stage.client.do("send", n=1400)
    stage.client.run("so_error")
    stage.client.do("send", n=500)
    stage.client.run("close")


@scenario(
    "udp-no-answer",
    "the server reads each question and is silent; the client asks three times, a second apart, then closes",
    captures=AT_THE_ENDS,
    seconds=6,
)
def no_answer(stage: Stage) -> None:
    stage.listen_datagrams()
    stage.open(datagram=True)
    stage.connect()
    for _ in range(3):
        stage.client.do("send")
        stage.server.do("recv")
        stage.client.do("recv", patience=1000)
    stage.client.run("close")


@scenario("clean-udp-fragments", "4000 bytes in one datagram, as fragments", captures=EVERYWHERE, seconds=4)
@scenario(
    "clean-udp-fragments-ipv6",
    "4000 bytes in one datagram, as fragments; IPv6",
    ipv6=True,
    captures=AT_THE_ENDS,
    seconds=4,
)
def fragments(stage: Stage) -> None:
    stage.listen_datagrams()
    stage.open(datagram=True)
    stage.connect()
    stage.client.do("send", n=4000)
    stage.pause()
    stage.server.do("recv", n=65536)
    stage.server.do("send", n=4000, back=True)
    stage.pause()
    stage.client.do("recv", n=65536)
    stage.client.run("close")


@scenario(
    "udp-connection-refused-fragments",
    "nobody has the UDP port; the question was 4000 bytes, in fragments",
    captures=AT_THE_ENDS,
    seconds=4,
)
def refused_fragments(stage: Stage) -> None:
    stage.open(datagram=True)
    stage.connect()
    stage.client.do("send", n=4000)
    stage.pause()
    stage.client.run("recv", "send", "close")


@scenario(
    "udp-no-route-ipv6",
    "the router answers with ICMPv6 no route; the program is not told",
    ipv6=True,
    captures=BEFORE_FILTER,
    seconds=4,
)
def no_route(stage: Stage) -> None:
    _rejected(stage, "no-route", recverr=False)


@scenario(
    "udp-admin-prohibited-ipv6",
    "the router answers with ICMPv6 administratively prohibited",
    ipv6=True,
    captures=BEFORE_FILTER,
    seconds=4,
)
def admin_prohibited_ipv6(stage: Stage) -> None:
    _rejected(stage, "admin-prohibited", recverr=False)


@scenario(
    "udp-message-too-long-ipv6",
    "the next link takes 1300 bytes only; the client is told by ICMPv6; its socket has default settings",
    ipv6=True,
    captures=BEFORE_FILTER,
    seconds=4,
)
@scenario(
    "udp-message-too-long-default",
    "the next link takes 1300 bytes only; the client is told by ICMP; its socket has default settings",
    captures=BEFORE_FILTER,
    seconds=4,
)
def message_too_long_default(stage: Stage) -> None:
    stage.network.ip("middle", "link set rs mtu 1300\n")
    stage.listen_datagrams()
    stage.open(datagram=True)
    stage.connect()
    stage.client.do("send", n=1400)
    stage.pause()
    stage.client.do("recv", patience=200)
    stage.client.do("send", n=1400)
    stage.client.do("recv", patience=200)
    stage.client.run("so_error", "close")


@scenario(
    "clean-udp-server-silent-then-answers",
    "the client asks twice, as the first question is lost, and gets its answer",
    captures=BEFORE_FILTER,
    seconds=5,
)
def asked_twice(stage: Stage) -> None:
    stage.listen_datagrams()
    stage.open(datagram=True)
    stage.connect()
    stage.filter("udp dport PORT drop")
    stage.client.do("send")
    stage.client.do("recv", patience=1000)
    stage.unfilter()
    stage.client.run("send")
    stage.server.run("recv")
    stage.server.do("send", back=True)
    stage.pause()
    stage.client.run("recv", "close")
    stage.server.run("close")
