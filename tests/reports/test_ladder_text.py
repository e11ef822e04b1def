"""The ladder of a flow in characters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer import analyze
from analyzer.reports.ladder_text import ladder_lines
from tests.captures import SAMPLES, sample

FAILED = sample("rst-after-fin-send-first")


@pytest.mark.parametrize("before", [0, 99_000, 999_900, 123_456_000])
def test_however_long_the_numbers_are_it_stays_in_its_columns(before: int) -> None:
    """A star stands off its number, arrows end below the server's name, no line is longer."""
    (result,) = analyze(FAILED).flows
    ladder = tuple(line._replace(number=line.number + before) for line in result.ladder)
    deciding = {(0, number + before) for number in result.verdicts[0].frames}
    head, *lines, _ = ladder_lines(replace(result, ladder=ladder), deciding, ["trace.pcap"])
    plain_head, *plain, _ = ladder_lines(result, {(0, n) for n in result.verdicts[0].frames}, ["trace.pcap"])
    assert len(head) == len(plain_head) == 75
    assert {len(line) for line in lines} == {75}
    assert sum(line.startswith("* ") for line in lines) == 2
    assert head.index("frame") + len("frame") == lines[0].index(str(ladder[0].number)) + len(
        str(ladder[0].number)
    )
    assert len(lines) == len(plain)


def test_what_a_host_tells_itself_crosses_nothing() -> None:
    (result,) = analyze(SAMPLES / "next-hop-dead-any" / "client.pcapng").flows
    _, line, _ = ladder_lines(result, {(0, 4)}, [])
    assert line == "*     4    0.000  <== ICMP 3/1 to itself"
