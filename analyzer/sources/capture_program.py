"""tcpdump, else dumpcap, else scapy: a process that captures and writes pcap to a pipe.

So whatever reads the packets, which are hostile, needs no privileges.
"""

from __future__ import annotations

import io
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from analyzer.errors import UserError
from analyzer.model.live import Wanted

_KERNEL_MIB = 64
"""Buffer in the kernel: seconds of traffic at full rate, should this machine be busy."""
_START_SECONDS = 20.0
_STOP_SECONDS = 3.0

_SCAPY = "scapy"
_UP = 0x1  # IFF_UP: linux/if.h

_STARTED = re.compile(r"listening on|^File: ", re.MULTILINE)
"""Said once it captures: by tcpdump and by our own, by dumpcap."""
_BEFORE = re.compile(r"Capturing on")
"""Said by dumpcap whatever follows."""
_TCPDUMP_COUNT = re.compile(r"(\d+) packets? (received by filter|dropped by kernel|dropped by interface)")
_DUMPCAP_COUNT = re.compile(r"received/dropped on interface .*: (\d+)/(\d+)")

_FAULTS = (
    (r"permission to (perform this )?capture|Operation not permitted", "no-permission"),
    (
        r"No such device|doesn't exist|no such device|There is no device|Interface '.*' not found",
        "no-such-interface",
    ),
    (r"filter expression|parse filter|capture filter|syntax error|unknown host|illegal token", "bad-filter"),
    (r"interface disappeared|No such device|device.*(removed|vanished)", "interface-gone"),
    (r"went down|not up|Network is down", "interface-down"),
)


@dataclass(slots=True)
class Counts:
    """Packets as the kernel counts them: that passed the filter, and that it dropped for want of room.

    ``told``: how often it has said so.
    """

    received: int = 0
    dropped: int = 0
    told: int = 0


class CaptureProgram:
    """A running capture. Raises UserError where it cannot start."""

    def __init__(self, interface: str, wanted: Wanted) -> None:
        self.interface = interface
        self.counts = Counts()
        self._wanted = wanted
        self.name, command = _command(interface, wanted)
        self._said = ""
        self._stopping = False
        try:
            # A session of its own: Ctrl-C is for us, who stop it and read what it has left to write.
            self._process = subprocess.Popen(  # noqa: S603  (no shell, and no word of it is split)
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"LC_ALL": "C"},
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            what = f"{self.name} cannot be started: {error.strerror}"
            raise UserError("no-capture-program", self.name, what) from None
        assert isinstance(self._process.stdout, io.FileIO)  # noqa: S101  (bufsize=0)
        self.output = self._process.stdout
        self._await_start()

    def ask(self) -> None:
        """Have it tell its counts, if it can while it runs."""
        if self.name == "tcpdump" and hasattr(signal, "SIGUSR1") and self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR1)

    def listen(self) -> None:
        """Take what it has said meanwhile."""
        stderr = self._process.stderr
        while stderr and not stderr.closed and select.select([stderr], [], [], 0)[0]:
            said = os.read(stderr.fileno(), 1 << 16)
            if not said:
                break
            self._take(said.decode(errors="replace"))

    def stop(self) -> None:
        """Ask it to end; what it has left to write comes through the pipe before that ends."""
        if not self._stopping and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._stopping = True

    def close(self) -> None:
        """Make sure that it has ended, and give everything back."""
        self.stop()
        self.output.close()  # one that writes meets a broken pipe
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.listen()
        if self._process.stderr:
            self._process.stderr.close()

    def fault(self) -> UserError | None:
        """Why it ended although nobody asked it to; call it when the pipe has ended."""
        if self._stopping:
            return None
        try:
            status = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        self.listen()
        if status == 0:
            return None
        if status < 0:
            what = f"{self.name} was ended by {signal.Signals(-status).name}; what came before was judged"
            return UserError("capture-ended", self.interface, what)
        return self._failure(running=True)

    def _await_start(self) -> None:
        until = monotonic() + _START_SECONDS
        stderr = self._process.stderr
        while stderr and not _STARTED.search(self._said):
            ready, _, _ = select.select([stderr, self.output], [], [], max(0.0, until - monotonic()))
            said = os.read(stderr.fileno(), 1 << 16) if stderr in ready else b""
            if said:
                self._take(said.decode(errors="replace"))
            elif self.output in ready and self._process.poll() is None:
                return  # it writes already
            else:
                self._process.kill()
                self._process.wait()
                self.output.close()
                stderr.close()
                raise self._failure(running=False)

    def _take(self, said: str) -> None:
        self._said = (self._said + said)[-10_000:]
        for number, what in _TCPDUMP_COUNT.findall(said):
            if what == "received by filter":
                self.counts.received = int(number)
            elif what == "dropped by kernel":
                self.counts.dropped = int(number)
                self.counts.told += 1
        for received, dropped in _DUMPCAP_COUNT.findall(said):
            self.counts.received, self.counts.dropped = int(received), int(dropped)
            self.counts.told += 1

    def _failure(self, *, running: bool) -> UserError:
        """The message for what it said last."""
        lines = [
            line
            for line in self._said.splitlines()
            if line and not _STARTED.search(line) and not _BEFORE.search(line)
        ]
        said = " ".join(lines).removeprefix(f"{self.name}: ") or "it ended without a word"
        kind = next((kind for pattern, kind in _FAULTS if re.search(pattern, said)), "capture-failed")
        if running:
            what = f"the capture ended: {_short(said)}; what came before was judged"
            return UserError("capture-ended", self.interface, what)
        return _explained(kind, self.name, self.interface, self._wanted.filter, _short(said))


