"""What is kept of a flow that has ended: one array row, for clean flows too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ENDS = (
    ("version", "u1"),
    ("tunnel", "u8"),
    ("client_hi", "u8"),
    ("client_lo", "u8"),
    ("client_port", "u2"),
    ("server_hi", "u8"),
    ("server_lo", "u8"),
    ("server_port", "u2"),
)
"""Columns that say between whom a flow is."""

SUMMARY = np.dtype(
    [
        ("flow", "i8"),
        ("watched", "?"),  # it reached the shadow sockets, so that it may have a result
        ("protocol", "u1"),
        ("client_guessed", "?"),
        *ENDS,
        ("first_leg", "i8"),  # the flow that showed the same connection before, plus one; 0: none
        ("again", "?"),  # the same endpoints had another connection within 2 TIME_WAITs before
        ("start", "i8"),
        ("end", "i8"),
        ("packets", "i8"),
        ("answered", "i8"),  # the first SYN+ACK, 0 where none was seen
        ("completed", "i8"),  # the client's first segment without SYN; 0 where there was no SYN+ACK before
        ("survived", "i8"),  # the longest pause after which both ends went on, 0 below MIN_PAUSE_NS
        ("idle_close", "i8"),  # idle time after which the server closed first, 0 below MIN_IDLE_NS
        # by side:
        ("payload", "i8", (2,)),
        ("fin", "?", (2,)),
        ("reset", "?", (2,)),
        ("unacknowledged", "?", (2,)),  # the other end never acknowledged all that this one sent
        ("largest", "u4", (2,)),  # the largest payload of a segment
        ("resent_length", "u4", (2,)),  # payload of the last segment sent again
        ("ttl", "u1", (2,)),  # TTL or hop limit of the first segment but RST, 0 where there was none
        ("reset_ttl", "u1", (2,)),  # ... of the first RST
        ("fatal", "i8", (2,)),  # the longest pause that it ended, to hear nothing any more but a reset
    ]
)
"""Times and pauses in nanoseconds, lengths in bytes; addresses as in PacketColumns."""

LEG = np.dtype([("flow", "i8", (2,)), *((name, kind, (2,)) for name, kind in ENDS)])
"""A connection that is in the capture twice: the flow that showed it first, and the other one."""

LegRows = NDArray[np.void]
"""LEG rows: (n,)."""

SummaryRows = NDArray[np.void]
"""SUMMARY rows: (n,)."""

MIN_IDLE_NS = 5 * 10**8
"""A server that closes sooner after its last byte did not wait for another request."""
MIN_PAUSE_NS = 10 * 10**9
"""Shorter pauses are everyday, and nothing between two hosts forgets a connection so soon."""


class Summary(NamedTuple):
    """One row of SUMMARY; the names and their order are the same. Pairs are by side."""

    flow: int
    watched: bool
    protocol: int
    client_guessed: bool
    version: int
    tunnel: int
    client_hi: int
    client_lo: int
    client_port: int
    server_hi: int
    server_lo: int
    server_port: int
    first_leg: int
    again: bool
    start: int
    end: int
    packets: int
    answered: int
    completed: int
    survived: int
    idle_close: int
    payload: tuple[int, int]
    fin: tuple[bool, bool]
    reset: tuple[bool, bool]
    unacknowledged: tuple[bool, bool]
    largest: tuple[int, int]
    resent_length: tuple[int, int]
    ttl: tuple[int, int]
    reset_ttl: tuple[int, int]
    fatal: tuple[int, int]


def summaries(rows: SummaryRows) -> list[Summary]:
    """SUMMARY rows as plain values; equal pairs are one object, for most flows have the same few."""
    columns: list[Iterable[Any]] = []
    for name in Summary._fields:
        shared: dict[tuple[Any, Any], tuple[Any, Any]] = {}  # of this column: (False, True) equals (0, 1)
        values = rows[name].tolist()
        paired = rows[name].ndim > 1
        columns.append([shared.setdefault(pair, pair) for pair in map(tuple, values)] if paired else values)
    return list(map(Summary._make, zip(*columns, strict=True)))
