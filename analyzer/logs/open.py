"""Where lines come from: a file, standard input, or a line that somebody gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TypeAlias

from analyzer.errors import UserError

LogSource: TypeAlias = str | os.PathLike[str] | Iterable[str]
"""A path; ``-`` for standard input; a line (with a space in it); or lines, such as an open text file."""


GIVEN = "the line given"
"""The name of a log that is but a line."""


def open_log(source: LogSource) -> tuple[str, Iterator[str]]:
    """The name of a log, and its lines; raises UserError where there is no such file or it is not text."""
    if isinstance(source, str):
        if not source:
            what, hint = "this is no name of a file", "is it a variable of the shell that is not set?"
            raise UserError("unreadable-log", '""', what, hint)
        if source == "-":
            return "standard input", _decoded(sys.stdin.buffer, "standard input")
        if not Path(source).exists() and any(sign.isspace() for sign in source):
            return GIVEN, iter(source.splitlines())
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source), _file(Path(source))
    return str(getattr(source, "name", "lines")), iter(source)


def _file(path: Path) -> Iterator[str]:
    where = str(path)
    try:
        raw = path.open("rb")
    except OSError as error:
        hint = "give a file, - for standard input, or a whole line in quotation marks"
        raise UserError("unreadable-log", where, error.strerror or str(error), hint) from error
    return _decoded(raw, where, packed=path.suffix == ".gz")


def _decoded(raw: IO[bytes], where: str, *, packed: bool = False) -> Iterator[str]:
    import gzip  # most analyses have no logs

    try:
        with raw:
            for number, line in enumerate(gzip.GzipFile(fileobj=raw) if packed else raw):
                if number == 0 and b"\0" in line:
                    hint = "a capture is given by itself, without --log"
                    raise UserError("unreadable-log", where, "this is no log: it is not text", hint)
                yield line.decode("utf-8", errors="replace")
    except (OSError, EOFError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise UserError("unreadable-log", where, f"it cannot be read: {what}") from error
