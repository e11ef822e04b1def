"""The command, running: what it says line by line, and what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parents[2]
LIVE = [sys.executable, "-u", "-m", "analyzer", "live"]
PATIENCE = 30.0


class Running:
    """Lines of stdout as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.decode().rstrip("\n"))
        self._queue.put(None)

    def line_with(self, word: str) -> str:
        """Waits for a line with that word."""
        until = monotonic() + PATIENCE
        while (left := until - monotonic()) > 0:
            line = self._queue.get(timeout=left)
            if line is None:
                break
            self.lines.append(line)
            if word in line:
                return line
        raise AssertionError(f"no line with {word!r}: {self.lines}")

    def says(self, word: str, seconds: float) -> bool:
        """Whether a line with that word comes within this time."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            try:
                line = self._queue.get(timeout=left)
            except queue.Empty:
                return False
            assert line is not None, self.lines
            self.lines.append(line)
            if word in line:
                return True
        return False

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self, number: int | None = signal.SIGINT) -> tuple[int, str, str]:
        """Its status, the rest of stdout, stderr."""
        if number is not None:
            self.process.send_signal(number)
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode()
        self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        rest = []
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            rest.append(line)
        return self.process.returncode, "\n".join(rest), said


def _hears_interrupts() -> None:
    """A shell that runs the tests in the background has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def live(*arguments: str, before: tuple[str, ...] = (), piped: bool = False) -> Iterator[Running]:
    """The command with these arguments; ``before``: what starts it; ``piped``: its stdin is for ``send``."""
    process = subprocess.Popen(
        [*before, *LIVE, *arguments],
        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
        preexec_fn=_hears_interrupts,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
