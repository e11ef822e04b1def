"""Starts the process that serves the counts, and hands them over.

The library that serves them is under Apache-2.0, which does not combine with scapy's licence in one process.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from analyzer.errors import UserError

_LOOPBACK = "127.0.0.1"
_PATIENCE = 3.0


class Exporter:
    """The process. Raises UserError where it cannot serve at ``[ADDRESS:]PORT``.

    ``address`` is where it does.
    """

    def __init__(self, place: str) -> None:
        host, port = _place(place)
        if importlib.util.find_spec("prometheus_client") is None:
            hint = "pip install 'errnoscope[metrics]'"
            raise UserError("not-installed", f"--metrics {place}", "prometheus_client is not installed", hint)
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and no shell
            [sys.executable, "-m", "analyzer.metrics.serve", host, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us
        )
        assert self._process.stdout is not None  # noqa: S101  (a pipe)
        state, _, said = self._process.stdout.readline().strip().partition(" ")
        if state != "serving":
            self.close()
            hint = "choose a free port from 1024 on, such as 9464, of an address of this machine."
            what = f"cannot be served there: {said or 'the process that serves ended'}"
            raise UserError("no-metrics", f"--metrics {place}", what, hint)
        self.address = said

    def tell(self, counts: Mapping[str, object]) -> None:
        """What is served from now on. A process that somebody ended is not mourned."""
        with suppress(BrokenPipeError):
            assert self._process.stdin is not None  # noqa: S101  (a pipe)
            self._process.stdin.write(json.dumps(counts) + "\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        with suppress(BrokenPipeError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 0xFFFF:
        raise UserError("bad-place", f"--metrics {text}", "this is no port", "such as 9464, or 0.0.0.0:9464")
    return host.strip("[]") or _LOOPBACK, int(port)
