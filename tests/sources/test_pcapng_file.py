"""pcapng files."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES
from analyzer.sources.pcapng_file import MAX_INTERFACES
from analyzer.sources.pcapng_times import MAX_TIME, nanoseconds
from analyzer.sources.records import TUNING

from . import build
from .build import Frame

S = build.SECOND
NOW = 1_700_000_000 * S
HEAD = build.section() + build.interface()


def frames_for_test(count=40, seed=1) -> list[Frame]:
    generator = random.Random(seed)
    frames = []
    for place in range(count):
        data = generator.randbytes(generator.choice([0, 1, 14, 60, 333]))
        original = len(data) + generator.choice([0, 0, 9])
        frames.append(Frame(data, original, NOW + place * 123_456_789, generator.choice([1, 1, 1, 113])))
    return frames


@pytest.mark.parametrize("order", "<>")
def test_reads_what_was_written(order):
    frames = frames_for_test()
    result = build.read(build.pcapng(frames, order))
    assert result.frames == frames
    capture = result.capture
    assert capture.format == "pcapng"
    assert sorted(capture.link_types) == ["EN10MB", "LINUX_SLL"]
    assert (capture.packets, capture.bytes) == (40, sum(frame.original for frame in frames))
    assert (capture.first, capture.last) == (frames[0].time, frames[-1].time)
    assert (capture.problems, capture.damage) == ([], None)


def mixed(seed: int, order="<") -> bytes:
    """All kinds of blocks, in several sections."""
    generator = random.Random(seed)
    parts, interfaces = [build.section(order), build.interface(order=order)], 1
    for place in range(60):
        data = generator.randbytes(generator.choice([0, 3, 60]))
        number = generator.randrange(interfaces)
        kind = generator.randrange(13)
        if kind < 5:
            parts.append(build.packet(NOW // 1000 + place, data, number, order=order))
        elif kind == 5:
            parts.append(
                build.old_packet(NOW // 1000 + place, data, number, generator.choice([0, 3, 65_535]), order)
            )
        elif kind == 6:
            parts.append(build.simple_packet(data, order=order))
        elif kind == 7:
            resolution, offset = generator.choice([None, 9, 3, 0x8A]), generator.choice([None, -5, 7])
            link_type, snaplen = generator.choice([1, 113, 101]), generator.choice([0, 40])
            parts.append(build.interface(link_type, snaplen, resolution, offset, order))
            interfaces += 1
        elif kind == 8:
            parts.append(
                build.statistics(number, generator.choice([None, 0, 4]), generator.choice([None, 2]), order)
            )
        elif kind == 9:
            order = generator.choice("<>")
            parts += [build.section(order), build.interface(order=order)]
            interfaces = 1
        else:
            parts.append(build.block(generator.choice([0, 4, 7, 0xBAD, 0x8000_0001]), data, order))
    return b"".join(parts)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 7, MAX_FRAMES]),
    st.integers(1, 3000),
    st.sampled_from([None, 1, 13, 500]),
    st.sampled_from("<>"),
    st.booleans(),
)
def test_any_cut_gives_the_same(seed, max_frames, piece, most, order, damage):
    data = bytearray(mixed(seed, order))
    if damage:
        generator = random.Random(seed)
        for _ in range(2):
            data[generator.randrange(28, len(data))] = generator.randrange(256)
    whole = build.read(bytes(data))
    cut = build.read(bytes(data), max_frames=max_frames, piece=piece, most=most, tuning=build.TINY)
    assert cut.summary() == whole.summary()
    assert damage or whole.damage == ""


def test_sections_of_both_orders():
    frames = frames_for_test()
    data = build.pcapng(frames, "<") + build.pcapng(frames, ">") + build.pcapng(frames, ">")
    result = build.read(data + build.pcapng(frames, "<"))
    assert result.frames == frames * 4


def test_interfaces_are_numbered_within_their_section():
    data = b"".join(
        [
            *(build.section(), build.interface(1), build.interface(113)),
            *(build.packet(5, b"a", 1), build.packet(5, b"b", 0)),
            *(build.section(), build.interface(101), build.packet(5, b"c", 0)),
            *(build.interface(276), build.packet(5, b"d", 1)),
        ]
    )
    result = build.read(data)
    assert [(frame.data, frame.link_type) for frame in result.frames] == [
        (b"a", 113),
        (b"b", 1),
        (b"c", 101),
        (b"d", 276),
    ]
    assert result.capture.link_types == ["LINUX_SLL", "EN10MB", "RAW", "LINUX_SLL2"]


@pytest.mark.parametrize("order", "<>")
def test_resolutions_and_offsets(order):
    cases = [(None, None, 10**15), (6, None, 10**15), (9, None, 10**15 + 1), (3, None, 10**12)]
    cases += [(0, None, 10**6), (0x80, None, 10**6), (12, None, 10**18 + 999), (0x8A, None, 1025 << 10)]
    cases += [(6, 100, 10**15), (9, -1, 10**15), (9, -(10**9), 10**15), (9, 2**63 - 1, 7), (9, -(2**63), 7)]
    expected = [10**18, 10**18, 10**15 + 1, 10**18, 10**15, 10**15, 10**15, 1025 * S]
    expected += [10**18 + 100 * S, 10**15 - S, 0, MAX_TIME, 0]
    interfaces = [build.interface(1, 0, resolution, offset, order) for resolution, offset, _ in cases]
    packets = [build.packet(ticks, b"", place, order=order) for place, (_, _, ticks) in enumerate(cases)]
    result = build.read(build.section(order) + b"".join(interfaces) + b"".join(packets))
    assert [frame.time for frame in result.frames] == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5), st.integers(0, 255))
def test_nanoseconds(ticks, resolution):
    exponent = resolution & 0x7F
    unit = 2**exponent if resolution & 0x80 else 10**exponent
    found = nanoseconds(np.array(ticks, np.uint64), resolution).tolist()
    slack = 1 if resolution & 0x80 and exponent > 34 else 0
    for value, tick in zip(found, ticks, strict=True):
        exact = tick * S // unit
        if exact <= MAX_TIME - S:
            assert exact - slack <= value <= exact
        else:
            assert MAX_TIME - S <= value <= MAX_TIME


def test_simple_packets_get_the_time_before():
    blocks = [
        build.simple_packet(b"0"),
        build.packet(7, b"1"),
        build.simple_packet(b"2"),
        build.packet(9, b"3"),
    ]
    blocks += [build.simple_packet(b"4", original=100), build.simple_packet(b"567", original=2)]
    for max_frames in (1, 100):
        result = build.read(HEAD + b"".join(blocks), max_frames=max_frames)
        assert [frame.time for frame in result.frames] == [0, 7000, 7000, 9000, 9000, 9000]
        assert [frame.original for frame in result.frames] == [1, 1, 1, 1, 100, 2]
        assert [frame.data for frame in result.frames][3:] == [b"3", b"4\0\0\0", b"56"]
        (problem,) = result.capture.problems
        assert problem.startswith("4 packets have no time stamp")


def test_simple_packets_are_cut_at_the_snapshot_length():
    data = build.section() + build.interface(snaplen=3) + build.simple_packet(b"abc", original=9)
    assert build.read(data).frames == [Frame(b"abc", 9, 0)]


@pytest.mark.parametrize("order", "<>")
def test_old_packets_and_their_drops(order):
    head = build.section(order) + build.interface(order=order) + build.interface(101, order=order)
    blocks = [build.old_packet(5, b"a", 1, 65_535, order), build.old_packet(6, b"b", 0, 12, order)]
    result = build.read(head + b"".join(blocks))
    assert result.frames == [Frame(b"a", 1, 5000, 101), Frame(b"b", 1, 6000, 1)]
    (problem,) = result.capture.problems
    assert "dropped 12 packets" in problem


@pytest.mark.parametrize("order", "<>")
def test_drops_are_the_latest_of_each_interface_and_section(order):
    one = [build.section(order), build.interface(order=order), build.interface(order=order)]
    one += [
        build.statistics(0, 5, 2, order),
        build.statistics(0, 7, 0, order),
        build.statistics(1, 10, 3, order),
    ]
    one += [build.statistics(9, 1000, 1000, order), build.block(5, b"short", order)]
    result = build.read(b"".join(one * 2))
    interface, system = result.capture.problems
    assert "interface dropped 34 packets" in interface
    assert "system dropped 6 packets" in system
    assert build.read(HEAD + build.statistics(0, 0, 2**64 - 1)).capture.problems == []


def test_unknown_blocks_and_odd_options_are_skipped():
    tail = build.options((1, b"a comment"), (4, bytes(8)))
    odd = build.block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HH", 9, 200) + b"x")
    data = (
        HEAD
        + odd
        + build.block(10, b"secrets")
        + build.packet(1, b"data", 1, tail=tail)
        + build.block(2**31, b"")
    )
    assert build.read(data).frames == [Frame(b"data", 4, 1000)]


bad_blocks = {
    "length not a multiple of four": build.block(6, bytes(20), length=34),
    "length too small": build.block(6, bytes(20), length=8),
    "length too large": build.block(6, bytes(20), length=2**31),
    "repeated length": build.block(6, bytes(20), repeated=36),
    "captured more than the block": build.packet(1, b"data", captured=5),
    "captured nearly everything": build.packet(1, b"data", captured=2**32 - 1),
    "interface not described": build.packet(1, b"data", number=1),
    "packet block too short": build.block(6, bytes(16)),
    "old packet too short": build.block(2, bytes(16)),
    "simple packet too short": build.block(3, b""),
    "interface too short": build.block(1, b"long"),
    "section too short": build.block(0x0A0D0D0A, struct.pack("<IHH", 0x1A2B3C4D, 1, 0)),
    "section without order": build.block(0x0A0D0D0A, bytes(16)),
    "section version": build.section(version=(2, 0)),
    "section without interface": build.section() + build.packet(1, b"data"),
    "section without interface, simple": build.section() + build.simple_packet(b"data"),
}


@pytest.mark.parametrize("name", bad_blocks)
@pytest.mark.parametrize("max_frames", [1, 7, 100])
def test_damage_is_found_at_its_byte(name, max_frames):
    good = HEAD + b"".join(build.packet(place, b"data" * place) for place in range(20))
    after = build.interface() + build.packet(1, b"data") * 5
    result = build.read(good + bad_blocks[name] + after, max_frames=max_frames)
    assert len(result.frames) == 20
    error = result.capture.damage
    assert error is not None
    skipped = 28 if name.startswith("section without interface") else 0
    assert (error.reference, error.where) == ("damaged-capture", f"file: byte {len(good) + skipped}")
    assert error.what
    assert error.hint


def test_too_many_interfaces(monkeypatch):
    assert MAX_INTERFACES == 65_536
    monkeypatch.setattr("analyzer.sources.pcapng_file.MAX_INTERFACES", 300)
    data = build.section() + build.interface() * 300 + build.packet(1, b"x", 299)
    assert build.read(data).damage == ""
    result = build.read(data + build.interface() * 1000)
    assert result.damage == f"file: byte {len(data)}"
    assert len(result.frames) == 1


@pytest.mark.parametrize("order", "<>")
def test_cut_anywhere(order):
    frames = frames_for_test(count=4)
    data = build.pcapng(frames, order)
    for length in range(len(data)):
        if length < 28:
            with pytest.raises(UserError) as caught:
                build.read(data[:length])
            assert caught.value.what
            continue
        result = build.read(data[:length])
        assert result.damage == ""
        assert result.frames == frames[: len(result.frames)]
        assert len(result.capture.problems) <= 1
    assert len(build.read(data[:-1]).capture.problems) == 1


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from("<>"), st.sampled_from([1, 64, 10**6]))
def test_random_bytes_never_raise(data, order, piece):
    head = build.section(order) + build.interface(order=order)
    build.read(head + data, piece=piece, tuning=build.TINY)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=60)), max_size=20), st.sampled_from("<>"))
def test_random_blocks_never_raise(blocks, order):
    head = build.section(order) + build.interface(order=order)
    build.read(head + b"".join(build.block(kind, body, order) for kind, body in blocks), tuning=build.TINY)


def test_changing_byte_order_all_the_time(monkeypatch):
    frames = [Frame(b"data", 4, NOW)] * 3
    pair = build.pcapng(frames, "<") + build.pcapng(frames, ">")
    monkeypatch.setattr("analyzer.sources.pcapng_file.MAX_SWITCHES", 99)
    assert build.read(pair * 50).frames == frames * 100
    result = build.read(pair * 51)
    assert result.frames == frames * 100
    assert result.damage == f"file: byte {len(pair) * 50}"


@pytest.mark.parametrize("tuning", [TUNING, build.TINY, replace(build.TINY, probe=32)])
def test_a_section_whose_length_makes_sense_in_both_orders(tuning):
    # 65,536 bytes in its own order, 256 in the one before; and each length is repeated where it should be.
    comment = bytearray(65_536 - 28 - 4)
    struct.pack_into("<I", comment, 252 - 28, 256)
    body = struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1) + struct.pack(">HH", 1, 65_500) + bytes(comment)
    big = build.block(0x0A0D0D0A, body, ">")
    assert len(big) == 65_536
    assert struct.unpack_from("<I", big, 252) == (256,)
    frames = [Frame(b"data", 4, NOW)] * 30
    tail = build.interface(resolution=9, order=">") + build.packet(NOW, b"data", order=">") * 30
    result = build.read(build.pcapng(frames) + big + tail, tuning=tuning)
    assert (result.frames, result.damage) == (frames * 2, "")


# Comments


def comment(text: str, order: str = "<") -> bytes:
    return build.options((1, text.encode()), order=order)


def with_comment(block: bytes, text: str, order: str = "<") -> bytes:
    """A block that had no options, with a comment."""
    (kind,) = struct.unpack(f"{order}I", block[:4])
    return build.block(kind, block[8:-4] + comment(text, order), order)


def told(*blocks: bytes) -> list[tuple[int | None, str]]:
    return [tuple(comment) for comment in build.read(b"".join(blocks)).capture.comments]


@pytest.mark.parametrize("order", ["<", ">"])
def test_comments_are_kept(order):
    packets = [build.packet(1, b"x" * length, order=order) for length in (4, 5, 6, 7)]
    packets[2] = with_comment(packets[2], "look here", order)
    blocks = [
        with_comment(build.section(order), "of the file", order),
        with_comment(build.interface(order=order), "of the interface", order),
        *packets,
        build.packet(
            1, b"y" * 3, order=order, tail=build.options((2, bytes(4)), (1, "caf\xe9".encode()), order=order)
        ),
        with_comment(build.packet(1, b"", order=order), "bad \x1b", order),
    ]
    assert told(*blocks) == [
        (None, "of the file"),
        (None, "of the interface"),
        (3, "look here"),
        (5, "caf\xe9"),
        (6, "bad \x1b"),
    ]


def test_other_options_are_no_comments():
    flags = build.options((2, bytes(4)), (3, bytes(8)))
    assert told(build.section(), build.interface(), build.packet(1, b"abc", tail=flags)) == []


def test_many_comments_are_counted():
    packet = with_comment(build.packet(1, b"data"), "again " * 1000)
    capture = build.read(build.section() + build.interface() + packet * 150).capture
    assert len(capture.comments) == 100
    assert capture.comments_left_out == 50
    assert max(len(comment.text) for comment in capture.comments) == 1000


def test_comments_behind_damage_are_not_kept():
    broken = with_comment(build.packet(1, b"data", number=7), "of no interface")
    good = with_comment(build.packet(1, b"data"), "good")
    assert told(build.section(), build.interface(), good, broken, good) == [(1, "good")]
