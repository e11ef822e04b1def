"""Which rows matter, and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch, Sides
from analyzer.flows.marks import Marks
from analyzer.flows.running import pick, previous
from analyzer.flows.table import Slots
from analyzer.model.columns import Flag
from analyzer.model.flow import CLIENT, SERVER, Kind

PATIENCE_NS = 10**9
"""A client that waited so long for an answer may have lost patience. What is shorter is a program that
leaves without reading what it does not need, which is everyday; timeouts are set in whole seconds."""


def kinds(
    batch: Batch, marks: Marks, sides: Sides, cut: NDArray[np.int64], before: Slots, after: Slots
) -> NDArray[np.uint16]:
    """Kind bits of each row: uint16 (n,). Writes what is going on at each side into ``after``.

    ``cut`` are the rows of which that is known already: see promises.py.
    """
    found = _OF_FLAGS[batch.rows.flags]
    repeated, recovered = _repetitions(batch, marks, before, after)
    resent = np.concatenate([side.found["resent"].rows for side in sides])
    for kind, rows in (
        (Kind.ICMP, np.flatnonzero(batch.rows.is_icmp)),
        (Kind.RESENT, resent),
        (Kind.REPEATED, resent[(batch.rows.flags[resent] & Flag.SYN) != 0]),
        (Kind.REPEATED, repeated),
        (Kind.RECOVERED, recovered),
        (Kind.PROBE, np.flatnonzero(marks.probe)),
        (Kind.REPEATED, _probed_before(batch, sides, before)),
        (Kind.ZERO_WINDOW, _first_zeros(batch, marks, sides, before)),
        (Kind.UNANSWERED, _unanswered(batch, marks, sides, before)),
        (Kind.CUT, cut),
    ):
        found[rows] |= kind
    found[marks.copy] = Kind.COPY
    return found


_HEADER = ((Flag.SYN, Kind.SYN), (Flag.FIN, Kind.FIN), (Flag.RST, Kind.RST))
_OF_FLAGS = np.array([sum(kind for flag, kind in _HEADER if flags & flag) for flags in range(256)], np.uint16)
"""The kinds that stand in the header: uint16 (256,)."""


def _repetitions(
    batch: Batch, marks: Marks, before: Slots, after: Slots
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that send again what had been sent again already, and those that end a run: int64 (k,) each.

    A run that is worth its end being told is such a repetition, or a SYN or FIN sent again.
    """
    opens = (batch.rows.flags & (Flag.SYN | Flag.FIN)) != 0
    repeated, recovered = [_NONE], [_NONE]
    for side in (CLIENT, SERVER):
        own = batch.side == side
        again = marks.resent & own
        stuck, repeating = before["stuck"][:, side], before["repeating"][:, side]
        concerned = stuck | repeating
        concerned[batch.group[np.flatnonzero(again)]] = True
        if not concerned.any():
            continue
        rows = np.flatnonzero(again | (marks.moves_on & ~own))
        rows = rows.compress(concerned.take(batch.group.take(rows)))
        group = batch.group.take(rows)
        last = previous(rows, batch.starts.take(group))
        inside = last >= 0
        is_stuck = pick(inside, again[last], stuck[group])
        same = pick(inside, batch.rows.seq[last], before.some("resent_seq", group, side))
        repeats = again[rows] & is_stuck & (same == batch.rows.seq[rows])
        repeated.append(rows[repeats])
        told = np.zeros(len(own), np.bool_)  # of this side alone: a row may also move on the other one
        told[rows[repeats | (again[rows] & opens[rows])]] = True
        telling = pick(inside, told[last], repeating[group])
        recovered.append(rows[~again[rows] & telling])
        final = np.flatnonzero(group != np.append(group[1:], -1))
        after.write("stuck", group[final], again[rows[final]], side)
        after.write("repeating", group[final], told[rows[final]], side)
    return np.concatenate(repeated), np.concatenate(recovered)


_NONE = np.zeros(0, np.int64)


def _probed_before(batch: Batch, sides: Sides, before: Slots) -> NDArray[np.int64]:
    """Probes that follow another one of the same end which nothing has answered: int64 (k,)."""
    found = [_NONE]
    for side in (CLIENT, SERVER):
        probes, answers = sides[side].found["probe"], sides[1 - side].found["last"]
        if len(probes):
            rows = probes.rows
            carried = before.some("probes", batch.group[rows], side)
            found.append(rows[probes.count_since(answers, rows, batch.floors(rows), carried) > 0])
    return np.concatenate(found)


def _first_zeros(batch: Batch, marks: Marks, sides: Sides, before: Slots) -> NDArray[np.int64]:
    """Rows that announce window 0 where that end's row before did not, or none was: int64 (k,)."""
    zeros = np.flatnonzero(marks.announces & (batch.rows.window == 0))
    found = [_NONE]
    for side in (CLIENT, SERVER):
        rows = zeros[batch.side[zeros] == side]
        if len(rows):
            announced = sides[side].found["window"]
            number, window = batch.last_values(before, announced, rows, side, "window_number", "window")
            found.append(rows[np.flatnonzero((number == 0) | (window != 0))])
    return np.concatenate(found)


def _unanswered(batch: Batch, marks: Marks, sides: Sides, before: Slots) -> NDArray[np.int64]:
    """The first FIN or RST of a flow, if an answer to the client was due: int64 (k,).

    The client had sent new data after the server's last; if it is the one that ends, it waited PATIENCE_NS.
    """
    ends = batch.having(Flag.FIN | Flag.RST)
    group = batch.group.take(ends)
    first = previous(ends, batch.starts.take(group)) < 0
    first &= ~(before["reset"] | before["finished"][:, 0] | before["finished"][:, 1]).take(group)
    rows = ends.compress(first & ~marks.fresh.take(ends))
    data = [sides[side].found["data"] for side in (CLIENT, SERVER)]
    asked, told = (
        batch.last_values(before, data[side], rows, side, "last_data_number")[0] for side in (CLIENT, SERVER)
    )
    rows = rows[np.flatnonzero(asked > told)]
    (since,) = batch.last_values(before, data[CLIENT], rows, CLIENT, "last_data_time")
    waited = batch.rows.time[rows] - since >= PATIENCE_NS
    return rows[np.flatnonzero(waited | (batch.side[rows] == SERVER))]
