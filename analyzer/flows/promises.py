"""Ends of what a server has promised to send, held against its FIN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analyzer.flows.keys import Sorted
from analyzer.model.columns import Flag, is_constant
from analyzer.model.seq import add, distance

_MOST = 100_000
"""Flows whose promises are remembered; of more those that promised first are forgotten."""


class Promises:
    """Marks each FIN that comes before all that its sender has promised; rows must come in file order."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, bool], int] = {}
        """The flow's key and who sends (the endpoint that sorts first) -> the sequence number at the end."""

    def marked(self, ordered: Sorted) -> Sorted:
        """The rows, with the column ``cut`` set where it holds."""
        rows = ordered.rows
        promising = np.zeros(0, np.int64) if is_constant(rows.promised) else np.flatnonzero(rows.promised)
        if not len(promising) and not self._ends:
            return ordered
        ends = np.flatnonzero((rows.flags & Flag.FIN) != 0)
        chosen = np.union1d(promising, ends)
        values = zip(
            chosen.tolist(),
            ordered.keys[chosen].tolist(),
            ordered.forward[chosen].tolist(),
            *(getattr(rows, name)[chosen].tolist() for name in ("promised", "seq", "flags", "payload")),
            strict=True,
        )
        cut = [row for row, key, forward, *of_row in values if self._is_cut((key, forward), *of_row)]
        while len(self._ends) > _MOST:
            del self._ends[next(iter(self._ends))]
        if not cut:
            return ordered
        marks = np.zeros(len(rows), np.bool_)
        marks[cut] = True
        return Sorted(replace(rows, cut=marks), ordered.keys, ordered.forward)

    def _is_cut(self, sender: tuple[int, bool], promised: int, seq: int, flags: int, payload: int) -> bool:
        if promised:
            self._ends[sender] = add(seq, promised)
        end = self._ends.pop(sender, None) if flags & Flag.FIN else None
        return end is not None and distance(add(seq, payload), end) > 0
