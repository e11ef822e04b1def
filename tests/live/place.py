"""Two network namespaces with a cable between them, where things may fail."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.lab.network import missing, run

HERE, THERE = "10.8.0.1", "10.8.0.2"
MISSING = missing()
PORT = 4000
_RUNNING = 5
"""Column of /proc/net/packet."""
_POLL = ("7", "271", "73")
"""Numbers of poll() and ppoll() on x86-64, and of ppoll() on ARM."""
_numbers = itertools.count()


class Place:
    """Names of the namespaces: ``here`` is where errnoscope and the client run."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.here, self.there = (f"esl-{os.getpid()}-{number}-{name}" for name in ("here", "there"))

    def command(self, *command: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.here, *command)

    @property
    def before(self) -> tuple[str, ...]:
        return self.command()

    def python(self, code: str) -> None:
        """Runs a program here."""
        run([*self.command(sys.executable, "-I", "-S", "-c", code)])

    def connect(self, port: int = PORT) -> None:
        """A connection to the other side, whatever becomes of it."""
        self.python(f"import socket; socket.socket().connect_ex(('{THERE}', {port}))")

    def silent(self) -> None:
        """The other side answers nothing any more, and one SYN is sent again."""
        run(["ip", "netns", "exec", self.here, "sysctl", "-qw", "net.ipv4.tcp_syn_retries=1"])
        rules = "table inet t { chain c { type filter hook input priority 0; policy drop; }\n}"
        run(["ip", "netns", "exec", self.there, "nft", "-f", "-"], rules)

    def captures(self, pid: int) -> bool:
        """That program waits for packets: its socket is bound, and it is in poll()."""
        try:
            sockets = Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]
            call = Path(f"/proc/{pid}/syscall").read_text().split()[0]
        except (OSError, IndexError):
            return False
        return any(line.split()[_RUNNING] == "1" for line in sockets) and call in _POLL

    def children(self, pid: int) -> list[int]:
        """Processes that this one has started."""
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """Made, and removed again whatever happens."""
    made = Place()
    try:
        for name in (made.here, made.there):
            run(["ip", "netns", "add", name])
            run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])
        run(
            [
                "ip",
                "link",
                "add",
                "v0",
                "netns",
                made.here,
                "type",
                "veth",
                "peer",
                "name",
                "v1",
                "netns",
                made.there,
            ]
        )
        for name, link, own in ((made.here, "v0", HERE), (made.there, "v1", THERE)):
            for line in ("link set lo up", f"link set {link} up", f"addr add {own}/24 dev {link}"):
                run(["ip", "-n", name, *line.split()])
        macs = {}
        for name, link in ((made.here, "v0"), (made.there, "v1")):
            done = _output(["ip", "-n", name, "-br", "link", "show", link])
            macs[link] = done.split()[2]
        run(["ip", "-n", made.here, *f"neigh add {THERE} lladdr {macs['v1']} dev v0".split()])
        run(["ip", "-n", made.there, *f"neigh add {HERE} lladdr {macs['v0']} dev v1".split()])
        yield made
    finally:
        for name in (made.here, made.there):
            if Path("/run/netns", name).exists():
                run(["ip", "netns", "delete", name])


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
