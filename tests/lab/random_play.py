"""Random connections, recorded with the truth: `python -m tests.lab.random_play --seeds 1 2`.

Both programs of each connection follow random scripts, over a path with random loss and faults. All of a
seed are in one capture for each place, with one truth file beside it; then random_judge compares all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from .capture import captures
from .network import SLOW_DEVICE, VANTAGES, LabError, Network, missing, network, remove_stale
from .network import run as run_command
from .random_judge import judge
from .random_plan import DIRECTIONS, HOSTS, Connection, faults, make_plan, server_address
from .resets import Endpoint, Reset, reset_trace
from .truth import kernel_version, write

ENDS = Path(__file__).with_name("random_ends.py")
BEGIN_S = 2.0
TAIL_S = 9.0
"""The capture goes on for so long after the last program ended."""
LONGEST_S = 30.0
PORTS = {"to_server": "dport", "to_client": "sport"}


@dataclass(frozen=True)
class Run:
    """One run: ``loss`` in percent of the packets, either way; ``delay`` in seconds, one way."""

    seed: int
    connections: int
    loss: int = 0
    delay: float = 0.0
    ipv6: bool = False


def varied(seed: int, connections: int) -> Run:
    """A run whose path is drawn from its seed as well."""
    dice = random.Random(seed)
    return Run(
        seed,
        connections,
        loss=dice.choice((0, 0, 1, 2, 5, 10)),
        delay=dice.choice((0.0, 0.002, 0.005, 0.01, 0.02)),
        ipv6=dice.random() < 0.5,
    )


def _sets(version: int) -> list[tuple[str, str, str]]:
    """Each fault and direction: the name of its set of ports, how it is matched, what is done."""
    family = "icmpv6" if version == 6 else "icmp"
    found = []
    for what in faults(version):
        action = {"drop": "drop", "reset": "reject with tcp reset"}.get(
            what, f"reject with {family} type {what}"
        )
        for direction in DIRECTIONS:
            found.append((_set_name(what, direction), PORTS[direction], action))
    return found


def _set_name(what: str, direction: str) -> str:
    return f"{what.replace('-', '_')}_{direction}"


def _addresses(net: Network) -> str:
    """The `ip` commands that give the server's interface all its addresses."""
    prefix, nodad = net.addresses.prefix, " nodad" if net.ipv6 else ""
    all_of_them = (server_address(number, 6 if net.ipv6 else 4) for number in range(HOSTS))
    return "".join(f"addr add {address}/{prefix} dev s0{nodad}\n" for address in all_of_them)


def _filter(net: Network, loss: int, slow: bool) -> None:
    """The router's rules: faults by port, and loss."""
    only = f"iifname {SLOW_DEVICE} " if slow else ""
    sets = _sets(6 if net.ipv6 else 4)
    lines = [f"set {name} {{ type inet_service; }}" for name, _, _ in sets]
    lines.append("chain forward { type filter hook forward priority 0;")
    lines += [f"{only}tcp {port} @{name} {action}" for name, port, action in sets]
    if loss:
        lines.append(f"{only}meta l4proto tcp numgen random mod 100 < {loss} drop")
    body = "\n".join([*lines, "}"])
    run_command(net.command("middle", "nft", "-f", "-"), f"table inet lab {{\n{body}\n}}\n")


def _switch(net: Network, connection: Connection, fault: dict[str, Any], how: str) -> None:
    """Begin (`add`) or end (`delete`) a fault."""
    port = connection["server_port"]
    names = [_set_name(fault["what"], direction) for direction in fault["directions"]]
    text = "".join(f"{how} element inet lab {name} {{ {port} }}\n" for name in names)
    run_command(net.command("middle", "nft", "-f", "-"), text)


def _agenda(plan: Sequence[Connection]) -> list[tuple[float, Connection, dict[str, Any], str]]:
    """When each fault begins and ends, in seconds from the origin."""
    found = []
    for connection in plan:
        for fault in connection["faults"]:
            at = -BEGIN_S if fault["at"] is None else connection["start"] + fault["at"]
            found.append((at, connection, fault, "add"))
            if "until" in fault:
                found.append((connection["start"] + fault["until"], connection, fault, "delete"))
    return sorted(found, key=lambda entry: entry[0])


