"""Runs of retransmissions: how long they have lasted, when the next is due, when the system gives up.

Linux: net/ipv4/tcp_timer.c, tcp_write_timeout() and retransmits_timed_out(); the numbers are in the profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from analyzer.sockets.profiles import RetrySchedule, model_time

SECOND = 10**9
_KEPT_FRAMES = 32
_LATE = 0.5
"""A retransmission counts as missing half an interval after it was due: timers are late, never that late."""
_LATE_LEAST_S = 0.3
_TIMERS_LATE = 0.99
"""Real timers are a little late, so that the model time is over one of them earlier than it says."""
_DOUBLED = (1.7, 2.4)
"""How much longer than an interval the next one is, where both are one timer's."""
_OPENING = ("syn", "syn-ack")


@dataclass(slots=True)
class Run:
    """Transmissions of the same bytes that nobody acknowledged. Times in nanoseconds.

    ``first_number`` is the frame of the first transmission, 0 where it was not captured; ``answers`` counts
    those after which the other end sent something before the next one, ``echoes`` those after which that was
    what it had sent before; ``length`` is the payload of the last one; ``last_interval``
    lies between the last two transmissions, ``first_interval`` between the first two. ``begun``: the first
    retransmission by the timer whose limits count.
    ``next_hop``: what is due waits for that address, ``asked`` for so often. ``end`` is what gives_up_at has
    said since the last transmission, and by which schedule.
    """

    what: str
    seq: int
    first_time: int
    first_number: int
    count: int = 0
    answers: int = 0
    last: int = 0
    last_interval: int = 0
    first_interval: int = 0
    begun: int = 0
    numbers: tuple[int, ...] = ()
    length: int = 0
    echoes: int = 0
    next_hop: str = ""
    asked: int = 0
    end: tuple[RetrySchedule, int] | None = None

    def __post_init__(self) -> None:
        self.last = self.begun = self.first_time

    def again(self, time: int, number: int) -> None:
        """One more retransmission."""
        self.last_interval, self.last = time - self.last, time
        if self.count == 0:
            self.first_interval, self.begun = self.last_interval, time
        elif self.count == 1 and not self._has_doubled():
            self.begun = time
        self.count += 1
        self.next_hop, self.asked, self.end = "", 0, None
        self.numbers = (*self.numbers[-(_KEPT_FRAMES - 1) :], number)

    def _has_doubled(self) -> bool:
        """Else the first one was a probe (RFC 8985), after which Linux's timer begins anew."""
        least, most = _DOUBLED
        return self.first_interval * least < self.last_interval < self.first_interval * most

    @property
    def frames(self) -> tuple[int, ...]:
        """The first transmission and the last retransmissions."""
        return (self.first_number, *self.numbers) if self.first_number else self.numbers

    @property
    def elapsed(self) -> int:
        """Time from the first transmission to the last."""
        return self.last - self.first_time


def next_interval(run: Run, schedule: RetrySchedule) -> int:
    """How long after the last transmission the next one is due (nanoseconds)."""
    if run.what == "syn" and _is_linear(run, schedule):
        return _nominal(run, schedule)
    doubled = min(_nominal(run, schedule) * 2, round(schedule.rto_max * SECOND))
    return max(doubled, round(schedule.rto_min * SECOND))


def _nominal(run: Run, schedule: RetrySchedule) -> int:
    """The last interval; of SYN and SYN-ACK without what the timer was late, as their first one is known."""
    if run.what not in _OPENING or run.last_interval <= 0:
        return run.last_interval
    initial = round(schedule.rto_initial * SECOND)
    return initial << max(0, round(log2(run.last_interval / initial)))


def next_timer(run: Run, schedule: RetrySchedule) -> int:
    """When the timer fires that sends again or gives up (nanoseconds since the epoch)."""
    due, end = run.last + next_interval(run, schedule), gives_up_at(run, schedule)
    return min(due, end) if end > run.last else due


def missing_at(run: Run, schedule: RetrySchedule) -> int:
    """The time from which on the next retransmission must be said not to have come."""
    interval = next_timer(run, schedule) - run.last
    return run.last + interval + max(round(interval * _LATE), round(_LATE_LEAST_S * SECOND))


def _is_linear(run: Run, schedule: RetrySchedule) -> bool:
    """Linux 6.5 and later begin connect() with equal steps; told by the second step not having doubled."""
    return 2 <= run.count <= schedule.syn_linear and run.last_interval < _first_step(run, schedule) * 1.5


def _first_step(run: Run, schedule: RetrySchedule) -> int:
    """Of a SYN that met an ACK of another connection the first one comes at once, not by the timer."""
    return max(run.first_interval, round(schedule.rto_initial * SECOND))


