"""What is said while a capture goes on agrees with what is said at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.event import Doubt
from analyzer.model.finding import FlowResult
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.files import analyze
from analyzer.sources.open import open_capture

RULES = load_rules(rules_folder())
CAPTURES = sorted((rules_folder().parent / "samples").glob("*/*.pcap"))


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


SECOND = 10**9


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_news_end_as_the_report_does(path: Path) -> None:
    """Portions of any size, with the clock told in between, and the last word about each flow.

    What the end of the capture has brought forward is told soon where the clock goes on.
    """
    expected = analyze(path, rules=RULES)
    for size in (1, 50):
        engine, standing = _told(path, size)
        results = engine.finish()
        assert [_plain(result) for result in results] == [_plain(result) for result in expected.flows]
        missing = [verdict for verdict in _verdicts(results) if verdict not in _verdicts(standing)]
        missing = [key for key in missing if Doubt.NO_LATER_FRAME not in _verdicts(results)[key]]
        assert not missing or not set(missing) - set(_verdicts(_told(path, size, SECOND)[1]))


def _told(path: Path, size: int, longer: int = 0) -> tuple[Engine, list[FlowResult]]:
    """What is told by the end of the capture, or so many nanoseconds after it."""
    engine = Engine(Matcher(RULES), keep_news=True)
    standing: dict[int, FlowResult] = {}
    latest = 0
    with open_capture(str(path), 0, max_frames=size) as source:
        for block in source.blocks():
            engine.feed(block)
            latest = max(latest, int(block.times.max()))
            engine.tick(latest)
            standing |= {item.result.flow.id: item.result for item in engine.take_news()}
    engine.tick(latest + longer)
    standing |= {item.result.flow.id: item.result for item in engine.take_news()}
    return engine, list(standing.values())


def _verdicts(results: list[FlowResult]) -> dict[tuple[int, int, str], tuple[Doubt, ...]]:
    """Their doubts, by flow, side and rule."""
    return {
        (result.flow.id, verdict.side, verdict.rule): verdict.doubts
        for result in results
        for verdict in result.verdicts
    }


def _plain(result: FlowResult) -> object:
    return (result.flow, result.verdicts, result.findings, result.packets, result.end)