def _short(said: str) -> str:
    """Without the counts, and advice, which stand behind it."""
    return re.split(r"\s*\d+ packets? captured|\s*See the User's Guide", said)[0].strip()


def _explained(kind: str, program: str, interface: str, expression: str, said: str) -> UserError:
    path = shutil.which(program) or program
    if kind == "no-permission":
        what = "capturing needs the capability CAP_NET_RAW, which this user does not have"
        hint = f"grant it to {program}, once: sudo setcap cap_net_raw,cap_net_admin=eip {path}"
        if program == "dumpcap" and (group := _group_of(path)):
            hint = f"become a member of the group that may run it: sudo usermod -aG {group} $USER"
        if program == _SCAPY:
            hint = "install tcpdump, which can be given it alone (setcap), or run errnoscope as root"
        return UserError(kind, interface, what, hint)
    if kind == "no-such-interface":
        names = ", ".join(interface_names())
        return UserError(kind, f"-i {interface}", "there is no such interface", f"there are {names}")
    if kind == "bad-filter":
        hint = "the language is tcpdump's: man pcap-filter"
        return UserError(kind, f"filter `{expression}`", said, hint)
    if kind == "interface-down":
        return UserError(kind, interface, "the interface is down", f"ip link set {interface} up")
    return UserError(kind, interface, f"{program}: {said}")


def _group_of(path: str) -> str:
    """The group that alone may run this program; empty where everybody may, or where there is none."""
    try:
        import grp

        status = Path(path).stat()
        group = grp.getgrgid(status.st_gid).gr_name
    except (ImportError, OSError, KeyError):
        return ""
    return "" if status.st_mode & stat.S_IXOTH else group


def interface_names() -> list[str]:
    """The interfaces of this machine, and ``any`` where there is that."""
    names = [name for _, name in socket.if_nameindex()]
    return [*names, "any"] if sys.platform == "linux" else names


def is_down(name: str) -> bool:
    """Whether the interface is there and not up; no where this system does not say so."""
    try:
        flags = int(Path("/sys/class/net", name, "flags").read_text(), 16)
    except (OSError, ValueError):
        return False
    return not flags & _UP


def _command(interface: str, wanted: Wanted) -> tuple[str, Sequence[str]]:
    """The program's name, and how it is called."""
    words = [wanted.filter] if wanted.filter else []
    if path := shutil.which("tcpdump"):
        options = ["-n", "-U", "--immediate-mode", "-B", str(_KERNEL_MIB << 10), "-s", str(wanted.snaplen)]
        return "tcpdump", [path, *options, "-i", interface, "-w", "-", *words]
    if path := shutil.which("dumpcap"):
        options = ["-q", "-P", "-B", str(_KERNEL_MIB), "-s", str(wanted.snaplen), "-i", interface]
        return "dumpcap", [path, *options, *(["-f", wanted.filter] if words else []), "-w", "-"]
    module = "analyzer.sources.scapy_capture"
    return _SCAPY, [sys.executable, "-m", module, interface, str(wanted.snaplen), *words]
