"""What both ends say decides: HTTP and TLS that end early, and what looks like it and is well."""

from __future__ import annotations

from tests.lab.stage import End, Stage
from tests.lab.tls.wire import Wire

from .registry import AT_THE_ENDS, SLOW_PATH, Play, scenario

UPLOAD = "POST /upload HTTP/1.1\r\nHost: lab\r\nContent-Length: 100000\r\n\r\n"
REFUSAL = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
UNRECOGNIZED_NAME = "\x15\x03\x03\x00\x02\x02\x70"


class _Carried:
    """The bytes of a TLS client and server in memory, sent by the two programs."""

    def __init__(self, stage: Stage, wire: Wire) -> None:
        self._ends = {"client": stage.client, "server": stage.server}
        self._stage = stage
        self._wire = wire
        self._sent = {"client": 0, "server": 0}

    def carry(self) -> None:
        """What each end has said since the last time."""
        self._wire.carry()
        for name in ("client", "server"):
            data = self._wire.said[name][self._sent[name] :]
            self._sent[name] += len(data)
            if data:
                self.send(self._ends[name], data)
                self._stage.pause()
                self._ends["server" if name == "client" else "client"].do("recv", n=65536)

    def send(self, end: End, data: bytes) -> None:
        end.do("send", text=data.decode("latin-1"))

    def shake_hands(self) -> None:
        for _ in range(3):
            for end in (self._wire.client, self._wire.server):
                self._wire.step(end)
                self.carry()


@scenario(
    "clean-tls-preconnect",
    "a TLS connection is opened ahead (1.3, no tickets) and never used; the server closes it after a second",
    captures=AT_THE_ENDS,
    seconds=4,
)
def preconnect(stage: Stage) -> None:
    stage.establish()
    _Carried(stage, Wire(tickets=0)).shake_hands()
    stage.pause(1)
    stage.server.run("close")
    stage.client.run("recv", "close")


@scenario(
    "eof-in-tls-record",
    "the server's program ends in the middle of a TLS record of 5000 bytes",
    delay=SLOW_PATH,
    captures=AT_THE_ENDS,
    seconds=4,
)
def in_record(stage: Stage) -> None:
    stage.establish()
    wire = Wire()
    carried = _Carried(stage, wire)
    carried.shake_hands()
    wire.client.write(b"GET /list HTTP/1.1\r\nHost: lab.example\r\n\r\n")
    carried.carry()
    before = len(wire.said["server"])
    wire.server.write(b"x" * 5000)
    wire.carry()
    carried.send(stage.server, wire.said["server"][before:][:2000])
    stage.pause()
    stage.client.do("recv")
    stage.client.begin("recv")
    stage.server.kill()
    stage.client.finish()
    stage.client.run("close")


@scenario(
    "tls-alert-unrecognized-name",
    "the server knows no such name: it answers the ClientHello with an alert, and closes",
    captures=AT_THE_ENDS,
    seconds=4,
)
def alert(stage: Stage) -> None:
    stage.establish()
    wire = Wire()
    wire.step(wire.client)
    _Carried(stage, wire).carry()
    stage.server.do("send", text=UNRECOGNIZED_NAME)
    stage.server.run("close")
    stage.client.run("recv", "recv", "close")


def _hello(stage: Stage) -> None:
    wire = Wire()
    wire.step(wire.client)
    wire.carry()
    stage.client.do("send", text=wire.said["client"].decode("latin-1"))
    stage.pause()


@scenario(
    "tls-hello-reset-by-filter",
    "a filter on the way answers the ClientHello with a reset, as one that looks at the server name does",
    captures=AT_THE_ENDS,
    delay=SLOW_PATH,
    seconds=4,
)
def hello_filtered(stage: Stage) -> None:
    stage.filter("tcp dport PORT @ih,0,8 0x16 reject with tcp reset")
    stage.establish()
    _hello(stage)
    stage.client.run("recv", "send", "so_error", "close")
    stage.pause(0.3)


@scenario(
    "tls-hello-reset-by-server",
    "the server aborts at the ClientHello (SO_LINGER 0)",
    captures=AT_THE_ENDS,
    seconds=4,
)
def hello_aborted(stage: Stage) -> None:
    stage.establish()
    _hello(stage)
    stage.server.do("recv", n=65536)
    stage.server.option("SO_LINGER", 0)
    stage.server.do("close")
    stage.client.run("recv", "send", "so_error", "close")


