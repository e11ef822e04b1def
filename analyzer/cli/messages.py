"""What is said on stderr, and what becomes of a stdout that nobody reads."""

from __future__ import annotations

import errno
import os
import sys
from typing import TextIO

import click

from analyzer.reports.printable import printable


def complain(message: object) -> None:
    """One message of the command; a UserError's hint stays on a line of its own."""
    for number, line in enumerate(str(message).split("\n")):
        say(f"{'' if number else 'errnoscope: '}{printable(line)}", err=True)


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write to stdout or stderr; of a terminal that was closed meanwhile nothing is to be heard any more.

    Raises OSError.
    """
    try:
        click.echo(text, err=err, nl=nl)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        drop_output(sys.stderr if err else sys.stdout)


def drop_output(stream: TextIO | None = None) -> None:
    """Nobody reads stdout, or that stream, any more; Python would complain once more when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


def in_one_place() -> bool:
    """Whether stdout and stderr are one terminal, or one file: what is in both is read twice."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, ValueError):  # one of them was replaced
        return False


def columns() -> int:
    """Columns of the terminal that stderr is; what stdout is, is another matter."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # it is none, or was replaced
        import shutil  # with what it needs it takes longer than all else that is said

        return shutil.get_terminal_size().columns
