"""The program at one end of a connection: makes the socket calls it is told to, says what each returned.

It runs as a process of its own inside a namespace: `python programs.py`. Each line on its standard input is
a request, `{"call": "recv", ...}`; for each it writes one line, a list of records
`{"t": ..., "call": ..., "result": ..., "n": ...}`. `t` is the time when the call returned, `began`, where it
waited, when it was made. It holds one connection, a listener if it is a server, and a UDP socket.
"""

import errno
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

Request = dict[str, Any]
Record = dict[str, Any]

UNDECIDED = frozenset({"EAGAIN", "EINPROGRESS"})  # no results
RECORDED = frozenset({"connect", "accept", "recv", "send", "shutdown", "close", "so_error"})
OPTIONS = {
    "SO_KEEPALIVE": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "SO_RCVTIMEO": (socket.SOL_SOCKET, socket.SO_RCVTIMEO),
    "SO_SNDTIMEO": (socket.SOL_SOCKET, socket.SO_SNDTIMEO),
    "IP_MTU_DISCOVER": (socket.IPPROTO_IP, 10),
    "IP_RECVERR": (socket.IPPROTO_IP, 11),
    "TCP_KEEPIDLE": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    "TCP_KEEPINTVL": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "TCP_KEEPCNT": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    "TCP_SYNCNT": (socket.IPPROTO_TCP, socket.TCP_SYNCNT),
    "TCP_USER_TIMEOUT": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
}
TIMEOUTS = ("SO_RCVTIMEO", "SO_SNDTIMEO")
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_SEND_QUEUE, TCP_REPAIR_OFF_NO_WP = 2, -1
WAITED = 0.002
PAYLOAD = b"abcdefghijklmnopqrstuvwxyz0123456789"


