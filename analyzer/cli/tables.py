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
    """The outputs that are files, and those that are folders. Raises UserError where one has no name."""
    folders = [target for target in outputs if target.format in FOLDERS]
    for target in folders:
        if not target.path:
            what, hint = "the tables are files in a folder", f"-o {target.format}=DIR"
            raise UserError("no-folder", f"-o {target.format}", what, hint)
        path, where = Path(target.path), f"-o {target.format}={target.path}"
        if path.exists() and not path.is_dir():
            raise UserError("not-a-directory", where, "this is no directory", "name a new one.")
        if path.is_dir() and any(path.iterdir()):
            raise UserError("not-empty", where, "there is something in this directory", "name a new one.")
    return [target for target in outputs if target.format not in FOLDERS], folders


def write_folders(folders: Sequence[Target], report: Report) -> None:
    """Write the report's verdicts as tables. Raises UserError."""
    for target in folders:
        from analyzer.reports.tables.export import write_report

        write_report(report, Path(target.path), f"-o {target.format}={target.path}")
