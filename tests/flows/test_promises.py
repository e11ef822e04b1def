"""A FIN before all that its sender had said it would send."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.decode.packets import decode
from analyzer.flows.keys import sort_by_flow
from analyzer.flows.promises import Promises
from analyzer.sources.transcript import TranscriptSource, parse

HEAD = r'"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"'  # 40 bytes
BEFORE = ["client > server S 0:0(0)", "server > client S. 0:0(0) ack 1", "client > server P. 1:11(10) ack 1"]
RECORD = r'"\x17\x03\x03\x00\xc8"'
RECORDS = r'"\x17\x03\x03\x00\x05.....\x17\x03\x03\x00\xbe"'
ALERT = r'"\x15\x03\x03\x00\x02\x02\x28"'


def cuts(*lines: str, at_once: int) -> list[int]:
    """Numbers of the frames that are marked, with so many frames in a batch."""
    promises, found = Promises(), []
    source = TranscriptSource(parse("\n".join([*BEFORE, *lines])), max_frames=at_once)
    for block in source.blocks():
        rows = promises.marked(sort_by_flow(decode(block))).rows
        found += rows.number[np.flatnonzero(rows.cut)].tolist()
    return found


@pytest.mark.parametrize("at_once", [1, 2, 100])
@pytest.mark.parametrize(
    ("text", "length", "more", "expected"),
    [
        pytest.param(HEAD, 100, 100, [6], id="40 bytes of the body are missing"),
        pytest.param(HEAD, 100, 140, [], id="all of it came"),
        pytest.param(RECORD, 100, 100, [6], id="a TLS record"),
        pytest.param(RECORD, 100, 105, [], id="a whole TLS record"),
        pytest.param(RECORDS, 100, 100, [6], id="the second record of a segment"),
        pytest.param(RECORDS, 100, 105, [], id="both are whole"),
        pytest.param(ALERT, 7, 0, [6], id="a TLS alert"),
        pytest.param('"anything"', 100, 100, [], id="nothing was promised"),
    ],
)
def test_marks(text: str, length: int, more: int, expected: list[int], at_once: int) -> None:
    end = 1 + length + more
    lines = [
        f"server > client P. 1:{1 + length}({length}) ack 11 {text}",
        f"server > client P. {1 + length}:{end}({more}) ack 11"
        if more
        else "client > server . 11:11(0) ack 8",
        f"server > client F. {end}:{end}(0) ack 11",
    ]
    assert cuts(*lines, at_once=at_once) == expected
