"""What a check found, for people who read a build's log: no colour, no frames, a few lines a problem."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TextIO

from analyzer.model.checked import Checked, CheckRun, ExpectationResult, Problem, Standing
from analyzer.reports import check_words as words
from analyzer.reports.layout import WIDTH, wrapped
from analyzer.reports.printable import printable
from analyzer.reports.words import count

_SHOWN = 50
"""Kinds of problems of a capture that are listed."""


def write(run: CheckRun, out: TextIO) -> None:
    """Write the report."""
    for line in _run(run):
        out.write(line.rstrip() + "\n")


def _run(run: CheckRun) -> Iterable[str]:
    for capture in run.captures:
        yield from _outcome(capture)
        yield from _capture(capture)
    for note in run.notes:
        yield from _lines(f"note: {printable(note)}")
    if run.vanished:
        yield f"gone since the baseline was written ({count(len(run.vanished), 'problem')}):"
        yield from (f"  {printable(key)}" for key in run.vanished)
        yield "  --write-baseline writes it anew without them"
    yield words.total(run)
    if rules := dict.fromkeys(p.rule for capture in run.captures for p in capture.new):
        yield from _lines(f"More: errnoscope explain {next(iter(rules))}; errnoscope analyze CAPTURE")


def _outcome(capture: Checked) -> Iterable[str]:
    """A line, of which the path and the first clause stay together, however long the path is."""
    head, outcome = f"{words.state(capture)}  {words.path(capture)}: ", words.outcome(capture)
    if len(head + outcome) <= WIDTH:
        yield head + outcome
        return
    first, *rest = re.split(r"(?<=[,;]) ", outcome, maxsplit=1)
    yield head + first
    for text in rest:
        yield from _lines(text, " " * 8)


def _capture(capture: Checked) -> Iterable[str]:
    if error := capture.error:
        where = "" if error.where == capture.path else f"{printable(error.where)}: "
        yield from _lines(f"{where}{printable(error.what)}", "  ")
        yield from _lines(f"hint: {printable(error.hint)}", "  ") if error.hint else ()
    for doubt in words.doubts(capture):
        yield from _lines(doubt, "  doubt    ")
    groups = words.grouped(capture.new)
    for problem, number in groups[:_SHOWN]:
        yield from _problem(problem, number)
    if len(groups) > _SHOWN:
        yield f"  ... and {len(groups) - _SHOWN:,} more kinds"
    for expectation in capture.unmet:
        yield from _expectation(expectation)
    for problem, number in words.grouped([p for p in capture.problems if p.standing is Standing.SUPPRESSED]):
        told = f"{words.line(problem)}{words.more(number)}: {printable(problem.reason)}"
        yield from _lines(told, "  suppressed  ")


def _problem(problem: Problem, number: int) -> Iterable[str]:
    severity = f"  {problem.severity.value:<7}  "
    parts = words.line_parts(problem)
    first, last = words.BETWEEN.join(parts), ""
    if len(severity) + len(first) > WIDTH:
        first, last = words.BETWEEN.join(parts[:-1]), parts[-1]
    yield severity + first
    if last:
        yield " " * len(severity) + last
    yield from _lines(f"{words.sentence(problem)} {words.why(problem)}", " " * 11)
    yield f"{' ' * 11}{words.sure(problem)}, {words.frames(problem)}{words.more(number)}"


def _expectation(expectation: ExpectationResult) -> Iterable[str]:
    yield f"  expectation not met: {printable(expectation.where)}"
    if expectation.why:
        yield from _lines(printable(expectation.why), f"    {'why':<9} ")
    yield from _lines(printable(expectation.wanted), f"    {'expected':<9} ")
    for index, line in enumerate(expectation.found):
        yield f"    {'' if index else 'found':<9} {printable(line)}"


def _lines(text: str, indent: str = "") -> Iterable[str]:
    for index, line in enumerate(wrapped(text, WIDTH - len(indent))):
        yield (" " * len(indent) if index else indent) + line
