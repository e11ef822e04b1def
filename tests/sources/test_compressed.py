"""Compressed captures: the same frames as the plain file's, or a message; never more memory than is due."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import random
import subprocess
import sys
import tracemalloc
import zlib

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import UserError
from analyzer.sources.compressed import _ZEROS, MAX_WINDOW, Decompressed
from analyzer.sources.open import open_stream
from analyzer.sources.reading import PIECE

from . import build
from .build import Frame

FRAMES = [
    Frame(bytes((place * 7 + at) % 251 for at in range(3 * place)), 4 * place, build.SECOND * place)
    for place in range(1, 25)
]
PLAIN = {"pcap": build.pcap(FRAMES), "pcapng": build.pcapng(FRAMES)}


def zstd(data: bytes, **options) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, **options).compress(data)


def zstd_streamed(data: bytes, window_log: int = 20) -> bytes:
    """Without the size of the content, as `zstd` writes what comes from a pipe."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, write_checksum=True)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(data) + stream.flush()


def lz4_frame(data: bytes) -> bytes:
    return lz4.frame.compress(data, content_checksum=True, block_checksum=True)


def lz4_plain(data: bytes) -> bytes:
    return lz4.frame.compress(data, store_size=False)


COMPRESS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "zstd": zstd,
    "lz4": lz4_frame,
}
MORE = COMPRESS | {"zstd streamed": zstd_streamed, "lz4 without sums": lz4_plain}

kinds = pytest.mark.parametrize("kind", COMPRESS)
formats = pytest.mark.parametrize("form", PLAIN)


def refused(data: bytes) -> UserError:
    with pytest.raises(UserError) as caught:
        build.read(data)
    return caught.value


def read_or_error(data: bytes) -> build.Read | UserError:
    try:
        return build.read(data)
    except UserError as error:
        return error


@formats
@pytest.mark.parametrize("kind", MORE)
@pytest.mark.parametrize("piece", [1, 7, 100, 5000, 1 << 20])
@pytest.mark.parametrize("most", [1, 13, None])
def test_the_same_as_the_plain_file(form, kind, piece, most):
    told = build.read(MORE[kind](PLAIN[form]), piece=piece, most=most)
    assert told.summary() == build.read(PLAIN[form]).summary()
    assert told.capture.format == form
    assert not told.capture.problems


@kinds
@pytest.mark.parametrize("most", [70_000, None])
def test_the_same_as_a_plain_file_of_some_length(kind, most):
    frames = [Frame(zlib.compress(bytes([place % 256]) * 99) * 20, 999, place) for place in range(5000)]
    data = build.pcap(frames, magic=0xA1B23C4D)
    assert build.read(COMPRESS[kind](data), most=most).frames == build.read(data).frames == frames


@formats
@kinds
@pytest.mark.parametrize("behind", [b"", bytes(3), bytes(10_000)])
def test_members_one_after_another(form, kind, behind):
    data, compress = PLAIN[form], COMPRESS[kind]
    parts = [data[at : at + 97] for at in range(0, len(data), 97)]
    together = (behind + compress(b"")).join(compress(part) for part in parts) + behind
    for piece in (1, 5000):
        assert build.read(together, piece=piece).summary() == build.read(data).summary()


@pytest.mark.parametrize("first", [0x50, 0x5F])
def test_frames_to_be_skipped(first):
    skipped = bytes([first]) + b"\x2a\x4d\x18" + (70_000).to_bytes(4, "little") + bytes(70_000)
    data = PLAIN["pcap"]
    for together in (skipped + zstd(data), zstd(data[:300]) + skipped + zstd(data[300:]) + skipped):
        assert build.read(together).summary() == build.read(data).summary()
    assert build.read(lz4_frame(data) + skipped).summary() == build.read(data).summary()


@formats
@pytest.mark.parametrize("kind", MORE)
def test_cut_short_at_every_byte(form, kind):
    whole, counts = MORE[kind](PLAIN[form]), []
    for length in range(len(whole)):
        told = read_or_error(whole[:length])
        if isinstance(told, UserError):
            assert told.reference in ("empty-file", "not-a-capture", "capture-cut-short")
            assert not counts
            continue
        assert told.capture.damage is None
        (problem,) = told.capture.problems
        assert f"data ends early, at byte {length} of the file" in problem
        assert told.frames == FRAMES[: len(told.frames)]
        counts.append(len(told.frames))
    assert counts == sorted(counts)
    assert counts[-1] == len(FRAMES)


