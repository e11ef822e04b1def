"""What is said while a capture goes on: a line each time that something is known of an end of a flow."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from analyzer.model.event import Doubt
from analyzer.model.finding import Verdict
from analyzer.model.flow import SIDES
from analyzer.model.live import Standing
from analyzer.model.report import Report
from analyzer.reports.ladder_text import ladder_lines
from analyzer.reports.live_changes import Change, behind
from analyzer.reports.words import count, moment, noun_of, short_headline

_NO_ERRNO = "no errno"
_INDENT = " " * 14
"""As wide as a line's time."""


def lines(changes: Iterable[Change], *, with_ladder: bool = False, dated: bool = False) -> Iterator[str]:
    """A line for each; ``with_ladder``: with the frames that prove it, ``dated``: with date and zone."""
    for change in changes:
        result, time = change.result, (moment if dated else _time)(change.time)
        yield f"{time}  {result.flow.client} -> {result.flow.server}  {_what(change)}"
        if change.now and with_ladder:
            places = {(result.flow.capture, frame) for frame in change.now.frames}
            yield from ladder_lines(result, places, [])


def wrapped(line: str, width: int) -> list[str]:
    """The line in lines of that width, those after the first indented; a ladder's stay as they are."""
    if line.startswith(" ") or len(line) <= width:
        return [line]
    return textwrap.wrap(
        line, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )


def _what(change: Change) -> str:
    side, now, before = SIDES[change.side], change.now, change.before
    if now is None:
        rule = before.rule if before else ""
        return f"{side} taken back: {rule}; the connection went on"
    finding = behind(change.result, now)
    got, sure = _got(now), now.confidence.value if isinstance(now, Verdict) else "warning"
    instead = f", instead of {before.rule}" if before and before.rule != now.rule else ""
    cut = f" [{Doubt.PAYLOAD_CUT.value}]" if Doubt.PAYLOAD_CUT in now.doubts else ""
    return f"{side} {got}  {sure}  {now.rule}{instead}: {finding.summary or finding.title}{cut}"


def _got(said: object) -> str:
    return short_headline(said) if isinstance(said, Verdict) else "no errno so far"


class Status:
    """One line about how the capture stands. Times in seconds."""

    def __init__(self) -> None:
        self.errnos: Counter[str] = Counter()
        self.failed: dict[int, str] = {}
        """Flows that were told to have failed, and of which that was not taken back: protocol by number."""
        self._packets = 0
        self._time: float | None = None
        self._rate = 0.0

    def count(self, changes: Iterable[Change]) -> None:
        """Count the verdicts, and no longer those that were taken back."""
        for change in changes:
            for said, number in ((change.before, -1), (change.now, 1)):
                if isinstance(said, Verdict):
                    self.errnos[said.errno or _NO_ERRNO] += number
            if isinstance(change.now, Verdict):
                self.failed[change.result.flow.id] = change.result.flow.protocol
            elif not change.result.verdicts:
                self.failed.pop(change.result.flow.id, None)

    def line(self, standing: Standing, now: float, width: int) -> str:
        """The line at that time, of so many characters at most: what there is no room for is counted."""
        if self._time is not None and now > self._time:
            self._rate = (standing.packets - self._packets) / (now - self._time)
        self._packets, self._time = standing.packets, now
        flows = count(standing.open_flows, "flow")
        dropped = f"{standing.dropped:,} dropped" if standing.dropped else "none dropped"
        parts = [f"{self._rate:,.0f} packets/s", f"{flows} followed", dropped]
        verdicts = [f"{name} {number:,}" for name, number in self.errnos.most_common() if number > 0]
        line = "  ".join([*parts, ", ".join(verdicts) or "no failure so far"])
        for shown in range(len(verdicts) - 1, -1, -1):
            if len(line) <= width:
                break
            line = "  ".join([*parts, ", ".join([*verdicts[:shown], f"{len(verdicts) - shown} more"])])
        return line[:width]


def afterwards(failed: Mapping[int, str], report: Report) -> Iterator[str]:
    """What became of flows with these numbers, of which lines have said that they failed; a line at most."""
    told = {result.flow.id: result.verdicts for result in report.flows if result.verdicts}
    worked = sum(any(verdict.recovered for verdict in told.get(flow, ())) for flow in failed)
    harmless = 0 if any(report.left_out) else len(failed.keys() - told.keys())
    parts = [f"{worked:,} recovered (tried again, or at another address, it worked)"] if worked else []
    parts += [f"{harmless:,} turned out to be no failure"] if harmless else []
    if parts:
        yield f"Told of above: {count(len(failed), noun_of(failed.values()))}; {', '.join(parts)}."


def _time(time: int) -> str:
    at = datetime.fromtimestamp(time // 10**9, UTC)
    return f"{at:%H:%M:%S}.{time // 10**6 % 1000:03d}"
