"""``-o FORMAT[=FILE]``: which reports are written, and where to."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO, TypeVar, cast

import click

from analyzer.cli.messages import drop_output
from analyzer.errors import UserError, unwritable
from analyzer.reports.formats import FORMATS, Format, writer

Command = TypeVar("Command", bound=Any)
_STDOUT = ("-", "/dev/stdout")


class Target(NamedTuple):
    """A format, and the file that gets it; stdout where that is empty."""

    format: str
    path: str
    known: Format


def _target(text: str, formats: Mapping[str, Format]) -> Target:
    name, sign, path = text.partition("=")
    if name not in formats:
        from analyzer.matching.diagnostics import did_you_mean

        hint = did_you_mean(name, formats) or f"there are {', '.join(formats)}"
        raise UserError("unknown-format", f"-o {text}", f"there is no format `{name}`", hint)
    if sign and not path:
        raise UserError("no-file", f"-o {text}", "the name of the file is missing")
    refuse_url(f"-o {text}", path)
    return Target(name, "" if path in _STDOUT else path, formats[name])


def refuse_url(where: str, path: str) -> None:
    """Raises UserError where something is to be written behind a URL: nothing here does."""
    if "://" in path:
        what, hint = "this is written to this machine only", "give a path, and copy it there afterwards."
        raise UserError("url-for-output", where, what, hint)


def output_option(formats: Mapping[str, Format] = FORMATS) -> Callable[[Command], Command]:
    """Give a command the option; its parameter ``outputs`` is what ``opened`` takes (default: text)."""
    listed = "; ".join(f"{name}: {known.doc}" for name, known in formats.items())
    return click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        callback=lambda _context, _parameter, given: [_target(text, formats) for text in given or ["text"]],
        metavar="FORMAT[=FILE]",
        help=f"Write the report in this format, to FILE or stdout; may be given several times. {listed}. "
        "[default: text]",
    )


class Outputs:
    """Reports that will be written, their files open already."""

    def __init__(self, targets: Sequence[tuple[Format, TextIO]]) -> None:
        self._targets = targets

    def write(self, report: object, **options: object) -> None:
        """Write the report (what the formats' modules take) in every format, with the options it has.

        Whose reader of stdout has seen enough, or has closed the terminal, gets the files all the same.
        """
        for known, out in self._targets:
            if known.module:
                chosen = {name: options[name] for name in known.options if name in options}
                try:
                    writer(known)(report, out, **chosen)
                    out.flush()
                except OSError as error:
                    if out is not sys.stdout or error.errno not in (errno.EPIPE, errno.EIO):
                        raise
                    drop_output()

    def copies(self) -> Iterator[BinaryIO]:
        """The files of those that are no report but a copy of the capture, for bytes."""
        for known, out in self._targets:
            if not known.module:
                out.flush()
                yield out.buffer
                out.buffer.flush()


@contextmanager
def opened(targets: Sequence[Target], inputs: Sequence[str] = ()) -> Iterator[Outputs]:
    """Open all files; when the block is done, each takes the place of what was there before.

    Raises UserError, before any work is done, where two reports go to one place, a file cannot be written or
    is one of the ``inputs``. If the block fails, the files stay as they were.
    """
    _refuse_double(targets)
    with ExitStack() as files:
        yield Outputs([(target.known, _open(target, inputs, files)) for target in targets])


@contextmanager
def new_folders(places: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Make directories: beside each the option that names it. Those that stay empty are removed again.

    Raises UserError, before any work is done, where one cannot be made or written, or holds something.
    """
    from analyzer.reports.new_folder import NewFolder

    with ExitStack() as undo:
        made: dict[str, str] = {}
        for where, path in places:
            place = os.path.realpath(path)
            if place in made:
                raise UserError("two-outputs", f"{made[place]} {where}", "each needs a directory of its own")
            made[place] = where
            undo.callback(NewFolder(Path(path), where).give_up)
        yield


def _refuse_double(targets: Sequence[Target]) -> None:
    seen: dict[str, str] = {}
    for target in targets:
        place = os.path.realpath(target.path) if target.path else ""
        if place in seen:
            where = f"-o {seen[place]} -o {target.format}"
            name = target.path or "stdout"
            hint = f"give one of them a file of its own: -o {target.format}=FILE"
            raise UserError("two-outputs", where, f"two reports cannot go to {name}", hint)
        seen[place] = target.format


def _open(target: Target, inputs: Sequence[str], files: ExitStack) -> TextIO:
    if not target.path:
        return sys.stdout
    return files.enter_context(replaced(f"-o {target.format}={target.path}", Path(target.path), inputs))


@contextmanager
def replaced(where: str, path: Path, inputs: Sequence[str] = ()) -> Iterator[TextIO]:
    """A file that takes the place of ``path`` once it is whole; ``where`` is the option that names it.

    Raises UserError, before any work is done, where it cannot be written or is one of the ``inputs``.
    """
    with ExitStack() as file:
        try:
            if any(Path(name).exists() and path.exists() and path.samefile(name) for name in inputs):
                raise UserError("output-is-input", where, "this is one of the captures that are read")
            out = file.enter_context(_replaced(path))
        except OSError as error:
            raise unwritable(where, error) from error
        yield out


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """A file that becomes ``path`` once it is whole; pipes and devices are written as they are."""
    device = path.is_absolute() and path.parts[1] == "dev"  # /dev/fd/3 may well stand for a plain file
    if device or (path.exists() and not path.is_file()):
        with _text(path, "a") as out:
            yield out
        return
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(0, "it is write-protected", str(path))
    whole = Path(os.path.realpath(path))  # a link stays a link
    part = whole.with_name(f".{whole.name}.{os.getpid()}.part")
    try:
        with _text(part, "x") as out:
            yield out
        if whole.exists():
            part.chmod(stat.S_IMODE(whole.stat().st_mode))
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _text(path: Path, mode: str) -> Iterator[TextIO]:
    """An open file; an error in writing to it names it, for stdout's have no name."""
    try:
        with path.open(mode, encoding="utf-8", errors="backslashreplace", newline="\n") as out:
            yield cast(TextIO, out)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
