"""``-o parquet=DIR``, and the folders that tables are written to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.cli.output import Target
from analyzer.errors import UserError
from analyzer.reports.formats import FOLDERS

if TYPE_CHECKING:
    from analyzer.model.report import Report


def apart(outputs: Sequence[Target]) -> tuple[list[Target], list[Target]]:
    """The outputs that are files, and those that are folders.

    Raises UserError where one has no name, or what writes tables is not installed.
    """
    folders = [target for target in outputs if target.format in FOLDERS]
    for target in folders:
        if not target.path:
            what, hint = "the tables are files in a folder", f"-o {target.format}=DIR"
            raise UserError("no-folder", f"-o {target.format}", what, hint)
        from analyzer.reports.tables.frames import refuse_without_polars

        refuse_without_polars(place(target))
    return [target for target in outputs if target.format not in FOLDERS], folders


def write_folders(folders: Sequence[Target], report: Report) -> None:
    """Write the report's verdicts as tables. Raises UserError."""
    for target in folders:
        from analyzer.reports.tables.export import write_report

        write_report(report, Path(target.path), place(target))


def place(target: Target) -> str:
    """The option that names a target, as messages have it."""
    return f"-o {target.format}={target.path}"
