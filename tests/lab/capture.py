"""tcpdump (or dumpcap, for pcapng) at several places at once."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from .network import INTERFACES, LabError, Network

START_SECONDS = 20.0
BUFFER_KIB = "8192"  # with `-i any` each frame takes up the whole snapshot length
TCPDUMP = ("-n", "-U", "--immediate-mode", "-s", "0", "-B", BUFFER_KIB, "-Z", "root")
STARTED = re.compile(rb"listening on|File: ")
QUIET_SECONDS = 0.15  # a file that has not grown for so long is complete


class Capture:
    """One tcpdump that writes a file, with `-G` a folder of them; or dumpcap, if the options begin so."""

    def __init__(self, network: Network, place: str, folder: Path, options: tuple[str, ...] = ()) -> None:
        where = options if "-i" in options else ("-i", INTERFACES[place], *options)
        self.path, command = folder / f"{place}.pcap", ("tcpdump", *TCPDUMP, *where)
        target = str(self.path)
        if options[:1] == ("dumpcap",):
            self.path = folder / f"{place}.pcapng"
            target, command = str(self.path), options
        elif "-G" in options:
            self.path = folder / place
            self.path.mkdir()
            target = str(self.path / "%Y%m%d-%H%M%S.pcap")
        self.process = subprocess.Popen(
            network.command(place, *command, "-w", target), stderr=subprocess.PIPE, bufsize=0
        )
        self.said = b""

    def wait_until_started(self) -> None:
        """Return once the packet socket is open: tcpdump says `listening on` after that, dumpcap `File:`."""
        stderr = self.process.stderr
        deadline = time.monotonic() + START_SECONDS
        while stderr is not None and not STARTED.search(self.said):
            readable, _, _ = select.select([stderr], [], [], max(0.0, deadline - time.monotonic()))
            line = stderr.readline() if readable else b""
            if not line:
                raise LabError(f"tcpdump did not start: {self.said.decode()}")
            self.said += line

    def stop(self) -> None:
        """End tcpdump after it has written all that came, and make sure that nothing was lost."""
        self._wait_until_quiet()
        self.process.send_signal(signal.SIGINT)
        _, rest = self.process.communicate(timeout=10)
        self.said += rest
        if self._lost():
            raise LabError(f"{self.path.name}: packets were lost: {self.said.decode()}")

    def _lost(self) -> bool:
        """Did tcpdump or dumpcap say so."""
        if self.path.suffix == ".pcapng":
            dropped = re.findall(rb"on interface .*: \d+/(\d+) ", self.said)
            return not dropped or any(int(number) for number in dropped)
        counts = re.findall(rb"(\d+) packets? (captured|received by filter|dropped by kernel)", self.said)
        numbers = {kind: int(number) for number, kind in counts}
        return numbers[b"captured"] != numbers[b"received by filter"] or numbers[b"dropped by kernel"] > 0

    def _size(self) -> int:
        files = self.path.iterdir() if self.path.is_dir() else (self.path,)
        return sum(file.stat().st_size for file in files)

    def _wait_until_quiet(self) -> None:
        """Return when the file has stopped growing."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            now = self._size()
            if now != size:
                size, since = now, time.monotonic()
            time.sleep(0.02)

    def kill(self) -> None:
        """End tcpdump if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()


@contextlib.contextmanager
def captures(
    network: Network, folder: Path, options: Mapping[str, tuple[str, ...]]
) -> Iterator[dict[str, Capture]]:
    """Capture at each of the places in `options` (with these tcpdump options) into `folder`."""
    running: dict[str, Capture] = {}
    try:
        for place, extra in options.items():
            running[place] = Capture(network, place, folder, extra)
        for capture in running.values():
            capture.wait_until_started()
        yield running
    finally:
        for capture in running.values():
            capture.kill()
