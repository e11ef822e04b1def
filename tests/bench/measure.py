"""Run a program and read from the kernel what it used.

This module imports nothing large: on Linux the peak memory of a child is never less than what its parent held
when it was started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """What one run took."""

    wall: float
    cpu: float
    memory: int  # bytes, at the peak
    status: int  # negative: the signal that ended it
    timed_out: bool
    crashed: bool  # a Python program that ended by an exception, which exits like one that found something


def run(command: Sequence[str], timeout: float) -> Usage:
    """Run ``command`` with its output thrown away, for ``timeout`` seconds at most."""
    late = threading.Event()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,  # with bytecode, as pip installs it: to compile it takes 0.4 s at every start
            process_group=0,
        )
        timer = threading.Timer(timeout, _kill, (child.pid, late))
        timer.start()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        timer.cancel()
        errors.seek(0)
        crashed = b"Traceback (most recent call last)" in errors.read(1 << 20)
    child.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    return Usage(wall, cpu, used.ru_maxrss * 1024, child.returncode, late.is_set(), crashed)


def find(program: str) -> str | None:
    """The program beside this interpreter, else on the path, else where system programs live."""
    beside = Path(sys.executable).parent / program
    if beside.exists():
        return str(beside)
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def _kill(group: int, late: threading.Event) -> None:
    late.set()
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
