"""Ends of what a server has promised to send, held against its FIN."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch, Mask
from analyzer.flows.running import pick
from analyzer.flows.table import ALL, Slots
from analyzer.model.columns import UNKNOWN_END, Flag, is_constant
from analyzer.model.flow import CLIENT, SERVER

Rows = NDArray[np.int64]

_NOTHING, _KNOWN, _UNKNOWN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Cut:
    """FINs that come before all that their sender has promised, int64 (k,).

    unknown: at how many others the capture has cut off how much it was.
    """

    rows: Rows
    unknown: int


def cut_ends(batch: Batch, sent: Mask, before: Slots, after: Slots) -> Cut:
    """Hold each FIN among the rows ``sent``, bool (n,), against the last promise of who sends it.

    A second FIN says nothing more. Of whom the other end has left, nobody waits for what is unknown.
    """
    both = [
        _Promises(before.side("promise", side).copy(), before.side("promise_end", side), batch.starts.copy())
        for side in (CLIENT, SERVER)
    ]
    cut, unknown = [np.zeros(0, np.int64)], 0
    if is_constant(batch.rows.promised) and not any(carried.kind.any() for carried in both):
        return Cut(cut[0], unknown)
    ends = sent & ((batch.rows.flags & Flag.FIN) != 0)
    told, fins = np.flatnonzero(ends | (sent & (batch.rows.promised != 0))), np.flatnonzero(ends)
    tellers, leavers = batch.side.take(told), batch.side.take(fins)
    for side, carried in enumerate(both):
        rows, left = told.compress(tellers == side), fins.compress(leavers != side)
        group, is_end = batch.group.take(rows), ends.take(rows)
        made = _made(batch, rows)
        known = made.or_else(_before(made, is_end, group, carried))
        asked = np.flatnonzero(is_end & (known.kind == _UNKNOWN))
        unknown += int(np.count_nonzero(~_any_between(left, known.since[asked], rows[asked])))
        cut.append(rows[is_end & (known.kind == _KNOWN) & (_missing(batch, rows, known.end) > 0)])
        _keep(made, is_end, group, carried)
        open_ones = np.flatnonzero(carried.kind == _UNKNOWN)
        over = _any_between(left, carried.since[open_ones], batch.ends[open_ones])
        carried.kind[open_ones[over]] = _NOTHING
        after.write("promise", ALL, carried.kind, side)
        after.write("promise_end", ALL, carried.end, side)
    return Cut(np.concatenate(cut), unknown)


@dataclass(frozen=True, slots=True)
class _Promises:
    """Columns (m,): what was promised, where it ends if that is known, and the row behind it."""

    kind: NDArray[np.uint8]
    end: NDArray[np.uint32]
    since: Rows

    def or_else(self, others: Self) -> Self:
        """The same, or of the others where nothing was promised."""
        there = self.kind != _NOTHING
        return type(self)(
            *(pick(there, getattr(self, each.name), getattr(others, each.name)) for each in fields(self))
        )


def _made(batch: Batch, rows: Rows) -> _Promises:
    """What each of the rows (m,) promises."""
    promised = batch.rows.promised.take(rows)
    kind = (promised != 0).astype(np.uint8) + (promised == UNKNOWN_END)
    return _Promises(kind, batch.rows.seq.take(rows) + promised.astype(np.uint32), rows + 1)


def _before(made: _Promises, is_end: Mask, group: Rows, carried: _Promises) -> _Promises:
    """What holds just before each of the rows, which promise or end: nothing after an end."""
    kept = made.kind * ~is_end
    last = np.maximum(np.arange(len(group)) - 1, 0)
    before = _Promises(kept.take(last), made.end.take(last), made.since.take(last))
    first = np.flatnonzero(group != np.append(-1, group[:-1]))
    for each in fields(before):
        getattr(before, each.name)[first] = getattr(carried, each.name).take(group[first])
    return before


def _keep(made: _Promises, is_end: Mask, group: Rows, carried: _Promises) -> None:
    """Write into ``carried`` what holds after the last of the rows."""
    last = np.flatnonzero(group != np.append(group[1:], -1))
    groups = group[last]
    carried.kind[groups] = made.kind[last] * ~is_end[last]
    carried.end[groups], carried.since[groups] = made.end[last], made.since[last]


def _missing(batch: Batch, rows: Rows, end: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Bytes from the end of each row's payload to ``end``."""
    sent: NDArray[np.uint32] = batch.rows.seq.take(rows) + batch.rows.payload.take(rows).astype(np.uint32)
    return (end - sent).view(np.int32)


def _any_between(rows: Rows, begins: Rows, ends: Rows) -> Mask:
    """Whether any of the rows stands from each ``begins`` (m,) on, before ``ends``: bool (m,)."""
    found: Mask = np.searchsorted(rows, begins) < np.searchsorted(rows, ends)
    return found
