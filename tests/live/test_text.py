"""What live says in lines: wrapped on a terminal, and what became of what it had said."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from analyzer.model.finding import News
from analyzer.model.live import Standing
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports.live_changes import Changes
from analyzer.reports.live_text import Status, afterwards, lines, wrapped
from tests.captures import sample


@pytest.fixture
def refused() -> Report:
    return analyze(sample("connection-refused"))


def test_a_long_line_is_wrapped_between_words(refused: Report) -> None:
    (line,) = lines(Changes().of([News(refused.flows[0], ended=True)]))
    assert wrapped(line, 500) == [line]
    parts = wrapped(line, 60)
    assert len(parts) > 1
    assert all(len(part) <= 60 for part in parts)
    assert all(part.startswith(" " * 14) for part in parts[1:])
    assert [word for part in parts for word in part.split()] == line.split()


def test_a_ladder_is_not_wrapped() -> None:
    line = "   *    16    0.443  --- data 49:65 --->"
    assert wrapped(line, 20) == [line]


def told(report: Report) -> dict[int, str]:
    """Numbers of the flows that lines have told of."""
    status = Status()
    status.count(Changes().of([News(result, ended=True) for result in report.flows]))
    return status.failed


def test_nothing_is_said_of_what_stays_as_it_was_told(refused: Report) -> None:
    assert list(afterwards(told(refused), refused)) == []


def test_what_recovered_is_said(refused: Report) -> None:
    (result,) = refused.flows
    verdicts = tuple(replace(verdict, recovered=True) for verdict in result.verdicts)
    report = replace(refused, flows=(replace(result, verdicts=verdicts),))
    assert list(afterwards(told(refused), report)) == [
        "Told of above: 1 connection; 1 recovered (tried again, or at another address, it worked)."
    ]


def test_what_was_no_failure_is_said(refused: Report) -> None:
    assert list(afterwards(told(refused), replace(refused, flows=()))) == [
        "Told of above: 1 connection; 1 turned out to be no failure."
    ]


def test_udp_is_told_of_as_such(refused: Report) -> None:
    none = replace(refused, flows=())
    assert next(iter(afterwards({1: "udp"}, none))).startswith("Told of above: 1 UDP flow;")
    assert next(iter(afterwards({1: "udp", 2: "tcp"}, none))).startswith("Told of above: 2 flows;")


def test_lines_are_in_order_of_time_however_they_were_found(refused: Report) -> None:
    (result,) = refused.flows
    (verdict,) = result.verdicts
    news = [
        News(
            replace(
                result,
                flow=replace(result.flow, id=number),
                verdicts=(replace(verdict, time=verdict.time + seconds * 10**9),),
            ),
            ended=True,
        )
        for number, seconds in ((1, 9), (7, 0), (3, 5), (2, 5))
    ]
    for order in permutations(news):
        assert [change.result.flow.id for change in Changes().of(order)] == [7, 2, 3, 1]


def test_what_was_taken_back_does_not_count(refused: Report) -> None:
    (result,) = refused.flows
    changes, status = Changes(), Status()
    for one in (result, replace(result, verdicts=(), findings=())):
        status.count(changes.of([News(one, ended=False)]))
    assert status.failed == {}


@pytest.mark.parametrize(
    ("width", "ends"),
    [
        (120, "ECONNREFUSED 3, ECONNRESET 2, ETIMEDOUT 1, no errno 1"),
        (90, "ECONNREFUSED 3, ECONNRESET 2, 2 more"),
        (60, "none dropped  4 more"),
        (20, "12 flow"),
    ],
)
def test_the_status_fits_the_terminal(width: int, ends: str) -> None:
    status = Status()
    status.errnos.update({"ECONNREFUSED": 3, "ECONNRESET": 2, "ETIMEDOUT": 1, "no errno": 1, "EPIPE": 0})
    line = status.line(Standing(1000, 12), 1.0, width)
    assert line.endswith(ends)
    assert len(line) <= width
