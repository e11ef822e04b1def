"""A check as workflow commands of GitHub Actions, which it shows as annotations, and as the job's summary."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from analyzer.model.checked import Checked, CheckRun, ExpectationResult, Problem
from analyzer.model.rule import Severity
from analyzer.reports import check_words as words
from analyzer.reports import markdown
from analyzer.reports.printable import printable
from analyzer.reports.words import silence

_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable with the file that takes the summary, appended to."""

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def write(run: CheckRun, out: TextIO) -> None:
    """Write one command a kind of problem; where the runner asks for a summary, that too."""
    for capture in run.captures:
        if capture.error:
            out.write(_command("error", capture.path, 1, "unreadable capture", capture.error.what))
        for problem, number in words.grouped(capture.new):  # ten annotations of a step are shown, no more
            out.write(_problem(capture, problem, number))
        for expectation in capture.unmet:
            out.write(_expectation(expectation))
        if capture.report and (silent := silence(capture.report.captures)):
            out.write(_command("notice", capture.path, 1, silent, "\n".join(words.doubts(capture))))
    for note in run.notes:
        out.write(f"::notice::{_escaped(note)}\n")
    out.write(f"{words.total(run)}\n")
    if summary := os.environ.get(_SUMMARY):
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
            markdown.write(run, file)


def _problem(capture: Checked, problem: Problem, number: int) -> str:
    title = f"{words.got(problem)} ({problem.rule})"
    text = f"{words.line(problem)}\n{words.sentence(problem)} {words.why(problem)}\n"
    return _command(
        _COMMANDS[problem.severity],
        capture.path,
        1,
        title,
        f"{text}{words.sure(problem)}, {words.frames(problem)}{words.more(number)}",
    )


def _expectation(expectation: ExpectationResult) -> str:
    path, _, line = expectation.where.rpartition(":")
    text = f"expected {expectation.wanted}\nfound {chr(10).join(expectation.found)}"
    return _command("error", path, int(line), expectation.why or "expectation not met", text)


def _command(name: str, path: str, line: int, title: str, text: str) -> str:
    where = f"file={_property(path)},line={line},title={_property(title)}"
    return f"::{name} {where}::{_escaped(text)}\n"


def _escaped(text: str) -> str:
    """A command's message: ends of lines of ours stay, as the runner decodes them; others are printable."""
    lines = (printable(line).replace("%", "%25") for line in text.split("\n"))
    return "%0A".join(lines)


def _property(text: str) -> str:
    return printable(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
