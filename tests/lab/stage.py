"""What a scenario works with: the two programs, the router's filter, and pauses."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .network import SLOW_DEVICE, CancelledError, LabError, Network
from .programs import RECORDED, UNDECIDED, Record
from .strace import Watched, watched

PROGRAMS = Path(__file__).with_name("programs.py")
BEACON_PORT = 9999
ONE_PORT = 41_000
STEP = 0.05  # between two calls: time for what the first one caused
Endpoint = tuple[str, int]


@dataclass
class Connection:
    """One connection that the client tried: its addresses and what both ends called, if both were there.

    One whose addresses are translated on the way is two, each with the calls of the end that knows it so.
    """

    protocol: str
    client: Endpoint
    server: Endpoint
    client_calls: list[Record] | None
    server_calls: list[Record] | None
    waiting: dict[str, Record] = field(default_factory=dict)  # calls that had not returned in the end


class End:
    """A program that runs in a namespace and is told what to call."""

    def __init__(self, network: Network, place: str) -> None:
        self.network = network
        self.place = place
        self.calls: list[Record] = []
        self.waiting: Record | None = None
        self.settings: dict[str, int] = {}
        self._unread = b""
        self.process = subprocess.Popen(
            network.python(place, PROGRAMS), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._line(timeout=20)

    def _line(self, timeout: float) -> bytes:
        """The next line that the program wrote."""
        stdout = self.process.stdout
        assert stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            if self.network.cancel.is_set():
                raise CancelledError("cancelled")
            if time.monotonic() > deadline:
                raise LabError(f"the {self.place} program did not return from its call within {timeout} s")
            if select.select([stdout], [], [], 0.2)[0]:
                more = os.read(stdout.fileno(), 65536)
                if not more:
                    raise LabError(f"the {self.place} program ended")
                self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def begin(self, call: str, **arguments: Any) -> None:
        """Let the program make a call, without waiting for it to return."""
        assert self.process.stdin is not None
        self.waiting = {"call": call, "began": round(time.time(), 6)}
        self.process.stdin.write(json.dumps({"call": call, **arguments}).encode() + b"\n")

    def finish(self, timeout: float = 30.0) -> Record:
        """Wait until that call has returned; its record, or the last one."""
        records: list[Record] = json.loads(self._line(timeout))
        self.waiting = None
        self.calls += [
            call for call in records if call["call"] in RECORDED and call["result"] not in UNDECIDED
        ]
        return records[-1]

    def do(self, call: str, **arguments: Any) -> Record:
        """A call that returns soon."""
        self.begin(call, **arguments)
        return self.finish()

    def run(self, *calls: str) -> None:
        """Calls one after the other, with a little time in between."""
        for call in calls:
            self.do(call)
            self.network.pause(STEP)

    def option(self, name: str, value: int) -> None:
        """Set a socket option, and remember it for the truth."""
        self.do("option", name=name, value=value)
        self.settings[name] = value

    def kill(self) -> None:
        """End the program; the kernel closes what it left open."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Stage:
    """Client and server, ready for a connection between them."""

    def __init__(self, network: Network, port: int, delay: float = 0.0) -> None:
        self.network = network
        self.port = port
        self.addresses = network.addresses
        self.virtual = ""  # the server's address as clients know it, where that is another
        self.delay = delay
        self.sysctls: dict[str, dict[str, int]] = {}
        self.client = End(network, "client")
        self.server = End(network, "server")
        self.server_runs = False
        self.client_program: Watched | None = None  # in place of those that are told what to call
        self.server_program: Watched | None = None
        self.helpers = contextlib.ExitStack()
        self.connections: list[Connection] = []

    def sysctl(self, place: str, name: str, value: int) -> None:
        """Set net.ipv4.NAME, and remember it for the truth."""
        self.network.sysctl(place, f"net.ipv4.{name}={value}")
        self.sysctls.setdefault(place, {})[name] = value

    def settings(self) -> dict[str, dict[str, int]]:
        """All that deviates from the kernel's defaults, by place."""
        ends = {"client": self.client.settings, "server": self.server.settings}
        merged = {place: {**self.sysctls.get(place, {}), **options} for place, options in ends.items()}
        return {place: values for place, values in merged.items() if values}

    def listen(self, **arguments: int) -> None:
        """The server begins to listen."""
        self.server.do("beacon_receiver", local=self.addresses.server, port=BEACON_PORT)
        self.server.do("listen", local=self.addresses.server, port=self.port, **arguments)
        self.server_runs = True

    def listen_datagrams(self) -> None:
        """The server has the UDP port."""
        self.server.do("open", local=self.addresses.server, port=self.port, datagram=True)
        self.server_runs = True

    def open(self, datagram: bool = False, port: int = 0) -> None:
        """The client makes its socket; what both ends call from now on is about a new connection."""
        local = self.client.do("open", local=self.addresses.client, datagram=datagram, port=port)["local"]
        self.client.calls, self.server.calls = [], []
        self.connections.append(
            Connection(
                protocol="udp" if datagram else "tcp",
                client=(local[0], local[1]),
                server=(self.virtual or self.addresses.server, self.port),
                client_calls=self.client.calls,
                server_calls=self.server.calls if self.server_runs else None,
            )
        )

    def begin_connect(self, **arguments: int) -> None:
        """The client calls connect()."""
        address = self.virtual or self.addresses.server
        self.client.begin("connect", address=address, port=self.port, **arguments)

    def connect(self, timeout: float = 30.0, **arguments: int) -> None:
        """The client calls connect() and it returns."""
        self.begin_connect(**arguments)
        self.client.finish(timeout)

    def establish(self, **arguments: int) -> None:
        """A connection, accepted."""
        self.listen(**arguments)
        self.open()
        self.connect()
        if self.client.calls[-1]["result"] != "OK":
            raise LabError(f"no connection: {self.client.calls[-1]['result']}")
        self.server.do("accept")
        self.pause()

    def exchange(self) -> None:
        """A request and its answer."""
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            sender.do("send", n=32)
            self.pause()
            receiver.do("recv")
        self.pause()

    def established(self) -> None:
        """A connection over which data has gone both ways."""
        self.establish()
        self.exchange()

    def pause(self, seconds: float = STEP) -> None:
        """Time for packets to arrive."""
        self.network.pause(max(seconds, 4 * self.delay))

    def filter(self, *rules: str) -> None:
        """What the router does to what it forwards; `PORT` is the server's port."""
        only = f"iifname {SLOW_DEVICE} " if self.delay else ""
        self.network.filter([only + rule.replace("PORT", str(self.port)) for rule in rules])

    def unfilter(self) -> None:
        """The router forwards everything."""
        self.network.filter([])

    def watch(self, place: str, *command: str) -> Watched:
        """Start a program that was not written for the lab, until the scenario ends."""
        return self.helpers.enter_context(watched(self.network, place, command))

    def one_port(self) -> None:
        """The client has one port only: strace does not show that of a connection that never was."""
        self.network.sysctl("client", f"net.ipv4.ip_local_port_range={ONE_PORT} {ONE_PORT}")

    def _traced(self) -> None:
        """The connections of the client's program to the server, from what strace saw."""
        assert self.client_program is not None
        server = (self.addresses.server, self.port)
        accepted = self.server_program.connections() if self.server_program else []
        for traced in self.client_program.connections():
            if traced.peer != server:
                continue
            client = traced.local if traced.local[1] else (self.addresses.client, ONE_PORT)
            calls = next((each.calls for each in accepted if each.accepted and each.peer == client), None)
            if self.server_runs:
                calls = self.server.calls
            self.connections.append(Connection("tcp", client, server, traced.calls, calls))

    def finished(self) -> None:
        """Nothing more will be called: remember which calls have not returned."""
        if self.client_program:
            self._traced()
            return
        ends = {"client": self.client.waiting, "server": self.server.waiting}
        if self.connections:
            self.connections[-1].waiting = {place: call for place, call in ends.items() if call is not None}

    def beacon(self) -> None:
        """A frame that has nothing to do with the connection and shows that the capture still ran."""
        bystander = End(self.network, "client")  # the client itself may be waiting in a call
        bystander.do("beacon", address=self.addresses.server, port=BEACON_PORT)
        bystander.kill()
        self.pause()


@contextlib.contextmanager
def stage(network: Network, port: int, delay: float) -> Iterator[Stage]:
    """Start the two programs, and end them."""
    made = Stage(network, port, delay)
    try:
        yield made
    finally:
        made.helpers.close()
        made.client.kill()
        made.server.kill()
