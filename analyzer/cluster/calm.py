"""Loaded by the workers of this machine: Ctrl-C is for the process that started them, which ends them."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """A worker has started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
