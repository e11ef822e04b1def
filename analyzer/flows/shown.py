"""Follows a few flows once more, and hands out so much of them that a picture can be drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch, State
from analyzer.flows.table import Slots
from analyzer.flows.tracker import Tracker
from analyzer.model.flow import Kind

_ALL_UP_TO_BITS = 9
"""Bits of the index of a packet up to which every one is shown: the first 512. Then every second up to 1024,
every fourth up to 2048 and so on, so that a flow of any length has some thousands at most."""
LAST = 128
"""Packets at the end of a flow that are shown all."""


class ShownTracker(Tracker):
    """A tracker for which every row matters that a picture shows."""

    def __init__(self) -> None:
        super().__init__(Kind.ALL | Kind.SHOWN)
        self.places: dict[int, int] = {}
        """Of a frame that was handed out: which of its flow it is, from 0."""

    def _mark_shown(self, batch: Batch, before: Slots, state: State) -> None:
        """The rows of the sample, and those that may turn out to be the last of their flow."""
        group = batch.group
        ends = np.append(batch.starts[1:], len(group))
        rank = np.arange(len(group)) - batch.starts[group]
        places = before["rows"][group] + rank
        last = ends[group] - np.arange(len(group)) <= LAST
        chosen = is_sampled(places) | last
        state.kinds[chosen] |= Kind.SHOWN
        wanted = np.flatnonzero(state.kinds)
        self.places.update(zip(batch.rows.number[wanted].tolist(), places[wanted].tolist(), strict=True))


def is_sampled(places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the packet with this index in its flow is shown wherever the flow ends: bool (n,)."""
    exponent = np.frexp(np.maximum(places, 1).astype(np.float64))[1] - 1  # floor of the logarithm
    step = np.int64(1) << np.maximum(exponent - _ALL_UP_TO_BITS + 1, 0).astype(np.int64)
    sampled: NDArray[np.bool_] = places % step == 0
    return sampled
