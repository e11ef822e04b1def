"""Array rows become the plain values that the next stage takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import FAMILIES, Batch, State
from analyzer.flows.running import count_since
from analyzer.flows.table import SEGMENT, TOTALS, Rows
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
from analyzer.model.tunnel import tunnel_text


def segment_rows(batch: Batch, state: State, before: Rows, chosen: NDArray[np.int64]) -> Rows:
    """The chosen rows as SEGMENT rows, in the order of flow and capture; ``before`` are the slots (g,)."""
    group = batch.group[chosen]
    out = np.zeros(len(chosen), SEGMENT)
    out["flow"] = before["flow"][group]
    out["capture"] = batch.rows.capture
    out["side"] = batch.side[chosen]
    out["kinds"] = state.kinds[chosen]
    for name in _COPIED:
        out[name] = getattr(batch.rows, name)[chosen]
    for index, side in enumerate(state.sides):
        carried = {name: before[name][:, index][group] for name in ("opened_time", "probes", *side.sums)}
        totals = out[SIDES[index]]
        totals["seq_end"], totals["has_seq"] = side.seq.before[chosen], side.seq.known[chosen]
        totals["ack"], totals["has_ack"] = side.ack.before[chosen], side.ack.known[chosen]
        opened = side.opened[group]
        seen = (carried["opened_time"] == 0) & (opened < chosen)
        first_time = batch.rows.time[np.minimum(opened, len(batch.rows) - 1)]
        totals["opened_time"] = np.where(seen, first_time, carried["opened_time"])
        for name, values in side.sums.items():
            totals[name] = carried[name] + values[chosen]
        for family in FAMILIES:
            for name, last in batch.last_values(before, side.found[family], chosen, index, family).items():
                totals[name] = last
        answers = state.sides[1 - index].found["last"]
        totals["probes"] = count_since(
            side.found["probe"], answers, chosen, batch.starts[group], carried["probes"]
        )
    return out


_COPIED = tuple(name for name in Segment._fields if name in ROW_FIELDS)


_PROTOCOLS = {TCP: "tcp", UDP: "udp"}


def segments(rows: Rows) -> list[Segment]:
    """SEGMENT rows as plain values."""
    return [
        Segment._make((*values[:-2], Totals._make(values[-2]), Totals._make(values[-1])))
        for values in rows.tolist()
    ]


def flow_value(slot: Rows) -> Flow:
    """A slot as a plain value."""
    return Flow(
        id=int(slot["flow"]),
        protocol=_PROTOCOLS[int(slot["protocol"])],
        version=int(slot["version"]),
        client=_endpoint(slot, "client"),
        server=_endpoint(slot, "server"),
        client_guessed=bool(slot["client_guessed"]),
        capture=int(slot["capture"]),
        start=int(slot["start"]),
        tunnel=tunnel_text(int(slot["tunnel"])),
    )


def quiet_flows(slots: Rows) -> list[QuietFlow]:
    """Slots of flows in which nothing happened."""
    return [QuietFlow(flow_value(slot), int(slot["end"]), int(slot["rows"])) for slot in slots]


def _endpoint(slot: Rows, end: str) -> Endpoint:
    address = address_text(int(slot["version"]), int(slot[f"{end}_hi"]), int(slot[f"{end}_lo"]))
    return Endpoint(address, int(slot[f"{end}_port"]))


def flow_ends(slots: Rows, clocks: list[int], *, closed: bool) -> list[FlowEnd]:
    """The last word about these flows, each at its clock."""
    columns = (slots["flow"].tolist(), slots["rows"].tolist(), slots["end"].tolist())
    totals = (_all_totals(slots, CLIENT), _all_totals(slots, SERVER))
    return [
        FlowEnd(flow, packets, end, clock, closed, client, server)
        for flow, packets, end, clock, client, server in zip(*columns, clocks, *totals, strict=True)
    ]


def _all_totals(slots: Rows, side: int) -> list[Totals]:
    """All that one end of each flow sent."""
    rows = np.zeros(len(slots), TOTALS)
    for name in Totals._fields:
        rows[name] = slots[name][:, side]
    return [Totals._make(values) for values in rows.tolist()]
