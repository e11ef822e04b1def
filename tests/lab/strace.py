"""A program that was not written for the lab, watched by strace: what its socket calls returned.

`strace -f -yy -ttt -T` names the kind of each descriptor and, while it is connected, both its endpoints; it
says when each call began and how long it took.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .network import LabError, Network
from .programs import UNDECIDED, WAITED, Record

Endpoint = tuple[str, int]
WATCHED = "network,read,write,readv,writev,sendfile,close"
RECEIVE = frozenset({"read", "readv", "recv", "recvfrom", "recvmsg"})
SEND = frozenset({"write", "writev", "send", "sendto", "sendmsg", "sendfile"})
ANSWERS_CONNECT = frozenset({"OK", "EISCONN"})
INTERRUPTED = "ERESTART"
START_S = 20.0
LINE = re.compile(
    r"(?P<pid>\d+) +(?P<began>\d+\.\d+) (?P<call>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+)"
    r"(?:<(?P<made>[^ ]*)>)?(?: (?P<error>E\w+) .*)? <(?P<took>\d+\.\d+)>$"
)
DESCRIPTOR = re.compile(r"(?P<number>\d+)<(?P<kind>TCP|TCPv6):\[(?P<ends>.*?)\]>(?:[,)]|$)")
UNFINISHED, RESUMED = " <unfinished ...>", re.compile(r"(?P<head>\d+ +)\d+\.\d+ <\.\.\. \w+ resumed>")
ENDED = re.compile(r"(?P<pid>\d+) +(?P<t>\d+\.\d+) \+\+\+ (?:exited|killed)")
PEER = re.compile(
    r"port=htons\((?P<port>\d+)\).*?(?:inet_addr\(\"(?P<v4>[^\"]+)\"|inet_pton\(AF_INET6, \"(?P<v6>[^\"]+)\")"
)
PENDING = re.compile(r"SO_ERROR, \[(?P<error>\w+)\]")


@dataclass
class Traced:
    """One connection of the program: what its calls on it returned. Port 0: never shown."""

    local: Endpoint
    peer: Endpoint
    calls: list[Record] = field(default_factory=list)
    accepted: bool = False
    connecting: float | None = None
    """When a connect() began that has not got its result."""


def parse(text: str) -> list[Traced]:
    """The connections in the output of `strace -f -yy -ttt -T`, in the order in which they were made."""
    reader = _Reader()
    for line in _whole(text.splitlines()):
        ended = ENDED.match(line)
        match = LINE.match(line)
        if ended:
            reader.ended(float(ended["t"]))
        elif match and not (match["error"] or "").startswith(INTERRUPTED):
            reader.called(match)
    return reader.made


def _whole(lines: Sequence[str]) -> Iterator[str]:
    """Calls that strace wrote in two lines, since another thread's came between, are put together."""
    begun: dict[str, str] = {}
    for line in lines:
        pid = line.partition(" ")[0]
        if line.endswith(UNFINISHED):
            begun[pid] = line.removesuffix(UNFINISHED)
        elif resumed := RESUMED.match(line):
            yield begun.pop(pid, "") + line[resumed.end() :]
        else:
            yield line


class _Reader:
    """Follows the descriptors of one program."""

    def __init__(self) -> None:
        self.made: list[Traced] = []
        self.open: dict[int, Traced] = {}

    def called(self, match: re.Match[str]) -> None:
        """One call that returned."""
        call, rest = match["call"], match["rest"]
        if call in ("accept", "accept4"):
            self._accepted(match)
            return
        descriptor = DESCRIPTOR.match(rest)
        if descriptor is None:
            return
        number = int(descriptor["number"])
        if call == "connect" and number not in self.open:
            self._connects(number, rest)
        connection = self.open.get(number)
        if connection is None:
            return
        connection.local = _ends(descriptor["ends"]).get("local", connection.local)
        self._result(connection, match, call, rest)
        if call == "close":
            del self.open[number]

    def ended(self, when: float) -> None:
        """The program is gone: the kernel closes what it left."""
        for connection in self.open.values():
            connection.calls.append({"t": round(when, 6), "call": "close", "result": "OK"})
        self.open.clear()

    def _connects(self, number: int, rest: str) -> None:
        peer = PEER.search(rest)
        if peer:
            address = peer["v4"] or peer["v6"]
            self._add(number, Traced(("", 0), (address, int(peer["port"]))))

    def _accepted(self, match: re.Match[str]) -> None:
        made = re.match(r"TCP(?:v6)?:\[(.*)\]$", match["made"] or "")
        ends = _ends(made[1]) if made else {}
        if "peer" in ends:
            connection = Traced(ends["local"], ends["peer"], accepted=True)
            self._add(int(match["result"]), connection)
            _note(connection, match, "accept", "OK")

    def _add(self, number: int, connection: Traced) -> None:
        self.made.append(connection)
        self.open[number] = connection

    def _result(self, connection: Traced, match: re.Match[str], call: str, rest: str) -> None:
        """Write down what the call gave, if it is one that counts."""
        count, error = int(match["result"]), match["error"]
        result = error or "OK"
        if call == "connect":
            _connect(connection, match, "OK" if result in ANSWERS_CONNECT else result)
        elif call == "getsockopt" and (pending := PENDING.search(rest)):
            value = "OK" if pending["error"] == "0" else pending["error"]
            if connection.connecting is not None:
                _connect(connection, match, value)
            else:
                _note(connection, match, "so_error", value)
        elif call in RECEIVE:
            ended = count == 0 and not error
            _note(connection, match, "recv", "EOF" if ended else result, count)
        elif call in SEND:
            _note(connection, match, "send", result, count)
        elif call in ("shutdown", "close"):
            _note(connection, match, call, result)


