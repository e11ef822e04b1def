"""What is told of a run of retransmissions."""

from __future__ import annotations

from analyzer.model.event import RetryView
from analyzer.model.flow import SIDES
from analyzer.model.seq import add, distance
from analyzer.model.times import utc
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.pair import Pair
from analyzer.sockets.profiles import RetrySchedule
from analyzer.sockets.retries import SECOND, Run, gives_up_at, is_exhausted, limit_that_fits, next_timer


def retry_view(
    pair: Pair, run: Run, socket: ShadowSocket, *, stopped: bool, recovered: bool = False
) -> RetryView:
    """What a rule may see of a run."""
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
        answered=run.answers * 2 > run.count and not socket.unheard,
        unheard=socket.unheard or pair.other(socket).unheard,
        echoed=run.echoes * 2 > run.count,
        length=run.length,
        delivered=_delivered(pair, socket),
        in_vain=0,
        ignored=0,
        soft_errno=socket.soft_errno,
        next_hop=run.next_hop,
        asked=run.asked,
        fits=_fits(run, schedule) if stopped else "",
        exhausted=is_exhausted(run, schedule),
        stopped=stopped,
        recovered=recovered,
    )


def _fits(run: Run, schedule: RetrySchedule) -> str:
    """What a limit that is not known would have to be, had the system ended it."""
    limit = limit_that_fits(run, schedule)
    if limit is None:
        return ""
    if limit:
        retries = f"{limit} {'retry' if limit == 1 else 'retries'}"
        return f"A limit of {retries} ends it so, and so does a timer of the program."
    return "If the capture has all of them, no number of retries ends it so: a time does."


def _delivered(pair: Pair, socket: ShadowSocket) -> int:
    """Payload bytes of that end that were acknowledged, 0 where its first number is not known."""
    own, peer = pair.sent(socket)
    if socket.initial is None or not peer.has_ack or distance(own.seq_end, peer.ack) > 0:
        return 0
    return max(distance(add(socket.initial, 1), peer.ack), 0)


def run_key(socket: ShadowSocket, run: Run, name: str) -> str:
    """The key of the event of that name."""
    return f"{name} {SIDES[socket.side]} {run.what} {run.seq} {run.first_time}"
