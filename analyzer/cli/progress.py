"""A bar on stderr while long files are read, on a terminal only."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

import click

_FROM = 64 << 20
"""Bytes of input from which on progress is shown."""


class Progress(ExitStack):
    """Shows how much of all files was read, once it is told of enough."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted = sys.stderr.isatty()
        self._bar: Any = None
        self._read = 0

    def show(self, read: int, size: int) -> None:
        """So many bytes of all files were read."""
        if self._bar is None and self._wanted and size >= _FROM:
            bar = click.progressbar(
                length=size, label="reading", file=sys.stderr, update_min_steps=size // 200
            )
            self._bar = self.enter_context(bar)
        if self._bar is not None:
            self._bar.update(read - self._read)
            self._read = read
