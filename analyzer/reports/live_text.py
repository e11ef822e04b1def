"""What is said while a capture goes on: a line each time that something is known of an end of a flow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from analyzer.model.finding import FlowResult, News, Verdict
from analyzer.model.flow import SIDES
from analyzer.model.rule import Severity
from analyzer.reports.ladder_text import ladder_lines
from analyzer.reports.words import short_headline

_Said = tuple[str, str, str, str]
"""Rule, what the call gave, how sure that is, why."""


class LiveText:
    """Remembers what it has said of each open flow, and says only what is new or no longer so.

    ``ladder``: with the frames that prove it.
    """

    def __init__(self, *, ladder: bool = False) -> None:
        self._ladder = ladder
        self._said: dict[int, dict[int, _Said]] = {}

    def lines(self, news: Iterable[News]) -> Iterable[str]:
        """Lines for these flows."""
        for item in news:
            result = item.result
            before = self._said.pop(result.flow.id, {})
            now = _standing(result)
            for side in sorted(before.keys() | now.keys()):
                yield from self._line(result, side, before.get(side), now.get(side))
            if now and not item.ended:
                self._said[result.flow.id] = {side: said for side, (said, *_) in now.items()}

    def _line(
        self,
        result: FlowResult,
        side: int,
        before: _Said | None,
        now: tuple[_Said, int, tuple[int, ...]] | None,
    ) -> Iterable[str]:
        who = f"{result.flow.client} -> {result.flow.server}  {SIDES[side]}"
        if now is None:
            if before:
                yield f"{_time(result.end)}  {who} taken back: {before[0]}, the connection goes on"
            return
        said, time, frames = now
        if before is None or before[:2] != said[:2]:
            rule, call, sure, why = said
            again = " (instead of what was said before)" if before else ""
            yield f"{_time(time)}  {who} {call}  {sure}  {rule}: {why}{again}"
            if self._ladder:
                places = {(result.flow.capture, frame) for frame in frames}
                yield from ladder_lines(result, places, [])


def _standing(result: FlowResult) -> dict[int, tuple[_Said, int, tuple[int, ...]]]:
    """What is to be said of each end: its verdict, or else its latest warning."""
    found: dict[int, tuple[_Said, int, tuple[int, ...]]] = {}
    for finding in result.findings:
        if finding.severity is Severity.WARNING:
            said = (finding.rule, "no errno so far", "warning", finding.summary or finding.title)
            found[finding.side] = said, finding.time, finding.frames
    for verdict in result.verdicts:
        found[verdict.side] = _of_verdict(result, verdict), verdict.time, verdict.frames
    return found


def _of_verdict(result: FlowResult, verdict: Verdict) -> _Said:
    behind = next(f for f in result.findings if (f.rule, f.side) == (verdict.rule, verdict.side))
    return verdict.rule, short_headline(verdict), verdict.confidence.value, behind.summary or behind.title


def _time(time: int) -> str:
    at = datetime.fromtimestamp(time // 10**9, UTC)
    return f"{at:%H:%M:%S}.{time // 10**6 % 1000:03d}"
