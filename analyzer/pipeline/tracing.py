"""One small capture or transcript, with every event on the way: for the samples of rules."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.matching.match import Matcher
from analyzer.model.event import Event
from analyzer.model.finding import FlowResult
from analyzer.model.rule import Rule
from analyzer.pipeline.engine import Engine
from analyzer.sources.open import open_capture
from analyzer.sources.transcript import TranscriptSource, parse


def trace(
    rules: Sequence[Rule], *, capture: str = "", packets: str = "", name: str = ""
) -> tuple[list[FlowResult], list[Event]]:
    """One capture, or packets written as a transcript: the results, and every event on the way.

    Raises UserError where the capture cannot be opened or the transcript is wrong.
    """
    engine = Engine(Matcher(rules), keep_events=True)
    if packets:
        return engine.run(TranscriptSource(parse(packets, name))), engine.events
    with open_capture(capture, 0) as source:
        return engine.run(source), engine.events
