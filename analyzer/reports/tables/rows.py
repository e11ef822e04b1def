"""Verdicts and captures of a report as rows: a dictionary each, by the columns of ``schema``.

Times are nanoseconds since the epoch; what is not there is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult, Verdict
from analyzer.model.report import Report


def verdict_rows(report: Report) -> Iterator[dict[str, Any]]:
    """A row a verdict, in the report's order."""
    for result in report.flows:
        for verdict in result.verdicts:
            yield _verdict(result, verdict)


def _verdict(result: FlowResult, verdict: Verdict) -> dict[str, Any]:
    flow = result.flow
    behind = [f for f in result.findings if (f.rule, f.side) == (verdict.rule, verdict.side)]
    finding = next((f for f in behind if f.time == verdict.time), behind[0] if behind else None)
    return {
        "flow": flow.id,
        "capture": flow.capture,
        "protocol": flow.protocol.lower(),
        "client": flow.client.address,
        "client_port": flow.client.port,
        "server": flow.server.address,
        "server_port": flow.server.port,
        "tunnel": flow.tunnel or None,
        "start": flow.start,
        "end": result.end,
        "time": verdict.time,
        "endpoint": verdict.endpoint,
        "errno": verdict.errno or None,
        "number": verdict.number,
        "platform": verdict.platform,
        "platform_name": verdict.platform_name or None,
        "call": verdict.table.call,
        "signal": verdict.table.signal.get(verdict.table.call),
        "confidence": verdict.confidence.value,
        "rule": verdict.rule,
        "title": finding.title if finding else None,
        "summary": finding.summary if finding else None,
        "recovered": verdict.recovered,
        "recovered_at": verdict.recovered_at or None,
        "recovered_by": verdict.recovered_by or None,
        "frames": list(verdict.frames),
        "frame_captures": list(verdict.frame_captures or [flow.capture] * len(verdict.frames)),
        "doubts": [doubt.value for doubt in verdict.doubts],
    }


def capture_rows(captures: Sequence[Capture]) -> Iterator[dict[str, Any]]:
    """A row a capture, by its index."""
    for index, capture in enumerate(captures):
        yield {
            "capture": index,
            "path": capture.path,
            "packets": capture.packets,
            "first": capture.first,
            "last": capture.last,
            "problems": capture.problems,
            "damage": f"{capture.damage.where}: {capture.damage.what}" if capture.damage else None,
        }
