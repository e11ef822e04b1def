"""What came last of a capture is found again, however it was cut into blocks and joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.flows.keys import flow_keys
from analyzer.flows.members import keys_of
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.blocks import FrameBlock, one_block
from analyzer.model.summary import Summary
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.kept import KeptBlocks
from analyzer.pipeline.messages import MessageReader
from analyzer.sources.open import open_capture
from tests.captures import CAPTURES, frames_of, sample
from tests.sources.build import pcap

SPECIAL = ("premature-eof-mid-answer", "reset-by-peer-fragments", "reset-by-peer-vxlan", "clean-geneve")
NAMES = sorted({*SPECIAL, *[path.parent.name for path in CAPTURES if path.name == "client.pcap"][::4]})
MUCH = 1 << 30


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many connections that overlap."""
    frames = []
    for place, name in enumerate(NAMES):
        own = frames_of(sample(name).read_bytes())
        shift = place * 10**8 - own[0].time + 1_700_000_000 * 10**9
        frames += [frame._replace(time=frame.time + shift) for frame in own if frame.link_type == 1]
    path = tmp_path_factory.mktemp("kept") / "mixed.pcap"
    path.write_bytes(pcap(sorted(frames, key=lambda frame: frame.time)))
    return path


def blocks(path: Path, size: int) -> list[FrameBlock]:
    with open_capture(str(path), 0, max_frames=size) as source:
        return [block.copied() for block in source.blocks()]


def kept_of(path: Path, size: int, most: int = MUCH) -> KeptBlocks:
    kept, fragments = KeptBlocks(most), Fragments()
    for block in blocks(path, size):
        kept.take(block, decode(block, fragments))
    return kept


def flows_of(path: Path) -> list[Summary]:
    engine = Engine(Matcher(load_rules(rules_folder())), all_flows=True)
    for block in blocks(path, 1000):
        engine.feed(block)
    return [result.summary for result in engine.finish() if result.summary]


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_what_was_said_is_that_of_all_frames(mixed: Path, size: int) -> None:
    flows = flows_of(mixed)
    assert len(flows) > 50
    reader = MessageReader(flows)
    reader.take(blocks(mixed, 1000))
    assert kept_of(mixed, size).read(flows) == reader.finish()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_all_frames_of_a_flow_are_found(mixed: Path, size: int) -> None:
    keys = np.array(keys_of(flows_of(mixed)[:1]), np.uint64)
    whole = one_block(blocks(mixed, 16_000))
    columns = decode(whole, Fragments())
    expected = np.unique(columns.number[flow_keys(columns)[0] == keys]).tolist()
    assert len(expected) > 2
    found = []
    for piece in kept_of(mixed, size).pieces(0):
        for row in np.unique(piece.of(keys)[0]).tolist():
            found.append(piece.block.first_number + row)
            assert piece.block.times[row] == whole.times[found[-1] - 1]
    assert found == expected


def test_memory_is_bounded(mixed: Path) -> None:
    kept = kept_of(mixed, 50, 100_000)
    pieces = list(kept.pieces(0))
    assert sum(piece.size for piece in pieces) <= 100_000
    assert 0 < kept.gone < pieces[0].end
    old, new = (
        min(flows_of(mixed), key=lambda flow: flow.start),
        max(flows_of(mixed), key=lambda flow: flow.start),
    )
    assert list(kept.read([old, new])) == [new.flow]
    assert [text.split(" was ")[0] for text in kept.problems()] == ["the beginning of 1 connections"]
