"""The formats of reports: one line each, and one module each, imported when it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple, TextIO, TypeAlias

from analyzer.model.report import Report

Writer: TypeAlias = Callable[[Report, TextIO], None]


class Format(NamedTuple):
    """Module of this package whose ``write(report, out)`` makes it, and what it is for."""

    module: str
    doc: str


FORMATS = {
    "text": Format("text", "for people"),
    "json": Format("json_report", "one document with everything"),
    "json-lines": Format("json_lines", "a line a verdict, then a line with the totals"),
}


def writer(name: str) -> Writer:
    """The function that writes a report in the format of that name."""
    write: Writer = import_module(f"analyzer.reports.{FORMATS[name].module}").write
    return write
