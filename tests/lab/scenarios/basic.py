"""Refused, unreachable, reset, timed out, given up; and what goes well."""

from __future__ import annotations

from tests.lab.stage import Stage

from .registry import AT_THE_ENDS, BEFORE_FILTER, DROP, SLOW_PATH, Play, scenario

# connect() fails


@scenario("connection-refused-ipv6", "nobody listens on the port, IPv6", ipv6=True)
@scenario("connection-refused", "nobody listens on the port")
def refused(stage: Stage) -> None:
    stage.open()
    stage.connect()
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "connection-refused-then-retried", "nobody listens yet; the client tries again, and gets its answer"
)
def refused_retried(stage: Stage) -> None:
    stage.open()
    stage.connect()
    stage.client.run("close")
    stage.pause(0.3)
    stage.established()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario("udp-connection-refused", "nobody has the UDP port; the client waits for the answer")
def udp_refused(stage: Stage) -> None:
    stage.open(datagram=True)
    stage.connect()
    stage.client.do("send")
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "udp-connection-refused-send-first", "nobody has the UDP port; the client sends again before it reads"
)
def udp_refused_send(stage: Stage) -> None:
    stage.open(datagram=True)
    stage.connect()
    stage.client.run("send", "send", "send", "recv", "close")


@scenario(
    "connection-refused-nonblocking",
    "nobody listens; connect() of an event loop over a slow path",
    delay=SLOW_PATH,
)
def refused_nonblocking(stage: Stage) -> None:
    stage.open()
    stage.connect(nonblocking=True)
    stage.client.run("send", "recv", "so_error", "close")


@scenario(
    "connection-refused-by-firewall",
    "the router's firewall answers the SYN with a reset",
    captures=BEFORE_FILTER,
)
def refused_by_firewall(stage: Stage) -> None:
    stage.filter("tcp dport PORT reject with tcp reset")
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.run("so_error", "send", "recv", "close")


def _unreachable(reject: str) -> Play:
    def play(stage: Stage) -> None:
        stage.filter(f"tcp dport PORT reject with {reject}")
        stage.listen()
        stage.open()
        stage.connect()
        stage.client.run("recv", "send", "so_error", "close")

    return play


for _kind in ("host-unreachable", "net-unreachable", "port-unreachable", "admin-prohibited"):
    scenario(
        f"icmp-{_kind}-connect",
        f"the router answers the SYN with ICMP {_kind}; slow path, so that connect() already waits",
        captures=BEFORE_FILTER,
        delay=SLOW_PATH,
    )(_unreachable(f"icmp type {_kind}"))
for _kind, _type in (
    ("no-route", "no-route"),
    ("admin-prohibited", "admin-prohibited"),
    ("address-unreachable", "addr-unreachable"),
    ("port-unreachable", "port-unreachable"),
):
    scenario(
        f"icmpv6-{_kind}-connect",
        f"the router answers the SYN with ICMPv6 {_kind}; slow path, so that connect() already waits",
        captures=BEFORE_FILTER,
        ipv6=True,
        delay=SLOW_PATH,
    )(_unreachable(f"icmpv6 type {_type}"))


@scenario(
    "icmp-host-unreachable-while-sending-syn",
    "ICMP comes while connect() still sends the SYN",
    captures=BEFORE_FILTER,
)
def unreachable_at_once(stage: Stage) -> None:
    _unreachable("icmp type host-unreachable")(stage)


@scenario("connect-timeout", "SYNs are dropped; TCP_SYNCNT=2", seconds=15, captures=BEFORE_FILTER)
def connect_timeout(stage: Stage) -> None:
    stage.filter(*DROP)
    stage.listen()
    stage.open()
    stage.client.option("TCP_SYNCNT", 2)
    stage.connect()
    stage.client.run("so_error", "recv", "send", "close")
    stage.unfilter()
    stage.pause(7)
    stage.beacon()


@scenario(
    "connect-timeout-default", "SYNs are dropped; default settings", seconds=280, captures=BEFORE_FILTER
)
def connect_timeout_default(stage: Stage) -> None:
    stage.filter(*DROP)
    stage.listen()
    stage.open()
    stage.connect(timeout=300)
    stage.client.run("recv", "send", "so_error", "close")
    stage.unfilter()
    stage.pause(135)
    stage.beacon()


_NO_ANSWER = "tcp sport PORT tcp flags & (syn | ack) == (syn | ack) drop"


