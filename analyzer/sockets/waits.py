"""A client's wait for an answer: what ended it, and how sure it is that one was due."""

from __future__ import annotations

from analyzer.model.event import Doubt, WaitView
from analyzer.model.flow import Flow, Totals
from analyzer.model.seq import distance
from analyzer.sockets.probes import window_is_closed
from analyzer.sockets.retries import SECOND

_ONE_BURST_NS = SECOND // 20
_ONE_WAY_NS = 5 * SECOND
"""A client that sends for so long without a byte from the other end expects none: logs, measurements."""
_FAREWELL = 40
"""Bytes of the longest message that may be a farewell: TLS close_notify takes up to 37, QUIT 6."""
_EPHEMERAL = 1 << 15
_EARLY_NS, _LATE_NS = SECOND // 100, SECOND * 6 // 100
"""By how much a wait may miss its round number: the clock starts after send(), and timers are late."""


def wait_view(
    ended: int, own: Totals, peer: Totals, acknowledged: int | None, *, reset: bool = False
) -> WaitView:
    """The wait of an end; ``own`` and ``peer`` as it ended, ``acknowledged``: the other end's last ACK."""
    waited = ended - own.last_data_time
    complete = acknowledged is not None and distance(own.seq_end, acknowledged) >= 0
    return WaitView(
        seconds=waited / SECOND,
        acknowledged=complete,
        request="had acknowledged" if complete else "had not acknowledged",
        answered_before=peer.last_data_number > 0,
        one_way=not peer.last_data_number and own.last_data_time - own.turn_time > _ONE_WAY_NS,
        round_time=_is_round(waited),
        refused=False,
        reset=reset,
        window_closed=window_is_closed(peer),
    )


def doubts_that_an_answer_was_due(view: WaitView, own: Totals, peer: Totals) -> set[Doubt]:
    """What else the last data of a client may have been."""
    if not peer.last_data_number:
        several = own.last_data_time - own.turn_time > _ONE_BURST_NS
        return {Doubt.MAYBE_ONE_WAY if several else Doubt.NEVER_ANSWERED}
    if own.last_data_time - own.turn_time > _ONE_WAY_NS:
        return {Doubt.MAYBE_ONE_WAY}
    single = own.turn_time == own.last_data_time
    farewell = view.acknowledged and single and own.last_data_length <= _FAREWELL
    return {Doubt.MAYBE_FAREWELL} if farewell else set()


def doubts_of_patience(view: WaitView) -> set[Doubt]:
    """Why a client that closed may have had another reason than its own timer."""
    return {Doubt.OWN_TIMER} if view.round_time else {Doubt.OWN_TIMER, Doubt.NO_ROUND_TIME}


def roles_are_known(flow: Flow) -> bool:
    """Which end asks and which one answers; without the handshake the ports must tell."""
    return not flow.client_guessed or flow.server.port < _EPHEMERAL <= flow.client.port


def _is_round(waited: int) -> bool:
    """Whole seconds up to ten, then multiples of 5, from a minute on of 30."""
    seconds = (waited + _EARLY_NS) // SECOND
    step = 1 if seconds <= 10 else 5 if seconds < 60 else 30
    late = _LATE_NS + waited // 500
    return seconds > 0 and seconds % step == 0 and waited - seconds * SECOND <= late
