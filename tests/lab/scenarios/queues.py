"""The listener's queues."""

from __future__ import annotations

from tests.lab.stage import End, Stage

from .registry import AT_THE_ENDS, BEFORE_FILTER, SLOW_PATH, scenario

CROSSING = 0.02


def _another_client(stage: Stage) -> End:
    """A second program on the client's machine, of whose connection nothing is said."""
    other = End(stage.network, "client")
    stage.helpers.callback(other.kill)
    other.do("open", local=stage.addresses.client, datagram=False)
    other.begin("connect", address=stage.addresses.server, port=stage.port)
    return other


def _overflow(stage: Stage, user_timeout: int = 0) -> None:
    """Two clients connect at once, and the queue has room for one: our client comes second.

    With a backlog of 0 the second SYN would be answered with a cookie.
    """
    stage.listen(backlog=1)
    stage.open()
    if user_timeout:
        stage.client.option("TCP_USER_TIMEOUT", user_timeout)
    _another_client(stage).finish()
    other = _another_client(stage)
    stage.network.pause(0.005)
    stage.connect()
    other.finish()


def _accepted_later(stage: Stage) -> None:
    """The server takes one of the others, and ours a while later."""
    stage.client.do("send")
    stage.client.begin("recv")
    stage.pause(1.5)
    stage.server.do("accept")
    stage.pause(3)
    stage.server.do("accept")
    stage.server.calls.clear()
    stage.server.run("accept", "recv", "send")
    stage.client.finish()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "accept-queue-overflow-heals",
    "the accept queue is full when the client's ACK comes; SYN-ACK and request are sent again until accept()",
    delay=CROSSING,
    seconds=6,
)
def overflow_heals(stage: Stage) -> None:
    _overflow(stage)
    _accepted_later(stage)


@scenario(
    "accept-queue-overflow-reset",
    "the accept queue stays full, and the request is forgotten (tcp_synack_retries=1): a reset answers data",
    delay=CROSSING,
    seconds=12,
)
@scenario(
    "accept-queue-overflow-reset-ipv6",
    "as accept-queue-overflow-reset; IPv6",
    delay=CROSSING,
    ipv6=True,
    seconds=12,
)
def overflow_reset(stage: Stage) -> None:
    stage.sysctl("server", "tcp_synack_retries", 1)
    _overflow(stage)
    stage.client.do("send")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "accept-queue-overflow-timeout",
    "the accept queue stays full; the client gives up first: TCP_USER_TIMEOUT=3000",
    delay=CROSSING,
    seconds=14,
)
def overflow_timeout(stage: Stage) -> None:
    _overflow(stage, user_timeout=3000)
    stage.client.do("send")
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")
    stage.pause(6)
    stage.beacon()


@scenario(
    "accept-queue-overflow-waits",
    "the accept queue stays full and the client waits for the server to speak first: it never gets an error",
    delay=CROSSING,
    seconds=12,
)
def overflow_waits(stage: Stage) -> None:
    stage.sysctl("server", "tcp_synack_retries", 2)
    _overflow(stage)
    stage.client.begin("recv")
    stage.pause(9)
    stage.beacon()


@scenario(
    "accept-queue-overflow-aborts",
    "the accept queue is full, tcp_abort_on_overflow=1: connect() succeeds, a reset answers its ACK",
    delay=CROSSING,
    seconds=4,
)
@scenario(
    "accept-queue-overflow-aborts-ipv6",
    "as accept-queue-overflow-aborts, the client sends first; IPv6",
    delay=CROSSING,
    ipv6=True,
    seconds=5,
)
def overflow_aborts(stage: Stage) -> None:
    stage.sysctl("server", "tcp_abort_on_overflow", 1)
    _overflow(stage)
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "accept-queue-full-syn-dropped",
    "the accept queue is full: the listener drops the SYNs; TCP_SYNCNT=1",
    captures=AT_THE_ENDS,
    seconds=14,
)
def syn_dropped(stage: Stage) -> None:
    stage.listen(backlog=0)
    stage.open()
    stage.client.option("TCP_SYNCNT", 1)
    _another_client(stage).finish()
    stage.pause()
    stage.connect()
    stage.client.run("so_error", "recv", "send", "close")
    stage.pause(6)
    stage.beacon()


@scenario(
    "clean-syn-cookies",
    "the server answers SYNs with cookies (tcp_syncookies=2); request and answer",
    seconds=3,
)
def cookies(stage: Stage) -> None:
    stage.sysctl("server", "tcp_syncookies", 2)
    stage.established()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "syn-cookies-queue-full",
    "SYN cookies, and the accept queue is full when the ACK comes; the request gets through later",
    delay=CROSSING,
    seconds=7,
)
def cookies_full(stage: Stage) -> None:
    stage.sysctl("server", "tcp_syncookies", 2)
    _overflow(stage)
    _accepted_later(stage)


@scenario(
    "syn-cookies-ack-lost",
    "SYN cookies, and the client's ACK is lost: the client waits for a server that knows nothing of it",
    captures=BEFORE_FILTER,
    seconds=7,
)
def cookies_ack_lost(stage: Stage) -> None:
    stage.sysctl("server", "tcp_syncookies", 2)
    stage.listen()
    stage.open()
    stage.filter("tcp dport PORT tcp flags & (syn | ack) == ack drop")
    stage.client.option("SO_RCVTIMEO", 3000)
    stage.connect()
    stage.client.do("recv")
    stage.client.run("close")
    stage.pause(1)
    stage.beacon()


def _waiting_for_accept(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.begin("recv")
    stage.pause()
    stage.server.do("unlisten")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "listener-closed-before-accept-no-data",
    "the server ends its listener while the client, which waits for its greeting, is not yet accepted",
)
@scenario(
    "listener-closed-before-accept-ipv6",
    "as listener-closed-before-accept-no-data, 10 ms round trip; IPv6",
    delay=SLOW_PATH,
    ipv6=True,
    seconds=3,
)
def listener_closed(stage: Stage) -> None:
    _waiting_for_accept(stage)


@scenario(
    "listener-closed-half-open",
    "the listener is closed while the SYN-ACK is under way: the client's ACK is answered by a reset",
    delay=CROSSING,
    seconds=4,
)
def listener_closed_half_open(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.begin_connect()
    stage.network.pause(0.03)
    stage.server.do("unlisten")
    stage.client.finish()
    stage.client.begin("recv")
    stage.client.finish()
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "rst-in-accept-queue-ipv6",
    "the client sends and aborts before the server accepts; 10 ms round trip, IPv6",
    delay=SLOW_PATH,
    ipv6=True,
    seconds=4,
)
def accept_queue(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.do("send")
    stage.pause()
    stage.client.option("SO_LINGER", 0)
    stage.client.run("close")
    stage.pause()
    stage.server.run("accept", "recv", "recv", "recv", "send", "so_error", "close")


@scenario(
    "rst-in-accept-queue-after-fin",
    "the client sends, shuts its sending side and aborts before the server accepts",
    seconds=3,
)
def accept_queue_after_fin(stage: Stage) -> None:
    stage.listen()
    stage.open()
    stage.connect()
    stage.client.run("send", "shutdown")
    stage.client.option("SO_LINGER", 0)
    stage.client.run("close")
    stage.server.run("accept", "recv", "recv", "send", "so_error", "close")