def payload(n: int) -> bytes:
    """`n` bytes that can be told apart when read in a capture."""
    return (PAYLOAD * (n // len(PAYLOAD) + 1))[:n]


def errno_name(number: int) -> str:
    """The name of an errno; `OK` for 0."""
    return "OK" if number == 0 else errno.errorcode.get(number, str(number))


class Program:
    """One end: its sockets, and a method for each call."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.listener: socket.socket | None = None
        self.datagrams: socket.socket | None = None
        self.asked_by: Any = None  # who sent the last datagram to a server

    @property
    def connection(self) -> socket.socket:
        if self.sock is None:
            raise RuntimeError("no connection")
        return self.sock

    def handle(self, request: Request) -> list[Record]:
        """Do one request; more than one record comes from those that call repeatedly."""
        if request["call"] == "recv_all":
            return self.recv_all(request)
        return [self.record(request)]

    def record(self, request: Request) -> Record:
        """Make one call and tell what came of it; `began` only where it had to wait."""
        call = str(request["call"])
        method: Callable[[Request], Record] = getattr(self, call)
        began = round(time.time(), 6)
        try:
            outcome = method(request)
        except OSError as error:
            outcome = {"result": errno_name(error.errno or 0)}
        ended = round(time.time(), 6)
        waited = {"began": began} if ended - began > WAITED else {}
        return {"t": ended, "call": call, **outcome, **waited}

    def recv_all(self, request: Request) -> list[Record]:
        """Receive until `n` bytes have come, the peer has finished or there was an error."""
        records: list[Record] = []
        left = int(request["n"])
        while left > 0:
            records.append(self.record({"call": "recv", "n": 65536}))
            if records[-1]["result"] != "OK":
                break
            left -= records[-1]["n"]
        return records

    def open(self, request: Request) -> Record:
        """Make a socket; bound, so that its port is known whatever happens (0: any)."""
        family = socket.AF_INET6 if ":" in request["local"] else socket.AF_INET
        kind = socket.SOCK_DGRAM if request["datagram"] else socket.SOCK_STREAM
        self.sock = socket.socket(family, kind)
        self.sock.bind((request["local"], request.get("port", 0)))
        return {"result": "OK", "local": self.sock.getsockname()[:2]}

    def listen(self, request: Request) -> Record:
        """Make the server's listener."""
        family = socket.AF_INET6 if ":" in request["local"] else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if "receive_buffer" in request:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, request["receive_buffer"])
        self.listener.bind((request["local"], request["port"]))
        self.listener.listen(request.get("backlog", 16))
        return {"result": "OK"}

    def unlisten(self, request: Request) -> Record:
        """Close the listener."""
        if self.listener is not None:
            self.listener.close()
        return {"result": "OK"}

    def option(self, request: Request) -> Record:
        """Set a socket option; SO_LINGER means on, with that many seconds; timeouts are in milliseconds."""
        name, value = request["name"], int(request["value"])
        if name == "SO_LINGER":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, value))
        elif name in TIMEOUTS:
            interval = struct.pack("ll", value // 1000, value % 1000 * 1000)
            self.connection.setsockopt(*OPTIONS[name], interval)
        else:
            self.connection.setsockopt(*OPTIONS[name], value)
        return {"result": "OK"}

    def first_number(self, request: Request) -> Record:
        """Choose the first sequence number of a socket that is not connected yet."""
        for option, value in (
            (TCP_REPAIR, 1),
            (TCP_REPAIR_QUEUE, TCP_SEND_QUEUE),
            (TCP_QUEUE_SEQ, request["value"]),
            (TCP_REPAIR, TCP_REPAIR_OFF_NO_WP),
        ):
            self.connection.setsockopt(socket.IPPROTO_TCP, option, value)
        return {"result": "OK"}

    def vanish(self, request: Request) -> Record:
        """Let the connection be forgotten without a packet, as if this machine had lost power."""
        self.connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        self.connection.close()
        return {"result": "OK"}

    def beacon(self, request: Request) -> Record:
        """Send a datagram that has nothing to do with the connection."""
        family = socket.AF_INET6 if ":" in request["address"] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"beacon", (request["address"], request["port"]))
        return {"result": "OK"}

    def beacon_receiver(self, request: Request) -> Record:
        """Be there for the datagrams, so that nobody answers them."""
        family = socket.AF_INET6 if ":" in request["local"] else socket.AF_INET
        self.datagrams = socket.socket(family, socket.SOCK_DGRAM)
        self.datagrams.bind((request["local"], request["port"]))
        return {"result": "OK"}

    def connect(self, request: Request) -> Record:
        """connect(), with `nonblocking` as an event loop does it: EINPROGRESS, poll, SO_ERROR.

        It stays at EINPROGRESS if the program's `patience` (milliseconds) ends before.
        """
        address = (request["address"], request["port"])
        if not request.get("nonblocking"):
            return {"result": errno_name(self.connection.connect_ex(address))}
        self.connection.setblocking(False)
        number = self.connection.connect_ex(address)
        if number == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(self.connection, select.POLLOUT)
            if poll.poll(request.get("patience")):
                number = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.connection.setblocking(True)
        return {"result": errno_name(number)}

    def accept(self, request: Request) -> Record:
        if self.listener is None:
            raise RuntimeError("no listener")
        self.sock, _ = self.listener.accept()
        return {"result": "OK"}

    def recv(self, request: Request) -> Record:
        """recv(); with `patience` (milliseconds) after a poll that may end without a result."""
        if "patience" in request:
            poll = select.poll()
            poll.register(self.connection, select.POLLIN)
            if not poll.poll(request["patience"]):
                return {"result": "EAGAIN"}
        data, sender = self.connection.recvfrom(request.get("n", 4096))
        self.asked_by = sender
        return {"result": "OK", "n": len(data)} if data else {"result": "EOF"}

    def send(self, request: Request) -> Record:
        """send() of `n` bytes or of `text`; sendto() where it says `to`, or `back` to who asked last."""
        data = request["text"].encode("latin-1") if "text" in request else payload(request.get("n", 16))
        to = self.asked_by if request.get("back") else request.get("to")
        sent = self.connection.sendto(data, tuple(to)) if to else self.connection.send(data)
        return {"result": "OK", "n": sent}

    def shutdown(self, request: Request) -> Record:
        self.connection.shutdown(getattr(socket, request.get("how", "SHUT_WR")))
        return {"result": "OK"}

    def close(self, request: Request) -> Record:
        self.connection.close()
        return {"result": "OK"}

    def so_error(self, request: Request) -> Record:
        number = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return {"result": errno_name(number)}


def main() -> None:
    """Answer requests until the standard input ends."""
    program = Program()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(program.handle(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
