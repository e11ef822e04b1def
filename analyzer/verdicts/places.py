"""The running numbers of frames of a capture in several files become numbers in those files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from analyzer.model.finding import FlowResult


@dataclass(slots=True)
class Places:
    """Which running numbers stand in which file: ``before`` frames stand before the file's first."""

    before: list[int] = field(default_factory=list)
    captures: list[int] = field(default_factory=list)

    def add(self, capture: int, before: int) -> None:
        """The next file, by its index in the report's captures."""
        self.before.append(before)
        self.captures.append(capture)

    def capture(self, number: int) -> int:
        """The index of the capture that holds the frame."""
        return self.captures[bisect_right(self.before, number - 1) - 1]

    def number(self, number: int) -> int:
        """Its number in that file, from 1."""
        return number - self.before[bisect_right(self.before, number - 1) - 1]


def in_files(result: FlowResult, places: Places) -> FlowResult:
    """The result with the numbers of its files.

    ``frame_captures`` beside them, and ``capture`` of the ladder's lines, are set where not all frames are in
    the file in which the flow began.
    """
    told = [one.frames for one in result.verdicts] + [one.frames for one in result.findings]
    told.append(tuple(line.number for line in result.ladder))
    spans = any(places.capture(number) != result.flow.capture for frames in told for number in frames)

    def frames(given: Iterable[int]) -> tuple[int, ...]:
        return tuple(places.number(number) for number in given)

    def captures(given: Iterable[int]) -> tuple[int, ...]:
        return tuple(places.capture(number) for number in given) if spans else ()

    return replace(
        result,
        verdicts=tuple(
            replace(one, frames=frames(one.frames), frame_captures=captures(one.frames))
            for one in result.verdicts
        ),
        findings=tuple(
            replace(one, frames=frames(one.frames), frame_captures=captures(one.frames))
            for one in result.findings
        ),
        ladder=tuple(
            line._replace(number=places.number(line.number), capture=places.capture(line.number))
            if spans
            else line._replace(number=places.number(line.number))
            for line in result.ladder
        ),
    )