def _connect(connection: Traced, match: re.Match[str], result: str) -> None:
    """A connect() that waits has its result when the program asks for it."""
    began = connection.connecting if connection.connecting is not None else float(match["began"])
    if result in ("EINPROGRESS", "EALREADY"):
        connection.connecting = began
        return
    connection.connecting = None
    _note(connection, match, "connect", result, began=began)


def _note(
    connection: Traced,
    match: re.Match[str],
    call: str,
    result: str,
    count: int = 0,
    began: float | None = None,
) -> None:
    if result in UNDECIDED:
        return
    start = float(match["began"])
    ended = start + float(match["took"])
    began = start if began is None else began
    more: dict[str, Any] = {"n": count} if call in ("recv", "send") and result == "OK" else {}
    waited = {"began": round(began, 6)} if ended - began > WAITED else {}
    connection.calls.append({"t": round(ended, 6), "call": call, "result": result, **more, **waited})


def _ends(text: str) -> dict[str, Endpoint]:
    """Both endpoints in `10.9.0.1:41000->10.9.1.2:80`; nothing in an inode."""
    local, arrow, peer = text.partition("->")
    return {"local": _endpoint(local), "peer": _endpoint(peer)} if arrow else {}


def _endpoint(text: str) -> Endpoint:
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


class Watched:
    """A program under strace in a namespace; its standard input stays open and empty."""

    def __init__(self, network: Network, place: str, folder: Path, command: Sequence[str]) -> None:
        self.network = network
        self.trace = folder / "strace"
        tracer = ("strace", "-f", "-yy", "-ttt", "-T", "-s", "0", "-e", f"trace={WATCHED}")
        self.process = subprocess.Popen(
            network.command(place, *tracer, "-o", str(self.trace), *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
            bufsize=0,
        )

    def until_listening(self, port: int) -> None:
        """Return once its namespace has a listener on that port."""
        tables = [Path(f"/proc/{self.process.pid}/net/{name}") for name in ("tcp", "tcp6")]
        listener = re.compile(rf":{port:04X} [0-9A-F:]+ 0A ")
        self._until(lambda: any(listener.search(table.read_text()) for table in tables), "did not listen")

    def until_ended(self, timeout: float = START_S) -> None:
        """Return once it has ended by itself."""
        self._until(lambda: self.process.poll() is not None, "did not end", timeout)

    def _until(self, ready: Callable[[], bool], complaint: str, timeout: float = START_S) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                raise LabError(f"{self.process.args!r} {complaint}")
            self.network.pause(0.02)

    def kill(self) -> None:
        """Kill the program itself, not strace."""
        own = self.process.pid
        for child in Path(f"/proc/{own}/task/{own}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.until_ended()

    def connections(self) -> list[Traced]:
        """All that it had, once it has ended or so far."""
        return parse(self.trace.read_text())

    def end(self) -> None:
        """Whatever is left of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@contextlib.contextmanager
def watched(network: Network, place: str, command: Sequence[str]) -> Iterator[Watched]:
    """Start a program, and end it whatever happens; its working directory is empty and its own."""
    with tempfile.TemporaryDirectory() as folder:
        program = Watched(network, place, Path(folder), command)
        try:
            yield program
        finally:
            program.end()