@kinds
def test_what_stands_before_the_damage_is_read(kind):
    chance = random.Random(1)
    frames = [Frame(chance.randbytes(200), 200, build.SECOND * place) for place in range(10_000)]
    data = build.pcap(frames)
    whole = COMPRESS[kind](data)
    if kind == "lz4":
        whole = lz4.frame.compress(data, block_size=lz4.frame.BLOCKSIZE_MAX64KB, block_checksum=True)
    at = len(whole) // 2
    told = build.read(whole[:at] + b"\xa5" * 200_000 + whole[at + 200_000 :])
    assert told.capture.damage is not None
    assert 4000 < len(told.frames) < 6000
    assert told.frames[:4500] == frames[:4500]


@kinds
@pytest.mark.parametrize(
    ("place", "words"), [(-1, "is damaged"), (None, "is damaged")], ids=["check sum", "another member"]
)
def test_damage_behind_the_last_packet(kind, place, words):
    whole = COMPRESS[kind](PLAIN["pcap"])
    if place is None:
        bad = whole + b"hello, this is something else"
    else:
        bad = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    told = build.read(bad)
    error = told.capture.damage
    assert told.frames == FRAMES
    assert error.reference == "damaged-capture"
    assert f"the {kind} data {words} (" in error.what
    where, _, offset = error.where.partition(": byte ")
    assert where == "file"
    assert len(whole) - 12 <= int(offset) <= len(bad)
    assert "may be wrong already" in error.hint


