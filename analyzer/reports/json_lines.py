"""The report as lines of JSON, for tools that take one record at a time."""

from __future__ import annotations

import json
from typing import Any, TextIO

from analyzer.model.report import Report
from analyzer.reports.json_report import as_plain

SCHEMA = "errnoscope.lines/1"


def write(report: Report, out: TextIO) -> None:
    """Write a line for each verdict, and a last line with the totals.

    The fields are those of the JSON document: the flow without what was found in it, the verdict, the
    finding behind it, and the paths of the captures that hold the flow.
    """
    plain = as_plain(report)
    for flow in plain["flows"]:
        for verdict in flow["verdicts"]:
            _line(out, _verdict(plain, flow, verdict))
    last = {key: plain[key] for key in plain if key not in ("schema", "flows")}
    _line(out, {"schema": SCHEMA, "type": "totals"} | last)


def _line(out: TextIO, record: dict[str, Any]) -> None:
    out.write(json.dumps(record) + "\n")


def _verdict(plain: dict[str, Any], flow: dict[str, Any], verdict: dict[str, Any]) -> dict[str, Any]:
    behind = [
        finding
        for finding in flow["findings"]
        if (finding["rule"], finding["endpoint"]) == (verdict["rule"], verdict["endpoint"])
    ]
    return {
        "schema": SCHEMA,
        "type": "verdict",
        "capture": plain["captures"][flow["capture"]]["path"],
        "flow": {key: value for key, value in flow.items() if key not in ("verdicts", "findings")},
        "verdict": verdict,
        "finding": next((f for f in behind if f["time"] == verdict["time"]), behind[0] if behind else None),
    }
