"""A check as Markdown, for a pull request's comment or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TextIO

from analyzer.model.checked import Checked, CheckRun, Problem, Standing
from analyzer.reports import check_words as words
from analyzer.reports.printable import printable

_SHOWN = 20
"""Rows of a capture; a comment has a limited length."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&|~!#@$:]|(?<=www)\.)", re.IGNORECASE)
"""What could begin markup, a link or a mention in the middle of a line."""


def write(run: CheckRun, out: TextIO) -> None:
    """Write it."""
    for line in _run(run):
        out.write(line + "\n")


def _run(run: CheckRun) -> Iterable[str]:
    yield f"### errnoscope: {words.total(run)}"
    passed = [capture for capture in run.captures if capture.passed]
    for capture in run.captures:
        if not capture.passed:
            yield from _capture(capture)
    if passed:
        yield ""
        yield f"<details><summary>{len(passed)} passed</summary>"
        yield ""
        yield from (f"- {_code(capture.path)}: {words.outcome(capture)}" for capture in passed)
        yield ""
        yield "</details>"
    if run.vanished:
        yield ""
        yield "Gone since the baseline was written:"
        yield ""
        yield from (f"- {_code(key)}" for key in run.vanished)
    if run.notes:
        yield ""
        yield from (f"- {_code(note)}" for note in run.notes)


def _capture(capture: Checked) -> Iterable[str]:
    yield ""
    yield f"#### {_code(capture.path)}: {words.outcome(capture)}"
    if capture.error:
        yield ""
        yield f"{words.state(capture)}: {_code(capture.error.what)}"
    if capture.new:
        yield ""
        yield "| | got | connection | why | sure | frames |"
        yield "| --- | --- | --- | --- | --- | --- |"
        groups = words.grouped(capture.new)
        yield from (_row(*group) for group in groups[:_SHOWN])
        if len(groups) > _SHOWN:
            yield ""
            yield f"and {len(groups) - _SHOWN} more kinds"
    for expectation in capture.unmet:
        yield ""
        why = f" ({_text(expectation.why)})" if expectation.why else ""
        yield f"Expectation not met, {_code(expectation.where)}{why}"
        yield ""
        yield "| expected | found |"
        yield "| --- | --- |"
        yield f"| {_code(expectation.wanted)} | {'<br>'.join(map(_code, expectation.found))} |"
    hidden = words.grouped([p for p in capture.problems if p.standing is Standing.SUPPRESSED])
    if hidden:
        yield ""
        yield from (f"- suppressed: {_code(words.line(p))}: {_text(p.reason)}" for p, _ in hidden)


def _row(problem: Problem, number: int) -> str:
    flow = problem.flow.flow
    mark = {"error": "❌", "warning": "⚠️"}.get(problem.severity.value, "ℹ️")
    cells = (
        mark,
        _text(words.got(problem)),
        f"{_code(str(flow.client))} → {_code(str(flow.server))}",
        f"{_text(words.why(problem))} {_code(problem.rule)}",
        words.sure(problem),
        words.frames(problem).partition(" ")[2] + words.more(number),
    )
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Text that stays text: CommonMark takes a backslash before any punctuation of ASCII."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def _code(text: str) -> str:
    """Text from outside as code, in which nobody is mentioned and nothing is linked; also inside a table."""
    safe = printable(text).replace("`", "'").replace("|", "\\|")
    return f"`{safe}`" if safe.strip() else "` `"
