"""A bar on stderr while long files are read, on a terminal only."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

import click

from analyzer.cli.messages import columns

_FROM = 64 << 20
"""Bytes of input from which on progress is shown."""

_BESIDE, _WIDEST = 36, 36
"""Columns that a bar leaves to what stands beside it (percentage, time left, what is done on the way), and
those that it has."""


class Progress(ExitStack):
    """Shows how much of all files was read, once it is told of enough; a bar for each thing that is done."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted = sys.stderr.isatty()
        self._bar: Any = None
        self._doing = self._beside = ""
        self._done = 0

    def end(self) -> None:
        """Something else is written to the terminal now."""
        self.close()
        self._doing = ""

    def show(self, done: int, size: int, doing: str = "reading", beside: str = "") -> None:
        """So many bytes of all files were read, for what is being done with them, and what is on the way."""
        if not self._wanted or (self._bar is None and size < _FROM):
            return
        if doing != self._doing:
            self.end()
            self._bar, self._doing, self._done = self.enter_context(_bar(doing, size)), doing, 0
            self.callback(self._say_beside, "")  # it is over before the bar is
        self._bar.update(done - self._done)
        self._done = done
        self._say_beside(beside)

    def _say_beside(self, what: str) -> None:
        if what != self._beside:
            self._beside = self._bar.current_item = what
            self._bar.render_progress()


def _bar(doing: str, size: int) -> Any:
    """A bar that leaves none of its lines too long for the terminal."""
    width = columns() - len(doing) - _BESIDE
    return click.progressbar(
        length=size,
        label=doing,
        file=sys.stderr,
        width=max(1, min(_WIDEST, width)),
        update_min_steps=max(1, size // 200),
        item_show_func=lambda beside: beside or None,
    )
