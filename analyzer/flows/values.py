"""Array rows become the plain values that the next stage takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.state import Batch, Running
from analyzer.flows.table import SEGMENT, Rows
from analyzer.model.columns import ROW_FIELDS, TCP, UDP
from analyzer.model.flow import SIDES, Endpoint, Flow, Segment, Totals, address_text


def segment_rows(
    batch: Batch,
    sides: tuple[Running, Running],
    kinds: NDArray[np.int64],
    chosen: NDArray[np.int64],
    flow: NDArray[np.int64],
) -> Rows:
    """The chosen rows as SEGMENT rows, in the order of flow and capture."""
    out = np.zeros(len(chosen), SEGMENT)
    out["flow"] = flow[batch.group[chosen]]
    out["capture"] = batch.rows.capture
    out["side"] = batch.side[chosen]
    out["kinds"] = kinds[chosen]
    for name in _COPIED:
        out[name] = getattr(batch.rows, name)[chosen]
    for side, running in enumerate(sides):
        totals = out[SIDES[side]]
        for name in Totals._fields:
            totals[name] = getattr(running, name)[chosen]
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
    )


def _endpoint(slot: Rows, end: str) -> Endpoint:
    address = address_text(int(slot["version"]), int(slot[f"{end}_hi"]), int(slot[f"{end}_lo"]))
    return Endpoint(address, int(slot[f"{end}_port"]))


def final_totals(slot: Rows, side: int) -> Totals:
    """All that one end sent."""
    return Totals._make(slot[name][side].item() for name in Totals._fields)
