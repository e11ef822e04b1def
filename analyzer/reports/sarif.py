"""A check as SARIF 2.1.0 (OASIS), as GitHub's code scanning and editors read it.

Plain dictionaries: the packages for this format model every part of the standard, of which this uses a tenth.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any, TextIO
from urllib.parse import quote

from analyzer import __version__
from analyzer.model.checked import Checked, CheckRun, ExpectationResult, Problem, Standing
from analyzer.model.rule import Rule, Severity
from analyzer.reports import check_words as words
from analyzer.reports.printable import printable

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_EXPECTATION = "unmet-expectation"


def write(run: CheckRun, out: TextIO) -> None:
    """Write it."""
    ids = {rule.name: (index, rule.id) for index, rule in enumerate(run.rules)}
    results = [_result(capture, problem, ids) for capture in run.captures for problem in capture.problems]
    unmet = [_unmet(e, len(run.rules)) for capture in run.captures for e in capture.unmet]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(run)},
                "invocations": [_invocation(run)],
                "columnKind": "unicodeCodePoints",
                "results": results + unmet,
            }
        ],
    }
    out.write(json.dumps(log, indent=2))
    out.write("\n")


def _driver(run: CheckRun) -> dict[str, Any]:
    expectation = {
        "id": _EXPECTATION,
        "name": _EXPECTATION,
        "shortDescription": {"text": "An expectation about a capture was not met"},
        "help": {"text": "What the file beside the capture says must, may or must not happen was not so."},
        "defaultConfiguration": {"level": "error"},
    }
    return {
        "name": "errnoscope",
        "semanticVersion": __version__,
        "rules": [*map(_rule, run.rules), expectation],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    explanation, fix = rule.explanation.strip(), rule.fix.strip()
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": explanation},
        "help": {
            "text": f"{explanation}\n\nWhat to do\n\n{fix}",
            "markdown": f"{explanation}\n\n**What to do**\n\n{fix}",
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["network", "tcp"]},
    }


def _invocation(run: CheckRun) -> dict[str, Any]:
    errors = [capture.error for capture in run.captures if capture.error]
    told = [("error", f"{error.where}: {error.what}") for error in errors]
    told += [("note", note) for note in run.notes]
    told += [("note", f"in the baseline, but not found: {key}") for key in run.vanished]
    return {
        "executionSuccessful": not run.unreadable,
        "toolExecutionNotifications": [
            {"level": level, "message": {"text": printable(text)}} for level, text in told
        ],
    }


def _result(capture: Checked, problem: Problem, ids: dict[str, tuple[int, str]]) -> dict[str, Any]:
    index, rule_id = ids.get(problem.rule, (-1, problem.rule))
    flow = problem.flow.flow
    result: dict[str, Any] = {
        "ruleId": rule_id,
        "ruleIndex": index,
        "level": "note" if problem.recovered else _LEVELS[problem.severity],
        "message": {
            "text": f"{flow.client} -> {flow.server}: {words.sentence(problem)} {words.why(problem)}"
        },
        "locations": [
            {
                "physicalLocation": _physical(capture.path, 1),
                "logicalLocations": [{"name": f"{flow.client} -> {flow.server}", "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"problem/1": problem.key},
        "properties": {
            "frames": list(problem.finding.frames),
            "confidence": words.sure(problem),
            "standing": problem.standing.value,
        },
    }
    if problem.standing is Standing.KNOWN:
        result["baselineState"] = "unchanged"
    elif problem.standing is not Standing.NEW:  # a viewer hides these, and shows why
        reason = printable(problem.reason)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _unmet(expectation: ExpectationResult, index: int) -> dict[str, Any]:
    path, _, line = expectation.where.rpartition(":")
    text = f"expected {expectation.wanted}; found {'; '.join(expectation.found)}"
    return {
        "ruleId": _EXPECTATION,
        "ruleIndex": index,
        "level": "error",
        "message": {"text": printable(f"{expectation.why}: {text}" if expectation.why else text)},
        "locations": [{"physicalLocation": _physical(path, int(line))}],
        "partialFingerprints": {"expectation/1": expectation.wanted},
    }


def _physical(path: str, line: int) -> dict[str, Any]:
    """A file, and a line because viewers want one: a capture has none, so it is the first."""
    uri = quote(PurePath(path).as_posix().encode("utf-8", "surrogateescape"), safe="/-._~")
    return {
        "artifactLocation": {"uri": f"file://{uri}" if uri.startswith("/") else uri},
        "region": {"startLine": line},
    }
