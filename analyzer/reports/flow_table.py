"""The flows of a report, one line each."""

from __future__ import annotations

from collections.abc import Iterable

from analyzer.model.finding import FlowResult
from analyzer.model.report import Report
from analyzer.model.rule import Severity
from analyzer.reports.words import count, result_name

_END = 21
"""Room for an address and a port; what is longer gets a line of its own."""


def flow_table(report: Report) -> Iterable[str]:
    """Lines of at most 80 characters, long addresses of IPv6 aside; seconds count from the first flow."""
    yield f"{count(len(report.flows), 'flow')}, and what was found in them"
    yield f"{'s':>8}      {'client':<{_END}} {'server':<{_END}} packets  found"
    first = min((result.flow.start for result in report.flows), default=0)
    for result in report.flows:
        flow = result.flow
        client, server = str(flow.client), str(flow.server)
        begin = f"{(flow.start - first) / 1e9:>8.3f}  {flow.protocol:<3} "
        rest = f"{server:<{_END}} {result.packets:>7}  {_found(result)}"
        if len(client) <= _END:
            yield f"{begin}{client:<{_END}} {rest}"
        else:
            yield f"{begin}{client}"
            yield f"{'':{len(begin) + _END}} {rest}"


def _found(result: FlowResult) -> str:
    """The errno of the first verdict, else what its call gave, else whether there was a warning."""
    for verdict in result.verdicts:
        return verdict.errno or result_name(verdict.table.calls[verdict.table.call])
    severities = {finding.severity for finding in result.findings}
    return "warning" if severities - {Severity.INFO} else ""
