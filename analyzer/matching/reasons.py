"""Why a reset was sent: the candidates of data/reset_reasons.yaml, by its form and what came before."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

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
    return _reasons(_features(event))


class _Features(NamedTuple):
    """What the cases look at: words and yes or no, so that there are few different ones."""

    form: str
    answers: str
    after_probes: bool
    sender: str
    receiver: str
    role: str
    new: bool
    waiting: bool
    receiver_sent: bool
    soon: bool


def _features(event: ResetReceived) -> _Features:
    segment, socket = event.segment, event.socket
    return _Features(
        form=segment.form,
        answers=segment.answers,
        after_probes=segment.after_probes,
        sender=segment.sender_state,
        receiver=socket.state,
        role=SIDES[1 - event.side],
        new=not segment.sender_took_part,
        waiting=socket.unanswered,
        receiver_sent=socket.bytes_sent > 0,
        soon=segment.silence < _SOON_S,
    )


@lru_cache(maxsize=4096)
def _reasons(seen: _Features) -> tuple[str, ...]:
    """The first case that fits; a capture has the same few features again and again."""
    for case, reasons in _cases():
        if all(getattr(seen, key) in values for key, values in case.items()):
            return reasons
    return ()


@cache
def _cases() -> tuple[tuple[dict[str, tuple[object, ...]], tuple[str, ...]], ...]:
    return tuple(_case(dict(case)) for case in load("reset_reasons")["cases"])


def _case(case: dict[str, Any]) -> tuple[dict[str, tuple[object, ...]], tuple[str, ...]]:
    reasons = tuple(case.pop("reasons"))
    return {key: tuple(v) if isinstance(v, list) else (v,) for key, v in case.items()}, reasons
