"""Names, comments and index of the files into which failing flows are cut out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analyzer.model.capture import INDEX_SCHEMA
from analyzer.model.carving import Carving
from analyzer.model.finding import FlowResult, Verdict
from analyzer.model.flow import Endpoint
from analyzer.model.report import Report
from analyzer.reports.comments import flow_comments
from analyzer.reports.groups import groups
from analyzer.reports.printable import printable
from analyzer.reports.words import count, headline, moment, result_name

OF_A_KIND = 100
"""Flows of one kind of failure that get a file; the others look like them."""

INDEX = "index.json"


def carvings(report: Report, folder: Path) -> list[Carving]:
    """The failing flows, the first of each kind of failure."""
    found: dict[str, Carving] = {}
    for group in groups(report):
        if not group.failed:
            continue
        for result in group.members[:OF_A_KIND]:
            if result.summary is None:
                continue
            name = _name(result, found)
            found[name] = Carving(result, folder / name, _whole(report, result), flow_comments(result))
    return list(found.values())


def _name(result: FlowResult, taken: dict[str, Carving]) -> str:
    """``10.0.0.1-41000_10.0.0.5-5432_EPIPE_rst-after-fin.pcapng``; where that is taken, with a number."""
    verdict, flow = result.verdicts[0], result.flow
    stem = "_".join((_end(flow.client), _end(flow.server), _outcome(verdict), verdict.rule))
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", stem)
    names = (f"{stem}{f'_{number}' if number > 1 else ''}.pcapng" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _end(end: Endpoint) -> str:
    return f"{end.address.replace(':', '.')}-{end.port}"


def _outcome(verdict: Verdict) -> str:
    return verdict.errno or result_name(verdict.table.calls[verdict.table.call])


def _whole(report: Report, result: FlowResult) -> str:
    paths = ", ".join(report.captures[index].path for index in result.captures)
    lines = [f"errnoscope: {result.flow.client} -> {result.flow.server}, cut out of {paths}"]
    lines += [headline(verdict) for verdict in result.verdicts]
    lines.append("Frame numbers in comments are those of the capture that it was cut out of.")
    return "\n".join(map(printable, lines))


def index_text(report: Report, carved: Sequence[Carving], packets: Sequence[int]) -> str:
    """What is in the folder, as a JSON document."""
    places = {id(result): index for index, result in enumerate(report.flows)}
    files = [
        _entry(carving, places[id(carving.result)], count)
        for carving, count in zip(carved, packets, strict=True)
    ]
    document = {
        "schema": INDEX_SCHEMA,
        "files": files,
        "alike_and_left_out": _left_out(report, packets),
    }
    return json.dumps(document, indent=2) + "\n"


def written(report: Report, packets: Sequence[int]) -> str:
    """What is in the folder, as a sentence."""
    if not packets:
        return f"nothing failed: only {INDEX} was written"
    told = f"{count(len(packets), 'capture')} of {count(sum(packets), 'packet')} and {INDEX} were written"
    left_out = _left_out(report, packets)
    return f"{told}; {count(left_out, 'connection')} that failed alike left out" if left_out else told


def _left_out(report: Report, packets: Sequence[int]) -> int:
    """Failing flows that got no file."""
    return sum(bool(result.verdicts) for result in report.flows) - len(packets)


def _entry(carving: Carving, place: int, packets: int) -> dict[str, Any]:
    result = carving.result
    return {
        "file": carving.path.name,
        "flow": place,
        "client": str(result.flow.client),
        "server": str(result.flow.server),
        "start": moment(result.flow.start),
        "packets": packets,
        "verdicts": [
            {
                "endpoint": verdict.endpoint,
                "call": verdict.table.call,
                "errno": verdict.errno or None,
                "confidence": verdict.confidence.value,
                "rule": verdict.rule,
                "frames": list(verdict.frames),
            }
            for verdict in result.verdicts
        ],
    }