def gives_up_at(run: Run, schedule: RetrySchedule) -> int:
    """When the system gives up, its settings being those of the schedule (nanoseconds since the epoch).

    Every segment asks for that anew, so it is worked out once for each transmission.
    """
    if run.end is None or run.end[0] is not schedule:
        run.end = schedule, _gives_up_at(run, schedule)
    return run.end[1]


def _gives_up_at(run: Run, schedule: RetrySchedule) -> int:
    user = round(schedule.user_timeout * SECOND)
    if user and run.what == "data":  # in place of the other time
        return run.begun + user
    ends = [_by_retries(run, schedule)]
    if run.what == "syn" and schedule.connect_limit:
        ends.append(run.first_time + round(schedule.connect_limit * SECOND))
    if user:
        ends.append((run.first_time if run.what == "syn" else run.begun) + user)
    return min(ends)


def _by_retries(run: Run, schedule: RetrySchedule) -> int:
    if run.what in _OPENING:
        return _opening_gives_up(run, schedule)
    return _probes_give_up(run, schedule) if run.what == "probe" else _data_gives_up(run, schedule)


def _data_gives_up(run: Run, schedule: RetrySchedule) -> int:
    """Linux ends by time, at the next timer; others count."""
    limit = run.begun + round(schedule.data_limit * SECOND * _TIMERS_LATE)
    interval, tried = next_interval(run, schedule), run.count
    time = run.last + interval
    while tried < schedule.data_retries if schedule.data_retries else time < limit:
        interval = min(interval * 2, round(schedule.rto_max * SECOND))
        time += interval
        tried += 1
    return time


def _opening_gives_up(run: Run, schedule: RetrySchedule) -> int:
    """SYN and SYN-ACK are counted; the linear steps of connect() come on top; a time may end it before."""
    linear = schedule.syn_linear if run.what == "syn" and _took_linear_steps(run, schedule) else 0
    retries = schedule.syn_retries if run.what == "syn" else schedule.synack_retries
    limit = _syn_limit(run, schedule)
    time, step = run.last, _nominal(run, schedule)
    for count in range(run.count, max(retries + linear, run.count) + 1):
        if count > linear:
            step = min(step * 2, round(schedule.rto_max * SECOND))
        time += step
        if limit and time >= limit:
            break
    return time


def _syn_limit(run: Run, schedule: RetrySchedule) -> int:
    """From when on the next timer ends a connect() whatever was counted; a user timeout takes its place."""
    if run.what != "syn" or not schedule.syn_limit or schedule.user_timeout:
        return 0
    return run.first_time + round(schedule.syn_limit * SECOND * _TIMERS_LATE)


def limit_that_fits(run: Run, schedule: RetrySchedule) -> int | None:
    """The lower number of retries of SYNs after which the system itself ends it just so; 0: there is none.

    None where that is not known.
    """
    if run.what != "syn" or not schedule.syn_limit or run.count < 2:
        return None
    linear = schedule.syn_linear if _took_linear_steps(run, schedule) else 0
    fitting = (n for n in range(1, schedule.syn_retries) if _syns_of(n, linear, schedule) == run.count)
    return next(fitting, 0)


def _syns_of(retries: int, linear: int, schedule: RetrySchedule) -> int:
    """How often a SYN is sent again with this limit."""
    time = step = schedule.rto_initial
    limit, count = model_time(retries, schedule.rto_initial, schedule.rto_max), 0
    while count < retries + linear and time < limit:
        count += 1
        if count > linear:
            step = min(step * 2, schedule.rto_max)
        time += step
    return count


def _probes_give_up(run: Run, schedule: RetrySchedule) -> int:
    """Probes of a closed window are counted: Linux tcp_probe_timer()."""
    time, step = run.last, next_interval(run, schedule)
    for _ in range(run.count, max(schedule.window_probes, run.count) + 1):
        time += step
        step = min(step * 2, round(schedule.rto_max * SECOND))
    return time


def _took_linear_steps(run: Run, schedule: RetrySchedule) -> bool:
    """Whether there are more of them than doubling allows; after one interval it is taken to be so."""
    if run.count < 2:
        return True
    doubling = _first_step(run, schedule) * ((1 << min(run.count, 64)) - 1)
    return run.elapsed * 4 < doubling * 3


def looks_orphaned(run: Run, schedule: RetrySchedule) -> bool:
    """As many and as long as for a socket that its program has closed (Linux tcp_out_of_resources())."""
    doublings = schedule.rto_min * SECOND * ((1 << schedule.orphan_retries) - 1)
    return abs(run.count - schedule.orphan_retries) <= 1 and run.elapsed * 2 > doublings


def is_exhausted(run: Run, schedule: RetrySchedule) -> bool:
    """No further retransmission would come: the next timer ends it."""
    may_be_linear = run.what == "syn" and run.count < 2 and schedule.syn_linear > 0
    interval = _nominal(run, schedule) if may_be_linear else next_interval(run, schedule)
    return gives_up_at(run, schedule) - run.last <= interval * 1.01
