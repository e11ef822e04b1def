"""The same bytes again and again: told while it lasts, when it ends well, and when the system gives up.

RFC 6298 section 5; Linux tcp_retransmit_timer().
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from analyzer.model.event import Doubt, Event, Retransmission, RetransmissionTimeout, RetryView, Withdrawn
from analyzer.model.flow import SIDES, Kind, Segment
from analyzer.model.socket import Step
from analyzer.sockets.machine import ShadowSocket, what_is_sent
from analyzer.sockets.pair import COPY_NS, Pair, Told
from analyzer.sockets.probes import WINDOW
from analyzer.sockets.retries import (
    SECOND,
    Run,
    gives_up_at,
    is_exhausted,
    looks_orphaned,
    missing_at,
    next_timer,
)


class Retransmissions:
    """Runs of retransmissions, and of probes of a closed window, whose end would mean something."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    @property
    def deadline(self) -> int | None:
        """The next moment at which silence means something (nanoseconds since the epoch)."""
        due = [missing_at(run, socket.profile.retry) for socket, run in self._running()]
        return min(due, default=None)

    def pass_deadlines(self, clock: int) -> Iterator[Told]:
        """The capture's clock has come this far: what was due and did not come was given up."""
        for socket, run in self._running():
            if missing_at(run, socket.profile.retry) <= clock:
                yield self._gave_up(socket, run, stopped=True)

    def finish(self) -> Iterator[Told]:
        """No more segments will come: what can only be given up now, and was not seen to be."""
        for socket, run in self._running():
            if is_exhausted(run, socket.profile.retry):
                yield self._gave_up(socket, run, stopped=False)

    def again(self, sender: ShadowSocket, segment: Segment) -> Iterator[Told]:
        """A run counts from the first transmission; single retransmissions are not looked at one by one."""
        _, peer = self._pair.sent(sender)
        run, what = sender.run, what_is_sent(segment)
        if run is None or run.seq != segment.seq or run.what != what:
            run = self._begin(sender, segment, what)
        if segment.time - run.last < COPY_NS:
            return
        run.answers += peer.last_time > run.last
        run.again(segment.time, segment.number)
        if _is_told(run):
            view = _retry_view(run, sender, stopped=False)
            key = _run_key(sender, run, "retry")
            yield self._pair.event(Retransmission, sender, segment.time, run.frames, key, set(), retry=view)

    def recoveries(self, time: int) -> Iterator[Told]:
        """Runs that were acknowledged at last."""
        for socket in self._pair.sockets:
            run, socket.recovered = socket.recovered, None
            if run and _is_told(run):
                yield Withdrawn(self._pair.flow.id, _run_key(socket, run, "retry"))
                view = _retry_view(run, socket, stopped=False, recovered=True)
                key = f"recovered {SIDES[socket.side]}"  # the last one stands for all of them
                yield self._pair.event(Retransmission, socket, time, run.frames, key, set(), retry=view)

    def gives_up_by(self, reset: Segment) -> Iterator[Told]:
        """A reset tells that its sender tried in vain, if its system sends one when it gives up."""
        sender = self._pair.sockets[reset.side]
        schedule = sender.profile.retry
        if not schedule.reset_at_end:
            return
        runs = [run for socket, run in self._running() if socket is sender and is_exhausted(run, schedule)]
        if runs:
            yield self._gave_up(sender, runs[0], stopped=True, reset=reset)

    def _running(self) -> list[tuple[ShadowSocket, Run]]:
        live = [s for s in self._pair.sockets if not s.closed]
        return [
            *((s, s.run) for s in live if s.run and s.run.count),
            *((s, s.probing) for s in live if s.probing and s.probing.what == WINDOW),
        ]

    def _begin(self, sender: ShadowSocket, segment: Segment, what: str) -> Run:
        own, _ = self._pair.sent(sender)
        syn = what in ("syn", "syn-ack")
        time = sender.syn_time if syn else own.last_data_time
        number = sender.syn_number if syn else own.last_data_number
        run = sender.run = Run(what, segment.seq, time if number else segment.time, number)
        known = own.resent_number and own.resent_seq == segment.seq and own.resent_time > run.last + COPY_NS
        if segment.kinds & Kind.REPEATED and known:
            run.again(own.resent_time, own.resent_number)
        return run

    def _gave_up(
        self, socket: ShadowSocket, run: Run, *, stopped: bool, reset: Segment | None = None
    ) -> Event:
        schedule = socket.profile.retry
        time = reset.time if reset else next_timer(run, schedule)
        frames = (*run.frames, reset.number) if reset else run.frames
        doubts = set()
        if not stopped:
            doubts.add(Doubt.NO_LATER_FRAME)
        elif not is_exhausted(run, schedule):
            doubts.add(Doubt.OWN_LIMIT)
            if looks_orphaned(run, schedule):
                doubts.add(Doubt.MAYBE_CLOSED)
        key = _run_key(socket, run, "timeout")
        view = _retry_view(run, socket, stopped=stopped)
        event = self._pair.event(RetransmissionTimeout, socket, time, frames, key, doubts, retry=view)
        self._pair.end(socket, key, time, 0, Step.GIVE_UP)
        return event


def _is_told(run: Run) -> bool:
    """One retransmission is everyday, but of a SYN."""
    return run.count > 1 or run.what == "syn"


def _run_key(socket: ShadowSocket, run: Run, name: str) -> str:
    return f"{name} {SIDES[socket.side]} {run.what} {run.seq} {run.first_time}"


def _retry_view(run: Run, socket: ShadowSocket, *, stopped: bool, recovered: bool = False) -> RetryView:
    schedule = socket.profile.retry
    end = gives_up_at(run, schedule)
    return RetryView(
        what=run.what,
        count=run.count,
        elapsed=run.elapsed / SECOND,
        last_interval=run.last_interval / SECOND,
        next_due=utc(next_timer(run, schedule)),
        gives_up_at=utc(end),
        gives_up_after=(end - run.first_time) / SECOND,
        answered=run.answers * 2 > run.count,
        soft_errno=socket.soft_errno,
        exhausted=is_exhausted(run, schedule),
        stopped=stopped,
        recovered=recovered,
    )


def utc(time: int) -> str:
    """Nanoseconds since the epoch as date and time of day."""
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