@contextlib.contextmanager
def _player(net: Network, side: str, plan: dict[str, Any], log: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The programs of one end."""
    command = net.python(side, ENDS, side)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, start_new_session=True)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan).encode())
        process.stdin.close()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _play(net: Network, plan: list[Connection], folder: Path) -> None:
    """Let both ends play, and the path fail as planned."""
    agenda = _agenda(plan)
    first = [entry for entry in agenda if entry[0] <= -BEGIN_S]
    for _, connection, fault, how in first:
        _switch(net, connection, fault, how)
    origin = time.time() + BEGIN_S
    job = {
        "origin": origin,
        "seconds": plan[-1]["start"] + LONGEST_S,
        "client": net.addresses.client,
        "records": str(folder / "records"),
        "connections": plan,
    }
    with (
        (folder / "log").open("w") as log,
        _player(net, "server", job, log) as server,
        _player(net, "client", job, log) as client,
    ):
        for at, connection, fault, how in agenda[len(first) :]:
            net.pause(max(0.0, origin + at - time.time()))
            _switch(net, connection, fault, how)
        deadline = origin + plan[-1]["start"] + LONGEST_S
        while None in (server.poll(), client.poll()) and time.time() < deadline:
            net.pause(0.2)
    net.pause(TAIL_S)
    _beacon(net)


def _beacon(net: Network) -> None:
    """A frame that has nothing to do with any connection and shows that the capture still ran."""
    script = (
        "import socket,sys; s=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
        "socket.SOCK_DGRAM); s.sendto(b'beacon', (sys.argv[1], 9))"
    )
    run_command(net.command("client", sys.executable, "-I", "-S", "-c", script, net.addresses.server))


def _calls(folder: Path) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """What each end of each connection got, by its number and side."""
    found: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for line in (folder / "records").read_text().splitlines():
        entry = json.loads(line)
        found[entry["number"], entry["side"]].append(entry["record"])
    return found


def _truth(
    net: Network, plan: list[Connection], folder: Path, resets: list[Reset] | None, about: dict[str, Any]
) -> dict[str, Any]:
    """The truth about all connections, with the plan that they followed."""
    calls = _calls(folder)
    by_source: dict[Endpoint, list[Reset]] = defaultdict(list)
    for reset in resets or ():
        by_source[reset.source].append(reset)
    connections = []
    for planned in plan:
        client = (net.addresses.client, planned["client_port"])
        server = (planned["server_address"], planned["server_port"])
        senders = (("client", client), ("server", server))
        connections.append(
            {
                "protocol": "tcp",
                "client": list(client),
                "server": list(server),
                "calls": {side: calls.get((planned["number"], side)) for side in ("client", "server")},
                "resets": [
                    {"t": reset.t, "sender": side, "reason": reset.reason}
                    for side, place in senders
                    for reset in by_source[place]
                ],
                "plan": planned,
            }
        )
    return {
        "scenario": "random",
        "description": "random programs over a random path",
        "os": {"client": "linux", "server": "linux"},
        "kernel": kernel_version(),
        "run": about,
        "connections": connections,
    }


def record(run: Run, folder: Path, cancel: threading.Event) -> list[Path]:
    """Record one run into a folder; its truth files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "records").unlink(missing_ok=True)
    plan = make_plan(run.seed, run.connections, 6 if run.ipv6 else 4)
    with reset_trace() as trace, network(cancel, run.ipv6, run.delay) as net:
        net.sysctl("middle", "net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=100000")
        if run.ipv6:
            net.sysctl("middle", "net.ipv6.icmp.ratelimit=0")
        net.ip("server", _addresses(net))
        _filter(net, run.loss, bool(run.delay))
        with captures(net, folder, dict.fromkeys(VANTAGES, ())) as running:
            _play(net, plan, folder)
            for capture in running.values():
                capture.stop()
        made = _truth(net, plan, folder, trace.read() if trace else None, asdict(run))
    return [write(made, vantage, folder / f"{vantage}.pcap") for vantage in VANTAGES]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Random connections, recorded and judged.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="SEED", help="a run for each")
    parser.add_argument("--connections", type=int, default=500, help="of each run")
    parser.add_argument("--vary", action="store_true", help="draw loss, delay and IP version from the seed")
    parser.add_argument("--loss", type=int, default=0, help="percent of the packets, either way")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that the router holds a packet")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--show", type=int, default=10, help="disagreements to print in full")
    parser.add_argument("--out", type=Path, help="folder for captures and truth, kept (implies --keep)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return parser.parse_args()


def _runs(arguments: argparse.Namespace) -> Iterator[Run]:
    for seed in arguments.seeds:
        if arguments.vary:
            yield varied(seed, arguments.connections)
        else:
            yield Run(seed, arguments.connections, arguments.loss, arguments.delay, arguments.ipv6)


def main() -> int:
    """The command."""
    arguments = _arguments()
    lacks = missing()
    if lacks:
        print(f"the lab needs: {', '.join(lacks)}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    remove_stale()
    try:
        with contextlib.ExitStack() as stack:
            folder = arguments.out or _folder(stack, arguments.keep)
            truths = []
            for run in _runs(arguments):
                truths += record(run, folder / str(run.seed), threading.Event())
                print(f"recorded {run} in {folder / str(run.seed)}", flush=True)
            judge(truths, arguments.show)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the namespaces are removed", file=sys.stderr)
        return 130
    return 0


def _folder(stack: contextlib.ExitStack, keep: bool) -> Path:
    if keep:
        return Path(tempfile.mkdtemp())
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))


if __name__ == "__main__":
    sys.exit(main())
