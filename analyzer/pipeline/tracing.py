"""One small capture or transcript, with every event on the way: for the samples of rules."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.matching.match import Matcher
from analyzer.model.event import Event
from analyzer.model.finding import FlowResult
from analyzer.model.rule import Rule
from analyzer.model.summary import Summary
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.messages import Heard, MessageReader
from analyzer.sources.open import CaptureSource, open_capture
from analyzer.sources.transcript import TranscriptSource, parse


def trace(
    rules: Sequence[Rule], *, capture: str = "", packets: str = "", name: str = ""
) -> tuple[list[FlowResult], list[Event]]:
    """One capture, or packets written as a transcript: the results, and every event on the way.

    Raises UserError where the capture cannot be opened or the transcript is wrong.
    """
    engine = Engine(Matcher(rules), keep_events=True)

    def opened() -> TranscriptSource | CaptureSource:
        return TranscriptSource(parse(packets, name)) if packets else open_capture(capture, 0)

    def messages(flows: Sequence[Summary]) -> dict[int, Heard]:
        reader = MessageReader(flows)
        with opened() as again:
            reader.take(again.blocks())
        return reader.finish()

    with opened() as source:
        return engine.run(source, messages), engine.events
