"""How many connections the capture shows twice, at which services: before and after a NAT, in a tunnel."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analyzer.model.flow import Endpoint, address_text
from analyzer.model.report import SeenTwice
from analyzer.model.summary import LegRows
from analyzer.model.tunnel import tunnel_text
from analyzer.verdicts.services import runs

_PLACE = (("tunnel", "u8"), ("server_hi", "u8"), ("server_lo", "u8"), ("server_port", "u2"))
_TWICE = np.dtype(
    [
        ("version", "u1"),
        *((f"{name}_{leg}", kind) for leg in (0, 1) for name, kind in _PLACE),
        ("client_moved", "?"),
        ("count", "i8"),
    ]
)
"""Connections of one service, seen first (0) and again (1); whether with another client address."""
_NAMES = tuple(name for name in _TWICE.names or () if name != "count")
_ENOUGH = 8192
"""Rows that are not worth folding yet."""


@dataclass(slots=True)
class Twice:
    """The fold, in any order and any portions."""

    _rows: list[NDArray[np.void]] = field(default_factory=list)

    def add(self, legs: LegRows) -> None:
        """Take connections that were found to be there twice."""
        rows = np.zeros(len(legs), _TWICE)
        rows["version"], rows["count"] = legs["version"][:, 0], 1
        for name, _ in _PLACE:
            for leg in (0, 1):
                rows[f"{name}_{leg}"] = legs[name][:, leg]
        for name in ("client_hi", "client_lo", "client_port"):
            rows["client_moved"] |= legs[name][:, 0] != legs[name][:, 1]
        self._rows.append(rows)
        if sum(map(len, self._rows[1:])) > _ENOUGH:
            self._fold()

    def merge(self, other: Twice) -> None:
        """Take all that the other one has."""
        self._rows.extend(other._rows)

    def told(self) -> tuple[SeenTwice, ...]:
        """By service, those with most connections first."""
        if not self._rows:
            return ()
        self._fold()
        found = [_told(row) for row in self._rows[0]]
        return tuple(sorted(found, key=lambda seen: (-seen.flows, seen.first, seen.again, seen.tunnels)))

    def _fold(self) -> None:
        rows, starts = runs(np.concatenate(self._rows), _NAMES)
        folded = rows[starts]
        if len(rows):
            folded["count"] = np.add.reduceat(rows["count"], starts)
        self._rows = [folded]


def _told(row: np.void) -> SeenTwice:
    def server(leg: int) -> str:
        address = address_text(
            int(row["version"]), int(row[f"server_hi_{leg}"]), int(row[f"server_lo_{leg}"])
        )
        return str(Endpoint(address, int(row[f"server_port_{leg}"])))

    return SeenTwice(
        first=server(0),
        again=server(1),
        tunnels=(tunnel_text(int(row["tunnel_0"])), tunnel_text(int(row["tunnel_1"]))),
        client_moved=bool(row["client_moved"]),
        flows=int(row["count"]),
    )
