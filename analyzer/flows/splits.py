"""Where one connection between two endpoints ends and the next begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.table import Rows
from analyzer.model.columns import TCP, Flag, PacketColumns

LINGER_NS = 120 * 10**9
"""A closed flow waits so long for late segments: twice Linux's TIME_WAIT of 60 s (TCP_TIMEWAIT_LEN)."""


def find_splits(
    rows: PacketColumns,
    forward: NDArray[np.bool_],
    starts: NDArray[np.int64],
    is_carried: NDArray[np.bool_],
    carried: Rows,
) -> NDArray[np.int64]:
    """Rows that begin another connection between the same endpoints: int64 (k,).

    That is a pause longer than LINGER_NS after the end, or a SYN with a new initial sequence number after
    a FIN or RST. ``starts`` int64 (g,) are the first rows of each pair of endpoints, ``carried`` (g,) the
    slots of their newest flow where ``is_carried``. Looked at one by one are only control rows of pairs
    where a split is possible.
    """
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(rows))))
    previous = np.empty(len(rows), np.int64)
    previous[1:] = rows.clock[:-1]
    previous[starts] = np.where(is_carried, carried["clock"], rows.clock[starts])
    pause = rows.clock - previous > LINGER_NS
    has_earlier = is_carried[group]
    has_earlier[1:] |= group[1:] == group[:-1]
    syn_only = (rows.flags & (Flag.SYN | Flag.ACK)) == Flag.SYN
    candidates = np.zeros(len(starts), np.bool_)
    candidates[group[(pause | syn_only) & has_earlier]] = True
    control = candidates[group] & (pause | ((rows.flags & (Flag.SYN | Flag.FIN | Flag.RST)) != 0))
    ends = np.append(starts[1:], len(rows))
    found: list[int] = []
    for index in np.flatnonzero(candidates).tolist():
        inside = starts[index] + np.flatnonzero(control[starts[index] : ends[index]])
        life = Life.carried(carried[index]) if is_carried[index] else Life()
        found.extend(life.splits(rows, forward, inside, pause))
    return np.array(found, np.int64)


@dataclass(slots=True)
class Life:
    """What decides whether a row begins another connection between the same endpoints."""

    opened: int | None = None  # initial sequence number of the last SYN
    finished: int = 0  # bit 0 and 1: a FIN from the endpoint that sorts last, first
    reset: bool = False

    @classmethod
    def carried(cls, slot: Rows) -> Life:
        """As a slot remembers it."""
        return cls(
            opened=int(slot["opened"]) if slot["has_opened"] else None,
            finished=int(slot["finished"][0]) | int(slot["finished"][1]) << 1,
            reset=bool(slot["reset"]),
        )

    def splits(
        self,
        rows: PacketColumns,
        forward: NDArray[np.bool_],
        control: NDArray[np.int64],
        pause: NDArray[np.bool_],
    ) -> list[int]:
        """Those of the rows ``control`` at which another connection begins."""
        found: list[int] = []
        for row in control.tolist():
            flags = int(rows.flags[row])
            if self._begins_another(flags, int(rows.seq[row]), bool(pause[row]), int(rows.protocol[row])):
                found.append(row)
                self.opened, self.finished, self.reset = None, 0, False
            if flags & (Flag.SYN | Flag.ACK) == Flag.SYN:
                self.opened = int(rows.seq[row])
            if flags & Flag.FIN:
                self.finished |= 1 << int(forward[row])
            self.reset |= bool(flags & Flag.RST)
        return found

    def _begins_another(self, flags: int, seq: int, pause: bool, protocol: int) -> bool:
        if pause and (self.reset or self.finished == 3 or protocol != TCP):
            return True
        new_syn = flags & (Flag.SYN | Flag.ACK) == Flag.SYN and seq != self.opened
        return new_syn and (self.reset or self.finished != 0)
