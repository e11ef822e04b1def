"""A next hop that nobody answers for: what was to be sent waits until the questions have failed.

Linux: net/core/neighbour.c, neigh_timer_handler(); ipv4_link_failure() and ip6_link_failure() then tell TCP,
which ends a connection attempt, and goes on with a connection (tcp_v4_err(), tcp_ld_RTO_revert()).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analyzer.model.neighbour import Asked
from analyzer.sockets.profiles import Questions, RetrySchedule
from analyzer.sockets.retries import SECOND, Run, next_interval

_LATE_LEAST = SECOND // 10
_EARLY = SECOND // 200
"""By how much a timer may seem late at least, and one of a SYN early (nanoseconds).

Measured: of 1,200 intervals of a second none was early, all were 0.2 to 35 ms late, as Linux rounds up. A
program whose own timer fires on the second, and which then turns to another host, asks for that before.
"""
_MOSTLY, _SLACK = SECOND * 3 // 10, SECOND // 2
"""How long after the last question has failed that is looked at: first, and at the latest (nanoseconds)."""


class NextHop(NamedTuple):
    """Who did not answer when a retransmission was due.

    ``time``: when the attempt that this one waited for had failed (nanoseconds); ``asked``: the questions
    since the last transmission; ``frames``: those of the attempt; ``last``: when it was asked last;
    ``is_peer``: no router, but the other end; ``begun_for_it``: nobody was asking before it was due.
    """

    address: str
    time: int
    asked: int
    frames: tuple[int, ...]
    last: int
    is_peer: bool
    begun_for_it: bool


def known_by(run: Run, schedule: RetrySchedule, rules: Questions) -> tuple[int, int]:
    """When the questions for what is due next have failed, if nobody answers: mostly, and at the latest."""
    interval = next_interval(run, schedule)
    failed = run.last + interval + rules.tries * rules.step
    return failed + _MOSTLY, failed + _late(interval) + _SLACK


def next_hop(
    run: Run, schedule: RetrySchedule, rules: Questions, asked: Sequence[Asked], peer: str
) -> NextHop | None:
    """Whom its host asked in vain when the next transmission of the run was due; the peer itself first.

    ``asked`` is what it asked since the last transmission. That was sent, so that who had been asked in vain
    before is no router of this connection; nor, while it opens, who was asked before the next one was due:
    its program may have lost patience.
    """
    found = []
    for one in asked:
        is_peer = one.target == peer
        if not is_peer and one.before:
            continue
        hop = _attempt(run, schedule, rules, one, is_peer=is_peer)
        if hop and (is_peer or hop.begun_for_it or run.what != "syn"):
            found.append(hop)
    return min(found, key=lambda hop: (not hop.is_peer, not hop.begun_for_it, hop.time), default=None)


def _attempt(
    run: Run, schedule: RetrySchedule, rules: Questions, asked: Asked, *, is_peer: bool
) -> NextHop | None:
    """The attempt that was going on when the transmission was due, all of its questions asked."""
    interval = next_interval(run, schedule)
    due, late = run.last + interval, _late(interval)
    # The timeout of data is known from one that was late itself.
    early = _EARLY if run.what == "syn" else late
    times, begin, first = asked.times, 0, 0
    for place, time in enumerate(times):
        if place and time - times[place - 1] > rules.step * 3 // 2:
            begin = first = place
        if place - first == rules.tries - 1:
            failed = time + rules.step
            if times[first] > due + late:
                return None
            if failed >= due - early:
                frames = asked.frames[first : place + 1]
                begun_for_it = times[begin] >= due - early
                count = len(times)
                return NextHop(asked.target, failed, count, frames, times[-1], is_peer, begun_for_it)
            first = place + 1
    return None


def quiet_at(run: Run, schedule: RetrySchedule, rules: Questions, version: int, hop: NextHop) -> int:
    """When another question must be said not to have come: the connection was given up."""
    begin, due = _next_try(run, schedule, rules, version, hop)
    return due + max(_SLACK, (due - begin) // 2)


def given_up_at(run: Run, schedule: RetrySchedule, rules: Questions, version: int, hop: NextHop) -> int:
    """When the timer fired that ended it, at the earliest (nanoseconds): the intervals were late as well."""
    begin, due = _next_try(run, schedule, rules, version, hop)
    return max(hop.last + rules.step, due - (due - begin) // 16)


def _next_try(
    run: Run, schedule: RetrySchedule, rules: Questions, version: int, hop: NextHop
) -> tuple[int, int]:
    """When it was last tried to send, and the timer fires next, which tries again or gives up (nanoseconds).

    Each failure takes back one doubling of the timeout for IPv4, so that the next try comes as long after
    the last as that after the last transmission, or right after the failure (measured). For IPv6 it doubles.
    """
    step = next_interval(run, schedule)
    begin, failed = hop.last - (rules.tries - 1) * rules.step, hop.last + rules.step
    if version == 6:
        step = min(step << min(hop.asked // rules.tries, 64), round(schedule.rto_max * SECOND))
    return begin, max(begin + step, failed + round(schedule.rto_min * SECOND))


def _late(interval: int) -> int:
    """By how much a timer may fire late: Linux rounds up, by an eighth at most (kernel/time/timer.c)."""
    return max(_LATE_LEAST, interval // 8)
