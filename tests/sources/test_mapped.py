"""A file that is mapped piece by piece is the file that is read, and little of it is mapped at a time."""

from __future__ import annotations

import gzip
import mmap
import os
import random
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.model.blocks import MAX_FRAMES, SLACK
from analyzer.sources.inputs import inputs, open_input
from analyzer.sources.open import open_capture

from . import build
from .build import Frame

PAGE = mmap.ALLOCATIONGRANULARITY
WRITERS = {"pcap": build.pcap, "pcapng": build.pcapng}


def frames_for_test(seed: int, count: int = 60, longest: int = 3000) -> list[Frame]:
    generator = random.Random(seed)
    sizes = [
        generator.choice([generator.randrange(1, 100), generator.randrange(1, longest)]) for _ in range(count)
    ]
    return [
        Frame(generator.randbytes(size), size, (place + 1) * build.SECOND) for place, size in enumerate(sizes)
    ]


def read_file(path: Path, *, mapped: bool, max_frames=MAX_FRAMES, piece=1 << 20, tuning=build.TUNING):
    source = open_capture(str(path), 3, max_frames=max_frames, piece=piece, mapped=mapped)
    source.tuning = tuning
    return build.examined(source, max_frames), source.taken


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    form=st.sampled_from(sorted(WRITERS)),
    max_frames=st.sampled_from([1, 7, MAX_FRAMES]),
    piece=st.one_of(st.integers(1, 9000), st.sampled_from([PAGE, 2 * PAGE])),
    damage=st.booleans(),
    lost=st.sampled_from([0, 0, 1, 700]),
)
def test_what_is_mapped_is_what_is_read(tmp_path, seed, form, max_frames, piece, damage, lost):
    data = bytearray(WRITERS[form](frames_for_test(seed)))
    if damage:
        generator = random.Random(seed)
        for _ in range(4):
            data[generator.randrange(100, len(data))] = generator.randrange(256)
    path = tmp_path / "a"
    path.write_bytes(data[: len(data) - lost])
    read, read_to = read_file(path, mapped=False)
    mapped, mapped_to = read_file(path, mapped=True, max_frames=max_frames, piece=piece, tuning=build.TINY)
    assert mapped.summary() == read.summary()
    assert mapped_to == read_to


@pytest.mark.parametrize("form", WRITERS)
def test_records_larger_than_a_piece(tmp_path, form):
    frames = frames_for_test(1, count=30, longest=60_000)
    path = tmp_path / "a"
    path.write_bytes(WRITERS[form](frames))
    assert read_file(path, mapped=True, piece=100)[0].frames == frames


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("cut", [1, 2000])
def test_a_file_whose_end_is_missing(tmp_path, form, cut):
    data = WRITERS[form](frames_for_test(2))
    path = tmp_path / "a"
    path.write_bytes(data[:-cut])
    read, mapped = (read_file(path, mapped=choice, piece=PAGE)[0] for choice in (False, True))
    assert len(read.capture.problems) == 1
    assert mapped.summary() == read.summary()


def test_damage_is_found_at_its_byte(tmp_path):
    good = build.pcap(frames_for_test(3))
    bad = build.pcap_record(1_700_000_000, 0, b"rest", captured=300_000)
    path = tmp_path / "a"
    path.write_bytes(good + bad + good)
    result, taken = read_file(path, mapped=True, piece=PAGE)
    assert result.damage == f"{path}: byte {len(good)}"
    assert taken == len(good)


def test_pieces_are_mapped_and_their_end_is_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(build.pcap(frames_for_test(4, count=400)))
    with open_capture(str(path), 0, max_frames=5, piece=4 * PAGE, mapped=True) as source:
        writeable = [block.buffer.flags.writeable for block in source.blocks()]
    assert writeable[-1]
    assert writeable.count(False) > 0.8 * len(writeable)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is mapped is read from /proc")
def test_two_pieces_are_mapped_at_a_time(tmp_path):
    path = tmp_path / "the-only-one"
    path.write_bytes(build.pcap(frames_for_test(5, count=400)))
    before = None
    with open_capture(str(path), 0, max_frames=5, piece=4 * PAGE, mapped=True) as source:
        for block in source.blocks():
            mapped = Path("/proc/self/maps").read_text().count(path.name)
            # The block before this one may have been in the pieces before this one.
            assert mapped <= 2
            assert len(block.buffer) < 10 * PAGE + SLACK
            before = block
    assert before is not None
    assert path.name not in Path("/proc/self/maps").read_text()


def test_a_file_that_grows_meanwhile(tmp_path):
    frames = frames_for_test(6, count=300)
    data = build.pcap(frames)
    path = tmp_path / "a"
    path.write_bytes(data[: len(data) // 2])
    source = open_capture(str(path), 3, max_frames=5, piece=PAGE, mapped=True)
    blocks = source.blocks()
    count = len(next(blocks))
    with path.open("ab") as file:
        file.write(data[len(data) // 2 :])
    assert count + sum(len(block) for block in blocks) == len(frames)
    assert source.capture.damage is None
    assert source.capture.problems == []


def test_a_file_that_is_truncated_behind_what_is_mapped_ends_there(tmp_path):
    frames = frames_for_test(7, count=300)
    data = build.pcap(frames)
    path = tmp_path / "a"
    path.write_bytes(data)
    source = open_capture(str(path), 3, max_frames=5, piece=PAGE, mapped=True)
    blocks = source.blocks()
    count = len(next(blocks))
    os.truncate(path, 8 * PAGE)
    count += sum(len(block) for block in blocks)
    assert 5 < count < len(frames)
    assert source.capture.damage is None
    assert source.taken <= 8 * PAGE


@pytest.mark.parametrize("error", [OSError(19, "No such device"), ValueError("cannot mmap")])
def test_a_file_that_cannot_be_mapped_is_read(tmp_path, monkeypatch, error):
    def refused(*arguments, **named):
        raise error

    frames = frames_for_test(8)
    path = tmp_path / "a"
    path.write_bytes(build.pcap(frames))
    monkeypatch.setattr(mmap, "mmap", refused)
    assert read_file(path, mapped=True, piece=PAGE)[0].frames == frames


def test_what_is_compressed_is_read(tmp_path):
    frames = frames_for_test(9)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(build.pcap(frames)))
    read, mapped = (read_file(path, mapped=choice, piece=PAGE) for choice in (False, True))
    assert mapped[0].frames == frames
    assert mapped[1] == read[1] == path.stat().st_size


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_read(tmp_path):
    frames = frames_for_test(10)
    path = tmp_path / "a"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(build.pcap(frames),))
    writer.start()
    result, _ = read_file(path, mapped=True, piece=PAGE)
    writer.join()
    assert result.frames == frames


def test_inputs_are_mapped_where_that_is_wanted(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(build.pcap(frames_for_test(11)))
    (one,), _ = inputs([str(path)], "")
    for mapped in (False, True):
        with open_input(one, 0, piece=PAGE, mapped=mapped) as source:
            assert any(not block.buffer.flags.writeable for block in source.blocks()) is mapped
