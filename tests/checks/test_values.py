"""Expectations, baseline and suppressions as values: what they cover, and what is wrong in their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from analyzer import analyze
from analyzer.checks.baseline import as_json, read_baseline
from analyzer.checks.expectations import Expectation, as_yaml, judge, read_expectations
from analyzer.checks.judge import Judge
from analyzer.checks.problems import problems
from analyzer.checks.suppressions import Suppression, read_suppressions
from analyzer.errors import UserError
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.yaml_lines import parse_yaml
from analyzer.model.checked import Problem, Standing
from analyzer.model.flow import Endpoint
from analyzer.model.rule import Severity
from analyzer.reports.check_words import line
from tests.captures import sample

RULES = {rule.name for rule in load_rules(rules_folder())}
FAILED = analyze(sample("rst-after-fin-send-first"))
TODAY = date(2026, 11, 21)

(EPIPE,) = problems(FAILED)
SERVER = EPIPE.flow.flow.server


def moved(problem: Problem, **ends: Endpoint) -> Problem:
    """The same problem on a flow with other ends."""
    return replace(problem, flow=replace(problem.flow, flow=replace(problem.flow.flow, **ends)))


def expectations(text: str) -> list[Expectation]:
    found, errors = read_expectations(parse_yaml(text, "t.expect.yaml"), RULES)
    assert not errors, "\n".join(map(str, errors))
    return found


def wrong(
    text: str, read: Callable[[Any, Any], tuple[list[Any], list[Any]]] = read_expectations
) -> list[str]:
    """Place and message of each error."""
    _, errors = read(parse_yaml(text, "t.yaml"), RULES)
    return [str(error).splitlines()[0].removeprefix("t.yaml:") for error in errors]


def suppressions(text: str) -> list[Suppression]:
    found, errors = read_suppressions(parse_yaml(text, "s.yaml"), RULES)
    assert not errors, "\n".join(map(str, errors))
    return found


# Selections


@pytest.mark.parametrize(
    "selection",
    [
        "{}",
        "errno: EPIPE",
        "errno: [ECONNRESET, EPIPE]",
        "rule: rst-after-fin",
        "call: send",
        "side: client",
        "severity: error",
        "protocol: tcp",
        "client: 10.9.0.0/16",
        f"server: '{SERVER}'",
        f"server: ':{SERVER.port}'",
        f"host: {SERVER.address}",
        f"port: {SERVER.port}",
        "flow: 0",
        "after: 0.1",
        "after: 2020-01-01T00:00:00",
        "before: 2100-01-01T00:00:00+02:00",
    ],
)
def test_what_a_selection_covers(selection: str) -> None:
    (entry,) = expectations(f"must:\n  - {{{selection.removeprefix('{').removesuffix('}')}}}")
    assert entry.selection.covers(EPIPE)


@pytest.mark.parametrize(
    "selection",
    [
        "errno: ECONNRESET",
        "rule: reset-by-peer",
        "call: recv",
        "side: server",
        "severity: warning",
        "protocol: udp",
        "client: 10.8.0.0/16",
        "server: '10.9.1.2:1'",
        "host: '::1'",
        "port: 1",
        "flow: 1",
        "after: 100",
        "before: 2020-01-01",
    ],
)
def test_what_a_selection_does_not_cover(selection: str) -> None:
    (entry,) = expectations(f"must:\n  - {{{selection}}}")
    assert not entry.selection.covers(EPIPE)


# Expectations


@pytest.mark.parametrize(
    ("text", "met", "standing"),
    [
        ("must: [{errno: EPIPE}]", True, Standing.EXPECTED),
        ("must: [{errno: EPIPE, count: 1}]", True, Standing.EXPECTED),
        ("must: [{errno: EPIPE, count: 2}]", False, Standing.EXPECTED),
        ("must: [{errno: EPIPE, at_least: 1, at_most: 3}]", True, Standing.EXPECTED),
        ("must: [{errno: ECONNRESET}]", False, Standing.NEW),
        ("may: [{errno: EPIPE}]", True, Standing.EXPECTED),
        ("may: [{errno: EPIPE, at_most: 0}]", False, Standing.EXPECTED),
        ("may: [{errno: ECONNRESET}]", True, Standing.NEW),
        ("must_not: [{errno: ECONNRESET}]", True, Standing.NEW),
        ("must_not: [{errno: EPIPE}]", False, Standing.NEW),
        ("may: [{}]\nmust_not: [{errno: EPIPE}]", False, Standing.NEW),
        ("", True, Standing.NEW),
    ],
)
def test_expectations(text: str, met: bool, standing: Standing) -> None:
    marked, results = judge(expectations(text), (EPIPE,), line)
    assert all(result.met for result in results) == met
    assert [problem.standing for problem in marked] == [standing]


def test_what_is_wrong_stands_beside_what_was_found() -> None:
    _, (result,) = judge(expectations("must: [{errno: ECONNRESET, count: 3}]"), (EPIPE, EPIPE), line)
    assert result.where == "t.expect.yaml:1"
    assert result.wanted == "exactly 3: errno ECONNRESET"
    assert result.found == ("none; there was instead:", f"2 x {line(EPIPE)}")


def test_errors_in_expectations_say_where() -> None:
    text = """\
