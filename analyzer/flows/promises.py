"""Ends of what a server has promised to send, held against its FIN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analyzer.flows.keys import Keyed
from analyzer.model.columns import UNKNOWN_END, Flag, is_constant
from analyzer.model.seq import add, distance

_MOST = 100_000
"""Senders whose promises are remembered; of more those that promised first are forgotten."""

_NOTHING = -1
"""In place of a sequence number: nothing was promised."""

_Sender = tuple[int, bool]
"""A flow's key, and whether it is the endpoint that sorts first who sends."""


class Promises:
    """Marks each FIN that comes before all that its sender has promised.

    Batches must come in file order; how the rows are cut into them makes no difference. ``unknown``:
    connections that ended with a FIN behind a promise of which the capture cut off how much it was.
    """

    def __init__(self, most: int = _MOST) -> None:
        self.unknown = 0
        self._most = most
        self._ends: dict[_Sender, int | None] = {}
        """Who promised -> the sequence number at the end; None where that was cut off."""

    def marked(self, keyed: Keyed) -> Keyed:
        """The rows, with the column ``cut`` set where it holds."""
        rows = keyed.rows
        promising = np.zeros(0, np.int64) if is_constant(rows.promised) else np.flatnonzero(rows.promised)
        if not len(promising) and not self._ends:
            return keyed
        ends = np.flatnonzero((rows.flags & Flag.FIN) != 0)
        chosen = np.union1d(promising, ends)  # in file order, which decides who is forgotten
        values = zip(
            chosen.tolist(),
            keyed.keys[chosen].tolist(),
            keyed.forward[chosen].tolist(),
            *(getattr(rows, name)[chosen].tolist() for name in ("promised", "seq", "flags", "payload")),
            strict=True,
        )
        cut = [row for row, key, forward, *of_row in values if self._is_cut((key, forward), *of_row)]
        if not cut:
            return keyed
        marks = np.zeros(len(rows), np.bool_)
        marks[cut] = True
        return replace(keyed, rows=replace(rows, cut=marks))

    def _is_cut(self, sender: _Sender, promised: int, seq: int, flags: int, payload: int) -> bool:
        if promised:
            self._ends[sender] = None if promised == UNKNOWN_END else add(seq, promised)
            if len(self._ends) > self._most:
                del self._ends[next(iter(self._ends))]
        if not flags & Flag.FIN:
            return False
        other = (sender[0], not sender[1])
        if self._ends.get(other, _NOTHING) is None:
            del self._ends[other]  # nobody waits for it any more
        end = self._ends.pop(sender, _NOTHING)
        if end == _NOTHING:
            return False
        self.unknown += end is None
        return end is not None and distance(add(seq, payload), end) > 0
