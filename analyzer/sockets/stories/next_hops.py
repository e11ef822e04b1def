"""Retransmissions that end because nobody answers for the hardware address of the next hop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from analyzer.model.event import Doubt, Retransmission, RetransmissionTimeout
from analyzer.model.flow import FlowEnd
from analyzer.model.socket import Step
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.next_hops import NextHop, given_up_at, known_by, next_hop, quiet_at
from analyzer.sockets.pair import Pair
from analyzer.sockets.profiles import RetrySchedule
from analyzer.sockets.retries import SECOND, Run, is_exhausted
from analyzer.sockets.stories.runs import retry_view, run_key


@dataclass(slots=True)
class _Look:
    """When to look again at a run that ended, or goes no further than its host (nanoseconds); 0: never."""

    run: Run
    at: int


class NextHops:
    """Whether that is why a retransmission did not come. Looks once the questions must have failed.

    Until then it counts as given up. A connection attempt is over then; a connection goes on behind the
    capture's back, for as long as questions come.
    """

    __slots__ = ("_looks", "_pair")

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._looks: dict[int, _Look] = {}
        """By side."""

    @property
    def due(self) -> list[int]:
        """The moments at which it looks (nanoseconds since the epoch)."""
        return [look.at for look in self._looks.values()] if self._looks else []

    def may_be_why(self, socket: ShadowSocket, run: Run, missing: int) -> None:
        """The next transmission of a run did not come until then."""
        questions = socket.profile.questions
        if questions and _may_go_on(socket, run):
            soon, _ = known_by(run, socket.profile.retry, questions)
            self._looks[socket.side] = _Look(run, max(missing, soon))

    def pass_deadlines(self, clock: int) -> None:
        """The capture's clock has come this far."""
        if not self._looks:
            return  # as mostly
        for side, look in list(self._looks.items()):
            while look.at and look.at <= clock:
                look.at = self._look(self._pair.sockets[side], look.run, look.at)
            if not look.at:
                del self._looks[side]

    def finish(self, running: Iterable[tuple[ShadowSocket, Run]], end: FlowEnd) -> None:
        """No more segments will come; ``running`` are the runs whose next transmission may still come."""
        waiting = [(self._pair.sockets[side], look.run) for side, look in self._looks.items()]
        self._looks = {}
        for socket, run in [*waiting, *running]:
            if _may_go_on(socket, run):
                self._look(socket, run, end.clock + 1, end)

    def _look(self, socket: ShadowSocket, run: Run, until: int, end: FlowEnd | None = None) -> int:
        """Say whether that is why, as far as is known before ``until``; when to look again, or 0."""
        questions, schedule = socket.profile.questions, socket.profile.retry
        ended = socket.fatal is not None and socket.fatal.run_before is run
        if questions is None or not (ended or socket.run is run):
            return 0  # it went on
        asked = self._pair.asked_in_vain(socket, run.last, until)
        peer = self._pair.address(self._pair.other(socket))
        hop = next_hop(run, schedule, questions, asked, peer)
        if hop is None or (hop.time > until and (end is None or end.closed)):
            _, latest = known_by(run, schedule, questions)
            return latest if until < latest else 0
        if ended:
            self._pair.revive(socket)
        run.next_hop, run.asked = hop.address, hop.asked
        if run.what == "syn":
            late = {Doubt.NO_LATER_ANSWER} if hop.time > until else set()
            self._no_way(socket, run, hop, hop.time, _doubts(hop) | late)
            return 0
        self._waits(socket, run, hop)
        version = self._pair.flow.version
        quiet = quiet_at(run, schedule, questions, version, hop)
        time = given_up_at(run, schedule, questions, version, hop)
        early = _doubts_of_end(run, schedule, time)
        if quiet > until and (end is None or early):
            return quiet
        doubts = _doubts(hop) | early | ({Doubt.NO_LATER_FRAME} if quiet > until else set())
        self._no_way(socket, run, hop, time, doubts)
        return 0

    def _waits(self, socket: ShadowSocket, run: Run, hop: NextHop) -> None:
        """What is due goes no further than this end's host."""
        view = retry_view(self._pair, run, socket, stopped=False)
        frames, key = (*run.frames, *hop.frames), run_key(socket, run, "retry")
        event = self._pair.event(Retransmission, socket, hop.time, frames, key, _doubts(hop), retry=view)
        self._pair.tell(event)

    def _no_way(self, socket: ShadowSocket, run: Run, hop: NextHop, time: int, doubts: set[Doubt]) -> None:
        """Its system gave up."""
        view = retry_view(self._pair, run, socket, stopped=True)
        frames, key = (*run.frames, *hop.frames), run_key(socket, run, "timeout")
        event = self._pair.event(RetransmissionTimeout, socket, time, frames, key, doubts, retry=view)
        self._pair.tell(event)
        self._pair.end(socket, key, time, 0, Step.GIVE_UP)


def _may_go_on(socket: ShadowSocket, run: Run) -> bool:
    """Whether another transmission can be due: else what is asked for is for somebody else."""
    return run.what in ("syn", "data") and not is_exhausted(run, socket.profile.retry)


def _doubts(hop: NextHop) -> set[Doubt]:
    if hop.begun_for_it:
        return set() if hop.is_peer else {Doubt.NEXT_HOP_GUESSED}
    return {Doubt.ASKED_BEFORE if hop.is_peer else Doubt.NEXT_HOP_BUSY}


def _doubts_of_end(run: Run, schedule: RetrySchedule, time: int) -> set[Doubt]:
    """Whether a connection was given up so early because it was set so, or had been closed before."""
    lasted = time - run.begun
    if lasted >= schedule.data_limit * SECOND * 0.99:
        return set()
    closed = schedule.orphan_limit * SECOND
    early = {Doubt.OWN_LIMIT}
    return early | {Doubt.MAYBE_CLOSED} if closed * 0.8 < lasted < closed * 1.3 else early
