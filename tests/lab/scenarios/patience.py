"""A program that waits no longer, and answers that only take their time."""

from __future__ import annotations

from tests.lab.stage import Stage

from .registry import AT_THE_CLIENT, AT_THE_ENDS, DROP, scenario


@scenario(
    "gave-up-waiting-ipv6",
    "the client polls two seconds for an answer, then closes; IPv6",
    ipv6=True,
    seconds=5,
)
def gave_up_polling(stage: Stage) -> None:
    stage.established()
    stage.server.begin("recv")
    stage.client.do("send")
    stage.server.finish()
    stage.client.do("recv", patience=2000)
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "gave-up-waiting-aborts",
    "the client waits two seconds for an answer, then aborts (SO_LINGER 0)",
    seconds=5,
)
def gave_up_aborting(stage: Stage) -> None:
    stage.established()
    stage.client.option("SO_LINGER", 0)
    stage.server.begin("recv")
    stage.client.do("send")
    stage.server.finish()
    stage.client.do("recv", patience=2000)
    stage.client.run("close")
    stage.server.run("recv", "recv", "send", "close")


@scenario(
    "gave-up-waiting-unacknowledged",
    "the path breaks; the client waits two seconds, then closes; its request was never acknowledged",
    captures=AT_THE_CLIENT,
    seconds=6,
)
def gave_up_unacknowledged(stage: Stage) -> None:
    stage.established()
    stage.filter(*DROP)
    stage.client.do("send")
    stage.client.do("recv", patience=2000)
    stage.client.run("close")
    stage.pause(1)


@scenario(
    "gave-up-waiting-mid-answer",
    "the answer stops in the middle; the client waits two seconds for the rest, then closes",
    seconds=5,
)
def gave_up_mid_answer(stage: Stage) -> None:
    stage.established()
    stage.client.run("send")
    stage.server.run("recv")
    stage.server.do("send", text="HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    stage.server.do("send", n=1000)
    stage.pause()
    stage.client.do("recv")
    stage.client.do("recv", patience=2000)
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario("clean-slow-answer", "the answer takes two seconds; the client would wait three", seconds=5)
def slow_answer(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.client.begin("recv", patience=3000)
    stage.server.do("recv")
    stage.pause(2)
    stage.server.do("send")
    stage.client.finish()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "clean-long-poll",
    "two long polls, each answered after three seconds; then the client closes",
    captures=AT_THE_ENDS,
    seconds=9,
)
def long_poll(stage: Stage) -> None:
    stage.established()
    for _ in range(2):
        stage.client.do("send")
        stage.client.begin("recv")
        stage.server.do("recv")
        stage.pause(3)
        stage.server.do("send")
        stage.client.finish()
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "clean-idle-client-closes",
    "the client keeps a connection for two seconds after its answer, then closes",
    captures=AT_THE_ENDS,
    seconds=5,
)
def idle_client(stage: Stage) -> None:
    stage.established()
    stage.pause(2)
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "clean-notification-then-close",
    "the client sends a last message that wants no answer, and closes two seconds later",
    captures=AT_THE_ENDS,
    seconds=5,
)
def notification(stage: Stage) -> None:
    stage.established()
    stage.client.do("send", text="QUIT\r\n")
    stage.server.run("recv")
    stage.pause(2)
    stage.client.run("close")
    stage.server.run("recv", "close")
