"""The flows of a capture, shared out: an engine follows each share, and what they found is put together.

What concerns several shares is told them by who sees all rows: which SYNs are one packet (flows/legs.py). All
else belongs to one flow, or can be added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.keys import Sorted
from analyzer.flows.legs import ELSEWHERE, ToldLegs, Twins
from analyzer.model.finding import FlowResult
from analyzer.model.report import Totals
from analyzer.model.summary import LegRows, Summary
from analyzer.parallel import Beside, KilledError, received, send
from analyzer.pipeline.begun import AnewError, Begun
from analyzer.pipeline.engine import Engine, ReadMessages
from analyzer.pipeline.found import Found
from analyzer.pipeline.front import Front
from analyzer.pipeline.messages import Heard
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Numbers = NDArray[np.int64]
"""Of the flows of a share, by their numbers in it, those that they have in the whole: (flows,), ascending."""


class Makes(Protocol):
    """Gives an engine that has seen nothing."""

    def __call__(self, *, legs: ToldLegs) -> Engine:
        """For a share, see Engine."""


@dataclass(slots=True)
class Share:
    """What was found of a share; flows have their numbers in the whole.

    again: connections that another flow showed first: LEG rows, with that one's SYN as their first flow;
    firsts: by such a SYN's number the flow that it is of, and what is known of it.
    """

    found: Found
    again: list[LegRows]
    firsts: dict[int, tuple[int, np.void]]


class Shares:
    """Takes the place of an engine: follows a share of the flows, and has other processes follow the others.

    ``make`` gives an engine that has seen nothing; ``begun`` gives the rows to as many takers as there are
    to be shares. Raises AnewError, here and wherever rows are tracked, where it cannot go on.
    """

    def __init__(self, make: Makes, begun: Begun) -> None:
        self._own = make(legs=ToldLegs())
        self._most = self._own.max_flows // begun.shares
        self._others: list[Beside] = []
        try:
            for number in range(1, begun.shares):
                work = partial(_follow, number, make, begun, self._most)
                self._others.append(Beside(work))
                begun.leave(number)
        except OSError:  # no room for another process
            self.close()
            raise AnewError(jobs=1) from None

    @property
    def front(self) -> Front:
        """As of Engine."""
        return self._own.front

    @front.setter
    def front(self, front: Front) -> None:
        self._own.front = front

    def track(self, ordered: Sorted, twins: Twins | None) -> None:
        """Take the next rows of the first share."""
        _track(self._own, ordered, twins, self._most)
        self.check()

    def check(self) -> None:
        """Raise what another process has raised by now; KilledError where they only say that one is gone.

        Where one of them ends, so does the process that reads, and then all the others.
        """
        gone: KilledError | None = None
        for other in self._others:
            try:
                other.check()
            except KilledError as error:
                gone = error
        if gone:
            raise gone

    def finish(self, read: ReadMessages) -> list[FlowResult]:
        """As of Engine."""
        self._own.close()
        began = [self._own.began, *(other.receive() for other in self._others)]
        every = np.sort(np.concatenate(began))
        numbers = [np.searchsorted(every, one) for one in began]
        for other, own in zip(self._others, numbers[1:], strict=True):
            other.send(own)
        unheard = [numbered(self._own.unheard, numbers[0]), *(other.receive() for other in self._others)]
        wanted = sorted(chain.from_iterable(unheard), key=lambda summary: summary.flow)
        heard = read(wanted) if wanted else {}
        for other, flows in zip(self._others, unheard[1:], strict=True):
            other.send({flow.flow: heard[flow.flow] for flow in flows if flow.flow in heard})
        shares = [share_of(self._own, heard, numbers[0]), *(other.receive() for other in self._others)]
        return self._own.settle(joined(shares, []))

    def add_to(self, totals: Totals) -> None:
        """As of Engine."""
        self._own.add_to(totals)

    @property
    def services(self) -> Services:
        """As of Engine."""
        return self._own.services

    @property
    def twice(self) -> Twice:
        """As of Engine."""
        return self._own.twice

    def problems(self) -> list[str]:
        """As of Engine."""
        return self._own.problems()

    def silent(self) -> list[str]:
        """As of Engine."""
        return self._own.silent()

    def close(self) -> None:
        """End the other processes; may be called more than once."""
        for other in self._others:
            other.close()


def _follow(number: int, make: Makes, begun: Begun, most: int, pipe: Connection) -> None:
    """The process that follows the share of that number: it does what ``finish`` expects."""
    engine = make(legs=ToldLegs())
    for portion in begun.portions(number):
        _track(engine, portion.ordered, portion.twins, most)
    engine.close()
    send(pipe, engine.began)
    numbers: Numbers = received(pipe)
    send(pipe, numbered(engine.unheard, numbers))
    send(pipe, share_of(engine, received(pipe), numbers))


def _track(engine: Engine, ordered: Sorted, twins: Twins | None, most: int) -> None:
    """The next rows; where there are too many flows in all, it matters which one engine would let go of."""
    engine.track(ordered, twins)
    if engine.open_flows > most:
        raise AnewError(jobs=2)


def numbered(flows: Sequence[Summary], numbers: Numbers) -> list[Summary]:
    """With the numbers that they have in the whole."""
    return [summary._replace(flow=int(numbers[summary.flow])) for summary in flows]


def share_of(engine: Engine, heard: Mapping[int, Heard], numbers: Numbers) -> Share:
    """All that was found; ``heard`` is what was said, by the numbers that the flows get."""

    def read(flows: Sequence[Summary]) -> dict[int, Heard]:
        known = ((flow.flow, heard.get(int(numbers[flow.flow]))) for flow in flows)
        return {flow: what for flow, what in known if what}

    found, legs = engine.found(read), legs_of(engine)
    found.results = [renumbered(result, numbers) for result in found.results]
    found.clean = [renumbered(result, numbers) for result in found.clean]
    found.legs = found.legs.numbered(numbers, ELSEWHERE)
    found.twice = Twice()  # it knows one end of them only
    firsts = {syn: (int(numbers[row["flow"][0]]), row) for syn, row in legs.firsts.items()}
    return Share(found, legs.again, firsts)


def legs_of(engine: Engine) -> ToldLegs:
    """What the engine of a share is told of other shares."""
    if engine.legs is None:
        raise TypeError("this engine sees all flows")
    return engine.legs


def renumbered(result: FlowResult, numbers: Numbers) -> FlowResult:
    """With the number that its flow has in the whole."""
    number = int(numbers[result.flow.id])
    summary = result.summary
    return replace(
        result,
        flow=replace(result.flow, id=number),
        summary=summary._replace(flow=number) if summary else None,
    )


def joined(shares: Sequence[Share], results: Sequence[FlowResult]) -> Found:
    """What all shares of a capture found; ``results`` are those of before its end."""
    firsts = {syn: first for share in shares for syn, first in share.firsts.items()}
    flows = {syn: flow for syn, (flow, _) in firsts.items()}
    whole = Found([_with_first(result, flows) for result in results])
    for share in shares:
        found = share.found
        found.results = [_with_first(result, flows) for result in found.results]
        found.legs = found.legs.pointed(flows, ELSEWHERE)
        whole.take(found)
        for legs in share.again:
            for row in legs:
                first = firsts[int(row["flow"][0])][1]
                for name in row.dtype.names or ():
                    row[name][0] = first[name][0]
            whole.twice.add(legs)
    return whole


def _with_first(result: FlowResult, flows: Mapping[int, int]) -> FlowResult:
    summary = result.summary
    if not summary or summary.first_leg <= ELSEWHERE:
        return result
    first = flows[summary.first_leg - ELSEWHERE - 1]
    return replace(result, summary=summary._replace(first_leg=first + 1))
