"""A file that is read in pieces gives what it gives in one go, wherever the pieces were thought to begin."""

from __future__ import annotations

import pickle
import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.sources.pieces import InPieces, Piece, cut, open_piece

from . import build
from .build import Frame

NOW = 1_700_000_000 * build.SECOND


def read(pieces: list[Piece]) -> tuple[InPieces, list[Frame]]:
    """All that InPieces makes of them: each of the pieces is read before anything is known of the others."""
    known = {piece: _read(piece) for piece in pieces}
    reading = InPieces(pieces)
    while piece := reading.wanted:
        frames, tally = known.get(piece) or _read(piece)
        known[piece] = (frames, tally)
        reading.take(pickle.loads(pickle.dumps(tally)))
    frames = []
    for piece in reading.read:
        assert piece.before == len(frames)
        frames += next(known[one][0] for one in known if (one.begin, one.end) == (piece.begin, piece.end))
    return reading, frames


def _read(piece: Piece):
    source = open_piece(piece, 3, at_once=4096)
    frames = []
    for block in source.blocks():
        assert block.first_number == piece.before + len(frames) + 1
        columns = (block.offsets, block.captured, block.original, block.times, block.link_types)
        for at, captured, original, time, link_type in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            body = block.buffer[at : at + captured].tobytes()
            frames.append(Frame(body, original, time, link_type))
    return frames, source.tally


def summary(capture, frames):
    """As build.Read.summary."""
    damage = capture.damage
    told = (damage.reference, damage.where, damage.what) if damage else None
    counts = (capture.packets, capture.bytes, capture.first, capture.last)
    return frames, counts, capture.link_types, capture.problems, capture.comments, told


def whole(path: Path):
    result = build.read(path.read_bytes())
    expected = summary(result.capture, result.frames)
    return *expected[:-1], expected[-1] and (expected[-1][0], expected[-1][1], expected[-1][2])


def check(path: Path, pieces: list[Piece]) -> InPieces:
    reading, frames = read(pieces)
    found, expected = summary(reading.capture, frames), whole(path)
    assert found[:-1] == expected[:-1]
    told, wanted = found[-1], expected[-1]
    assert told == (wanted and (wanted[0], wanted[1].replace("file:", f"{path}:"), wanted[2]))
    return reading


