"""What is said while a capture goes on, as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from analyzer.model.flow import SIDES
from analyzer.reports.json_lines import SCHEMA
from analyzer.reports.json_report import flow_as_plain
from analyzer.reports.live_changes import Change


def lines(changes: Iterable[Change]) -> Iterator[str]:
    """A line for each: ``told`` for the first time, ``changed``, or ``taken-back``."""
    for change in changes:
        flow = flow_as_plain(change.result)
        verdicts, findings = flow.pop("verdicts"), flow.pop("findings")
        record = {
            "schema": SCHEMA,
            "type": "live",
            "state": _state(change),
            "endpoint": SIDES[change.side],
            "flow": flow,
            "verdict": _of(change, verdicts),
            "finding": _of(change, findings),
        }
        yield json.dumps(record)


def _state(change: Change) -> str:
    if change.now is None:
        return "taken-back"
    return "changed" if change.before else "told"


def _of(change: Change, items: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The one that is said now of that end."""
    if change.now is None:
        return None
    wanted = (change.now.rule, SIDES[change.side])
    return next((item for item in items if (item["rule"], item["endpoint"]) == wanted), None)
