"""A receiver that does not read, and data that nobody acknowledges after the other end's FIN."""

from __future__ import annotations

from tests.lab.stage import Stage

from .registry import AT_THE_ENDS, BEFORE_FILTER, DROP, scenario

SMALL = 4096
MUCH = 40_000


def _full(stage: Stage) -> None:
    """The server does not read, and its window is small."""
    stage.server.settings["SO_RCVBUF"] = SMALL
    stage.establish(receive_buffer=SMALL)


def _filled(stage: Stage) -> None:
    """... and closed is the window: the client has sent what went in, within half a second."""
    _full(stage)
    stage.client.do("option", name="SO_SNDTIMEO", value=500)
    stage.client.do("send", n=10_000_000)
    stage.client.do("option", name="SO_SNDTIMEO", value=0)


@scenario(
    "clean-zero-window-ipv6",
    "the server begins to read after four seconds: window probes; IPv6",
    ipv6=True,
    captures=AT_THE_ENDS,
    seconds=8,
)
def reads_late(stage: Stage) -> None:
    _full(stage)
    stage.client.begin("send", n=MUCH)
    stage.pause(4)
    stage.server.do("recv_all", n=MUCH)
    stage.client.finish()
    stage.server.do("send")
    stage.client.run("recv", "close")
    stage.server.run("recv", "close")


@scenario(
    "gave-up-zero-window",
    "the server does not read; the client gives up sending after two seconds and aborts (SO_LINGER 0)",
    captures=AT_THE_ENDS,
    seconds=6,
)
def gave_up_sending(stage: Stage) -> None:
    _full(stage)
    stage.client.option("SO_SNDTIMEO", 2000)
    stage.client.option("SO_LINGER", 0)
    stage.client.do("send", n=10_000_000)
    stage.client.run("close")
    stage.server.do("so_error")
    stage.server.run("send", "close")


@scenario(
    "zero-window-reader-closes",
    "the server does not read and closes: what it has not read makes that a reset",
    captures=AT_THE_ENDS,
    seconds=5,
)
def reader_closes(stage: Stage) -> None:
    _filled(stage)
    stage.client.begin("send", n=10_000_000)
    stage.pause()
    stage.server.do("close")
    stage.client.finish()
    stage.client.run("send", "send", "recv", "so_error", "close")


@scenario(
    "zero-window-timeout",
    "the server does not read, then the path breaks: window probes without an answer; tcp_retries2=3",
    captures=BEFORE_FILTER,
    seconds=30,
)
def probes_lost(stage: Stage) -> None:
    stage.sysctl("client", "tcp_retries2", 3)
    _filled(stage)
    stage.filter(*DROP)
    stage.client.begin("send", n=10_000_000)
    stage.client.finish(timeout=60)
    stage.client.run("send", "recv", "so_error", "close")
    _whole_again(stage)


@scenario(
    "retransmission-timeout-close-wait",
    "the server closes, then the path breaks: the client's data is never acknowledged; tcp_retries2=3",
    captures=BEFORE_FILTER,
    seconds=20,
)
def close_wait(stage: Stage) -> None:
    _lost_in_close_wait(stage)
    stage.client.run("send", "send", "recv", "so_error", "close")
    _whole_again(stage)


@scenario(
    "retransmission-timeout-close-wait-recv",
    "as retransmission-timeout-close-wait, but the client reads first; IPv6",
    ipv6=True,
    captures=BEFORE_FILTER,
    seconds=20,
)
def close_wait_recv(stage: Stage) -> None:
    _lost_in_close_wait(stage)
    stage.client.run("recv", "send", "send", "so_error", "close")
    _whole_again(stage)


def _whole_again(stage: Stage) -> None:
    stage.unfilter()
    stage.pause(7)
    stage.beacon()


def _lost_in_close_wait(stage: Stage) -> None:
    """The server has ended its side; the client's data is lost until its kernel gives up."""
    stage.sysctl("client", "tcp_retries2", 3)
    stage.established()
    stage.server.do("shutdown")
    stage.pause()
    stage.filter(*DROP)
    stage.client.do("send")
    stage.pause(9)
