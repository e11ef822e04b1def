"""Records traffic of this machine while something runs: tcpdump or dumpcap in a process of its own."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1  # include/uapi/linux/sockios.h, if.h
_PATIENCE = 5.0
"""Seconds that the recorder gets to begin, and to write down the last packet."""


class NotPermitted(Exception):  # noqa: N818 - a reason, not a mistake
    """Why nothing can be recorded here."""


class Recording:
    """Records what passes the loopback interface, from ``start`` to ``stop``; ``path`` is then a capture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def start(self) -> None:
        """Begin; raises NotPermitted where this machine does not allow it."""
        command = _command()
        errors = self.path.with_suffix(".log").open("w+b")
        with self.path.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 - tcpdump or dumpcap, as found on PATH
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
            )
        self._errors = errors
        try:
            self._wait_until_ready(Path(command[0]).name)
        except BaseException:
            self._end()
            raise

    def stop(self) -> Path:
        """End, once all that was sent before is written; does nothing the second time."""
        if self._process is not None:
            self._await_last_packet()
            self._end()
        return self.path

    def _wait_until_ready(self, program: str) -> None:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            said = self._said()
            if self._process is not None and self._process.poll() is not None:
                raise NotPermitted(f"{program} may not record here: {said.strip() or 'it says nothing'}")
            if ("listening on" in said or "Capturing on" in said) and self._reaches_the_file():
                return
            time.sleep(0.01)
        raise NotPermitted(f"{program} recorded nothing within {_PATIENCE:.0f} s")

    def _said(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")

    def _await_last_packet(self) -> None:
        """Packets reach the file in order: once a token sent now stands there, so does all before it."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and not self._reaches_the_file():
            pass

    def _reaches_the_file(self) -> bool:
        """Send a token to ourselves; whether it is recorded soon."""
        token = os.urandom(16)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:  # nobody gets an ICMP error from it
            own.bind(("127.0.0.1", 0))
            own.sendto(token, own.getsockname())
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            if token in self._tail():
                return True
            time.sleep(0.005)
        return False

    def _tail(self) -> bytes:
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(0, size - (1 << 16)))
            return file.read()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()
        if self._errors is not None:
            self._errors.close()
            Path(self._errors.name).unlink(missing_ok=True)
            self._errors = None


def _command() -> list[str]:
    """tcpdump, else dumpcap, writing to stdout: as root they drop rights and could not open our file."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if tcpdump := shutil.which("tcpdump", path=search):
        return [
            tcpdump,
            "-i",
            _loopback(),
            "-n",
            "-U",
            "--immediate-mode",
            "-s",
            "0",
            "-B",
            "8192",
            "-w",
            "-",
        ]
    if dumpcap := shutil.which("dumpcap", path=search):
        return [dumpcap, "-i", _loopback(), "-q", "-P", "-w", "-"]
    raise NotPermitted("neither tcpdump nor dumpcap is installed")


def _loopback() -> str:
    names = [name for _, name in socket.if_nameindex()] if hasattr(socket, "if_nameindex") else []
    return next((name for name in ("lo", "lo0") if name in names), "lo")


@contextmanager
def own_network() -> Iterator[None]:
    """A network namespace of its own for this thread: its loopback carries nobody else's traffic.

    Needs Linux and CAP_SYS_ADMIN; raises NotPermitted where that is not so.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        raise NotPermitted("this system has no network namespaces")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET):
            raise NotPermitted(
                f"no network namespace: {os.strerror(ctypes.get_errno())} (needs CAP_SYS_ADMIN)"
            )
        try:
            _bring_up("lo")
            yield
        finally:
            if libc.setns(before, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "cannot return to the network namespace before")
    finally:
        os.close(before)


def _bring_up(interface: str) -> None:
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", interface.encode(), 0)
        (flags,) = struct.unpack("16xH14x", ioctl(any_socket, _SIOCGIFFLAGS, request))
        ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", interface.encode(), flags | _IFF_UP))
