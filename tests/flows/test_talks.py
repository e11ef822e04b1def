"""What both ends said, put together from packets in any order."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.decode.packets import decode_with_payload
from analyzer.flows.talks import Talks
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.summary import Summary
from analyzer.model.talk import Talk
from analyzer.pipeline.engine import Engine
from analyzer.sources.transcript import TranscriptSource, parse

HANDSHAKE = ["client > server S 0:0(0)", "server > client S. 0:0(0) ack 1", "client > server . 1:1(0) ack 1"]
END = "server > client R. {}:{}(0) ack {}"


def summary_of(text: str) -> Summary:
    """Of the only flow, which ends with a reset so that there is one."""
    (result,) = Engine(Matcher(load_rules(rules_folder()))).run(TranscriptSource(parse(text)))
    assert result.summary
    return result.summary


def talk_of(*lines: str, at_once: int = 100, snapshot: int = 10_000) -> Talk:
    text = "\n".join(lines)
    talks = Talks([summary_of(text)])
    for block in TranscriptSource(parse(text), max_frames=at_once).blocks():
        columns, places, captured = decode_with_payload(block)
        talks.add(columns, block.buffer, places, np.minimum(captured, snapshot))
    ((_, talk),) = talks.over(1 << 62)
    return talk


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_segments_out_of_order_and_sent_again(at_once: int) -> None:
    talk = talk_of(
        *HANDSHAKE,
        'client > server P. 4:7(3) ack 1 "def"',
        'client > server P. 1:4(3) ack 1 "abc"',
        'client > server P. 1:7(6) ack 1 "abcdef"',
        'client > server P. 7:10(3) ack 1 "ghi"',
        'server > client P. 1:4(3) ack 7 "xyz"',
        END.format(4, 4, 10),
        at_once=at_once,
    )
    assert (talk.client.data, talk.client.whole) == (b"abcdefghi", True)
    assert (talk.server.data, talk.server.heard) == (b"xyz", 6)
    assert not talk.server_first


def test_who_spoke_first() -> None:
    greeting = 'server > client P. 1:4(3) ack 1 "220"'
    assert talk_of(
        *HANDSHAKE, greeting, 'client > server P. 1:2(1) ack 4 "Q"', END.format(4, 4, 2)
    ).server_first


def test_what_is_missing_is_not_invented() -> None:
    gap = talk_of(
        *HANDSHAKE,
        'client > server P. 1:4(3) ack 1 "abc"',
        'client > server P. 7:10(3) ack 1 "ghi"',
        END.format(1, 1, 10),
    )
    assert (gap.client.data, gap.client.total, gap.client.whole) == (b"abc", 9, False)
    cut = talk_of(
        *HANDSHAKE,
        'client > server P. 1:7(6) ack 1 "abcdef"',
        'client > server P. 7:10(3) ack 1 "ghi"',
        END.format(1, 1, 10),
        snapshot=4,
    )
    assert (cut.client.data, cut.client.total, cut.client.whole) == (b"abcd", 9, False)


def test_the_last_bytes_are_kept_besides() -> None:
    """Behind a gap, put together from segments, and without what was there before."""
    talk = talk_of(
        *HANDSHAKE,
        'client > server P. 4:7(3) ack 1 "def"',
        'client > server P. 7:10(3) ack 1 "ghi"',
        'client > server P. 9:11(2) ack 1 "ij"',
        END.format(1, 1, 11),
    )
    assert (talk.client.data, talk.client.last) == (b"", b"defghij")
    cut = talk_of(
        *HANDSHAKE,
        'client > server P. 4:7(3) ack 1 "def"',
        'client > server P. 7:13(6) ack 1 "ghijkl"',
        END.format(1, 1, 13),
        snapshot=5,
    )
    assert cut.client.last == b""


def test_a_connection_that_began_before_the_capture() -> None:
    talk = talk_of(
        'client > server P. 1:4(3) ack 1 "abc"', "server > client . 1:1(0) ack 4", END.format(1, 1, 4)
    )
    assert not talk.placed


def test_what_the_capture_cut_is_told_from_what_is_missing() -> None:
    lines = [*HANDSHAKE, 'client > server P. 1:41(40) ack 1 "GET /"', END.format(1, 1, 41)]
    assert talk_of(*lines, snapshot=5).client.cut
    assert not talk_of(*lines).client.cut
    again = 'client > server P. 1:11(10) ack 1 "GET /"'
    assert not talk_of(*HANDSHAKE, again, again, END.format(1, 1, 11), snapshot=10).cut
    lost = [*HANDSHAKE, "client > server P. 11:21(10) ack 1", END.format(1, 1, 21)]
    talk = talk_of(*lost)
    assert (talk.client.whole, talk.cut) == (False, False)