@scenario(
    "clean-upload-refused-early",
    "the server answers an upload (413) while it goes on, reads what came, and closes",
    captures=AT_THE_ENDS,
    seconds=4,
)
def early_answer(stage: Stage) -> None:
    stage.establish()
    stage.client.do("send", text=UPLOAD)
    stage.client.do("send", n=1000)
    stage.pause()
    stage.server.do("recv", n=65536)
    stage.server.do("send", text=REFUSAL)
    stage.client.do("send", n=1000)
    stage.pause()
    stage.server.do("recv", n=65536)
    stage.server.run("close")
    stage.client.run("recv", "recv", "close")


@scenario(
    "clean-syslog-server-closes",
    "log lines, which nobody answers; the server is restarted and closes",
    captures=AT_THE_ENDS,
    seconds=4,
)
def syslog(stage: Stage) -> None:
    stage.establish()
    for number in range(3):
        stage.client.do("send", text=f"<34>1 2026-01-01T00:00:0{number}Z lab program - - - line {number}\n")
        stage.pause()
        stage.server.do("recv")
    stage.server.run("close")
    stage.client.run("recv", "close")


@scenario(
    "clean-measurement-sent",
    "one line of measurements (graphite); the program waits a second, as nc -w 1 does, and leaves",
    captures=AT_THE_ENDS,
    seconds=4,
)
def measurement(stage: Stage) -> None:
    stage.establish()
    stage.client.do("send", text="servers.web1.load 42 1767225600\n")
    stage.client.do("recv", patience=1000)
    stage.client.do("close")
    stage.pause()
    stage.server.run("recv", "recv", "close")


_WEBSOCKET = (
    ("client", "GET /chat HTTP/1.1\r\nHost: lab\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    ("server", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    ("client", "\x81\x85abcd\x09\x07\x0f\x08\x0e"),
    ("server", "\x88\x02\x03\xe8"),
    ("client", "\x88\x82abcd\x62\x8a"),
)
_AMQP = (
    ("client", "AMQP\0\0\x09\x01"),
    ("server", "\x01\0\0\0\0\0\x04\0\x0a\0\x0a\xce"),
    ("client", "\x01\0\0\0\0\0\x04\0\x0a\0\x0b\xce"),
    ("server", "\x01\0\0\0\0\0\x0b\0\x0a\0\x32\x01\x40\0\0\0\0\0\xce"),
    ("client", "\x01\0\0\0\0\0\x04\0\x0a\0\x33\xce"),
)
_HTTP2 = (
    ("client", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x82"),
    ("server", "\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88"),
    ("client", "\0\0\x08\x06\0\0\0\0\0areyouok\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0"),
)


def _goodbye(said: tuple[tuple[str, str], ...]) -> Play:
    """What both ends say in turn, until the client's last words tell the server to close."""

    def play(stage: Stage) -> None:
        stage.establish()
        for name, text in said:
            ends = (stage.client, stage.server) if name == "client" else (stage.server, stage.client)
            ends[0].do("send", text=text)
            stage.pause()
            ends[1].do("recv")
        stage.server.run("close")
        stage.client.run("recv", "close")

    return play


for _name, _said, _told in (
    ("websocket", _WEBSOCKET, "WebSocket: the server's Close frame is answered by the client's"),
    ("amqp", _AMQP, "AMQP: the server's connection.close is answered by close-ok"),
    ("http2", _HTTP2, "HTTP/2: a request and its answer, then a ping and GOAWAY"),
):
    scenario(f"clean-goodbye-{_name}", f"{_told}; the server closes", captures=AT_THE_ENDS, seconds=4)(
        _goodbye(_said)
    )


@scenario(
    "clean-server-asks",
    "the server speaks first (SMTP); the client takes its leave, and the server only closes",
    captures=AT_THE_ENDS,
    seconds=4,
)
def smtp(stage: Stage) -> None:
    stage.establish()
    for sender, receiver, text in (
        (stage.server, stage.client, "220 lab.example ESMTP\r\n"),
        (stage.client, stage.server, "EHLO client\r\n"),
        (stage.server, stage.client, "250 lab.example\r\n"),
        (stage.client, stage.server, "QUIT\r\n"),
    ):
        sender.do("send", text=text)
        stage.pause()
        receiver.do("recv")
    stage.server.run("close")
    stage.client.run("recv", "close")
