"""What a path does to large packets, and ICMP that harms nobody."""

from __future__ import annotations

from tests.lab.stage import Stage

from .registry import AT_THE_ENDS, BEFORE_FILTER, EVERYWHERE, SLOW_PATH, scenario


def _upload(stage: Stage) -> None:
    stage.server.begin("recv_all", n=20_000)
    stage.client.do("send", n=20_000)
    stage.server.finish()
    stage.server.do("send")
    stage.client.run("recv", "close")
    stage.server.run("recv", "close")


@scenario(
    "clean-path-mtu",
    "the router's next link is smaller and its ICMP says so: the client sends smaller segments",
    captures=EVERYWHERE,
    seconds=3,
)
@scenario(
    "clean-path-mtu-ipv6",
    "the router's next link is smaller and its ICMPv6 says so: the client sends smaller segments; IPv6",
    ipv6=True,
    captures=AT_THE_ENDS,
    seconds=4,
)
def path_mtu(stage: Stage) -> None:
    stage.established()
    stage.network.ip("middle", "link set rs mtu 1300\n")
    _upload(stage)


@scenario(
    "path-mtu-black-hole",
    "the router's next link is smaller and nobody says so: only large segments are lost; tcp_retries2=3",
    captures=BEFORE_FILTER,
    seconds=20,
)
def black_hole(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    stage.established()
    stage.filter("tcp dport PORT meta length > 1000 drop")
    stage.server.begin("recv_all", n=20_000)
    stage.client.do("send", n=20_000)
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    stage.unfilter()
    stage.pause(7)
    stage.beacon()


@scenario(
    "path-mtu-black-hole-heals",
    "as path-mtu-black-hole, but the path heals after two seconds",
    captures=BEFORE_FILTER,
    seconds=6,
)
def black_hole_heals(stage: Stage) -> None:
    stage.established()
    stage.filter("tcp dport PORT meta length > 1000 drop")
    stage.server.begin("recv_all", n=20_000)
    stage.client.do("send", n=20_000)
    stage.pause(2)
    stage.unfilter()
    stage.server.finish()
    stage.server.do("send")
    stage.client.run("recv", "close")
    stage.server.run("recv", "close")


@scenario(
    "path-mtu-black-hole-server-ipv6",
    "only large segments of the server are lost: the request arrives, its answer never; tcp_retries2=3; IPv6",
    ipv6=True,
    captures={"server": ()},
    seconds=20,
)
def black_hole_server(stage: Stage) -> None:
    stage.sysctl("server", "tcp_retries2", 3)
    stage.established()
    stage.filter("tcp sport PORT meta length > 1000 drop")
    stage.client.do("send")
    stage.pause()
    stage.server.run("recv")
    stage.server.do("send", n=6000)
    stage.server.begin("recv")
    stage.server.finish()
    stage.server.run("recv", "send", "so_error", "close")
    stage.pause(7)
    stage.beacon()


@scenario(
    "one-way-loss",
    "nothing of the server arrives any more: request and answer are sent again and again; tcp_retries2=3",
    captures=AT_THE_ENDS,
    seconds=20,
)
@scenario(
    "one-way-loss-ipv6",
    "as one-way-loss; IPv6",
    ipv6=True,
    captures=AT_THE_ENDS,
    seconds=20,
)
def one_way(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    stage.sysctl("server", "tcp_retries2", 3)
    stage.established()
    stage.filter("tcp sport PORT drop")
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause()
    stage.server.run("recv", "send")
    stage.server.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    stage.server.finish()
    stage.server.run("recv", "send", "so_error", "close")
    stage.pause(7)
    stage.unfilter()
    stage.beacon()


@scenario(
    "clean-icmp-then-heals",
    "the path breaks for a second, with ICMP host unreachable, and heals: the error was soft",
    delay=SLOW_PATH,
    captures=BEFORE_FILTER,
    seconds=5,
)
def icmp_heals(stage: Stage) -> None:
    stage.established()
    stage.filter("tcp dport PORT reject with icmp type host-unreachable", "tcp sport PORT drop")
    stage.server.begin("recv")
    stage.client.do("send")
    stage.pause(1)
    stage.unfilter()
    stage.server.finish()
    stage.server.do("send")
    stage.client.run("recv", "so_error", "close")
    stage.server.run("recv", "close")
