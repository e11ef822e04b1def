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


@pytest.mark.parametrize("path", CAPTURES[::2], ids=name)
def test_news_end_as_the_report_does(path: Path) -> None:
    """Portions of any size, with the clock told in between, and the last word about each flow."""
    expected = analyze(path, rules=RULES)
    for size in (1, 50):
        engine = Engine(Matcher(RULES), keep_news=True)
        standing: dict[int, FlowResult] = {}
        latest = 0
        with open_capture(str(path), 0, max_frames=size) as source:
            for block in source.blocks():
                engine.feed(block)
                latest = max(latest, int(block.times.max()))
                engine.tick(latest)
                standing |= {item.result.flow.id: item.result for item in engine.take_news()}
        results = engine.finish()
        assert [_plain(result) for result in results] == [_plain(result) for result in expected.flows]
        for result in results:
            for verdict in result.verdicts:
                told = standing[result.flow.id].verdicts if result.flow.id in standing else ()
                same = [v for v in told if (v.side, v.rule) == (verdict.side, verdict.rule)]
                assert same or Doubt.NO_LATER_FRAME in verdict.doubts


def _plain(result: FlowResult) -> object:
    return (result.flow, result.verdicts, result.findings, result.packets, result.end)
