"""The verdicts of a report as CSV (RFC 4180, but lines end with a line feed): ``-o csv``."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import Any, TextIO

from analyzer.model.report import Report
from analyzer.reports.tables.rows import verdict_rows
from analyzer.reports.tables.schema import BETWEEN, BOOL, TIME, VERDICTS

_SECOND = 10**9


def write(report: Report, out: TextIO) -> None:
    """Write a line with the names of the columns, then a line a verdict, with the path of its capture."""
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow([*VERDICTS, "path"])
    for row in verdict_rows(report):
        path = report.captures[row["capture"]].path
        lines.writerow([*(_plain(row[name], kind) for name, kind in VERDICTS.items()), path])


def _plain(value: Any, kind: str) -> Any:
    """As it stands in a cell."""
    if value is None:
        return ""
    if kind == TIME:
        return moment(value)
    if kind == BOOL:
        return "true" if value else "false"
    return BETWEEN[kind].join(map(str, value)) if kind in BETWEEN else value


def moment(time: int) -> str:
    """Nanoseconds since the epoch as a date and time of day (ISO 8601, UTC)."""
    seconds, fraction = divmod(time, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
