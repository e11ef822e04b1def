"""Captures that are cut up and put together again, and their reports by one process and by many shares."""

from __future__ import annotations

import io
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import analyzer.cluster.series
from analyzer.cluster.driving import Here
from analyzer.cluster.job import Job
from analyzer.cluster.reading import ClusterReading
from analyzer.cluster.store import Store
from analyzer.errors import UserError
from analyzer.matching.load import load_rules, rules_folder
from analyzer.pipeline.files import analyze, reported
from analyzer.reports.json_report import as_plain
from analyzer.sources.open import open_capture, open_stream
from analyzer.sources.pieces import Piece
from tests.sources.build import Frame

RULES = tuple(load_rules(rules_folder()))
SAMPLES = sorted(map(str, Path("samples").glob("*/*.pcap*")))


def in_one(*paths: str, **options: Any) -> str:
    """The JSON report of one process."""
    return json.dumps(as_plain(analyze(*paths, rules=RULES, **options)), indent=1)


def in_shares(*paths: str, every: bool = False, **options: Any) -> str:
    """The same by map and reduce."""
    with tempfile.TemporaryDirectory() as place:

        def read(files: Any, *, every: bool) -> ClusterReading:
            job = Job(RULES, all_flows=every, seed=12345, **options)
            store = Store(place)
            return ClusterReading(files, job, Here(store, job), lambda task, gave: None)

        report = reported(paths, read, rules=len(RULES), all_flows=every)
    return json.dumps(as_plain(report), indent=1)


def cutter(seed: int, most: int) -> Callable[[str, int], list[Piece]]:
    """Takes the place of ``pieces.cut``: up to so many cuts where records begin, sometimes one elsewhere."""

    def cut(path: str, size: int) -> list[Piece]:
        generator = random.Random(f"{seed} {path}")
        data = Path(path).read_bytes()
        starts = _records(data)
        if len(starts) < 3:
            return [Piece(path)]
        (first, described), others = starts[0], [at for at, _ in starts[1:]]
        cuts = {generator.choice(others) for _ in range(generator.randint(1, most))}
        if generator.random() < 0.2:
            cuts.add(generator.randrange(first + 1, len(data)))
        ends = [*sorted(cuts), None]
        return [
            Piece(path, begin, end, data[:first] if begin else b"", described)
            for begin, end in zip([0, *sorted(cuts)], ends, strict=True)
        ]

    return cut


def _records(data: bytes) -> list[tuple[int, int]]:
    """Where each packet's record begins, and how many sections and interfaces stand before it."""
    found: list[tuple[int, int]] = []
    if data[:2] == b"\x1f\x8b":
        return found
    try:
        source = open_stream(io.BytesIO(data), "file", 0, max_frames=1, piece=len(data) + 1)
    except UserError:
        return found

    def tap(form: Any, buffer: Any, offsets: Any, frames: Any) -> None:
        if len(frames):
            found.append((source._window.position + int(offsets[-1]), source.tally.described))

    source.tap = tap
    for _ in source.blocks():
        pass
    return found


def frames_of(path: str) -> list[Frame]:
    """All frames of a capture."""
    found = []
    for block in open_capture(path, 0).blocks():
        columns = (block.offsets, block.captured, block.original, block.times, block.link_types)
        for at, captured, original, time, link in zip(*(c.tolist() for c in columns), strict=True):
            found.append(Frame(block.buffer[at : at + captured].tobytes(), original, time, link))
    return found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Has small captures shared out as large ones are; called with a seed and the most cuts of a file."""
    monkeypatch.setattr(analyzer.cluster.series, "_SMALL", 0)

    def cut(seed: int, most: int) -> None:
        monkeypatch.setattr(analyzer.cluster.series, "cut", cutter(seed, most))

    return cut


def differences(one: str, two: str) -> Sequence[str]:
    """The first lines that differ."""
    from difflib import unified_diff

    return list(unified_diff(one.splitlines(), two.splitlines(), lineterm="", n=2))[:30]
