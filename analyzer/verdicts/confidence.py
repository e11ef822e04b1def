"""How sure a verdict is: the evidence of its outcome, lowered by every doubt."""

from __future__ import annotations

from functools import lru_cache

from analyzer.model.event import Doubt
from analyzer.model.finding import Confidence
from analyzer.model.rule import Evidence

_ORDER = (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE)

BY_EVIDENCE = {
    Evidence.MEASURED: Confidence.CERTAIN,
    Evidence.SOURCE: Confidence.LIKELY,
    Evidence.REPORT: Confidence.POSSIBLE,
}

BY_DOUBT = {
    Doubt.HANDSHAKE_NOT_SEEN: Confidence.LIKELY,
    Doubt.ONE_DIRECTION: Confidence.POSSIBLE,
    Doubt.PACKETS_DROPPED: Confidence.LIKELY,
    Doubt.BYTES_NOT_CAPTURED: Confidence.LIKELY,
    Doubt.RESET_NUMBER_UNPROVEN: Confidence.POSSIBLE,
    Doubt.ANOTHER_SYSTEM: Confidence.POSSIBLE,
    Doubt.SYSTEM_GUESSED: Confidence.POSSIBLE,
    Doubt.SENDER_UNANSWERED: Confidence.POSSIBLE,
    Doubt.FIN_UNPROVEN: Confidence.LIKELY,
    Doubt.EARLIER_RESET_IN_VAIN: Confidence.POSSIBLE,
    Doubt.MAY_NOT_HAVE_ARRIVED: Confidence.LIKELY,
    Doubt.CONNECT_MAY_HOLD_THE_SOCKET: Confidence.LIKELY,
    Doubt.CONNECT_MAY_HAVE_RETURNED: Confidence.LIKELY,
    Doubt.NO_LATER_FRAME: Confidence.LIKELY,
    Doubt.OWN_LIMIT: Confidence.LIKELY,
    Doubt.NEXT_HOP_GUESSED: Confidence.POSSIBLE,
    Doubt.NEXT_HOP_BUSY: Confidence.POSSIBLE,
    Doubt.ASKED_BEFORE: Confidence.LIKELY,
    Doubt.NO_LATER_ANSWER: Confidence.LIKELY,
    Doubt.SYN_NOT_SEEN: Confidence.POSSIBLE,
    Doubt.CONNECT_MAY_HAVE_GIVEN_UP: Confidence.LIKELY,
    Doubt.MAYBE_CLOSED: Confidence.POSSIBLE,
    Doubt.NOT_CONNECTED: Confidence.POSSIBLE,
    Doubt.INTERVAL_UNPROVEN: Confidence.LIKELY,
    Doubt.NEVER_ANSWERED: Confidence.LIKELY,
    Doubt.MAYBE_ONE_WAY: Confidence.POSSIBLE,
    Doubt.MAYBE_FAREWELL: Confidence.POSSIBLE,
    Doubt.NOT_READ: Confidence.LIKELY,
    Doubt.PAYLOAD_CUT: Confidence.LIKELY,
    Doubt.SERVER_ASKS: Confidence.POSSIBLE,
    Doubt.OWN_TIMER: Confidence.LIKELY,
    Doubt.NO_ROUND_TIME: Confidence.POSSIBLE,
}


@lru_cache(maxsize=1024)
def confidence(evidence: Evidence, doubts: frozenset[Doubt]) -> Confidence:
    """The word for an outcome known by this evidence, with these doubts about what happened."""
    words = [BY_EVIDENCE[evidence], *(BY_DOUBT[doubt] for doubt in doubts)]
    return max(words, key=_ORDER.index)
