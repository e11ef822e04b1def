"""Runs a rule's own samples through the whole pipeline, and says what differs from what they expect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analyzer.model.event import Event
from analyzer.model.finding import FlowResult
from analyzer.model.flow import SIDES
from analyzer.model.rule import Rule, Sample
from analyzer.pipeline.tracing import trace


def run_sample(rule: Rule, sample: Sample, rules: Sequence[Rule], captures: Path) -> str:
    """Empty if the sample gives what it expects, else what it gave; raises UserError on a bad transcript."""
    capture = str(captures / sample.capture) if sample.capture else ""
    results, events = trace(
        rules, capture=capture, packets=sample.packets, name=f"{rule.path}: {sample.name}"
    )
    complaint = _compare(rule, sample, results)
    if not complaint:
        return ""
    return "\n".join([complaint, "  what the sockets went through:", *_story(rule, events)])


def _compare(rule: Rule, sample: Sample, results: Sequence[FlowResult]) -> str:
    found = [finding for result in results for finding in result.findings if finding.rule == rule.name]
    expect = sample.expect
    if not expect.endpoint:
        said = ", ".join(f"{SIDES[f.side]} frames {list(f.frames)}" for f in found)
        return f"  expected nothing, found {rule.name}: {said}" if found else ""
    here = [finding for finding in found if SIDES[finding.side] == expect.endpoint]
    if not here:
        return f"  expected {rule.name} at the {expect.endpoint}, found {_names(results) or 'nothing'}"
    finding = here[-1]
    if expect.frames and finding.frames != expect.frames:
        return f"  expected frames {list(expect.frames)}, found {list(finding.frames)}"
    errno = finding.outcome.errno if finding.outcome else ""
    wanted = expect.errno.get("linux", "")
    return f"  expected {wanted}, found {errno or 'no errno'}" if wanted and wanted != errno else ""


def _names(results: Sequence[FlowResult]) -> str:
    return ", ".join(f"{f.rule} at the {SIDES[f.side]}" for result in results for f in result.findings)


def _story(rule: Rule, events: Sequence[Event]) -> list[str]:
    """Each event, and which part of the rule's condition was false for it."""
    lines = []
    for event in events:
        where = f"frame {event.frames[-1]}: {event.name} at the {SIDES[event.side]}"
        lines.append(f"    {where} in {event.socket.state}")
        if event.name == rule.event and not rule.test(event):
            lines.extend(f"      {line}" for line in rule.explain_false(event).splitlines())
    return lines or ["    nothing that any rule fires on"]
