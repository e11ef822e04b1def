"""Keepalive probes and probes of a closed window.

RFC 9293 sections 3.8.4 and 3.8.6.1; Linux tcp_keepalive_timer() and tcp_probe_timer().
"""

from __future__ import annotations

from analyzer.model.flow import Segment, Totals
from analyzer.sockets.profiles import RetrySchedule
from analyzer.sockets.retries import SECOND, Run

WINDOW, KEEPALIVE = "probe", "keepalive"
STALL_NS = SECOND
"""A window that is closed for less is everyday."""
_TIMER_NS = SECOND * 6 // 100


def window_is_closed(peer: Totals) -> bool:
    """The last that this end announced is a window of 0."""
    return peer.window_number > 0 and peer.window == 0


def unanswered_run(run: Run | None, segment: Segment, own: Totals, peer: Totals) -> Run:
    """The run of unanswered probes with this one, which is not the first."""
    what = WINDOW if window_is_closed(peer) else KEEPALIVE
    if run is None or run.what != what or run.numbers[-1] != own.probe_number:
        run = Run(what, segment.seq, own.probe_time, own.probe_number, count=own.probes)
    run.again(segment.time, segment.number)
    return run


def is_answered(run: Run, peer: Totals) -> bool:
    """The other end has been heard of since the last probe."""
    return peer.last_number > run.numbers[-1]


def keepalive_gives_up_at(run: Run, schedule: RetrySchedule) -> int:
    """When the system would reset the connection; 0 where its count is another one (nanoseconds)."""
    left = schedule.keepalive_probes + 1 - run.count
    return run.last + left * run.last_interval if left > 0 else 0


def keepalive_gave_up(reset: Segment, run: Run | None, own: Totals, peer: Totals) -> bool:
    """A reset of an end's own comes when its next probe was due.

    A single probe does not tell the interval: that it is a whole number of seconds must do.
    """
    if not own.probes or window_is_closed(peer) or reset.seq != own.seq_end:
        return False
    gap = reset.time - own.probe_time
    if run and run.what == KEEPALIVE and run.numbers[-1] == own.probe_number:
        return abs(gap - run.last_interval) <= run.last_interval // 10 + _TIMER_NS
    late = gap % SECOND
    return own.probes == 1 and gap >= SECOND and late <= _TIMER_NS + gap // 50