def frames_of(count: int, seed: int, misleading: float = 0.0) -> list[Frame]:
    generator = random.Random(seed)
    frames, time = [], NOW
    for _ in range(count):
        time += generator.choice([1000, 2000, 5_000_000, -1000, -30_000])
        data = generator.randbytes(generator.choice([0, 14, 60, 333, 1500]))
        if generator.random() < misleading:  # what looks like records
            data = b"".join(build.pcap_record(1_700_000_000, 5, b"abc") for _ in range(6))
        frames.append(Frame(data, len(data) + generator.choice([0, 9]), time // 1000 * 1000))
    return frames


MAKERS = {
    "pcap": lambda frames: build.pcap(frames),
    "pcap big": lambda frames: build.pcap(frames, ">", 0xA1B23C4D),
    "pcap modified": lambda frames: build.pcap(frames, "<", 0xA1B2CD34),
    "pcapng": lambda frames: build.pcapng(frames),
    "pcapng big": lambda frames: build.pcapng(frames, ">"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_file_is_cut_where_records_begin(kind, tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(MAKERS[kind](frames_of(3000, 1)))
    pieces = cut(str(path), 100_000)
    assert len(pieces) >= 8
    reading = check(path, pieces)
    assert [(piece.begin, piece.end) for piece in reading.read] == [(p.begin, p.end) for p in pieces]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_guess_that_was_wrong_is_mended(kind, tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(MAKERS[kind](frames_of(3000, 1, 0.3)))
    check(path, cut(str(path), 20_000))


@pytest.mark.parametrize("content", [b"", b"no capture", build.pcap(frames_of(20, 2)), b"\x1f\x8b" * 90_000])
def test_what_cannot_be_cut_is_one_piece(content, tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(content)
    assert cut(str(path), 50_000) == [Piece(str(path))]
    assert cut(str(tmp_path / "missing"), 50_000) == [Piece(str(tmp_path / "missing"))]
    assert cut(str(tmp_path), 1) == [Piece(str(tmp_path))]
    assert cut("-", 1) == [Piece("-")]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(MAKERS)),
    seed=st.integers(0, 1000),
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    lost=st.sampled_from([0, 0, 1, 7, 300]),
    spoilt=st.one_of(st.none(), st.floats(0.2, 1)),
    true=st.booleans(),
)
def test_wherever_the_pieces_are_thought_to_begin(kind, seed, cuts, lost, spoilt, true, tmp_path):
    frames = frames_of(60, seed, 0.2)
    data = MAKERS[kind](frames)
    head = data[: len(MAKERS[kind]([]))]
    starts = [len(MAKERS[kind](frames[:count])) for count in range(1, 60)]
    if lost:
        data = data[:-lost]
    if spoilt is not None:
        at = int(spoilt * (len(data) - 8))
        data = data[:at] + b"\xff" * 8 + data[at + 8 :]
    path = tmp_path / "capture"
    path.write_bytes(data)
    begins = {starts[int(place * 58)] if true else int(place * len(data)) for place in cuts}
    begins = sorted(begin for begin in begins if len(head) < begin < len(data))
    described = 2 if "pcapng" in kind else 0
    pieces = [
        Piece(str(path), begin, end, head if begin else b"", described)
        for begin, end in zip([0, *begins], [*begins, None], strict=True)
    ]
    check(path, pieces)


def test_a_jump_of_the_clock_between_two_pieces(tmp_path):
    early = [Frame(b"a" * 300, 300, NOW + place * 1000) for place in range(900)]
    path = tmp_path / "capture"
    path.write_bytes(build.pcap([frame._replace(time=frame.time + 10**10) for frame in early] + early))
    reading = check(path, cut(str(path), 50_000))
    assert len(reading.read) == 1
    assert "set back" in reading.capture.problems[0]


def test_interfaces_that_are_described_later(tmp_path):
    first = [build.packet(NOW // 1000 + place, b"x" * 100) for place in range(2000)]
    later = [build.packet(NOW // 1000 + 5000 + place, b"y" * 100, 1) for place in range(2000)]
    parts = [build.section(), build.interface(), *first, build.interface(113), *later]
    path = tmp_path / "capture"
    path.write_bytes(b"".join(parts))
    reading = check(path, cut(str(path), 60_000))
    assert reading.capture.link_types == ["EN10MB", "LINUX_SLL"]


def test_what_a_file_says_itself(tmp_path):
    comment = build.options((1, b"here"))
    parts = [build.section(), build.interface()]
    for place in range(1500):
        parts.append(build.packet(NOW // 1000 + place, b"x" * 100, tail=comment if place % 400 == 7 else b""))
        if place % 300 == 0:
            parts.append(build.statistics(0, if_drop=place, os_drop=2 * place))
    path = tmp_path / "capture"
    path.write_bytes(b"".join(parts))
    reading = check(path, cut(str(path), 40_000))
    assert len(reading.read) > 3
    assert [one.frame for one in reading.capture.comments] == [8, 408, 808, 1208]
    assert "1,200 packets" in reading.capture.problems[0]


def test_packets_without_a_time(tmp_path):
    parts = [build.section(), build.interface(snaplen=200), build.packet(NOW // 1000, b"x" * 100)]
    parts += [build.simple_packet(b"y" * 100) for _ in range(900)]
    parts += [build.packet(NOW // 1000, b"x" * 100) for _ in range(900)]
    path = tmp_path / "capture"
    path.write_bytes(b"".join(parts))
    check(path, cut(str(path), 40_000))


def test_a_file_that_became_shorter_meanwhile(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(build.pcap(frames_of(900, 4)))
    pieces = cut(str(path), 30_000)
    path.write_bytes(path.read_bytes()[: pieces[3].begin - 5])
    reading = check(path, pieces)
    assert "ends inside a record" in reading.capture.problems[0]


def test_a_record_longer_than_a_piece(tmp_path):
    frames = frames_of(300, 5)
    frames.insert(100, Frame(bytes(200_000), 200_000, NOW))
    path = tmp_path / "capture"
    path.write_bytes(build.pcap(frames))
    check(path, cut(str(path), 20_000))


def test_no_field_of_a_piece_is_more_than_a_plain_value():
    piece = Piece("a", 5, 9, struct.pack("<I", 1), 2, 3)
    assert pickle.loads(pickle.dumps(piece)) == piece
    assert not piece.is_whole
    assert Piece("a").is_whole
