"""Clients that asked by a datagram and got none back. The kernel tells them nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analyzer.model.columns import UDP
from analyzer.model.event import Activity, DatagramUnanswered, FlowView, MessageView, QueryView, SocketView
from analyzer.model.flow import CLIENT, SERVER, SIDES
from analyzer.model.socket import State
from analyzer.model.summary import Summary, SummaryRows, summaries

_NAME_SERVICE = 53
_PATIENCE_S = 5.0
"""Seconds that resolv.conf(5) waits for an answer unless it says otherwise: RES_TIMEOUT."""


def may_ask(rows: SummaryRows) -> Iterator[Summary]:
    """The flows of datagrams to a name server that nothing came back in, and of which nothing is said yet."""
    asked = (rows["protocol"] == UDP) & (rows["server_port"] == _NAME_SERVICE) & ~rows["watched"]
    asked &= (rows["payload"][:, CLIENT] > 0) & (rows["payload"][:, SERVER] == 0)
    yield from summaries(rows[np.flatnonzero(asked)])


def unanswered(
    summary: Summary, seconds: float, message: MessageView, number: int, system: str
) -> DatagramUnanswered:
    """The event; ``seconds`` that nothing came, ``message`` what was asked, ``number`` of the first frame."""
    due = message.answer == "due"
    return DatagramUnanswered(
        flow_id=summary.flow,
        side=CLIENT,
        time=summary.end,
        frames=(number,),
        key="unanswered",
        doubts=frozenset(),
        system=system,
        socket=SocketView(
            role=SIDES[CLIENT],
            state=State.CLOSED.value,
            connects=False,
            closed=False,
            activity=Activity.WAITING.value,
            bytes_sent=summary.payload[CLIENT],
            bytes_received=0,
            sent_after_fin=False,
            said_farewell=False,
            unanswered=True,
            unacknowledged=False,
        ),
        flow=FlowView(
            ip_version=summary.version,
            handshake_seen=False,
            unaccepted=False,
            age=(summary.end - summary.start) / 1e9,
        ),
        query=QueryView(
            protocol=message.protocol if due else "unknown",
            question=message.request,
            count=summary.packets,
            seconds=min(seconds, _PATIENCE_S),
        ),
    )
