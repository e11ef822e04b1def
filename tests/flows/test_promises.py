"""A FIN before all that its sender had said it would send."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzer.decode.packets import decode
from analyzer.flows.keys import keyed
from analyzer.flows.promises import Promises
from analyzer.model.columns import TCP, Flag
from analyzer.sources.transcript import TranscriptSource, parse
from tests.flows.columns import columns_of
from tests.flows.scalar import Packet

HEAD = r'"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"'  # 40 bytes
BEFORE = ["client > server S 0:0(0)", "server > client S. 0:0(0) ack 1", "client > server P. 1:11(10) ack 1"]
RECORD = r'"\x17\x03\x03\x00\xc8"'
RECORDS = r'"\x17\x03\x03\x00\x05.....\x17\x03\x03\x00\xbe"'
_HEADERS = 54
ALERT = r'"\x15\x03\x03\x00\x02\x02\x28"'


def cuts(*lines: str, at_once: int, snapshot: int = 10_000) -> tuple[list[int], int]:
    """Numbers of the frames that are marked, with so many frames in a batch; how often nothing was known."""
    promises, found = Promises(), []
    source = TranscriptSource(parse("\n".join([*BEFORE, *lines])), max_frames=at_once)
    for block in source.blocks():
        cut = replace(block, captured=np.minimum(block.captured, snapshot))
        rows = promises.marked(keyed(decode(cut))).rows
        found += rows.number[np.flatnonzero(rows.cut)].tolist()
    return found, promises.unknown


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
    assert cuts(*lines, at_once=at_once) == (expected, 0)


ANSWER = f"server > client P. 1:101(100) ack 11 {HEAD}"
FIN = "server > client F. 101:101(0) ack 11"


@pytest.mark.parametrize(
    ("text", "seen", "expected", "unknown"),
    [
        pytest.param(HEAD, 39, [], 1, id="the head was cut"),
        pytest.param(HEAD, 40, [6], 0, id="behind the head"),
        pytest.param(RECORDS, 14, [], 1, id="the header of a record was cut"),
        pytest.param(RECORDS, 15, [6], 0, id="behind the last record's header"),
        pytest.param('"anything"', 4, [], 0, id="nothing was promised"),
    ],
)
def test_what_the_capture_cut_off(text: str, seen: int, expected: list[int], unknown: int) -> None:
    lines = [ANSWER.replace(HEAD, text), "client > server . 11:11(0) ack 101", FIN]
    assert cuts(*lines, at_once=1, snapshot=_HEADERS + seen) == (expected, unknown)


def test_who_has_finished_needs_no_more_of_the_answer() -> None:
    assert cuts(ANSWER, "client > server F. 11:11(0) ack 1", FIN, at_once=1, snapshot=_HEADERS + 39)[1] == 0


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_who_is_forgotten_does_not_depend_on_batches(size: int) -> None:
    """Some of 20 servers end between the promises; only five are remembered."""
    promised = [(port, 100) for port in range(20)]
    frames = [*promised[:8], (7, 0), (5, 0), *promised[8:], *((port, 0) for port in range(20))]
    promises, found = Promises(most=5), []
    for at in range(0, len(frames), size):
        part = frames[at : at + size]
        packets = [
            Packet(at, TCP, sport=port, dport=50_000, flags=Flag.ACK | (not end)) for port, end in part
        ]
        rows = replace(columns_of(packets, at + 1), promised=np.array([end for _, end in part], np.int64))
        marked = promises.marked(keyed(rows)).rows
        found += marked.number[np.flatnonzero(marked.cut)].tolist()
    assert sorted(found) == [9, 10, *range(38, 43)]
