"""What is new while a capture goes on: what is to be said now of each end of a flow, and was not before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from analyzer.model.finding import Finding, FlowResult, News, Verdict
from analyzer.model.rule import Severity

Said = Verdict | Finding
"""An end's verdict, or else its latest warning."""


@dataclass(frozen=True, slots=True)
class Change:
    """``now`` is to be said in place of ``before``; None where nothing was, or where it is taken back."""

    result: FlowResult
    side: int
    before: Said | None
    now: Said | None

    @property
    def time(self) -> int:
        """When it happened (nanoseconds since the epoch)."""
        return self.now.time if self.now else self.result.end


class Changes:
    """Remembers what was said of each open flow."""

    def __init__(self) -> None:
        self._said: dict[int, dict[int, Said]] = {}

    def of(self, news: Iterable[News]) -> list[Change]:
        """What changed, flow by flow, by the time of each one's first change; the client's end first."""
        changes: dict[int, list[Change]] = {}
        for item in news:
            changes.setdefault(item.result.flow.id, []).extend(self._of_flow(item))
        in_turn = sorted((told[0].time, flow) for flow, told in changes.items() if told)
        return [change for _, flow in in_turn for change in changes[flow]]

    def _of_flow(self, item: News) -> Iterator[Change]:
        result = item.result
        before, now = self._said.pop(result.flow.id, {}), standing(result)
        for side in sorted(before.keys() | now.keys()):
            said, told = before.get(side), now.get(side)
            if _words(said) != _words(told):
                yield Change(result, side, said, told)
        if now and not item.ended:
            self._said[result.flow.id] = now


def standing(result: FlowResult) -> dict[int, Said]:
    """What is to be said of each end by now."""
    warnings = {f.side: f for f in result.findings if f.severity is Severity.WARNING}
    return warnings | {verdict.side: verdict for verdict in result.verdicts}


def behind(result: FlowResult, said: Said) -> Finding:
    """The finding that a verdict rests on."""
    if isinstance(said, Finding):
        return said
    return next(f for f in result.findings if (f.rule, f.side) == (said.rule, said.side))


def _words(said: Said | None) -> tuple[str, ...]:
    """What makes a difference to who reads it."""
    if said is None:
        return ()
    if isinstance(said, Finding):
        return (said.rule,)
    return said.rule, said.errno, said.table.call, said.confidence.value
