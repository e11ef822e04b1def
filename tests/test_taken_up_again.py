"""An engine that is pickled in the middle of a capture and taken up again ends as one that never was."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.report import Totals
from analyzer.pipeline.engine import Engine
from analyzer.sources.open import open_capture
from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.captures import CAPTURES, capture_name

MATCHER = Matcher(load_rules(rules_folder()))
FRAMES = 11
EVERY = 4
"""Blocks between two times that it is pickled."""


def again(engine: Engine) -> Engine:
    """As another process has it."""
    copy: Engine = pickle.loads(pickle.dumps(engine))
    copy.go_on(MATCHER)
    return copy


def told(path: Path, *, pickled: bool, keep_news: bool) -> tuple[object, ...]:
    """All that an engine says of a capture."""
    engine = Engine(MATCHER, batch=0 if keep_news else 3 * FRAMES, keep_news=keep_news)
    news = []
    with open_capture(str(path), 0, max_frames=FRAMES) as source:
        for number, block in enumerate(source.blocks()):
            engine.feed(block)
            news += engine.take_news()
            if pickled and number < 20 * EVERY and number % EVERY == 0:
                engine = again(engine)
    results, totals = engine.finish(), Totals()
    engine.add_to(totals)
    return results, news, engine.take_news(), totals, engine.problems(), engine.twice.told()


@pytest.mark.parametrize("path", CAPTURES, ids=capture_name)
def test_it_ends_as_if_it_had_not_been_pickled(path: Path) -> None:
    for keep_news in (False, True):
        assert told(path, pickled=True, keep_news=keep_news) == told(path, pickled=False, keep_news=keep_news)


def test_it_has_room_for_more_flows_than_before(tmp_path: Path) -> None:
    path, sizes = tmp_path / "made.pcap", []
    generate(path, plan("synflood", 5000, None, 1, 600.0))
    for pickled in (True, False):
        engine = Engine(MATCHER)
        with open_capture(str(path), 0, max_frames=400) as source:
            for block in source.blocks():
                engine.feed(block)
                if pickled:
                    engine = again(engine)
        sizes.append((engine.open_flows, len(engine.finish())))
    assert sizes[0] == sizes[1]
    assert sizes[0][0] > 1024
