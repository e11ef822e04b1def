"""The formats of reports: one line each, and one module each, imported when it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple


class Format(NamedTuple):
    """Module of this package whose ``write(report, out)`` makes it, and what it is for.

    ``options`` are further arguments that it takes by name. Without a module it is no report but a copy.
    What is not ``for_people`` is not written to a terminal.
    """

    module: str
    doc: str
    options: tuple[str, ...] = ()
    for_people: bool = True


FORMATS = {
    "text": Format("text", "for people", options=("group",)),
    "json": Format("json_report", "one document with everything"),
    "json-lines": Format("json_lines", "a line a verdict, then a line with the totals"),
    "csv": Format("tables.csv_report", "a line a verdict"),
    "html": Format("html", "a page to look at, in one file", options=("pictures", "rules"), for_people=False),
}

FOLDERS = {"parquet": Format("", "a folder of Parquet files: a row a verdict (see docs/tables.md)")}
"""Several files, and of a library that is not imported for the others."""

COPIES = {
    "pcapng": Format(
        "", "a copy of the capture, with the findings as comments on its frames", for_people=False
    )
}
"""No reports: they need the capture, which is read a second time."""


CHECK_FORMATS = {
    "text": Format("check_text", "for people"),
    "json": Format("check_json", "one document with everything"),
    "junit": Format("junit", "JUnit XML"),
    "sarif": Format("sarif", "SARIF 2.1.0"),
    "github": Format("github", "annotations and a summary for GitHub Actions"),
    "gitlab": Format("gitlab", "GitLab's code quality"),
    "markdown": Format("markdown", "a comment of a pull request"),
}
"""Those of ``check``: their writers take a CheckRun."""


def writer(format: Format) -> Callable[..., None]:
    """The function that writes a report in that format."""
    write: Callable[..., None] = import_module(f"analyzer.reports.{format.module}").write
    return write
