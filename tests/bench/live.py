"""Measure ``errnoscope live`` on a cable between two network namespaces: ``python -m tests.bench.live``.

A generator (tests/bench/sending.py) sends the frames of a capture (of the realistic mix, filled up or cut to
a size) at a rate; the kernel's drops, the processor time of errnoscope, of tcpdump and of the generator, and
the delay of findings are printed, beside the load of the machine before. ``--day`` feeds a day's capture
through a pipe and prints the memory. As root.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.live.place import THERE, Place, place
from tests.live.running import PATIENCE, live

_PARTS = 12
"""Points at which memory is looked at during a day."""


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
    load = os.getloadavg()[0]
    told = folder / "told.json"
    with place() as there, live("-i", "v0", "-o", f"json={told}", before=there.before) as running:
        program = wait_for_child(there, running.process.pid)
        pids, before = (running.process.pid, program), {}
        before = {pid: ticks(pid) for pid in pids}
        sender = subprocess.run(
            [
                *("ip", "netns", "exec", there.there, sys.executable, "-m", "tests.bench.sending", capture),
                *("v1", "--rate", str(rate), "--seconds", str(seconds), "--size", str(size)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        time.sleep(1.0)
        came, most = arrived(there), resident(running.process.pid, "VmHWM")
        spent = {pid: ticks(pid) - before[pid] for pid in pids}
        running.end(signal.SIGINT)
    (captured,) = json.loads(told.read_text())["captures"]
    drops = [problem for problem in captured["problems"] if "dropped" in problem]
    _, own = map(float, sender.stdout.split())
    print(
        f"{came / seconds:,.0f} packets/s for {seconds:g} s: {captured['packets']:,} captured of {came:,}; "
        f"errnoscope {100 * spent[pids[0]] / seconds:.1f} % of a core, "
        f"tcpdump {100 * spent[pids[1]] / seconds:.1f} %, generator {100 * own:.0f} %; "
        f"{drops[0] if drops else 'none dropped'}; {most:.0f} MB (load before: {load:.1f})",
        flush=True,
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


def day(packets: int, folder: Path) -> None:
    """A day's capture through a pipe as fast as it is taken: memory by the hour."""
    capture = folder / "day.pcap"
    make(capture, packets, "--duration", "86400", "--snaplen", "256")
    with live("-", "-o", f"json={folder / 'day.json'}", piped=True) as running, capture.open("rb") as file:
        begin, size = time.monotonic(), capture.stat().st_size
        memory = []
        for _ in range(_PARTS):
            running.send(file.read(-(-size // _PARTS)))
            memory.append(resident(running.process.pid))
        running.end(None)
    seconds = time.monotonic() - begin
    told = ", ".join(f"{each:.0f}" for each in memory)
    print(f"a day of {packets:,} packets in {seconds:.0f} s; MB every two hours: {told}", flush=True)


def resident(pid: int, what: str = "VmRSS") -> float:
    """Megabytes of a process; VmHWM: the most that it had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def arrived(there: Place) -> int:
    """Packets that the cable delivered; a busy machine loses some before anybody can capture them."""
    command = there.command("cat", "/sys/class/net/v0/statistics/rx_packets")
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def make(path: Path, packets: int, *options: str) -> None:
    """A capture of the realistic mix."""
    command = [sys.executable, "-m", "tests.bench.generate", str(path), "--packets", str(packets), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, action="append", help="packets a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--size", type=int, default=600, help="bytes of a frame")
    parser.add_argument("--delays", type=int, default=20, help="findings of which the delay is measured")
    parser.add_argument(
        "--day", type=int, help="packets of a day that goes through a pipe; nothing else is done"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.day:
            day(options.day, Path(folder))
            return
        capture = Path(folder, "mix.pcap")
        make(capture, 200_000, "--snaplen", str(options.size))
        for rate in options.rate or (5_000, 200_000):
            measure(str(capture), rate, options.seconds, options.size, Path(folder))
    if options.delays:
        delays(options.delays)


if __name__ == "__main__":
    main()
