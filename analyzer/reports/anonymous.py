"""A report that names no address of the captures, and no file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from analyzer.model.finding import Finding, FlowResult
from analyzer.model.flow import Endpoint
from analyzer.model.report import Report

Name = Callable[[str], str]
"""An address for an address."""

_MAY_BE_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)(?![\w])")


def anonymous(report: Report, name: Name) -> Report:
    """The report with other addresses wherever one is told; how flows are found again stays."""
    captures = tuple(
        replace(capture, path=f"capture {number}") for number, capture in enumerate(report.captures, 1)
    )
    return replace(report, captures=captures, flows=tuple(_flow(result, name) for result in report.flows))


def _flow(result: FlowResult, name: Name) -> FlowResult:
    client, server = (
        Endpoint(name(end.address), end.port) for end in (result.flow.client, result.flow.server)
    )
    return replace(
        result,
        flow=replace(result.flow, client=client, server=server),
        messages=(),
        findings=tuple(_finding(finding, name) for finding in result.findings),
        ladder=tuple(
            line._replace(reporter=name(line.reporter)) if line.reporter else line for line in result.ladder
        ),
    )


def _finding(finding: Finding, name: Name) -> Finding:
    icmp = finding.icmp and finding.icmp._replace(reporter=name(finding.icmp.reporter))
    summary, explanation, fix = (
        in_text(text, name) for text in (finding.summary, finding.explanation, finding.fix)
    )
    return replace(finding, icmp=icmp, evidence={}, summary=summary, explanation=explanation, fix=fix)


def in_text(text: str, name: Name) -> str:
    """The text with other addresses; what only looks like one stays."""
    return _MAY_BE_ADDRESS.sub(lambda found: _named(found[0], name), text)


def _named(word: str, name: Name) -> str:
    address = word.rstrip(".:")
    for candidate in (word, address):
        try:
            ip_address(candidate)
        except ValueError:
            continue
        return name(candidate) + word[len(candidate) :]
    return word
