"""What ``live -w`` writes holds the frames that came, wherever a file ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzer.model.blocks import FrameBlock
from analyzer.model.live import Keep
from analyzer.sources.keeping import Keeper
from analyzer.sources.open import open_capture
from tests.captures import frames_of
from tests.sources.build import Frame, pcap, pcapng

SECOND = 10**9


def frames(count: int, seed: int = 5) -> list[Frame]:
    chance = random.Random(seed)
    sizes = [chance.choice((0, 1, 60, 256)) for _ in range(count)]
    return [
        Frame(chance.randbytes(size), size + chance.choice((0, 900)), 1_700_000_000 * SECOND + place * 10**8)
        for place, size in enumerate(sizes)
    ]


def blocks(data: bytes, folder: Path, size: int = 100) -> Iterator[FrameBlock]:
    """Valid until the next one is asked for, as everywhere."""
    path = folder / "source"
    path.write_bytes(data)
    with open_capture(str(path), 0, max_frames=size) as source:
        yield from source.blocks()


@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_frames_are_kept(tmp_path: Path, write: Callable[[list[Frame]], bytes], size: int) -> None:
    expected = frames(300)
    path = tmp_path / "kept.pcap"
    keeper = Keeper(Keep(str(path)), 256)
    for block in blocks(write(expected), tmp_path, size):
        keeper.write(block)
    keeper.close()
    assert keeper.problems == []
    assert frames_of(path.read_bytes()) == expected


def test_times_that_were_moved_are_written(tmp_path: Path) -> None:
    expected = frames(20)
    path = tmp_path / "kept.pcap"
    keeper = Keeper(Keep(str(path)), 256)
    for block in blocks(pcap(expected), tmp_path):
        keeper.write(replace(block, times=block.times + 5 * SECOND))
    keeper.close()
    assert frames_of(path.read_bytes()) == [
        frame._replace(time=frame.time + 5 * SECOND) for frame in expected
    ]


@pytest.mark.parametrize("size", [1, 1000, 5000])
def test_files_rotate_between_records(tmp_path: Path, size: int) -> None:
    expected = [Frame(bytes(1000), 1000, 1_700_000_000 * SECOND + place) for place in range(2500)]
    keeper = Keeper(Keep(str(tmp_path / "kept"), megabytes=1), 0, nanoseconds=True)
    for block in blocks(pcap(expected, magic=0xA1B23C4D), tmp_path, size):
        keeper.write(block)
    keeper.close()
    parts = [frames_of(path.read_bytes()) for path in sorted(tmp_path.glob("kept*"))]
    assert [len(part) for part in parts] == [985, 985, 530]
    assert [frame for part in parts for frame in part] == expected


def test_another_link_type_is_left_out_and_said(tmp_path: Path) -> None:
    expected = frames(10)
    path = tmp_path / "kept.pcap"
    keeper = Keeper(Keep(str(path)), 256)
    for block in blocks(pcap(expected), tmp_path):
        kinds = block.link_types.copy()
        kinds[np.array([3, 4])] = 101
        keeper.write(replace(block, link_types=kinds))
    keeper.close()
    assert frames_of(path.read_bytes()) == expected[:3] + expected[5:]
    assert "2 packets have another link type" in keeper.problems[0]


def test_closing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcap"
    keeper = Keeper(Keep(str(path)), 256)
    for block in blocks(pcap(frames(5)), tmp_path):
        keeper.write(block)
    for _ in range(2):
        keeper.close()
        assert frames_of(path.read_bytes()) == frames(5)
