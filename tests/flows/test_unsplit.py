"""Segments that a network card has yet to split, or has joined."""

from __future__ import annotations

import pytest

from analyzer.matching.match import Matcher
from analyzer.pipeline.engine import Engine
from analyzer.sources.transcript import TranscriptSource, parse

TEXT = """
client > server  S   0:0(0) <mss {client}>
server > client  S.  0:0(0) ack 1 <mss {server}>
client > server  .   1:1(0) ack 1
client > server  P.  1:1401(1400) ack 1
server > client  .   1:1(0) ack 1401
"""


@pytest.mark.parametrize(("client", "server", "told"), [(1460, 1400, 0), (1000, 1400, 0), (1460, 1399, 1)])
def test_a_segment_larger_than_its_receiver_takes(client: int, server: int, told: int) -> None:
    engine = Engine(Matcher([]))
    engine.run(TranscriptSource(parse(TEXT.format(client=client, server=server), "text")))
    problems = [problem for problem in engine.problems() if "larger than their receiver takes" in problem]
    assert len(problems) == told
