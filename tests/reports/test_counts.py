"""TCP and UDP are counted apart, and alike in all reports."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import pytest

import analyzer
from analyzer.model.filter import Filter, LeftOut
from analyzer.model.report import Report
from analyzer.reports import html, text
from analyzer.reports.comments import comments
from analyzer.reports.counts import connections_of, failed_of, in_ways
from analyzer.reports.groups import groups
from tests.captures import sample

UDP, CLEAN, RESET, DNS = (
    "udp-connection-refused",
    "clean-redis",
    "rst-after-fin-send-first",
    "dns-unanswered",
)


def of(*names: str) -> Report:
    return analyzer.analyze(*(sample(name) for name in names))


def in_words(report: Report) -> str:
    out = io.StringIO()
    text.write(report, out)
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize(
    ("names", "told", "more"),
    [
        ((UDP, CLEAN), "1 of 1 UDP flow and none of 1 TCP connection failed", "."),
        ((UDP, RESET), "1 of 1 TCP connection and 1 of 1 UDP flow failed", " in 2 ways."),
        (
            (UDP, RESET, CLEAN, "clean-udp"),
            "1 of 2 TCP connections and 1 of 2 UDP flows failed",
            " in 2 ways.",
        ),
        (
            (RESET, DNS),
            "1 of 1 TCP connection failed",
            "; 1 of 2 UDP flows in trouble, without an errno so far.",
        ),
        ((RESET, "clean-udp"), "1 of 1 TCP connection failed", "."),
    ],
)
def test_each_kind_is_counted_against_its_own(names: tuple[str, ...], told: str, more: str) -> None:
    report = of(*names)
    assert failed_of(report) == told
    assert f" {told}{more} " in in_words(report)
    out = io.StringIO()
    html.write(report, out)
    assert f"<h1>{told}</h1>" in out.getvalue()
    assert f": {told}." in comments(report).whole


def test_where_nothing_failed_both_are_named() -> None:
    report = of(CLEAN, "clean-udp")
    assert connections_of(report) == "1 TCP connection and 1 UDP flow"
    assert "No failure found in 1 TCP connection and 1 UDP flow:" in in_words(report)
    assert failed_of(report) == "0 of 1 TCP connection and 0 of 1 UDP flow failed"


def test_where_there_was_nothing_nothing_was_judged() -> None:
    report = of("next-hop-dead")
    assert failed_of(report) == "no connection in it, so nothing was judged"
    assert "no connection in it, so nothing was judged." in comments(report).whole
    assert "a connect() that waited for the answer would have failed" in in_words(report)


def test_what_nothing_tells_is_counted_in_flows() -> None:
    assert "in 1 of 2 flows nothing tells what an end runs" in in_words(of(RESET, DNS))


def test_a_filter_that_nothing_passes_counts_flows() -> None:
    report = of(UDP, CLEAN)
    left = replace(report, flows=(), incidents=(), only=Filter(), left_out=LeftOut(1, 0))
    assert "1 of 2 flows failed outside of it" in in_words(left)


def test_no_more_ways_than_rows_and_services_where_there_are_more_rows() -> None:
    other = replace(of(RESET), flows=of(UDP, RESET).flows)
    found = [group for group in groups(other) if group.failed]
    assert in_ways(found) == " in 2 ways"
    assert in_ways([found[0]]) == ""
    server = found[0].first.flow.server._replace(port=9)
    member = replace(found[0].first, flow=replace(found[0].first.flow, server=server))
    elsewhere = replace(found[0], members=(member,))
    assert in_ways([*found, elsewhere]) == " in 2 ways at 3 services"
    assert in_ways([found[0], elsewhere]) == ", all in one way at 2 services"


@pytest.mark.parametrize("name", ["next-hop-dead-peer", "next-hop-dead-router"])
def test_what_a_verdict_says_of_a_next_hop_is_not_said_again(name: str) -> None:
    report = of(name)
    assert Counter(v.rule[:13] for result in report.flows for v in result.verdicts) == {"next-hop-dead": 1}
    assert report.captures[0].silent
    assert "did not answer ARP" not in in_words(report)
    quiet = replace(report, flows=())
    assert "did not answer ARP" in in_words(quiet)
