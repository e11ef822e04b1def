"""Logs beside the report of a capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING

from analyzer.logs.open import GIVEN, LogSource, open_log
from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult
from analyzer.model.host import DEFAULT_HOST, Host

if TYPE_CHECKING:
    from analyzer.model.log_line import LogReport

OpenLog = tuple[str, Iterator[str]]


def opened_logs(sources: Sequence[LogSource]) -> list[OpenLog]:
    """The logs, before any work is done; raises UserError where one is not there.

    Of several lines each has a number in its name.
    """
    opened = [open_log(source) for source in sources]
    several = sum(name == GIVEN for name, _ in opened) > 1
    numbers = count(1)
    return [
        (f"given line {next(numbers)}" if several and name == GIVEN else name, lines)
        for name, lines in opened
    ]


def explained(
    logs: Sequence[OpenLog],
    results: Sequence[FlowResult],
    captures: Sequence[Capture],
    hosts: tuple[Host, Host],
) -> LogReport | None:
    """Which flows explain the lines of the logs; None where there are no logs. Raises UserError."""
    if not logs:
        return None
    from analyzer.alignment import align  # most analyses have no logs, and these take 20 ms to import
    from analyzer.logs.reading import read_log

    firsts = [capture.first for capture in captures if capture.first is not None]
    lasts = [capture.last for capture in captures if capture.last is not None]
    span = (min(firsts), max(lasts)) if firsts and lasts else None
    near = sum(span) // 2 if span else 0
    systems = {host.system for host in hosts} - {DEFAULT_HOST.system}
    platform = systems.pop() if len(systems) == 1 and hosts[0].system == hosts[1].system else ""
    return align([read_log(name, lines, near, platform) for name, lines in logs], results, span)
