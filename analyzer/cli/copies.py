"""What reads the captures a second time: ``-o pcapng=FILE``, ``--carve DIR``, and pictures of flows."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analyzer.cli.messages import complain
from analyzer.cli.output import Outputs, Target, refuse_url
from analyzer.cli.progress import Progress
from analyzer.errors import UserError, unwritable

if TYPE_CHECKING:
    from analyzer.model.picture import Picture
    from analyzer.model.report import Report

KEY_BYTES = 32
KEY_VARIABLE = "ERRNOSCOPE_ANONYMIZE_KEY"


def refuse_what_cannot_be_copied(targets: Sequence[Target], captures: Sequence[str]) -> None:
    """A copy needs one capture that can be read twice, and a place for bytes. Raises UserError."""
    for target in targets:
        where = f"-o {target.format}{'=' * bool(target.path)}{target.path}"
        if not target.known.for_people and not target.path and sys.stdout.isatty():
            hint = f"-o {target.format}=FILE"
            raise UserError(
                "terminal", where, "stdout is a terminal, and this is not to be read in one", hint
            )
        if target.known.module:
            continue
        if len(captures) > 1:
            raise UserError("one-capture", where, "is a copy of one capture", "call it once for each of them")
        if not Path(captures[0]).is_file() and (captures[0] == "-" or Path(captures[0]).exists()):
            what = "the capture is read twice, so it must be a file"
            raise UserError("not-a-file", where, what, "save the stream first: tcpdump -w FILE")


def refuse_what_cannot_be_carved(folder: str | None, captures: Sequence[str]) -> None:
    """The captures must be files, the folder no URL. Raises UserError."""
    if folder is None:
        return
    where = f"--carve {folder}"
    refuse_url(where, folder)
    for capture in captures:
        if capture == "-" or (
            Path(capture).exists() and not (Path(capture).is_file() or Path(capture).is_dir())
        ):
            what = "captures are read twice for it, so they must be files"
            raise UserError("not-a-file", where, what, "save the stream first: tcpdump -w FILE")


def key_of(folder: str | None, *, anonymize: bool) -> bytes | None:
    """The key for other addresses, None where they stay: from the environment, else a new one, told.

    Raises UserError where there is nothing to make anonymous, or the key is none.
    """
    if not anonymize:
        return None
    if folder is None:
        hint = "add --carve DIR; reports keep their addresses"
        raise UserError("nothing-to-anonymize", "--anonymize", "is for what --carve writes", hint)
    given = os.environ.get(KEY_VARIABLE, "")
    if not given:
        import secrets  # with what it needs of hashes it takes 7 ms, and few ask for it

        key = secrets.token_bytes(KEY_BYTES)
        click.echo(f"key of the addresses, to map others alike: {KEY_VARIABLE}={key.hex()}", err=True)
        return key
    if not re.fullmatch(f"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}", given):
        what = f"a key is {2 * KEY_BYTES} hexadecimal digits"
        raise UserError("bad-key", KEY_VARIABLE, what, "unset it to get a new one")
    return bytes.fromhex(given)


def write_carved(folder: str | None, report: Report, key: bytes | None, progress: Progress) -> None:
    """Write the failing flows into files of their own, and an index; say what was written. Raises UserError.

    With a ``key`` they have other addresses, in names and texts too, and no payload.
    """
    if folder is None:
        return
    from analyzer.pipeline.copying import Pseudonyms, carve
    from analyzer.reports.anonymous import anonymous
    from analyzer.reports.carve_index import INDEX, carvings, index_text, written

    path, names = Path(folder), Pseudonyms(key) if key else None
    sources = [capture.path for capture in report.captures]
    report = anonymous(report, names.text) if names else report
    carved = carvings(report, path)
    with ExitStack() as undo:
        undo.callback(_remove, [*(carving.path for carving in carved), path / INDEX])
        try:
            packets = carve(sources, carved, names, progress=progress.show)
            (path / INDEX).write_text(index_text(report, carved, packets), encoding="utf-8")
        except OSError as error:
            raise unwritable(f"--carve {folder}", error) from error
        undo.pop_all()
    progress.end()
    complain(f"{folder}: {written(report, packets)}")


def _remove(paths: Iterable[Path]) -> None:
    """What was not finished."""
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def draw(report: Report, progress: Progress) -> dict[int, Picture]:
    """The packets of flows that are worth a picture, by the ``id()`` of each result; of pipes none."""
    if not all(Path(capture.path).is_file() for capture in report.captures):
        return {}
    from analyzer.pipeline.pictures import pictures
    from analyzer.reports.groups import worth_a_picture

    try:
        return pictures(report, worth_a_picture(report), progress=progress.show)
    except UserError:  # only tshark can read it, or it is gone: what was kept is shown
        return {}


def write_copies(reports: Outputs, report: Report, progress: Progress) -> None:
    """Write the annotated copies of the capture that the report is of.

    Raises UserError where a pattern has turned out to stand for several.
    """
    for out in reports.copies():
        if len(report.captures) != 1:
            what = "is a copy of one capture, and these are several"
            raise UserError("one-capture", "-o pcapng", what, "call it once for each of them")
        from analyzer.pipeline.copying import annotate
        from analyzer.reports.comments import comments

        annotate(report.captures[0].path, comments(report), out, progress=progress.show)