@scenario(
    "syn-ack-never-arrives-stopped",
    "the server's answers to the SYN are lost on the way; TCP_SYNCNT=2",
    seconds=15,
    captures=AT_THE_ENDS,
)
def syn_ack_never_arrives_stopped(stage: Stage) -> None:
    stage.filter(_NO_ANSWER)
    stage.listen()
    stage.open()
    stage.client.option("TCP_SYNCNT", 2)
    stage.connect()
    stage.client.run("so_error", "recv", "send", "close")
    stage.pause(12)
    stage.beacon()


@scenario(
    "syn-ack-never-arrives",
    "the server's answers to the SYN are lost on the way; default settings",
    seconds=280,
    captures=AT_THE_ENDS,
)
def syn_ack_never_arrives(stage: Stage) -> None:
    stage.filter(_NO_ANSWER)
    stage.listen()
    stage.open()
    stage.connect(timeout=300)
    stage.client.run("recv", "send", "so_error", "close")
    stage.pause(135)
    stage.beacon()


# a reset


@scenario("reset-by-peer-waiting", "the client waits for the answer; the server aborts (SO_LINGER 0)")
@scenario(
    "reset-by-peer-ipv6", "the client waits for the answer; the server aborts (SO_LINGER 0), IPv6", ipv6=True
)
@scenario("reset-by-peer-slow-path", "the client waits; the server aborts, 10 ms round trip", delay=SLOW_PATH)
def reset_waiting(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause()
    stage.server.run("recv")
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario("reset-by-peer-sending", "the server aborts an idle connection; the client then sends")
def reset_sending(stage: Stage) -> None:
    stage.established()
    stage.server.option("SO_LINGER", 0)
    stage.server.run("close")
    stage.client.run("send", "send", "recv", "so_error", "close")


@scenario(
    "reset-by-peer-so-error-first", "the server aborts an idle connection; the client asks for SO_ERROR"
)
def reset_so_error(stage: Stage) -> None:
    stage.established()
    stage.server.option("SO_LINGER", 0)
    stage.server.run("close")
    stage.client.run("so_error", "recv", "send", "close")


@scenario("reset-by-peer-close-unread", "the server closes although it has not read the request")
def reset_close_unread(stage: Stage) -> None:
    stage.established()
    stage.client.do("send", n=200)
    stage.client.begin("recv")
    stage.pause()
    stage.server.do("close")
    stage.client.finish()
    stage.client.run("send", "recv", "close")


@scenario(
    "reset-by-peer-data-unread", "answer and reset come before the client reads; it still gets the answer"
)
def reset_data_unread(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.pause()
    stage.server.run("recv", "send")
    stage.server.option("SO_LINGER", 0)
    stage.server.run("close")
    stage.client.run("recv", "recv", "recv", "send", "close")


@scenario(
    "reset-after-half-close", "the client has shut its sending side; the server aborts without an answer"
)
def reset_half_closed(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.client.do("shutdown")
    stage.client.begin("recv")
    stage.pause()
    stage.server.run("recv", "recv")
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    stage.client.finish()
    stage.client.run("recv", "so_error", "close")


@scenario("reset-server-side", "the server waits for the next request; the client aborts (SO_LINGER 0)")
def reset_server_side(stage: Stage) -> None:
    stage.established()
    stage.server.begin("recv")
    stage.client.option("SO_LINGER", 0)
    stage.client.do("close")
    stage.server.finish()
    stage.server.run("recv", "send", "so_error", "close")


@scenario("reset-server-side-sending", "the client aborts; the server then sends")
def reset_server_side_sending(stage: Stage) -> None:
    stage.established()
    stage.client.option("SO_LINGER", 0)
    stage.client.run("close")
    stage.server.run("send", "send", "recv", "so_error", "close")


@scenario(
    "listener-closed-before-accept", "the server ends its listener while the client waits to be accepted"
)
def listener_closed(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause()
    stage.server.do("unlisten")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario("rst-in-accept-queue", "the client sends and aborts before the server accepts")
def accept_queue(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.do("send")
    stage.pause()
    stage.client.option("SO_LINGER", 0)
    stage.client.run("close")
    stage.server.run("accept", "recv", "recv", "recv", "send", "so_error", "close")


@scenario("rst-in-accept-queue-no-data", "the client aborts before the server accepts, without having sent")
def accept_queue_no_data(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.option("SO_LINGER", 0)
    stage.client.run("close")
    stage.server.run("accept", "send", "send", "recv", "close")


@scenario(
    "reset-by-peer-data-in-flight",
    "the server sends an answer and aborts at once",
    delay=SLOW_PATH,
)
def reset_with_data_in_flight(stage: Stage) -> None:
    stage.established()
    stage.server.option("SO_LINGER", 0)
    stage.server.do("send", n=1000)
    stage.client.begin("recv")
    stage.server.do("close")
    stage.client.finish()
    stage.client.run("recv", "recv", "send", "close")


@scenario(
    "reset-by-firewall-established",
    "the router no longer knows the connection and resets it; the server learns nothing",
)
def reset_by_firewall(stage: Stage) -> None:
    stage.established()
    stage.server.begin("recv")
    stage.filter("tcp dport PORT reject with tcp reset")
    stage.client.do("send")
    stage.pause()
    stage.client.run("recv", "recv", "send", "so_error", "close")


@scenario(
    "data-after-shutdown-both-ways",
    "the server calls shutdown(SHUT_RDWR); data of the client resets the connection",
)
def data_after_shutdown(stage: Stage) -> None:
    stage.established()
    stage.server.do("shutdown", how="SHUT_RDWR")
    stage.pause()
    stage.client.run("send", "send", "recv", "close")
    stage.server.run("so_error", "recv", "send", "close")


# a reset after the end of the stream


def _answered_and_closed(stage: Stage) -> None:
    """The server answers the request and closes."""
    stage.established()
    stage.client.do("send")
    stage.pause()
    stage.server.run("recv", "send", "close")


@scenario("rst-after-fin-send-first", "the server answers and closes; the client goes on sending")
@scenario("rst-after-fin-ipv6", "the server answers and closes; the client goes on sending, IPv6", ipv6=True)
def rst_after_fin_send(stage: Stage) -> None:
    _answered_and_closed(stage)
    stage.client.run("send", "send", "send", "recv", "recv", "so_error", "close")


@scenario(
    "rst-after-fin-recv-first", "the server answers and closes; the client reads the end, sends, and reads on"
)
def rst_after_fin_recv(stage: Stage) -> None:
    _answered_and_closed(stage)
    stage.client.run("recv", "recv", "send", "recv", "recv", "send", "so_error", "close")


@scenario(
    "rst-after-fin-so-error-first", "the server answers and closes; the client sends and asks for SO_ERROR"
)
def rst_after_fin_so_error(stage: Stage) -> None:
    _answered_and_closed(stage)
    stage.client.run("recv", "recv", "send", "so_error", "send", "recv", "so_error", "close")


@scenario("rst-after-fin-crossing", "the server closes while the client's data is under way", delay=0.02)
def rst_after_fin_crossing(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.server.do("send")
    stage.server.do("close")
    stage.pause()
    stage.client.run("recv", "recv", "send", "send", "close")


@scenario("rst-after-fin-server-sending", "the client closes; the server goes on sending")
def rst_after_fin_server(stage: Stage) -> None:
    stage.established()
    stage.client.run("close")
    stage.server.run("send", "send", "recv", "so_error", "close")


@scenario(
    "rst-after-fin-server-reads-end",
    "the client closes; the server reads the end and still sends two answers",
)
def rst_after_fin_server_reads(stage: Stage) -> None:
    stage.established()
    stage.client.run("send", "close")
    stage.server.run("recv", "recv", "send", "send", "send", "so_error", "close")


# timeouts


def _lost(stage: Stage) -> None:
    """The path breaks, and the client has sent something."""
    stage.established()
    stage.server.begin("recv")
    stage.filter(*DROP)
    stage.client.do("send")


def _afterwards(stage: Stage, seconds: float = 7) -> None:
    """The path is whole again; a frame shows that no retransmission came."""
    stage.unfilter()
    stage.pause(seconds)
    stage.beacon()


@scenario("retransmission-timeout", "the path breaks; the client waits in recv(); tcp_retries2=3", seconds=20)
def retransmission(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    _lost(stage)
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    _afterwards(stage)


@scenario(
    "retransmission-timeout-send-first", "the path breaks; the client sends later; tcp_retries2=3", seconds=20
)
def retransmission_send(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    _lost(stage)
    stage.pause(9)
    stage.client.run("send", "send", "recv", "so_error", "close")
    _afterwards(stage)


@scenario(
    "retransmission-timeout-so-error-first",
    "the path breaks; SO_ERROR is asked later; IPv6",
    ipv6=True,
    seconds=20,
)
def retransmission_so_error(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    _lost(stage)
    stage.pause(9)
    stage.client.run("so_error", "recv", "send", "close")
    _afterwards(stage)


@scenario(
    "retransmission-timeout-server",
    "the path breaks; the server's answer is lost; tcp_retries2=3",
    seconds=20,
)
def retransmission_server(stage: Stage) -> None:
    stage.sysctl("server", "tcp_retries2", 3)
    stage.established()
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause()
    stage.server.do("recv")
    stage.filter(*DROP)
    stage.server.do("send")
    stage.server.begin("recv")
    stage.server.finish()
    stage.server.run("recv", "send", "so_error", "close")
    _afterwards(stage)


@scenario("retransmission-user-timeout", "the path breaks; TCP_USER_TIMEOUT=3000", seconds=20)
def retransmission_user(stage: Stage) -> None:
    stage.established()
    stage.client.option("TCP_USER_TIMEOUT", 3000)
    stage.server.begin("recv")
    stage.filter(*DROP)
    stage.client.do("send")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    _afterwards(stage)


@scenario(
    "retransmission-icmp-soft-error",
    "the path breaks with ICMP host unreachable; tcp_retries2=3",
    seconds=20,
    delay=SLOW_PATH,
)
def retransmission_soft(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    stage.established()
    stage.server.begin("recv")
    stage.filter("tcp dport PORT reject with icmp type host-unreachable", "tcp sport PORT drop")
    stage.client.do("send")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    _afterwards(stage)


@scenario(
    "retransmission-recovers", "the path breaks for a second and heals; nobody gets an error", seconds=5
)
def retransmission_recovers(stage: Stage) -> None:
    stage.established()
    stage.server.begin("recv")
    stage.filter(*DROP)
    stage.client.do("send")
    stage.pause(1)
    stage.unfilter()
    stage.server.finish()
    stage.server.do("send")
    stage.client.run("recv", "close")
    stage.server.run("recv", "close")


@scenario(
    "retransmission-storm-cut", "the path breaks; the capture ends while the client retransmits", seconds=6
)
def retransmission_cut(stage: Stage) -> None:
    _lost(stage)
    stage.client.begin("recv")
    stage.pause(3)


@scenario(
    "retransmission-default",
    "the path breaks; default settings: the kernel gives up after 939 s",
    seconds=1200,
)
def retransmission_default(stage: Stage) -> None:
    _lost(stage)
    stage.client.begin("recv")
    stage.client.finish(timeout=1100)
    stage.client.run("recv", "send", "so_error", "close")
    _afterwards(stage, 250)


@scenario(
    "keepalive-timeout", "the path breaks on an idle connection with keepalive; the client waits", seconds=15
)
def keepalive_timeout(stage: Stage) -> None:
    stage.established()
    for name, value in (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3)):
        stage.client.option(name, value)
    stage.filter(*DROP)
    stage.server.begin("recv")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    _afterwards(stage, 4)


# an end of file in place of an answer, a program that gives up: no errno


@scenario("closed-without-answer", "the server reads the request and closes without an answer")
def closed_without_answer(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause()
    stage.server.run("recv", "close")
    stage.client.finish()
    stage.client.run("close")


@scenario("gave-up-waiting", "the client's own timer ends its wait of two seconds for an answer", seconds=5)
def gave_up(stage: Stage) -> None:
    stage.established()
    stage.client.option("SO_RCVTIMEO", 2000)
    stage.client.do("send")
    stage.client.do("recv")
    stage.client.run("close")
    stage.server.run("recv", "recv", "close")


@scenario(
    "gave-up-connecting",
    "SYNs are dropped; the client's own timer ends the wait after two seconds",
    captures=BEFORE_FILTER,
    seconds=5,
)
def gave_up_connecting(stage: Stage) -> None:
    stage.filter(*DROP)
    stage.listen()
    stage.open()
    stage.connect(nonblocking=True, patience=2000)
    stage.client.run("close")
    stage.pause(1)
    stage.beacon()


@scenario(
    "gave-up-before-answer",
    "the client's own timer ends its wait; the server answers a connection that is closed",
    seconds=5,
)
def gave_up_before_answer(stage: Stage) -> None:
    stage.established()
    stage.client.option("SO_RCVTIMEO", 1000)
    stage.client.do("send")
    stage.client.do("recv")
    stage.client.run("close")
    stage.server.run("recv", "send", "send", "recv", "so_error", "close")


@scenario("server-killed", "the server is killed while the client waits for its answer")
def server_killed(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause()
    stage.server.do("recv")
    stage.server.kill()
    stage.client.finish()
    stage.client.run("send", "send", "recv", "close")


# nothing went wrong


@scenario("clean-request-response", "request and answer; the client closes first")
@scenario("clean-ipv6", "request and answer; the client closes first; IPv6", ipv6=True)
@scenario("clean-slow-path", "request and answer; the client closes first; 10 ms round trip", delay=SLOW_PATH)
@scenario(
    "clean-any-interface",
    "captured on all interfaces: LINUX_SLL2 at the client, LINUX_SLL at the server",
    captures={"client": ("-i", "any"), "server": ("-i", "any", "-y", "LINUX_SLL")},
)
@scenario(
    "clean-any-interface-router",
    "captured on all interfaces of the router: every packet is there twice",
    captures={"middle": ("-i", "any")},
)
def clean(stage: Stage) -> None:
    stage.established()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario("clean-health-check", "the client connects and closes, without data")
def clean_health_check(stage: Stage) -> None:
    stage.establish()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario("clean-syn-lost", "the first SYN is lost", seconds=4)
def clean_syn_lost(stage: Stage) -> None:
    stage.filter("tcp dport PORT tcp flags syn numgen inc mod 100 == 0 drop")
    clean(stage)


@scenario("clean-syn-ack-lost", "the first answer to the SYN is lost", seconds=4)
def clean_syn_ack_lost(stage: Stage) -> None:
    stage.filter("tcp sport PORT tcp flags & syn == syn numgen inc mod 100 == 0 drop")
    clean(stage)


@scenario("clean-zero-window", "the server reads late: its receive window closes and opens again", seconds=5)
def clean_zero_window(stage: Stage) -> None:
    stage.server.settings["SO_RCVBUF"] = 4096
    stage.establish(receive_buffer=4096)
    stage.client.begin("send", n=20_000)
    stage.pause(1)
    stage.server.do("recv_all", n=20_000)
    stage.client.finish()
    stage.server.do("send")
    stage.client.run("recv", "close")
    stage.server.run("recv", "close")


@scenario(
    "clean-server-closes-client-stays",
    "the server closes; the client reads the end and closes a second later",
    seconds=4,
)
def clean_client_stays(stage: Stage) -> None:
    stage.established()
    stage.server.run("close")
    stage.client.run("recv")
    stage.pause(1)
    stage.client.run("close")


@scenario("clean-server-closes-first", "request and answer; the server closes first")
def clean_server_first(stage: Stage) -> None:
    stage.established()
    stage.server.run("close")
    stage.client.run("recv", "close")


@scenario("clean-half-close", "the client ends its side, the server reads all, answers, closes")
def clean_half_close(stage: Stage) -> None:
    stage.establish()
    stage.client.do("send", n=500)
    stage.client.run("shutdown")
    stage.server.run("recv", "recv", "send", "close")
    stage.client.run("recv", "recv", "close")


@scenario("clean-client-shutdown-then-reads", "the client ends its side and then reads several answers")
def clean_shutdown_reads(stage: Stage) -> None:
    stage.established()
    stage.client.run("shutdown")
    stage.server.run("recv")
    for _ in range(3):
        stage.server.do("send", n=1000)
        stage.client.run("recv")
    stage.server.run("close")
    stage.client.run("recv", "close")


@scenario("clean-both-close-at-once", "both ends close at the same moment, slow path", delay=0.02)
def clean_both_close(stage: Stage) -> None:
    stage.established()
    stage.client.begin("close")
    stage.server.begin("close")
    stage.client.finish()
    stage.server.finish()
    stage.pause(0.2)


@scenario(
    "clean-heavy-loss", "60 kB although one packet in five is lost either way", delay=SLOW_PATH, seconds=60
)
def clean_heavy_loss(stage: Stage) -> None:
    stage.established()
    stage.filter(
        "tcp dport PORT numgen random mod 100 < 20 drop", "tcp sport PORT numgen random mod 100 < 20 drop"
    )
    stage.server.begin("recv_all", n=60_000)
    stage.client.do("send", n=60_000)
    stage.server.finish(timeout=120)
    stage.unfilter()
    stage.server.do("send")
    stage.client.run("recv", "close")
    stage.server.run("recv", "close")
    stage.pause(1)


@scenario(
    "clean-reset-after-both-closed",
    "the client sends and closes after the server closed: a reset for nobody",
    delay=0.02,
)
def clean_reset_for_nobody(stage: Stage) -> None:
    _answered_and_closed(stage)
    stage.client.do("recv")
    stage.client.do("recv")
    stage.client.do("send")
    stage.client.do("close")
    stage.pause(0.2)


@scenario("clean-keepalive-idle", "an idle connection whose keepalive probes are answered", seconds=7)
def clean_keepalive(stage: Stage) -> None:
    stage.established()
    for name, value in (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1)):
        stage.client.option(name, value)
    stage.pause(3.5)
    stage.exchange()
    stage.client.run("close")
    stage.server.run("recv", "close")
