"""The table of all kinds of failure, as wide as a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analyzer.model.capture import Capture
from analyzer.reports.groups import Group
from analyzer.reports.words import clock, count, noun, result_name

_ROWS = 30
_WIDTH = 80
_WHOLE = 0.02
"""Part of the capture's time that may be missing at an end of "all along"."""
_OFTEN = 5
"""Failures from which on one may say that they went on."""

_HEADS = ("#", "failed", "application got", "from", "to", "when (UTC)", "sure")
_RIGHT = 2
"""Columns with numbers."""
_FROM, _TO = 3, 4


def table_lines(groups: Sequence[Group], captures: Sequence[Capture]) -> Iterable[str]:
    """A line each; what does not fit is left out or shortened, never broken."""
    rows = [_HEADS, *(_row(group, captures) for group in groups[:_ROWS])]
    if _total(rows) > _WIDTH:
        rows = [row[:_FROM] + row[_FROM + 1 :] for row in rows]
        over = _total(rows) - _WIDTH
        if over > 0:
            room = max(len(row[_TO - 1]) for row in rows) - over
            rows = [(*row[: _TO - 1], _shortened(row[_TO - 1], room), *row[_TO:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = enumerate(zip(row, widths, strict=True))
        yield "  ".join(f"{t:>{w}}" if i < _RIGHT else f"{t:<{w}}" for i, (t, w) in cells)
    if len(groups) > _ROWS:
        rest = [member for group in groups[_ROWS:] for member in group.members]
        yield f"and {len(groups) - _ROWS:,} more kinds, {count(len(rest), noun(rest))}"


def _row(group: Group, captures: Sequence[Capture]) -> tuple[str, ...]:
    hosts = group.hosts
    got, sure = "nothing yet", "warning"
    if group.failed:
        verdict = group.first.verdicts[0]
        got = f"{verdict.table.call:<7} {result_name(verdict.table.calls[verdict.table.call])}"
        sure = next(iter(group.sure))
        if group.recovered == len(group.members):
            sure = "retried"
    return (
        str(group.number),
        f"{len(group.members):,}",
        got,
        hosts[0] if len(hosts) == 1 else count(len(hosts), "host"),
        str(group.first.flow.server),
        _when(group, captures),
        sure,
    )


def _when(group: Group, captures: Sequence[Capture]) -> str:
    """``10:07-10:09``, ``10:21-end``, ``all along``; a single time to the second."""
    first, last = group.times
    begins = [capture.first for capture in captures if capture.first is not None]
    ends = [capture.last for capture in captures if capture.last is not None]
    if len(group.members) >= _OFTEN and begins and ends:
        begin, end = min(begins), max(ends)
        margin = (end - begin) * _WHOLE
        to_the_end = last >= end - margin
        if to_the_end and first <= begin + margin:
            return "all along"
        if to_the_end:
            return f"{clock(first)[:5]}-end"
    one, other = clock(first), clock(last)
    return one if one == other else f"{one[:5]}-{other[:5]}"


def _total(rows: Sequence[tuple[str, ...]]) -> int:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return sum(widths) + 2 * (len(widths) - 1)


def _shortened(text: str, width: int) -> str:
    """The middle left out."""
    if len(text) <= width:
        return text
    left = (width - 2) // 2
    return f"{text[:left]}..{text[len(text) - (width - 2 - left) :]}"
