"""Opening a file, by what is in it."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import UserError
from analyzer.sources.open import open_capture, open_stream

from . import build
from .build import Frame

FRAMES = [Frame(b"data" * place, 4 * place, build.SECOND * place) for place in range(1, 9)]


def refused(path) -> UserError:
    with pytest.raises(UserError) as caught:
        open_capture(str(path), 0)
    error = caught.value
    assert error.where == str(path)
    assert error.what
    return error


@pytest.mark.parametrize("data", [build.pcap(FRAMES), build.pcapng(FRAMES)])
def test_the_name_says_nothing(tmp_path, data):
    path = tmp_path / "capture.txt"
    path.write_bytes(data)
    source = open_capture(str(path), 4, max_frames=3)
    assert source.capture.path == str(path)
    blocks = [(block.capture, block.first_number, len(block)) for block in source.blocks()]
    assert sum(length for _, _, length in blocks) == 8
    assert {index for index, _, _ in blocks} == {4}
    assert list(source.blocks()) == []


def test_a_source_can_be_left_unread(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(build.pcap(FRAMES))
    with open_capture(str(path), 0):
        pass
    with open_capture(str(path), 0, max_frames=1) as source:
        assert len(next(source.blocks())) == 1


def test_no_such_file(tmp_path):
    assert refused(tmp_path / "none.pcap").reference == "no-such-file"
    (tmp_path / "a").touch()
    assert refused(tmp_path / "a" / "b").reference == "no-such-file"
    with pytest.raises(UserError):
        open_capture("a\0b", 0)


def test_directory(tmp_path):
    error = refused(tmp_path)
    assert error.reference == "not-a-file"
    assert "directory" in error.what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(build.pcap(FRAMES))
    path.chmod(0)
    assert refused(path).reference == "no-permission"


def test_no_permission_by_the_system(tmp_path, monkeypatch):
    def deny(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", deny)
    assert refused(tmp_path / "a").reference == "no-permission"


def test_other_errors_of_the_system(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.open", fail)
    error = refused(tmp_path / "a")
    assert error.reference == "unreadable-file"
    assert "Input/output error" in error.what


@pytest.mark.parametrize(
    ("data", "reference", "words"),
    [
        (b"", "empty-file", "empty"),
        (b"\x28\xb5\x2f\xfd", "capture-cut-short", "zstd data ends early, at byte 4"),
        (b"\xfd7zXZ\x00123", "capture-cut-short", "xz data ends early, at byte 9"),
        (b"BZh91AY", "compressed-capture", "bzip2"),
        (b"snoop\x00\x00\x00\x00\x00\x00\x02", "unsupported-capture", "snoop"),
        (b"12:00:01 IP 10.0.0.1 > 10.0.0.2\n", "not-a-capture", "text"),
        (b"\x7fELF\x02\x01\x01\x00", "not-a-capture", "7f 45 4c 46"),
        (b"\xd4\xc3\xb2", "not-a-capture", "3 bytes"),
        (b"\xd4\xc3\xb2\xa1", "capture-cut-short", "4 bytes"),
        (b"\x0a\x0d\x0d\x0a", "capture-cut-short", "4 bytes"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "not-a-capture", "byte order"),
        (build.section(version=(3, 1)), "unsupported-capture", "3.1"),
        (
            build.block(0x0A0D0D0A, b"\x4d\x3c\x2b\x1a" + bytes(12), length=8),
            "unsupported-capture",
            "8 bytes",
        ),
    ],
)
def test_what_is_no_capture(tmp_path, data, reference, words):
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    error = refused(path)
    assert error.reference == reference
    assert words in error.what
    assert error.hint


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=100), st.sampled_from([b"", b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", b"\x0a\x0d\x0d\x0a"])
)
def test_random_files_raise_user_errors_only(data, start):
    with contextlib.suppress(UserError):
        build.read(start + data)


class Failing(build.Chunks):
    """A disk that gives up behind ``good`` bytes."""

    def __init__(self, data: bytes, good: int) -> None:
        super().__init__(data[:good])

    def readinto(self, buffer) -> int:
        count = super().readinto(buffer)
        if not count:
            raise OSError(5, "Input/output error")
        return count


@pytest.mark.parametrize("data", [build.pcap(FRAMES), build.pcapng(FRAMES)])
def test_a_disk_that_fails_later(data):
    source = open_stream(Failing(data, len(data) - 3), "file", 0)
    assert sum(len(block) for block in source.blocks()) == 7
    error = source.capture.damage
    assert error is not None
    assert (error.reference, error.where) == ("unreadable-file", f"file: byte {len(data) - 3}")


def test_a_disk_that_fails_at_once():
    stream = Failing(b"", 0)
    with pytest.raises(UserError) as caught:
        open_stream(stream, "file", 0)
    assert caught.value.reference == "unreadable-file"
    assert stream.closed


def test_a_file_that_shrinks_is_a_file_that_ends(tmp_path):
    path = tmp_path / "a"
    frames = FRAMES * 500
    path.write_bytes(build.pcap(frames))
    source = open_capture(str(path), 0, max_frames=10, piece=2000)
    blocks = source.blocks()
    count = len(next(blocks))
    os.truncate(path, 10)
    count += sum(len(block) for block in blocks)
    assert 0 < count < len(frames)
    assert source.capture.damage is None


def test_the_buffer_is_reused_and_bounded():
    data = build.pcap(FRAMES * 1000)
    source = open_stream(build.Chunks(data), "file", 0, piece=5000)
    buffers = {id(block.buffer): block.buffer for block in source.blocks()}
    (buffer,) = buffers.values()
    assert buffer.dtype == np.uint8
    assert len(buffer) < 6000
