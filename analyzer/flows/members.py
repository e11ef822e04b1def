"""Which packets belong to flows that are known already, when a capture is read once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.keys import flow_keys
from analyzer.model.columns import PacketColumns
from analyzer.model.summary import Summary

SLACK_NS = 10 * 10**6
"""Packets may stand in a capture somewhat out of order."""


class Members:
    """Finds the packets of some flows, ICMP errors that quote them included."""

    def __init__(self, flows: Sequence[Summary]) -> None:
        self._begin = [flow.start - SLACK_NS for flow in flows]
        self._end = [flow.end + SLACK_NS for flow in flows]
        self._flows: dict[int, list[int]] = {}
        for index, key in enumerate(keys_of(flows)):
            self._flows.setdefault(key, []).append(index)
        self._keys = np.array(sorted(self._flows), np.uint64)

    def rows(self, columns: PacketColumns) -> NDArray[np.int64]:
        """The rows of these flows and of others between the same ends: int64 (n,), ascending."""
        if not len(self._keys) or not len(columns):
            return np.zeros(0, np.int64)
        return np.flatnonzero(np.isin(flow_keys(columns)[0], self._keys))

    def of(self, columns: PacketColumns) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Index of a flow, and the numbers of its frames among the columns: int64 (n,), ascending."""
        for index, rows in self.rows_of(columns):
            yield index, np.unique(columns.number[rows])

    def rows_of(self, columns: PacketColumns) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Index of a flow, and which of the columns' rows are its: int64 (n,), ascending."""
        keys, rows = flow_keys(columns)[0], self.rows(columns)
        for key in np.unique(keys[rows]).tolist():
            own = rows[keys[rows] == key]
            times = columns.time[own]
            for index in self._flows[key]:
                inside = (times >= self._begin[index]) & (times <= self._end[index])
                if inside.any():
                    yield index, own[inside]


def keys_of(flows: Sequence[Summary]) -> list[int]:
    """The key that ``flow_keys`` gives the packets of each of these flows."""
    keys: list[int] = flow_keys(_as_columns(flows))[0].tolist() if flows else []
    return keys


def _as_columns(flows: Sequence[Summary]) -> PacketColumns:
    """What keys are made of, as if the client had sent one packet of each flow."""
    names = {
        "src_hi": "client_hi",
        "src_lo": "client_lo",
        "sport": "client_port",
        "dst_hi": "server_hi",
        "dst_lo": "server_lo",
        "dport": "server_port",
        "protocol": "protocol",
        "version": "version",
        "tunnel": "tunnel",
    }
    kinds = {"sport": np.uint16, "dport": np.uint16, "protocol": np.uint8, "version": np.uint8}
    columns = {
        name: np.array([getattr(flow, source) for flow in flows], kinds.get(name, np.uint64))
        for name, source in names.items()
    }
    return cast(PacketColumns, SimpleNamespace(**columns))
