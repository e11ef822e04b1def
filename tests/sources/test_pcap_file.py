"""Classic pcap files."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES

from . import build
from .build import Frame

MAGICS = [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34]
NOW = 1_700_000_000 * build.SECOND


def frames_for_test(count=40, seed=1) -> list[Frame]:
    generator = random.Random(seed)
    frames = []
    for place in range(count):
        data = generator.randbytes(generator.choice([0, 1, 14, 60, 333]))
        frames.append(Frame(data, len(data) + generator.choice([0, 0, 9]), NOW + place * 123_456_000))
    return frames


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("magic", MAGICS)
def test_reads_what_was_written(order, magic):
    frames = frames_for_test()
    result = build.read(build.pcap(frames, order, magic))
    assert result.frames == frames
    capture = result.capture
    assert (capture.format, capture.link_types, capture.path) == ("pcap", ["EN10MB"], "file")
    assert (capture.packets, capture.bytes) == (40, sum(frame.original for frame in frames))
    assert (capture.first, capture.last) == (frames[0].time, frames[-1].time)
    assert capture.problems == []
    assert capture.damage is None


def test_nanoseconds_are_kept():
    frame = Frame(b"x", 1, NOW + 123_456_789)
    assert build.read(build.pcap([frame], magic=0xA1B23C4D)).frames == [frame]


def test_reads_what_scapy_wrote(tmp_path):
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap, wrpcapng

    packets = [Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=port) for port in range(1, 30)]
    for place, packet in enumerate(packets):
        packet.time = 1_700_000_000 + place / 8
    expected = [
        Frame(bytes(packet), len(packet), NOW + place * build.SECOND // 8)
        for place, packet in enumerate(packets)
    ]
    wrpcap(str(tmp_path / "a"), packets)
    wrpcap(str(tmp_path / "b"), packets, nano=True, endianness=">")
    wrpcapng(str(tmp_path / "c"), packets)
    for name in "abc":
        assert build.read((tmp_path / name).read_bytes()).frames == expected


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 7, MAX_FRAMES]),
    st.integers(1, 3000),
    st.sampled_from([None, 1, 13, 500]),
    st.sampled_from("<>"),
    st.booleans(),
)
def test_any_cut_gives_the_same(seed, max_frames, piece, most, order, damage):
    frames = frames_for_test(seed=seed)
    data = bytearray(build.pcap(frames, order))
    if damage:
        generator = random.Random(seed)
        for _ in range(4):
            data[generator.randrange(24, len(data))] = generator.randrange(256)
    whole = build.read(bytes(data))
    cut = build.read(bytes(data), max_frames=max_frames, piece=piece, most=most, tuning=build.TINY)
    assert cut.summary() == whole.summary()


def test_blocks_are_even():
    result = build.read(build.pcap(frames_for_test(count=41)), max_frames=20)
    assert result.sizes == [13, 14, 14]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("piece", [1, 50, 1 << 20])
def test_damage_is_found_at_its_byte(order, piece):
    frames = frames_for_test(count=30)
    good = build.pcap(frames, order)
    bad = build.pcap_record(1_700_000_000, 0, b"rest", order=order, captured=300_000)
    result = build.read(good + bad + good, piece=piece)
    assert result.frames == frames
    error = result.capture.damage
    assert error is not None
    assert error.reference == "damaged-capture"
    assert error.where == f"file: byte {len(good)}"
    assert error.what.startswith("record 31 claims 300,000 bytes")
    assert error.hint
    assert result.capture.problems == []


def test_a_large_snapshot_length_is_believed():
    frame = Frame(bytes(300_000), 300_000, NOW)
    assert build.read(build.pcap([frame], snaplen=400_000)).frames == [frame]
    assert build.read(build.pcap([frame], snaplen=0)).damage == "file: byte 24"
    huge = build.pcap_header(snaplen=2**32 - 1) + build.pcap_record(1, 0, b"", captured=(16 << 20) + 1)
    assert build.read(huge).damage == "file: byte 24"


def test_a_hole_of_zeros_is_damage():
    frames = frames_for_test(count=20)
    good = build.pcap(frames)
    result = build.read(good + bytes(5000), max_frames=7)
    assert result.frames == frames
    assert result.capture.damage is not None
    assert result.damage == f"file: byte {len(good)}"
    assert result.capture.damage.what == "the header of record 21 is all zeros"


def test_an_empty_frame_is_no_hole():
    frames = [Frame(b"", 0, NOW), Frame(b"", 60, NOW)]
    assert build.read(build.pcap(frames)).frames == frames


@pytest.mark.parametrize("tail", [1, 15, 16, 17, 79])
def test_a_file_that_ends_inside_a_record_is_a_problem(tail):
    frames = frames_for_test(count=3)
    good = build.pcap(frames)
    record = build.pcap_record(1_700_000_000, 0, bytes(64))
    result = build.read(good + record[:tail])
    assert result.frames == frames
    assert result.capture.damage is None
    (problem,) = result.capture.problems
    assert f"at byte {len(good)} " in problem
    assert f" {tail} are there" in problem


def test_cut_anywhere():
    data = build.pcap(frames_for_test(count=4))
    whole = build.read(data).frames
    ends = [24]
    for frame in whole:
        ends.append(ends[-1] + 16 + len(frame.data))
    for length in range(len(data)):
        if length < 24:
            with pytest.raises(UserError) as caught:
                build.read(data[:length])
            assert caught.value.what
            continue
        result = build.read(data[:length])
        assert result.frames == whole[: sum(end <= length for end in ends) - 1]
        assert len(result.capture.problems) == (length not in ends)


def test_captured_more_than_original():
    data = build.pcap_header() + build.pcap_record(1, 0, b"abcdef", original=2)
    assert build.read(data).frames == [Frame(b"abcdef", 6, build.SECOND)]


def test_fractions_of_a_second_and_more():
    records = [build.pcap_record(2**32 - 1, 2**32 - 1, b"a"), build.pcap_record(1, 10**6, b"b")]
    result = build.read(build.pcap_header() + b"".join(records) + build.pcap_record(3, 999_999, b"c"))
    times = [frame.time for frame in result.frames]
    assert times == [(2**32 - 1) * (build.SECOND + 1000), 2 * build.SECOND, 4 * build.SECOND - 1000]
    problem, backwards = result.capture.problems
    assert "earlier time" in backwards
    assert problem.startswith("2 packets")


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        (1, 1, "EN10MB"),
        (113, 113, "LINUX_SLL"),
        (276, 276, "LINUX_SLL2"),
        (12, 101, "RAW"),
        (14, 101, "RAW"),
        (101, 101, "RAW"),
        (0x2400_0001, 1, "EN10MB"),
        (0, 0, "NULL"),
        (108, 108, "LOOP"),
        (40_000, 40_000, "LINKTYPE_40000"),
    ],
)
def test_link_types(field, value, name):
    result = build.read(build.pcap([Frame(b"x", 1, NOW)], link_type=field))
    assert result.frames[0].link_type == value
    assert result.capture.link_types == [name]


def test_no_packets():
    result = build.read(build.pcap_header())
    assert result.frames == []
    assert (result.capture.first, result.capture.last, result.capture.problems) == (None, None, [])


@pytest.mark.parametrize("version", [(1, 0), (2, 2), (2, 5), (543, 0)])
def test_other_versions(version):
    with pytest.raises(UserError) as caught:
        build.read(build.pcap_header(version=version))
    assert caught.value.reference == "unsupported-capture"
    assert str(version[0]) in caught.value.what


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from("<>"), st.sampled_from(MAGICS), st.sampled_from([1, 64, 10**6])
)
def test_random_bytes_never_raise(data, order, magic, piece):
    build.read(build.pcap_header(order, magic) + data, piece=piece, tuning=build.TINY)


def test_the_buffer_grows_no_further_than_a_record_can():
    bad = struct.pack("<IIII", 1, 1, 2**32 - 1, 2**32 - 1)
    result = build.read(build.pcap_header(snaplen=2**32 - 1) + bad)
    assert result.damage == "file: byte 24"
