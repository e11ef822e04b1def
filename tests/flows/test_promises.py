"""A FIN before all that its sender had said it would send."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.decode.packets import decode
from analyzer.flows.tracker import Tracker
from analyzer.model.columns import TCP, UNKNOWN_END, Flag, PacketColumns
from analyzer.model.flow import Kind
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
    tracker, found = Tracker(Kind.CUT), []
    source = TranscriptSource(parse("\n".join([*BEFORE, *lines])), max_frames=at_once)
    for block in source.blocks():
        cut = replace(block, captured=np.minimum(block.captured, snapshot))
        found += cut_frames(tracker, decode(cut))
    return found, tracker.unknown_ends


def cut_frames(tracker: Tracker, columns: PacketColumns) -> list[int]:
    return [segment.number for segment in tracker.feed(columns).segments if segment.kinds & Kind.CUT]


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


@dataclass
class Frame:
    """A segment between the ports ``of`` and 50,000: by whom, what it promises, and whether it is a FIN."""

    of: int
    by_server: bool
    promised: int
    is_end: bool
    payload: int


FRAMES = st.builds(
    Frame,
    of=st.integers(1, 3),
    by_server=st.booleans(),
    promised=st.sampled_from([0, 0, 1, 50, 100, UNKNOWN_END]),
    is_end=st.sampled_from([False, False, True]),
    payload=st.integers(0, 100),
)


def one_by_one(frames: Sequence[Frame]) -> tuple[list[int], int]:
    """The same as ``cuts``, told plainly."""
    sent: dict[tuple[int, bool], int] = defaultdict(int)
    ends: dict[tuple[int, bool], int | None] = {}
    found, unknown = [], 0
    for number, frame in enumerate(frames, 1):
        sender, other = (frame.of, frame.by_server), (frame.of, not frame.by_server)
        if frame.promised:
            ends[sender] = None if frame.promised == UNKNOWN_END else sent[sender] + frame.promised
        sent[sender] += frame.payload
        if frame.is_end:
            if ends.get(other, 0) is None:
                del ends[other]
            end = ends.pop(sender, 0)
            unknown += end is None
            found += [number] if end and end > sent[sender] else []
            sent[sender] += 1
    return found, unknown


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=40), st.integers(1, 41))
def test_told_like_one_after_the_other_however_cut(frames: list[Frame], size: int) -> None:
    sent: dict[tuple[int, bool], int] = defaultdict(lambda: 2**32 - 100)  # numbers wrap around
    packets = []
    for at, frame in enumerate(frames):
        ports = (frame.of, 50_000) if frame.by_server else (50_000, frame.of)
        sender = (frame.of, frame.by_server)
        flags = Flag.ACK | (Flag.FIN if frame.is_end else 0)
        seq = sent[sender] % 2**32
        sport, dport = ports
        packet = Packet(at, TCP, sport=sport, dport=dport, seq=seq, flags=flags, payload=frame.payload)
        packets.append(replace(packet, ip_id=at + 1))
        sent[sender] += frame.payload + frame.is_end
    tracker, found = Tracker(Kind.CUT), []
    for at in range(0, len(frames), size):
        promised = np.array([frame.promised for frame in frames[at : at + size]], np.int64)
        rows = replace(columns_of(packets[at : at + size], at + 1), promised=promised)
        found += cut_frames(tracker, rows)
    assert (sorted(found), tracker.unknown_ends) == one_by_one(frames)
