"""All segments and flows of a capture as columns, for whoever wants more of them than what failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.model.columns import PacketColumns
from analyzer.model.summary import SummaryRows


@dataclass(frozen=True, slots=True)
class SeenRows:
    """The rows of a batch, each flow's together.

    ``flow`` int64 (n,), its number; ``side`` uint8 (n,), an index of SIDES; ``kinds`` uint16 (n,), Kind bits;
    ``begins`` bool (n,), the first row of its flow.

    A frame is in one row only, where a SYN turned out later to begin another flow as well in that before it.
    """

    rows: PacketColumns
    flow: NDArray[np.int64]
    side: NDArray[np.uint8]
    kinds: NDArray[np.uint16]
    begins: NDArray[np.bool_]


class Seeing(Protocol):
    """Is shown everything while captures are read."""

    def begin(self, capture: int, before: int) -> None:
        """The rows of the capture with that index follow, whose frames are counted on from ``before``."""

    def segments(self, seen: SeenRows) -> None:
        """The next rows."""

    def flows(self, rows: SummaryRows) -> None:
        """Flows that have ended."""
