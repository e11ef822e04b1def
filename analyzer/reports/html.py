"""The report as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analyzer import __version__
from analyzer.model.picture import Picture
from analyzer.model.report import Report
from analyzer.model.rule import Rule
from analyzer.model.times import duration
from analyzer.reports.counts import connections_of, failed_of, in_ways, is_empty
from analyzer.reports.doubts import doubts
from analyzer.reports.groups import Group, failed, groups
from analyzer.reports.host_text import systems_text
from analyzer.reports.html_data import group_cause, group_title, page_data
from analyzer.reports.printable import printable
from analyzer.reports.text_facts import who
from analyzer.reports.words import count, moment, noun, silence, silence_means

_FOLDER = Path(__file__).with_name("page")
_LIBRARY = "vendor/uplot/"
_STYLES = (f"{_LIBRARY}uPlot.min.css", "page.css")
_SCRIPTS = (
    f"{_LIBRARY}uPlot.iife.min.js",
    "base.js",
    "ladder.js",
    "chart.js",
    "plot.js",
    "overtime.js",
    "page.js",
)
_LISTED = 200
"""Kinds of failure in the table for readers without scripts."""


def write(
    report: Report,
    out: TextIO,
    pictures: Mapping[int, Picture] | None = None,
    rules: Sequence[Rule] = (),
) -> None:
    """Write the page.

    ``pictures``, by the ``id()`` of each flow's result, take the place of what was kept of the flows that
    have one; of ``rules`` those that are told of are shown in full.
    """
    found = groups(report)
    style = _joined(*_STYLES)
    # The licence of the library asks to stand in every copy.
    licence = f"/* uPlot:\n{_joined(f'{_LIBRARY}LICENSE')}\n*/"
    script = f'{licence}\n"use strict";\n(() => {{\n{_joined(*_SCRIPTS)}}})();'
    page = _templates().get_template("page.html.j2")
    shown = {
        "version": __version__,
        "policy": policy(style, script),
        "style": Markup(style),  # noqa: S704  (files of this package)
        "script": Markup(script),  # noqa: S704
        "data": Markup(embedded(page_data(report, found, pictures or {}, rules))),  # noqa: S704  (escaped by embedded())
        "title": _title(report),
        "captures": [_capture(report, index) for index in range(len(report.captures))],
        "paragraph": _paragraph(report, found),
        "silence": _silence(report),
        "hosts": systems_text(report),
        "rows": [_row(group) for group in found[:_LISTED]],
        "more_rows": max(0, len(found) - _LISTED),
        "harmless": sorted(report.totals.harmless.items()),
        "doubts": [*map(printable, report.notes), *doubts(report)],
    }
    for part in page.generate(shown):
        out.write(part)


def embedded(value: Any) -> str:
    """JSON that can stand in a script element: ASCII, and nothing in it that HTML takes for markup."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(style: str, script: str) -> str:
    """A content security policy that allows this style and this script, and nothing else."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    allowed = "style-src 'sha256-{}'; script-src 'sha256-{}'".format(*hashes)
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _joined(*names: str) -> str:
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _title(report: Report) -> str:
    if failed(report.flows):
        return failed_of(report)
    told = "No connection to judge" if is_empty(report) else f"None of {connections_of(report)} failed"
    silent = silence(report.captures)
    return f"{told}, but {silent}" if silent else told


def _capture(report: Report, index: int) -> dict[str, str]:
    capture = report.captures[index]
    facts = [capture.format or "not read", count(capture.packets, "frame"), f"{capture.bytes:,} bytes"]
    if capture.first is not None and capture.last is not None:
        facts += [moment(capture.first), duration(capture.last - capture.first)]
    damage = f"{capture.damage.where}: {capture.damage.what}" if capture.damage else ""
    return {"path": printable(capture.path), "facts": " · ".join(facts), "damage": printable(damage)}


def _paragraph(report: Report, found: list[Group]) -> str:
    """What is wrong, in a few sentences."""
    bad = [group for group in found if group.failed]
    warned = [member for group in found if not group.failed for member in group.members]
    parts = []
    if bad:
        wrong = [result for result in report.flows if result.verdicts]
        parts.append(f"{count(len(wrong), noun(wrong))} failed{in_ways(bad)}.")
        largest = max(bad, key=lambda group: len(group.members))
        if len(bad) == 1 or len(largest.members) > 1:
            frequent = "The most frequent: " if len(bad) > 1 else ""
            parts.append(f"{frequent}{group_cause(largest)}. {who(largest)}")
        recovered = sum(group.recovered for group in bad)
        if recovered:
            parts.append(f"{recovered:,} got what they wanted all the same, by trying again.")
    else:
        parts.append("No packet shows that a program got an error.")
    if warned:
        of_what = f"more {noun(warned)}" if bad else noun(warned)
        parts.append(f"{count(len(warned), of_what)} had trouble, and no error that is known.")
    if report.left_out.failed:
        parts.append(f"A filter leaves out {count(report.left_out.failed, 'connection')} that failed.")
    return printable(" ".join(parts))


def _silence(report: Report) -> str:
    """Hosts that are not there: it may be all that failed."""
    silent = silence(report.captures)
    return f"{silence_means(silent)}. More below, under What the captures cannot show." if silent else ""


def _row(group: Group) -> dict[str, str]:
    return {
        "number": str(group.number),
        "flows": f"{len(group.members):,}",
        "title": printable(group_title(group)),
        "cause": printable(group_cause(group)),
        "who": printable(who(group)),
    }
