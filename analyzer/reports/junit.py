"""A check as JUnit's XML, as Jenkins and GitLab read it: a suite a capture, a case an expectation.

xml.etree writes it: the packages for this format are either not maintained or under Apache-2.0 alone.
"""

from __future__ import annotations

from typing import TextIO
from xml.etree import ElementTree as Xml

from analyzer.model.checked import Checked, CheckRun, ExpectationResult, Problem
from analyzer.reports import check_words as words
from analyzer.reports.printable import printable


def write(run: CheckRun, out: TextIO) -> None:
    """Write it; characters that XML does not have are escaped as in the other reports."""
    suites = Xml.Element("testsuites", name="errnoscope")
    for capture in run.captures:
        _suite(suites, capture)
    Xml.indent(suites)
    out.write('<?xml version="1.0" encoding="utf-8"?>\n')
    out.write(Xml.tostring(suites, encoding="unicode"))
    out.write("\n")


def _suite(suites: Xml.Element, capture: Checked) -> None:
    name = words.path(capture)
    failures = bool(capture.new) + len(capture.unmet)
    cases = 1 + len(capture.expectations)
    numbers = {"tests": cases, "failures": failures, "errors": int(bool(capture.error)), "skipped": 0}
    attributes = {"name": name} | {key: str(number) for key, number in numbers.items()}
    suite = Xml.SubElement(suites, "testsuite", attributes)
    case = Xml.SubElement(suite, "testcase", name="no unexpected problem", classname=name, time="0")
    if capture.error:
        _say(case, "error", "unreadable", f"{capture.error.where}: {capture.error.what}", [])
    if capture.new:
        first = words.sentence(capture.new[0])
        more = f" (and {len(capture.new) - 1} more)" if len(capture.new) > 1 else ""
        _say(
            case,
            "failure",
            capture.new[0].rule,
            first + more,
            [_problem(*one) for one in words.grouped(capture.new)],
        )
    if doubts := words.doubts(capture):
        Xml.SubElement(case, "system-out").text = "\n".join(doubts)
    for expectation in capture.expectations:
        _expectation(suite, name, expectation)


def _problem(problem: Problem, number: int) -> str:
    details = f"{words.sure(problem)}, {words.frames(problem)}{words.more(number)}"
    return f"{words.line(problem)}\n  {words.sentence(problem)} {words.why(problem)}\n  {details}"


def _expectation(suite: Xml.Element, classname: str, expectation: ExpectationResult) -> None:
    title = printable(f"{expectation.wanted} ({expectation.where})")
    case = Xml.SubElement(suite, "testcase", name=title, classname=classname, time="0")
    if not expectation.met:
        lines = [f"expected  {expectation.wanted}", "found     " + "\n          ".join(expectation.found)]
        _say(case, "failure", "unmet-expectation", expectation.why or "expectation not met", lines)


def _say(case: Xml.Element, tag: str, kind: str, message: str, lines: list[str]) -> None:
    element = Xml.SubElement(case, tag, message=printable(message), type=kind)
    element.text = "\n".join(printable(line) for text in lines for line in text.split("\n"))