@kinds
def test_damage_before_the_first_packet(kind):
    whole = COMPRESS[kind](PLAIN["pcap"])
    error = refused(whole[:7] + b"\xff" * 40)
    assert error.reference == "damaged-capture"
    assert error.where.startswith("file: byte ")
    assert error.hint == "copy or record it again."


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(MORE)), st.sampled_from(sorted(PLAIN)), st.data())
def test_changed_bytes_never_raise(kind, form, data):
    whole = bytearray(MORE[kind](PLAIN[form]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    told = []
    for piece in (3, 100_000):
        with contextlib.suppress(UserError):
            told.append(build.read(bytes(whole), piece=piece).summary())
    assert told in ([], [told[0]] * 2 if told else [])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"\x1f\x8b\x08\x00", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"]),
    st.data(),
)
def test_random_bytes_behind_a_beginning_never_raise(magic, data):
    with contextlib.suppress(UserError):
        build.read(magic + data.draw(st.binary(max_size=60)))


@formats
@kinds
def test_a_damaged_record_inside(form, kind):
    data = PLAIN[form] + b"\xff" * 40
    inside, plain = build.read(COMPRESS[kind](data)), build.read(data)
    assert inside.frames == plain.frames
    assert inside.damage == f"{plain.damage} of the decompressed data"
    assert inside.capture.damage.what == plain.capture.damage.what


@formats
@kinds
def test_a_capture_cut_short_inside(form, kind):
    (problem,) = build.read(COMPRESS[kind](PLAIN[form][:-1])).capture.problems
    assert problem.startswith("The file ends inside a record: at byte ")
    assert " of the decompressed data it needs " in problem


@kinds
@pytest.mark.parametrize(
    ("data", "reference", "words"),
    [
        (b"", "empty-file", "the file is empty"),
        (b"abc", "not-a-capture", "the file has only 3 bytes"),
        (b"some text\n", "not-a-capture", "the file is text"),
        (bytes(1000), "not-a-capture", "the file is not a capture"),
        (PLAIN["pcap"][:20], "capture-cut-short", "after 20 bytes, inside the header of a pcap file"),
        (PLAIN["pcapng"][:20], "capture-cut-short", "after 20 bytes, inside its section header"),
        (gzip.compress(PLAIN["pcap"]), "not-a-capture", "the file is compressed once more (gzip)"),
        (zstd(PLAIN["pcap"]), "not-a-capture", "the file is compressed once more (zstd)"),
        (b"BZh91AY", "compressed-capture", "the file is compressed (bzip2)"),
        (b"snoop\x00\x00\x00\x00\x00", "unsupported-capture", "the file is a snoop capture"),
    ],
)
def test_no_capture_inside(kind, data, reference, words):
    error = refused(COMPRESS[kind](data))
    assert (error.reference, error.where) == (reference, "file")
    assert error.what.startswith(f"decompressed ({kind}), ")
    assert words in error.what
    assert error.hint


def test_how_far_back_the_data_may_refer():
    data = PLAIN["pcap"]
    xz = {
        size: lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": size}])
        for size in (MAX_WINDOW, 3 * MAX_WINDOW // 2)
    }
    for good in (xz[MAX_WINDOW], zstd_streamed(data, window_log=27)):
        assert build.read(good).frames == FRAMES
    for bad in (xz[3 * MAX_WINDOW // 2], zstd_streamed(data, window_log=28)):
        error = refused(bad)
        assert error.reference == "unsupported-capture"
        assert "128 MiB, which is the limit" in error.what
        told = build.read(zstd(data) + bad if bad[0] == 0x28 else lzma.compress(data) + bad)
        assert told.frames == FRAMES
        assert "128 MiB" in told.capture.damage.what


def bombs(kind: str, start: bytes) -> bytes:
    """``start`` and then 1 GB of zeros."""
    compress, zeros = COMPRESS[kind], bytes(50_000_000)
    return compress(start) + compress(zeros) * 20


class Work:
    """What reading took: pieces and their bytes, bytes that came out, bytes looked at between members."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces = self.taken = self.output = self.looked_at = 0
        take, step, skip = Decompressed._take, Decompressed._step, Decompressed._skip_zeros

        def counted_take(stream: Decompressed, count: int) -> bytes:
            piece = take(stream, count)
            self.pieces += 1
            self.taken += len(piece)
            return piece

        def counted_step(stream: Decompressed) -> None:
            step(stream)
            self.output += len(stream._output)

        class Looked(np.ndarray):
            def __array_ufunc__(looked, ufunc, method, *inputs, **options):  # noqa: N805 - self is the work
                self.looked_at += looked.size
                plain = [np.asarray(one) if isinstance(one, np.ndarray) else one for one in inputs]
                return getattr(ufunc, method)(*plain, **options)

        def counted_skip(stream: Decompressed) -> None:
            window = stream._window
            window.buffer = window.buffer.view(Looked)
            skip(stream)
            window.buffer = window.buffer.view(np.ndarray)

        monkeypatch.setattr(Decompressed, "_take", counted_take)
        monkeypatch.setattr(Decompressed, "_step", counted_step)
        monkeypatch.setattr(Decompressed, "_skip_zeros", counted_skip)


@kinds
@pytest.mark.parametrize("form", [*PLAIN, ""])
def test_bombs(kind, form, monkeypatch):
    bomb = bombs(kind, PLAIN.get(form, b""))
    work = Work(monkeypatch)
    tracemalloc.start()
    if form:
        source = open_stream(build.Chunks(bomb), "file", 0)
        assert sum(len(block) for block in source.blocks()) == len(FRAMES)
        assert source.capture.damage is not None
        assert source.capture.damage.where.endswith("of the decompressed data")
        assert source._window.position + source._window.end <= PIECE
    else:
        assert refused(bomb).reference == "not-a-capture"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert work.taken < 10_000
    assert work.output < 1_000_000  # of a thousand million
    assert peak < 100_000_000


@kinds
def test_many_small_members(kind, monkeypatch):
    """The work for each does not grow with what stands behind it."""
    small = COMPRESS[kind](b"") + b"\x00"
    members = 1_000_000 // len(small)
    work = Work(monkeypatch)
    assert build.read(COMPRESS[kind](PLAIN["pcap"]) + small * members).frames == FRAMES
    assert members < work.pieces < 5 * members
    assert work.taken < 600 * members
    assert members < work.looked_at < 2 * _ZEROS * members


class Failing(build.Chunks):
    """A disk that gives up at the end."""

    def readinto(self, buffer) -> int:
        count = super().readinto(buffer)
        if not count:
            raise OSError(5, "Input/output error")
        return count


@kinds
def test_a_disk_that_fails(kind):
    whole = COMPRESS[kind](PLAIN["pcap"])
    whole += COMPRESS[kind](b"") * 2
    source = open_stream(Failing(whole[:-1]), "file", 0)
    assert sum(len(block) for block in source.blocks()) == len(FRAMES)
    error = source.capture.damage
    assert (error.reference, error.where) == ("unreadable-file", f"file: byte {len(whole) - 1}")
    stream = Failing(whole[:8])
    with pytest.raises(UserError) as caught:
        open_stream(stream, "file", 0)
    assert caught.value.reference == "unreadable-file"
    assert stream.closed


@kinds
def test_the_file_is_closed(kind):
    for data in (PLAIN["pcap"], b"no capture"):
        stream = build.Chunks(COMPRESS[kind](data))
        with contextlib.suppress(UserError), open_stream(stream, "file", 0):
            pass
        assert stream.closed


def test_libraries_are_imported_when_needed(tmp_path):
    code = (
        "import sys; from analyzer.sources.open import open_capture; open_capture(sys.argv[1], 0).close(); "
        "print(sorted({'lz4', 'zstandard'} & set(sys.modules)))"
    )
    for compress, expected in (
        (bytes, []),
        (COMPRESS["gzip"], []),
        (zstd, ["zstandard"]),
        (lz4_frame, ["lz4"]),
    ):
        path = tmp_path / "a"
        path.write_bytes(compress(PLAIN["pcap"]))
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(expected)
