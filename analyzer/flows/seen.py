"""Follows flows as any tracker does, and shows every row with what was made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from analyzer.flows.batch import Batch, State
from analyzer.flows.table import Slots
from analyzer.flows.tracker import Tracker
from analyzer.model.seen import Seeing, SeenRows


class SeenTracker(Tracker):
    """A tracker whose rows are seen by somebody; ``first_flow`` is the number of its first flow."""

    def __init__(self, seeing: Seeing, triggers: int, *, first_flow: int, **options: Any) -> None:
        super().__init__(triggers, **options)
        self._seeing = seeing
        self._flows_seen = first_flow

    def _mark_shown(self, batch: Batch, before: Slots, state: State) -> None:
        """Nothing is marked; a SYN that was handed to the flow that it began is seen where it was before."""
        begins = np.zeros(len(batch.group), np.bool_)
        begins[batch.starts] = before["rows"] == 0
        flow = before["flow"][batch.group]
        seen = SeenRows(batch.rows, flow, batch.side, state.kinds, begins)
        if len(batch.handed):
            others = np.ones(len(flow), np.bool_)
            others[batch.handed] = False
            kept = np.flatnonzero(others)
            begins[np.minimum(batch.handed + 1, len(flow) - 1)] |= begins[batch.handed]
            rows = batch.rows.take(kept)
            seen = SeenRows(rows, flow[kept], batch.side[kept], state.kinds[kept], begins[kept])
        self._seeing.segments(seen)
