"""Measure ``errnoscope live`` on a cable between two network namespaces: ``python -m tests.bench.live``.

A generator sends the frames of a capture (of the realistic mix, filled up to a size) at a rate; the kernel's
drops, the processor time of errnoscope and of tcpdump, and the delay of findings are printed. As root.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.captures import frames_of
from tests.live.place import THERE, Place, place
from tests.live.running import PATIENCE, live

_BATCH_SECONDS = 0.005
_SOURCE, _DESTINATION = 14 + 13, 14 + 17
"""The second byte of the addresses in an IPv4 packet on Ethernet."""


def generate(path: str, interface: str, rate: int, seconds: float, size: int) -> None:
    """Send the capture's frames, filled up to this size, over and over: each time between other hosts."""
    frames = [bytearray(frame.data.ljust(size, b"\0")) for frame in frames_of(Path(path).read_bytes())]
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    sent, begin = 0, time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds:
        due = int(elapsed * rate)
        while sent < due:
            turn, place = divmod(sent, len(frames))
            frame = frames[place]
            frame[_SOURCE] = frame[_DESTINATION] = turn & 255
            out.send(frame)
            sent += 1
        time.sleep(_BATCH_SECONDS if sent < rate * (elapsed + _BATCH_SECONDS) else 0)
    print(sent / seconds)


def ticks(pid: int) -> float:
    """Seconds of processor time of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_child(there: Place, pid: int) -> int:
    """The capture program, once it has begun."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        children = there.children(pid)
        if children and there.captures(children[0]):
            return children[0]
        time.sleep(0.05)
    raise SystemExit("no capture began")


def measure(capture: str, rate: int, seconds: float, size: int, folder: Path) -> None:
    """One run."""
    told = folder / "told.json"
    with place() as there, live("-i", "v0", "-o", f"json={told}", before=there.before) as running:
        program = wait_for_child(there, running.process.pid)
        pids, before = (running.process.pid, program), {}
        before = {pid: ticks(pid) for pid in pids}
        sender = subprocess.run(
            [
                *("ip", "netns", "exec", there.there, sys.executable, "-m", "tests.bench.live", "--send"),
                *(capture, "--rate", str(rate), "--seconds", str(seconds), "--size", str(size)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        time.sleep(1.0)
        spent = {pid: ticks(pid) - before[pid] for pid in pids}
        running.end(signal.SIGINT)
    (captured,) = json.loads(told.read_text())["captures"]
    drops = [problem for problem in captured["problems"] if "dropped" in problem]
    print(
        f"{float(sender.stdout):,.0f} packets/s for {seconds:g} s: {captured['packets']:,} captured; "
        f"errnoscope {100 * spent[pids[0]] / seconds:.1f} % of a core, "
        f"tcpdump {100 * spent[pids[1]] / seconds:.1f} %; {drops[0] if drops else 'none dropped'}"
    )


def delays(count: int) -> None:
    """From the refusal of a connection to the line about it."""
    found = []
    with place() as there, live("-i", "v0", before=there.before) as running:
        wait_for_child(there, running.process.pid)
        connect = (
            f"import socket; socket.socket().connect_ex(('{THERE}', 4000)); import time; print(time.time())"
        )
        for _ in range(count):
            done = subprocess.run(
                [*there.before, sys.executable, "-I", "-S", "-c", connect], capture_output=True, text=True
            )
            running.line_with("connection-refused")
            found.append(time.time() - float(done.stdout))
        running.end(signal.SIGINT)
    print(f"delay of {count} findings: median {median(found) * 1000:.0f} ms, most {max(found) * 1000:.0f} ms")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--send", help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=int, action="append", help="packets a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--size", type=int, default=600, help="bytes of a frame at least")
    options = parser.parse_args()
    if options.send:
        generate(options.send, "v1", options.rate[0], options.seconds, options.size)
        return
    with tempfile.TemporaryDirectory() as folder:
        capture = str(Path(folder, "mix.pcap"))
        subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.bench.generate",
                capture,
                "--packets",
                "200000",
                "--snaplen",
                "600",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for rate in options.rate or (5_000, 200_000):
            measure(capture, rate, options.seconds, options.size, Path(folder))
    delays(20)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"most memory of any process: {peak / 1024:.0f} MB")


if __name__ == "__main__":
    main()
