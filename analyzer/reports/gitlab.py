"""A check as GitLab's code quality report: a JSON list of issues in Code Climate's format."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import PurePath
from typing import Any, TextIO

from analyzer.model.checked import Checked, CheckRun
from analyzer.model.rule import Severity
from analyzer.reports import check_words as words
from analyzer.reports.printable import printable

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def write(run: CheckRun, out: TextIO) -> None:
    """Write it. A fingerprint is the same in the next run and no other's in this one."""
    seen: dict[str, int] = {}
    issues = []
    for capture in run.captures:
        for key, issue in _issues(capture):
            number = seen[key] = seen.get(key, 0) + 1
            fingerprint = sha256(f"{key} {number}".encode("utf-8", "surrogateescape")).hexdigest()
            issues.append({**issue, "fingerprint": fingerprint})
    out.write(json.dumps(issues, indent=2))
    out.write("\n")


def _issues(capture: Checked) -> Iterable[tuple[str, dict[str, Any]]]:
    if capture.error:
        yield (
            f"{capture.path} unreadable",
            _issue(capture.error.what, "unreadable", "blocker", capture.path, 1),
        )
    for problem, _ in words.grouped(capture.new):  # how many varies, and would make it another issue
        text = f"{words.line(problem)}: {words.sentence(problem)} {words.why(problem)}"
        issue = _issue(text, problem.rule, _SEVERITIES[problem.severity], capture.path, 1)
        yield f"{capture.path} {problem.key}", issue
    for expectation in capture.unmet:
        path, _, line = expectation.where.rpartition(":")
        text = f"expected {expectation.wanted}; found {'; '.join(expectation.found)}"
        issue = _issue(text, "unmet-expectation", "major", path, int(line))
        yield f"{capture.path} {expectation.wanted}", issue


def _issue(text: str, name: str, severity: str, path: str, line: int) -> dict[str, Any]:
    return {
        "type": "issue",
        "description": printable(text),
        "check_name": name,
        "severity": severity,
        "categories": ["Bug Risk"],
        "location": {"path": printable(PurePath(path).as_posix()), "lines": {"begin": line}},
    }
