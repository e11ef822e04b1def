"""An end of file while an answer was due, and ends of file that are all right."""

from __future__ import annotations

from tests.lab.stage import Stage

from .registry import AT_THE_ENDS, SLOW_PATH, scenario

CLIENT_HELLO = "\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03" + 42 * "\x00"
CLOSE_NOTIFY = "\x15\x03\x03\x00\x02\x01\x00"
REQUEST = "GET /list HTTP/1.1\r\nHost: lab\r\n\r\n"
ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"


@scenario(
    "premature-eof-idle-close",
    "the server closes an idle connection while the next request is on its way; the client reads the end",
    delay=0.02,
    seconds=3,
)
def idle_close(stage: Stage) -> None:
    stage.established()
    stage.pause(1)
    stage.server.begin("close")
    stage.client.do("send")
    stage.server.finish()
    stage.client.do("recv")
    stage.client.do("close")
    stage.pause(0.2)


@scenario(
    "premature-eof-ipv6",
    "the server's program ends after it has read the request; 10 ms round trip, IPv6",
    delay=SLOW_PATH,
    ipv6=True,
    seconds=4,
)
def server_exits(stage: Stage) -> None:
    stage.established()
    stage.client.do("send", text=REQUEST)
    stage.client.begin("recv")
    stage.pause()
    stage.server.do("recv")
    stage.server.kill()
    stage.client.finish()
    stage.client.run("close")


@scenario(
    "premature-eof-client-hello", "the server closes after the first record of a TLS handshake", seconds=4
)
def after_hello(stage: Stage) -> None:
    stage.establish()
    stage.client.do("send", text=CLIENT_HELLO)
    stage.client.begin("recv")
    stage.pause()
    stage.server.run("recv", "close")
    stage.client.finish()
    stage.client.run("close")


@scenario(
    "premature-eof-second-request",
    "the first request is answered; the second, in two parts, is acknowledged and ends with the connection",
    seconds=4,
)
def second_request(stage: Stage) -> None:
    stage.established()
    stage.client.run("send", "send")
    stage.client.begin("recv")
    stage.server.run("recv")
    stage.pause(0.5)
    stage.server.run("close")
    stage.client.finish()
    stage.client.run("close")


@scenario(
    "premature-eof-mid-answer", "the server closes after 2000 of the 5000 bytes that its header announced"
)
def mid_answer(stage: Stage) -> None:
    stage.establish()
    stage.client.do("send", text=REQUEST)
    stage.pause()
    stage.server.run("recv")
    stage.server.do("send", text=ANSWER)
    for _ in range(2):
        stage.server.do("send", n=1000)
        stage.pause()
        stage.client.do("recv")
    stage.server.run("close")
    stage.client.run("recv", "close")


@scenario("clean-quit-no-answer", "the client says QUIT; the server closes without a word", seconds=4)
def quit_no_answer(stage: Stage) -> None:
    stage.established()
    stage.client.do("send", text="QUIT\r\n")
    stage.pause()
    stage.server.run("recv", "close")
    stage.client.run("recv", "close")


@scenario("clean-upload-client-closes", "the client only sends, and closes", captures=AT_THE_ENDS, seconds=4)
def upload_client_closes(stage: Stage) -> None:
    stage.establish()
    for _ in range(4):
        stage.client.do("send", n=1000)
        stage.pause()
        stage.server.do("recv")
    stage.client.run("close")
    stage.server.run("recv", "close")


@scenario(
    "clean-upload-server-closes",
    "the client only sends; the server has all that it waited for, and closes",
    captures=AT_THE_ENDS,
    seconds=4,
)
def upload_server_closes(stage: Stage) -> None:
    stage.establish()
    for _ in range(4):
        stage.client.do("send", n=1000)
        stage.pause()
        stage.server.do("recv")
    stage.server.run("close")
    stage.client.run("recv", "close")


@scenario(
    "clean-half-close-no-answer",
    "the client sends and ends its side; the server reads all and closes",
    captures=AT_THE_ENDS,
    seconds=4,
)
def half_close_no_answer(stage: Stage) -> None:
    stage.establish()
    stage.client.do("send", n=500)
    stage.client.run("shutdown")
    stage.server.run("recv", "recv", "close")
    stage.client.run("recv", "close")


@scenario("clean-server-talks-only", "the server sends and closes; the client never says a word", seconds=4)
def server_talks_only(stage: Stage) -> None:
    stage.establish()
    stage.server.run("send", "send", "close")
    stage.client.run("recv", "recv", "close")


@scenario(
    "clean-close-notify",
    "answer, close_notify, FIN; the client says close_notify too, and closes: a reset for nobody",
    delay=SLOW_PATH,
    seconds=3,
)
def close_notify(stage: Stage) -> None:
    stage.established()
    stage.client.do("send")
    stage.pause()
    stage.server.do("recv")
    stage.server.do("send", n=500)
    stage.server.do("send", text=CLOSE_NOTIFY)
    stage.server.do("close")
    stage.pause()
    stage.client.do("recv")
    stage.client.do("send", text=CLOSE_NOTIFY)
    stage.client.do("close")
    stage.pause(0.2)


@scenario(
    "clean-server-idle-timeout",
    "the server closes an idle connection after two seconds; the client reads the end",
    seconds=5,
)
def idle_timeout(stage: Stage) -> None:
    stage.established()
    stage.server.do("recv", patience=2000)
    stage.server.run("close")
    stage.client.run("recv", "close")
