"""The packets of the flows that fail, and of no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.cli.main import run
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.blocks import FrameBlock
from analyzer.model.event import Doubt
from analyzer.model.finding import Confidence
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.failures import Failures
from analyzer.pipeline.files import analyze
from analyzer.pipeline.kept import KeptBlocks
from analyzer.sources.open import open_capture
from tests.captures import frames_of, sample
from tests.live.running import live
from tests.sources.build import Frame, pcap

FAILS = ("connection-refused", "rst-after-fin-send-first", "reset-by-peer-waiting")
FINE = ("clean-request-response", "clean-half-close", "clean-ipv6")
RULES = load_rules(rules_folder())


def mixed() -> list[Frame]:
    """All of them as if they had begun in the same second."""
    frames = []
    for name in (*FAILS, *FINE):
        own = frames_of(sample(name).read_bytes())
        frames += [frame._replace(time=frame.time - own[0].time + 1_700_000_000 * 10**9) for frame in own]
    return sorted(frames, key=lambda frame: frame.time)


def of_tcp(name: str) -> list[Frame]:
    """Without the ARP that real captures hold."""
    return [frame for frame in frames_of(sample(name).read_bytes()) if frame.data[12:14] != b"\x08\x06"]


def test_failing_flows_are_kept_whole(tmp_path: Path) -> None:
    kept = tmp_path / "failed.pcapng"
    kept.write_bytes(b"what was there before")
    with live("-", "--write-failures", str(kept), "-o", "text", piped=True) as running:
        running.send(pcap(mixed()))
        status, out, said = running.end(None)
    assert (status, said) == (0, "")
    report = analyze(kept)
    expected = sum(len(of_tcp(name)) for name in FAILS)
    written = f"{kept}: {expected} packets of {len(FAILS)} connections were written."
    assert f"note {written}" in " ".join(out.split())
    assert report.captures[0].packets == expected
    assert report.captures[0].problems == []
    assert {result.verdicts[0].rule for result in report.flows} == {
        analyze(sample(name)).flows[0].verdicts[0].rule for name in FAILS
    }


def blocks(path: Path) -> list[FrameBlock]:
    with open_capture(str(path), 0, max_frames=3) as source:
        return [copied(block) for block in source.blocks()]


def copied(block: FrameBlock) -> FrameBlock:
    names = ("buffer", "offsets", "captured", "original", "times", "link_types")
    return FrameBlock(block.capture, block.first_number, *(getattr(block, name).copy() for name in names))


def followed(path: Path, target: Path, most: int) -> Failures:
    """So many bytes are remembered."""
    engine = Engine(Matcher(RULES), keep_news=True)
    engine.front.kept = KeptBlocks(most)
    failures = Failures(str(target), engine.front.kept)
    for block in blocks(path):
        engine.feed(block)
        failures.take()
        failures.told(engine.take_news())
    engine.finish()
    failures.told(engine.take_news())
    failures.close()
    return failures


def test_what_was_forgotten_is_said(tmp_path: Path) -> None:
    kept = followed(sample("rst-after-fin-send-first"), tmp_path / "failed.pcapng", 0)
    assert len(kept.problems) == 1
    assert "1 connections are without their beginning" in kept.problems[0]
    assert analyze(tmp_path / "failed.pcapng").captures[0].packets < len(of_tcp("rst-after-fin-send-first"))


def test_an_unwritable_file_is_told_before_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "missing" / "failed.pcapng"
    assert run(["live", "-i", "lo", "--write-failures", str(path)]) == 2
    assert f"--write-failures {path}: cannot be written: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(("lost", "word"), [(True, Confidence.LIKELY), (False, Confidence.CERTAIN)])
def test_dropped_packets_lower_the_confidence_of_open_flows(*, lost: bool, word: Confidence) -> None:
    engine = Engine(Matcher(RULES), keep_news=True)
    read = blocks(sample("rst-after-fin-send-first"))
    first, last = int(read[0].times.min()), int(max(block.times.max() for block in read))
    for block in read:
        engine.feed(block)
    engine.lost(last - 10, last + 10) if lost else engine.lost(last + 10**9, last + 2 * 10**9)
    engine.lost(0, first - 10**9)
    (result,) = engine.finish()
    assert result.verdicts[0].confidence is word
    assert (Doubt.PACKETS_DROPPED in result.verdicts[0].doubts) == lost
