"""Why the kernel sent each reset: the tracepoint tcp:tcp_send_reset."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
LINE = re.compile(
    r"\s(?P<t>\d+\.\d+): tcp_send_reset: .*"
    r"src=(?P<src>\S+) dest=(?P<dest>\S+) state=\S+ reason=(?P<reason>\w+)"
)
ENDPOINT = re.compile(r"\[?(?P<address>[^\]]+?)\]?:(?P<port>\d+)$")
Endpoint = tuple[str, int]


@dataclass(frozen=True)
class Reset:
    """One reset that this kernel sent."""

    t: float
    source: Endpoint
    destination: Endpoint
    reason: str


def _endpoint(text: str) -> Endpoint:
    match = ENDPOINT.match(text)
    if match is None:
        raise ValueError(text)
    return match["address"], int(match["port"])


def parse(text: str, offset: float) -> list[Reset]:
    """The resets in the text of a `trace` file, whose clock is `offset` seconds behind the time of day."""
    return [
        Reset(round(float(m["t"]) + offset, 6), _endpoint(m["src"]), _endpoint(m["dest"]), m["reason"])
        for m in map(LINE.search, text.splitlines())
        if m is not None
    ]


def _clock_offset() -> float:
    """The time of day less the monotonic clock; the best of some readings, as each may be interrupted."""
    readings = [(time.monotonic(), time.time(), time.monotonic()) for _ in range(9)]
    before, now, after = min(readings, key=lambda reading: reading[2] - reading[0])
    return now - (before + after) / 2


class ResetTrace:
    """A trace instance of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        """Trace the one event, with the monotonic clock."""
        (self.folder / "trace_clock").write_text("mono")
        (self.folder / "events/tcp/tcp_send_reset/enable").write_text("1")

    def stop(self) -> None:
        (self.folder / "events/tcp/tcp_send_reset/enable").write_text("0")

    def read(self) -> list[Reset]:
        """All resets since the start, in every namespace of this machine."""
        return parse((self.folder / "trace").read_text(), _clock_offset())


@contextlib.contextmanager
def reset_trace() -> Iterator[ResetTrace | None]:
    """Trace resets; None where this kernel does not have the tracepoint."""
    if not (TRACEFS / "instances").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "nodev", str(TRACEFS)], check=False, capture_output=True)
    if not (TRACEFS / "events/tcp/tcp_send_reset").is_dir():
        yield None
        return
    trace = ResetTrace(TRACEFS / f"instances/esc-{os.getpid()}")
    trace.folder.mkdir()
    try:
        trace.start()
        yield trace
    finally:
        trace.stop()
        trace.folder.rmdir()
