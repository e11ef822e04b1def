"""Array rows become the plain values that the next stage takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import FAMILIES, SUMS, Batch, Side, State
from analyzer.flows.found import Found
from analyzer.flows.quiet import SegmentRows, totals_column
from analyzer.flows.table import Slots
from analyzer.model.columns import ROW_FIELDS, TCP, UDP, constant, is_constant, take
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
    if not len(chosen):
        return SegmentRows(0, {})
    rows = _Chosen.of(batch, before, chosen)
    copied = {name: getattr(batch.rows, name) for name in _COPIED}
    columns = {name: take(values, chosen) for name, values in copied.items() if not _is_zero(values)}
    columns["flow"] = before.some("flow", rows.group)
    columns["capture"] = constant(np.int32(batch.rows.capture), len(chosen))
    columns["side"] = batch.side.take(chosen)
    columns["kinds"] = state.kinds.take(chosen)
    for side in (CLIENT, SERVER):
        for name, values in _totals(batch, state, rows, side).items():
            columns[totals_column(side, name)] = values
    return SegmentRows.of(len(chosen), columns)


_COPIED = tuple(name for name in Segment._fields if name in ROW_FIELDS)


def _is_zero(column: NDArray[Any]) -> bool:
    """Whether nothing but 0 stands in this column of a batch, as far as that is seen at once."""
    return is_constant(column) and not column[0]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Rows of a batch, int64 (k,), their groups and the first rows of these.

    ``old``: int64 (m,), which of them are of flows that began before the batch, and ``slots`` (m,), what was
    known of these then. Of all others nothing was.
    """

    rows: NDArray[np.int64]
    group: NDArray[np.int64]
    floors: NDArray[np.int64]
    old: NDArray[np.int64]
    slots: Slots

    @classmethod
    def of(cls, batch: Batch, before: Slots, rows: NDArray[np.int64]) -> _Chosen:
        group = batch.group.take(rows)
        old = np.flatnonzero((before["rows"] > 0).take(group))
        return cls(rows, group, batch.starts.take(group), old, before.take(group.take(old)))

    def carried(self, name: str, side: int) -> NDArray[np.int64]:
        """What one end had before the batch: int64 (k,)."""
        values = np.zeros(len(self.rows), np.int64)
        values[self.old] = self.slots.side(name, side)
        return values


def _totals(batch: Batch, state: State, chosen: _Chosen, index: int) -> dict[str, NDArray[Any]]:
    """Totals of one end before each chosen row, (k,) each, by name; none that is 0 in all of them."""
    side = state.sides[index]
    totals: dict[str, NDArray[Any]] = {}
    for top, name, known in ((side.seq, "seq_end", "has_seq"), (side.ack, "ack", "has_ack")):
        is_known = top.known.take(chosen.rows)
        if is_known.any():
            totals[name], totals[known] = top.before.take(chosen.rows), is_known
    sums = {"opened_time": _opened_times(batch, side, chosen, index)}
    for name in SUMS:
        sums[name] = chosen.carried(name, index)
        if name in side.sums:
            sums[name] += side.sums[name].between(chosen.floors, chosen.rows)
    sums["probes"] = side.found["probe"].count_since(
        state.sides[1 - index].found["last"], chosen.rows, chosen.floors, chosen.carried("probes", index)
    )
    totals.update({name: values for name, values in sums.items() if values.any()})
    for family in FAMILIES:
        totals.update(_last_values(batch, side.found[family], chosen, index, family))
    return totals


def _opened_times(batch: Batch, side: Side, chosen: _Chosen, index: int) -> NDArray[np.int64]:
    """When one end sent its first row without SYN, if that was before each chosen row, else 0: int64 (k,)."""
    times = chosen.carried("opened_time", index)
    first = side.opened.take(chosen.group)
    new = np.flatnonzero((first < chosen.rows) & (times == 0))
    times[new] = batch.rows.time.take(first.take(new))
    return times


def _last_values(
    batch: Batch, found: Found, chosen: _Chosen, side: int, family: str
) -> dict[str, NDArray[Any]]:
    """Totals of one of the FAMILIES before each chosen row, (k,) each, by name; none if they are all 0."""
    last = found.last_before(chosen.rows, chosen.floors)
    inside = np.flatnonzero(last >= 0)
    outside = np.flatnonzero(last.take(chosen.old) < 0)
    number, *_ = names = FAMILIES[family]
    outside = outside[np.flatnonzero(chosen.slots.some(number, outside, side))]
    if not len(inside) and not len(outside):
        return {}
    last, places = last.take(inside), chosen.old.take(outside)
    totals = {}
    for name, column in names.items():
        new = getattr(batch.rows, column).take(last)
        values = totals[name] = np.zeros(len(chosen.rows), new.dtype)
        values[inside] = new
        values[places] = chosen.slots.some(name, outside, side)
    return totals


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
