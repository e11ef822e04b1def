"""Copies of captures with comments: nothing but the comments differs."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.model.comments import Comments
from analyzer.sources.annotated import commented, write_annotated
from analyzer.sources.open import open_stream
from tests.captures import CAPTURES, capture_name
from tests.sources import build
from tests.sources.build import SECOND, Chunks, Frame

WHOLE = "of the whole"


def copy_of(data: bytes, comments: Comments, most: int | None = None, max_frames: int = 100) -> bytes:
    out = io.BytesIO()
    with open_stream(Chunks(data, most), "test", 0, max_frames=max_frames) as source:
        write_annotated(source, comments, out)
    return out.getvalue()


def blocks_of(data: bytes) -> Iterator[bytes]:
    at, order = 0, "<"
    while at < len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            order = "<" if data[at + 8 : at + 12] == struct.pack("<I", 0x1A2B3C4D) else ">"
        (length,) = struct.unpack_from(f"{order}I", data, at + 4)
        assert data[at + length - 4 : at + length] == struct.pack(f"{order}I", length)
        yield data[at : at + length]
        at += length


def frames_of(data: bytes) -> list[Frame]:
    found = build.read(data)
    assert found.damage == ""
    return found.frames


def section_of_many_blocks(order: str) -> bytes:
    other = b"a comment that was there before"
    flags = struct.pack(f"{order}I", 1)
    return b"".join(
        (
            build.section(order, length=4711),
            build.interface(1, 96, resolution=9, order=order),
            build.interface(101, 0, resolution=0x94, offset=-5, order=order),
            build.block(4, b"\1\0\4\0name", order),
            build.packet(1, b"first packet", order=order),
            build.packet(
                2, b"second", 1, 900, order, tail=build.options((2, flags), (1, other), order=order)
            ),
            build.block(0x80000BAD, b"nobody knows this block", order),
            build.packet(3, b"third", 1, order=order, tail=build.options((2, flags), order=order, end=False)),
            build.old_packet(4, b"fourth", order=order),
            build.simple_packet(b"no room for a comment", order=order),
            build.statistics(0, 7, order=order),
            build.packet(5, b"", order=order),
        )
    )


@pytest.mark.parametrize("orders", ["<", ">", "<>", "><<"])
@pytest.mark.parametrize("most", [None, 40])
def test_blocks_are_kept_byte_for_byte(orders: str, most: int | None) -> None:
    data = b"".join(map(section_of_many_blocks, orders))
    comments = Comments(WHOLE, {1: ["one"], 2: ["two", "zwei €"], 4: ["four"], 5: ["lost"], 6: ["six"]})
    copy = copy_of(data, comments, most)
    assert frames_of(copy) == frames_of(data)
    old, new = list(blocks_of(data)), list(blocks_of(copy))
    changed = [number for number, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    assert changed == [0, 4, 5, 8, 11]
    assert WHOLE.encode() in new[0]
    assert new[0][16:24] == b"\xff" * 8
    for number, texts in ((4, [b"one"]), (5, [b"a comment that was there before", b"two"]), (8, [b"four"])):
        assert all(text in new[number] for text in texts)
    assert new[5].index(b"before") < new[5].index(b"two") < new[5].index("zwei €".encode())
    assert old[5][8:-8] in new[5]  # without end of options, length


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (0xA1B2CD34, 1000)])
def test_pcap_becomes_pcapng(order: str, magic: int, unit: int) -> None:
    frames = [Frame(bytes(range(n)), n + 7, 1_795_000_000 * SECOND + n * 1000, 113) for n in range(20)]
    data = build.pcap(frames, order, magic, link_type=113 | 0x24000000, snaplen=77)
    copy = copy_of(data, Comments(WHOLE, {3: ["three"], 20: ["last"]}))
    assert frames_of(copy) == frames
    blocks = list(blocks_of(copy))
    assert struct.unpack_from(f"{order}HHI", blocks[1], 8) == (113, 0, 77)
    assert struct.pack(f"{order}HHB", 9, 1, 9 if unit == 1 else 6) in blocks[1]
    assert struct.pack(f"{order}HHB", 13, 1, 4) in blocks[1]  # if_fcslen
    assert [number for number, one in enumerate(blocks) if b"three" in one or b"last" in one] == [4, 21]


@pytest.mark.parametrize("path", CAPTURES, ids=capture_name)
def test_frames_of_samples_are_the_same(path: Path) -> None:
    data = path.read_bytes()
    assert frames_of(copy_of(data, Comments(WHOLE, {1: ["first"]}))) == frames_of(data)


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_files_are_copied_as_far_as_they_are_read(data: st.DataObject) -> None:
    frames = [Frame(bytes([n]) * n, n, (1 + n) * SECOND) for n in range(30)]
    whole = bytearray(data.draw(st.sampled_from([build.pcap(frames), build.pcapng(frames)])))
    at = data.draw(st.integers(28, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    broken = bytes(whole[: data.draw(st.integers(28, len(whole)))])
    copy = copy_of(broken, Comments(WHOLE, {n: ["x"] for n in range(40)}), max_frames=7)
    assert frames_of(copy) == build.read(broken).frames


def test_a_comment_too_long_is_cut_between_characters() -> None:
    block = commented(build.packet(1, b"abc"), ["€" * 50_000], "<")
    (length,) = struct.unpack_from("<H", block, 34)
    assert block[36 : 36 + length].decode() == "€" * 20_000
