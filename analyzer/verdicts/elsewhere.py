"""A service with several addresses: refused at one, the client tries the next at once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from analyzer.model.finding import FlowResult, Verdict
from analyzer.model.flow import CLIENT, Endpoint, address_text
from analyzer.model.records import where
from analyzer.model.summary import Summary
from analyzer.verdicts.services import REACHED, SECOND, Moments, Pair, Services

AT_ONCE_NS = 3 * SECOND // 10
"""The next address is tried at once; two tries that race begin 250 ms apart (RFC 8305 section 5)."""
_SAME: tuple[str, ...] = ("protocol", "version", "tunnel", "server_port", "client_hi", "client_lo")
"""What connections to another address of the same IP version have in common."""
_OTHER: tuple[str, ...] = ("protocol", "version", "tunnel", "server_port")
"""... of the other version, where the client has another address as well."""
_same: Callable[[Summary], Pair] = attrgetter(*_SAME)
_BY_CHANCE = 0.05
_USUAL_NS = 60 * SECOND


def elsewhere(results: Sequence[FlowResult], services: Services) -> dict[int, tuple[int, str]]:
    """By index of the result: when the client connected to the next address instead (ns), and to which.

    Each connection is the next one of one failure at each address; which, depends on nothing but the times.
    """
    failed = sorted(
        (verdict.time, index)
        for index, result in enumerate(results)
        if (verdict := _failed_connect(result)) and not verdict.recovered
    )
    wanted = {index: list(_keys(results[index].summary)) for _, index in failed}
    asked = list(chain.from_iterable(wanted.values()))
    found = {
        (names, key): _Reached(moments)
        for names in (_SAME, _OTHER)
        for key, moments in services.moments_of(REACHED, names, {k for of, k in asked if of == names}).items()
    }
    taken: Counter[tuple[int, ...]] = Counter()
    told: dict[int, tuple[int, str]] = {}
    for time, index in failed:
        summary = results[index].summary
        for place in wanted[index]:
            reached = found.get(place)
            rows = reached.near(time) if reached else None
            if summary and rows is not None and (row := _next(rows, summary, time, taken)) is not None:
                taken[_name(row, summary)] += 1
                told[index] = (_start(row, time), _address(row))
                break
    return told


class _Reached:
    """Connections that were answered, a row a second."""

    def __init__(self, moments: Moments) -> None:
        self._rows = moments.rows
        self._first: list[int] = moments.rows["first"].tolist()
        self._last: list[int] = moments.rows["last"].tolist()

    def near(self, time: int) -> NDArray[np.void] | None:
        """The rows that matter to a failure at that time; None where none began at once after it."""
        end = bisect_right(self._first, time + AT_ONCE_NS)
        if max(self._last[bisect_left(self._first, time - SECOND) : end], default=0) <= time:
            return None
        return self._rows[bisect_left(self._first, time - _USUAL_NS) : end]


def _failed_connect(result: FlowResult) -> Verdict | None:
    """The verdict of a client whose connect() got an errno."""
    failed = (v for v in result.verdicts if v.side == CLIENT and v.table.call == "connect" and v.errno)
    return next(failed, None) if result.summary else None


def _keys(summary: Summary | None) -> Iterable[tuple[tuple[str, ...], Pair]]:
    """Where to look for the next attempt: the client's own, then those of the other IP version."""
    if summary:
        yield _SAME, _same(summary)
        yield _OTHER, (summary.protocol, 10 - summary.version, summary.tunnel, summary.server_port)


def _next(
    rows: NDArray[np.void], summary: Summary, time: int, taken: Counter[tuple[int, ...]]
) -> NDArray[np.void] | None:
    """The first connection after that time to another address, unless one was due by chance."""
    own = (rows["server_hi"] == summary.server_hi) & (rows["server_lo"] == summary.server_lo)
    rows = where(rows, ~own | (rows["version"] != summary.version))
    first, last = rows["first"], rows["last"]
    starts = np.where(first > time, first, last)
    usual = int(rows["count"][(first >= time - _USUAL_NS) & (first < time)].sum())
    for place in np.flatnonzero((starts > time) & (starts <= time + AT_ONCE_NS)).tolist():
        no_chance = usual * (int(starts[place]) - time) <= _BY_CHANCE * _USUAL_NS
        if no_chance and taken[_name(rows[place], summary)] < rows[place]["count"]:
            return rows[place : place + 1]
    return None


def _name(row: NDArray[np.void], summary: Summary) -> tuple[int, ...]:
    """What tells a second of a client and service from others, and the address that failed."""
    one = row.reshape(-1)[0]
    names = ("version", "tunnel", "server_hi", "server_lo", "server_port", "client_hi", "client_lo", "second")
    return (*(int(one[name]) for name in names), summary.version, summary.server_hi, summary.server_lo)


def _start(row: NDArray[np.void], time: int) -> int:
    first, last = int(row["first"][0]), int(row["last"][0])
    return first if first > time else last


def _address(row: NDArray[np.void]) -> str:
    version, hi, lo, port = (
        int(row[name][0]) for name in ("version", "server_hi", "server_lo", "server_port")
    )
    return str(Endpoint(address_text(version, hi, lo), port))
