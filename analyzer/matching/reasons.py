"""Why a reset was sent: the candidates of data/reset_reasons.yaml, by its form and what came before."""

from __future__ import annotations

from functools import cache
from typing import Any

from analyzer.data import load
from analyzer.model.event import Event, KeepaliveTimeout, ResetReceived
from analyzer.model.flow import SIDES

_SOON_S = 0.03
"""So soon after a FIN, data carries its acknowledgement: Linux delays an ACK by 40 ms (TCP_DELACK_MIN)."""


def reset_reasons(event: Event) -> tuple[str, ...]:
    """Linux's names of the reasons, the most probable first; none where a device between sent it."""
    if isinstance(event, KeepaliveTimeout):
        return (load("reset_reasons")["keepalive"],)
    if not isinstance(event, ResetReceived) or event.segment.ttl_differs or event.segment.too_soon:
        return ()
    seen = _features(event)
    for case, reasons in _cases():
        if all(seen[key] in values for key, values in case.items()):
            return reasons
    return ()


def _features(event: ResetReceived) -> dict[str, object]:
    """What the cases look at."""
    segment, socket = event.segment, event.socket
    return {
        "form": segment.form,
        "answers": segment.answers,
        "after_probes": segment.after_probes,
        "sender": segment.sender_state,
        "receiver": socket.state,
        "role": SIDES[1 - event.side],
        "new": not segment.sender_took_part,
        "waiting": socket.unanswered,
        "receiver_sent": socket.bytes_sent > 0,
        "soon": segment.silence < _SOON_S,
    }


@cache
def _cases() -> tuple[tuple[dict[str, tuple[object, ...]], tuple[str, ...]], ...]:
    return tuple(_case(dict(case)) for case in load("reset_reasons")["cases"])


def _case(case: dict[str, Any]) -> tuple[dict[str, tuple[object, ...]], tuple[str, ...]]:
    reasons = tuple(case.pop("reasons"))
    return {key: tuple(v) if isinstance(v, list) else (v,) for key, v in case.items()}, reasons
