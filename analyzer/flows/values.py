"""Array rows become the plain values that the next stage takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import FAMILIES, SUMS, Batch, State
from analyzer.flows.quiet import SegmentRows, totals_column
from analyzer.flows.running import count_since, last_before
from analyzer.flows.table import TOTALS, Slots
from analyzer.model.columns import ROW_FIELDS, TCP, UDP
from analyzer.model.flow import (
    CLIENT,
    SERVER,
    SIDES,
    Endpoint,
    Flow,
    FlowEnd,
    QuietFlow,
    Segment,
    Totals,
    address_text,
)
from analyzer.model.summary import Summary
from analyzer.model.tunnel import tunnel_text


def segment_rows(batch: Batch, state: State, before: Slots, chosen: NDArray[np.int64]) -> SegmentRows:
    """The chosen rows, int64 (k,), ascending, with the totals before each; ``before`` are the slots (g,)."""
    group = batch.group.take(chosen)
    columns = {name: getattr(batch.rows, name).take(chosen) for name in _COPIED}
    columns["flow"] = before.some("flow", group)
    columns["capture"] = np.full(len(chosen), batch.rows.capture)
    columns["side"] = batch.side.take(chosen)
    columns["kinds"] = state.kinds.take(chosen)
    for side in (CLIENT, SERVER):
        for name, values in _totals(batch, state, before, chosen, group, side).items():
            columns[totals_column(side, name)] = values
    return SegmentRows.of(len(chosen), columns)


_COPIED = tuple(name for name in Segment._fields if name in ROW_FIELDS)


def _totals(
    batch: Batch,
    state: State,
    before: Slots,
    chosen: NDArray[np.int64],
    group: NDArray[np.int64],
    index: int,
) -> dict[str, NDArray[Any]]:
    """Totals of one end before each chosen row, (k,) each, by name; those that are 0 everywhere are left out.

    ``group`` int64 (k,) is the group of each chosen row.
    """
    side = state.sides[index]
    totals: dict[str, NDArray[Any]] = {}
    for top, name, known in ((side.seq, "seq_end", "has_seq"), (side.ack, "ack", "has_ack")):
        is_known = top.known.take(chosen)
        if is_known.any():
            totals[name], totals[known] = top.before.take(chosen), is_known
    carried = _Carried(before, group, index)
    opened = side.opened.take(group)
    first_time = batch.rows.time.take(opened, mode="clip")
    opened_time = carried["opened_time"]
    opened_time = np.where((opened_time == 0) & (opened < chosen), first_time, opened_time)
    if opened_time.any():
        totals["opened_time"] = opened_time
    for name in SUMS:
        if name in side.sums:
            totals[name] = side.sums[name].take(chosen) + carried[name]
        elif carried.any(name):
            totals[name] = carried[name]
    floors = batch.starts.take(group)
    for family, names in FAMILIES.items():
        found = side.found[family]
        seen = carried.family(tuple(names))
        if len(found):
            last = last_before(found, chosen, floors)
            inside = np.flatnonzero(last >= 0)
            last = last[inside]
            for name, column in names.items() if len(inside) else ():
                values = seen.setdefault(name, np.zeros(len(chosen), TOTALS[name]))
                values[inside] = getattr(batch.rows, column)[last]
        totals.update(seen)
    if len(side.found["probe"]) or carried.any("probes"):
        answers = state.sides[1 - index].found["last"]
        totals["probes"] = count_since(side.found["probe"], answers, chosen, floors, carried["probes"])
    return totals


class _Carried:
    """What the flows of some rows had of one end before the batch: (k,) a column of Totals."""

    def __init__(self, before: Slots, group: NDArray[np.int64], side: int) -> None:
        self._before = before
        self._group = group
        self._side = side
        self._columns: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        values = self._columns.get(name)
        if values is None:
            values = self._columns[name] = self._before.some(name, self._group, self._side)
        return values

    def any(self, name: str) -> bool:
        """Whether one of these flows has any."""
        return bool(self[name].any())

    def family(self, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """Columns of one of the FAMILIES, to be changed; none if they are 0 in all rows.

        Where the first of them is 0 no such row was ever seen, and the others are: few are looked up.
        """
        first = self[names[0]]
        rows = np.flatnonzero(first)
        if not len(rows):
            return {}
        columns = {names[0]: first.copy()}
        for name in names[1:]:
            column = columns[name] = np.zeros(len(first), TOTALS[name])
            column[rows] = self._before.some(name, self._group[rows], self._side)
        return columns


_PROTOCOLS = {TCP: "tcp", UDP: "udp"}


def flow_values(slots: Slots) -> list[Flow]:
    """Slots as plain values."""
    return [
        Flow(
            id=flow,
            protocol=_PROTOCOLS[protocol],
            version=version,
            client=_endpoint(version, *client),
            server=_endpoint(version, *server),
            client_guessed=guessed,
            capture=capture,
            start=start,
            tunnel=tunnel_text(tunnel),
        )
        for flow, protocol, version, client, server, guessed, capture, start, tunnel in zip(
            *(slots[name].tolist() for name in ("flow", "protocol", "version")),
            *(
                zip(*(slots[f"{end}_{name}"].tolist() for name in ("hi", "lo", "port")), strict=True)
                for end in SIDES
            ),
            *(slots[name].tolist() for name in ("client_guessed", "capture", "start", "tunnel")),
            strict=True,
        )
    ]


def flow_of(summary: Summary, capture: int) -> Flow:
    """The flow that left this; ``capture`` is the index of the capture in which it began."""
    client, server = (
        _endpoint(summary.version, *end)
        for end in (
            (summary.client_hi, summary.client_lo, summary.client_port),
            (summary.server_hi, summary.server_lo, summary.server_port),
        )
    )
    return Flow(
        id=summary.flow,
        protocol=_PROTOCOLS[summary.protocol],
        version=summary.version,
        client=client,
        server=server,
        client_guessed=summary.client_guessed,
        capture=capture,
        start=summary.start,
        tunnel=tunnel_text(summary.tunnel),
    )


def quiet_flows(slots: Slots) -> list[QuietFlow]:
    """Slots of flows in which nothing happened."""
    rest = (slots[name].tolist() for name in ("end", "rows"))
    return [QuietFlow(*values) for values in zip(flow_values(slots), *rest, strict=True)]


def _endpoint(version: int, hi: int, lo: int, port: int) -> Endpoint:
    return Endpoint(address_text(version, hi, lo), port)


def flow_ends(slots: Slots, clocks: list[int], *, closed: bool) -> list[FlowEnd]:
    """The last word about these flows, each at its clock."""
    columns = (slots["flow"].tolist(), slots["rows"].tolist(), slots["end"].tolist())
    totals = (_all_totals(slots, CLIENT), _all_totals(slots, SERVER))
    return [
        FlowEnd(flow, packets, end, clock, closed, client, server)
        for flow, packets, end, clock, client, server in zip(*columns, clocks, *totals, strict=True)
    ]


def _all_totals(slots: Slots, side: int) -> list[Totals]:
    """All that one end of each flow sent."""
    return list(
        map(Totals._make, zip(*(slots[name][:, side].tolist() for name in Totals._fields), strict=True))
    )
