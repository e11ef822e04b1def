"""Three network namespaces in a row, client - router - server, that are always removed again."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "esc"
VANTAGES = ("client", "middle", "server")
INTERFACES = {"client": "c0", "middle": "rc", "server": "s0"}  # where each vantage point captures
SLOW_DEVICE = "slow0"
TOOLS = ("ip", "nft", "tcpdump", "sysctl")
_numbers = itertools.count()


class LabError(Exception):
    """The lab did not do what it should."""


class CancelledError(LabError):
    """Somebody asked to stop."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of one IP version."""

    client: str
    router_to_client: str
    router_to_server: str
    server: str
    prefix: int


IPV4 = Addresses("10.9.0.1", "10.9.0.254", "10.9.1.254", "10.9.1.2", 24)
IPV6 = Addresses("fd00:9::1", "fd00:9::fe", "fd00:9:1::fe", "fd00:9:1::2", 64)


def missing(*programs: str) -> list[str]:
    """What this machine lacks for the lab and these programs; empty where it can run."""
    lacks = [tool for tool in (*TOOLS, *programs) if shutil.which(tool) is None]
    if os.geteuid() != 0:
        lacks.append("root rights")
    return lacks


def run(command: Sequence[str], text: str = "") -> None:
    """Run a short command; its complaint becomes the error."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")


@dataclass
class Network:
    """The names of the namespaces and what can be changed in them."""

    name: str
    ipv6: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def addresses(self) -> Addresses:
        return IPV6 if self.ipv6 else IPV4

    def namespace(self, place: str) -> str:
        """The namespace of `client`, `middle` (the router) or `server`."""
        return f"{self.name}-{place}"

    def command(self, place: str, *command: str) -> list[str]:
        """The command line that runs `command` in that namespace."""
        return ["ip", "netns", "exec", self.namespace(place), *command]

    def python(self, place: str, script: Path, *arguments: str) -> list[str]:
        """The command line that runs a script which needs nothing but the standard library."""
        return self.command(place, sys.executable, "-I", "-S", str(script), *arguments)

    def sysctl(self, place: str, *settings: str) -> None:
        """Set kernel parameters in that namespace, as `name=value`."""
        run(self.command(place, "sysctl", "-q", "-w", *settings))

    def ip(self, place: str, lines: str) -> None:
        """Run `ip` commands, one a line, in that namespace."""
        run(["ip", "-n", self.namespace(place), "-batch", "-"], lines)

    def filter(self, rules: Sequence[str]) -> None:
        """Let the router apply these nftables rules to all that it forwards, instead of those before."""
        body = "\n".join(rules)
        chain = f"chain forward {{ type filter hook forward priority 0;\n{body}\n}}"
        run(
            self.command("middle", "nft", "-f", "-"),
            f"table inet lab\ndelete table inet lab\ntable inet lab {{\n{chain}\n}}\n",
        )

    def pause(self, seconds: float) -> None:
        """Sleep, but not through a cancellation."""
        if self.cancel.wait(seconds):
            raise CancelledError("cancelled")


def _wire(network: Network) -> None:
    """The two cables."""
    for end, peer, place in (("c0", "rc", "client"), ("s0", "rs", "server")):
        run(
            [
                *("ip", "link", "add", end, "netns", network.namespace(place), "type", "veth"),
                *("peer", "name", peer, "netns", network.namespace("middle")),
            ]
        )


def _configure(network: Network) -> None:
    """Addresses, routes, forwarding; no offload, so that packets look as they do on a cable."""
    addresses = network.addresses
    for place in VANTAGES:
        network.sysctl(place, f"net.ipv6.conf.default.disable_ipv6={0 if network.ipv6 else 1}")
    _wire(network)
    network.sysctl(
        "middle",
        *("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"),
        *(f"net.ipv4.conf.{name}.rp_filter=0" for name in ("all", "default", "rc", "rs")),
    )
    network.ip("client", _up("c0", addresses.client, addresses.prefix))
    network.ip("server", _up("s0", addresses.server, addresses.prefix))
    network.ip("middle", _up("rc", addresses.router_to_client, addresses.prefix))
    network.ip("middle", _up("rs", addresses.router_to_server, addresses.prefix))
    network.ip("client", f"route add default via {addresses.router_to_client}\n")
    network.ip("server", f"route add default via {addresses.router_to_server}\n")
    offload = Path(__file__).with_name("offload.py")
    for place, interfaces in (("client", ["c0"]), ("middle", ["rc", "rs"]), ("server", ["s0"])):
        run(network.python(place, offload, *interfaces))


def _up(interface: str, address: str, prefix: int) -> str:
    """The `ip` commands that bring an interface up with its address."""
    lines = [f"link set {interface} addrgenmode none", f"link set {interface} up"]
    if ":" in address:
        link_local = f"fe80::{address.rpartition(':')[2]}/64"  # the router asks for its neighbours with it
        lines += [f"addr add {own} dev {interface} nodad" for own in (f"{address}/{prefix}", link_local)]
    else:
        lines.append(f"addr add {address}/{prefix} dev {interface}")
    return "\n".join(["link set lo up", *lines, ""])


@contextlib.contextmanager
def _slow_path(network: Network, delay: float) -> Iterator[None]:
    """Let all that the router forwards take `delay` seconds."""
    script = Path(__file__).with_name("delay.py")
    process = subprocess.Popen(
        network.python("middle", script, SLOW_DEVICE, str(delay)), stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise LabError("the slow path did not start")
        version = "-6" if network.ipv6 else "-4"
        for line in (
            f"link set {SLOW_DEVICE} addrgenmode none",
            f"link set {SLOW_DEVICE} up",
            f"{version} route add default dev {SLOW_DEVICE} table 100",
            f"{version} rule add iif rc lookup 100",
            f"{version} rule add iif rs lookup 100",
        ):
            run(["ip", "-n", network.namespace("middle"), *line.split()])
        network.sysctl("middle", f"net.ipv4.conf.{SLOW_DEVICE}.rp_filter=0")
        yield
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _alive(pid: str) -> bool:
    return Path("/proc", pid).exists()


def remove_stale() -> None:
    """Remove namespaces left behind by a lab process that was killed."""
    for path in Path("/run/netns").glob(f"{PREFIX}-*-*-*"):
        pid = path.name.split("-")[1]
        if pid.isdigit() and not _alive(pid):
            run(["ip", "netns", "delete", path.name])


def _remove(name: str) -> None:
    """Remove one namespace, which may not exist."""
    for _ in range(20):
        with contextlib.suppress(LabError):
            run(["ip", "netns", "delete", name])
        if not Path("/run/netns", name).exists():
            return
        time.sleep(0.05)


@contextlib.contextmanager
def network(
    cancel: threading.Event | None = None, ipv6: bool = False, delay: float = 0.0
) -> Iterator[Network]:
    """Make the namespaces, and remove them whatever happens in between."""
    made = Network(f"{PREFIX}-{os.getpid()}-{next(_numbers)}", ipv6, cancel or threading.Event())
    names = [made.namespace(place) for place in VANTAGES]
    try:
        for name in names:
            run(["ip", "netns", "add", name])
        _configure(made)
        with _slow_path(made, delay) if delay else contextlib.nullcontext():
            yield made
    finally:
        for name in names:
            _remove(name)