must:
  - errnoo: EPIPE
    errno: EPIPEE
    rule: rst-after-finn
    server: 10.0.0.1:99999
    count: -1
  - errno: [EPIPE, 3]
    after: yesterday
  - nothing
may:
  - {count: 1}
  - {at_most: 1.5}
must_not: never
maybe: []
"""
    assert wrong(text) == [
        "14:1: error: unknown key `maybe`",
        "2:5: error: unknown key `errnoo`",
        "4:11: error: 'rst-after-finn' is not known here",
        "3:12: error: 'EPIPEE' is not known here",
        "5:13: error: '10.0.0.1:99999': the port is no number up to 65535",
        "6:12: error: -1 is not a whole number of at least 0",
        "7:20: error: 3 is not known here",
        "8:12: error: 'yesterday' is no time: 2026-11-21T10:00:00 (UTC unless it says otherwise), "
        "or seconds from the capture's first frame",
        "9:5: error: this must be a mapping with the keys rule, errno, call, side, severity, protocol, "
        "client, server, host, port, flow, after, before, count, at_least, at_most, why",
        "11:6: error: unknown key `count`",
        "12:15: error: 1.5 is not a whole number of at least 0",
        "13:11: error: this must be a list",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "must: [{count: 1, at_most: 2}]",
        "must: [{at_least: 3, at_most: 2}]",
        "must: [{why: 1}]",
        "[]",
        "must: [[]]",
    ],
)
def test_expectations_that_make_no_sense(text: str) -> None:
    assert len(wrong(text)) == 1


def test_a_written_file_expects_what_was_found_and_nothing_of_one_run_only() -> None:
    text = as_yaml((EPIPE, EPIPE), ())
    assert str(EPIPE.flow.flow.client.port) not in text
    again = moved(EPIPE, client=Endpoint(EPIPE.flow.flow.client.address, 1234))
    marked, results = judge(expectations(text), (again, EPIPE), line)
    assert all(result.met for result in results)
    assert {problem.standing for problem in marked} == {Standing.EXPECTED}


def test_a_file_written_anew_keeps_may_and_must_not() -> None:
    kept = expectations("may: [{errno: EPIPE, why: known}]\nmust_not: [{errno: ECONNRESET}]")
    text = as_yaml((EPIPE,), kept)
    assert [entry.plain for entry in expectations(text)] == [entry.plain for entry in kept]


# Baseline


def test_a_baseline_survives_other_ports_and_times() -> None:
    later = replace(EPIPE, finding=replace(EPIPE.finding, time=0, frames=(1, 2)))
    (one,) = read_baseline(as_json([EPIPE]), "b").mark([moved(later, client=Endpoint("10.9.0.1", 9))])
    assert one.standing is Standing.KNOWN


def test_a_server_on_a_port_that_the_system_gave_it_is_the_same_next_time() -> None:
    first = moved(EPIPE, server=Endpoint("127.0.0.1", 40001))
    again = moved(EPIPE, server=Endpoint("127.0.0.1", 50001))
    service = moved(EPIPE, server=Endpoint("127.0.0.1", 5432))
    assert first.key == again.key != service.key


def test_a_baseline_reports_what_is_new_and_what_is_gone() -> None:
    baseline = read_baseline(as_json([EPIPE]), "b")
    other = moved(EPIPE, server=Endpoint("10.9.1.3", 80))
    assert [problem.standing for problem in baseline.mark([other])] == [Standing.NEW]
    assert baseline.vanished([other]) == (EPIPE.key,)
    assert baseline.vanished([EPIPE]) == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "errnoscope.baseline/1"}', '{"schema": "errnoscope.report/1"}']
)
def test_what_is_no_baseline(text: str) -> None:
    with pytest.raises(UserError, match="--write-baseline"):
        read_baseline(text, "b.json")


# Suppressions


def judged(
    entries: list[Suppression], path: str = "a/trace.pcap", day: date = TODAY
) -> tuple[Standing, list[str]]:
    judge = Judge(say=line, today=day, suppressions=entries)
    checked = judge.judge(path, FAILED)
    return checked.problems[0].standing, list(judge.run([checked], []).notes)


def test_a_suppression_holds_to_its_last_day() -> None:
    entries = suppressions("suppress: [{errno: EPIPE, reason: known, until: 2026-11-21}]")
    assert judged(entries) == (Standing.SUPPRESSED, [])
    standing, (note,) = judged(entries, day=TODAY + timedelta(days=1))
    assert standing is Standing.NEW
    assert "expired on 2026-11-21" in note


@pytest.mark.parametrize(("pattern", "matches"), [("trace.pcap", True), ("a/*", True), ("b/*", False)])
def test_a_suppression_may_name_its_captures(pattern: str, matches: bool) -> None:
    entries = suppressions(f"suppress: [{{capture: '{pattern}', reason: known, until: 2027-01-01}}]")
    standing, notes = judged(entries)
    assert (standing is Standing.SUPPRESSED) == matches
    assert bool(notes) != matches  # of no use: that is said


def test_a_suppression_needs_reason_and_day() -> None:
    assert wrong("suppress:\n  - {errno: EPIPE}\n", read_suppressions) == [
        "2:5: error: `reason` is missing",
        "2:5: error: `until` is missing",
    ]
    assert wrong("suppress:\n  - {reason: x, until: soon}\n", read_suppressions) == [
        "2:24: error: 'soon' is no day: 2026-12-31"
    ]


# What counts


def test_what_the_program_recovered_from_counts_only_if_asked() -> None:
    assert EPIPE.verdict
    flow = replace(EPIPE.flow, verdicts=(replace(EPIPE.verdict, recovered=True),))
    report = replace(FAILED, flows=(flow,))
    (plain,) = Judge(say=line, today=TODAY).judge("x", report).problems
    (asked,) = Judge(say=line, today=TODAY, recovered=True).judge("x", report).problems
    assert (plain.standing, asked.standing) == (Standing.RECOVERED, Standing.NEW)


def test_a_warning_counts_from_its_level_on() -> None:
    report = analyze(sample("retransmission-storm-cut"))
    for level, passed in ((Severity.INFO, False), (Severity.WARNING, False), (Severity.ERROR, True)):
        assert Judge(say=line, today=TODAY, fail_on=level).judge("x", report).passed == passed


@pytest.mark.parametrize("name", ["retransmission-timeout", "accept-queue-overflow-reset"])
def test_a_warning_is_not_told_beside_the_failure_that_it_became(name: str) -> None:
    report = analyze(sample(name))
    failed = {(p.index, p.side) for p in problems(report) if p.verdict}
    assert failed
    assert any(f.severity is Severity.WARNING for flow in report.flows for f in flow.findings)
    warned = {(p.index, p.side) for p in problems(report) if p.severity is Severity.WARNING}
    assert not failed & warned


@pytest.mark.parametrize("name", ["reset-by-peer-sending", "retransmission-timeout", "connection-refused"])
def test_an_end_has_one_error_at_most(name: str) -> None:
    report = analyze(sample(name))
    errors = [p for p in problems(report) if p.severity is Severity.ERROR]
    assert len(errors) == sum(len(flow.verdicts) for flow in report.flows) >= 1
