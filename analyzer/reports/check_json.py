"""What a check found as one JSON document, for programs."""

from __future__ import annotations

from typing import Any, TextIO

from analyzer import __version__
from analyzer.model.checked import Checked, CheckRun, ExpectationResult, Problem
from analyzer.reports import check_words as words
from analyzer.reports.json_report import as_plain, seconds
from analyzer.reports.json_text import write_json

SCHEMA = "errnoscope.check/1"


def write(run: CheckRun, out: TextIO) -> None:
    """Write it."""
    plain = {
        "schema": SCHEMA,
        "tool": {"name": "errnoscope", "version": __version__},
        "passed": run.passed,
        "captures": [_capture(capture) for capture in run.captures],
        "notes": list(run.notes),
        "vanished": list(run.vanished),
    }
    write_json(plain, out)


def _capture(capture: Checked) -> dict[str, Any]:
    return {
        "path": capture.path,
        "state": words.state(capture),
        "carries_on": capture.carries_on or None,
        "error": f"{capture.error.where}: {capture.error.what}" if capture.error else None,
        "problems": [_problem(problem) for problem in capture.problems],
        "expectations": [_expectation(expectation) for expectation in capture.expectations],
        "report": as_plain(capture.report) if capture.report else None,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    """``flow`` is the index of the flow in the capture's report."""
    verdict, finding = problem.verdict, problem.finding
    return {
        "standing": problem.standing.value,
        "reason": problem.reason,
        "key": problem.key,
        "flow": problem.index,
        "rule": problem.rule,
        "severity": problem.severity.value,
        "endpoint": problem.side,
        "call": problem.call or None,
        "errno": (verdict.errno or None) if verdict else None,
        "confidence": verdict.confidence.value if verdict else None,
        "client": str(problem.flow.flow.client),
        "server": str(problem.flow.flow.server),
        "frames": list(verdict.frames if verdict else finding.frames),
        "time": seconds(verdict.time if verdict else finding.time),
        "message": words.sentence(problem),
    }


def _expectation(expectation: ExpectationResult) -> dict[str, Any]:
    return {
        "where": expectation.where,
        "expected": expectation.wanted,
        "met": expectation.met,
        "found": list(expectation.found),
        "why": expectation.why,
    }
