"""Reduce: the rows of a shard go through the engine of a single process, in the order of the capture."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from analyzer.cluster.job import Job
from analyzer.cluster.late import with_late
from analyzer.cluster.mapping import Mapped, beginning_of, rows
from analyzer.cluster.store import Store
from analyzer.flows.keys import sort_by_flow
from analyzer.flows.legs import Twins
from analyzer.matching.match import Matcher
from analyzer.model.columns import PacketColumns, after
from analyzer.model.finding import FlowResult
from analyzer.model.summary import Summary
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.messages import Heard
from analyzer.pipeline.shares import Share, numbered, renumbered, share_of


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows of a piece and shard, and where they stand in the capture.

    mapped: name of the task that made them; capture: index of the file; before, clock: frames before the
    piece, and their largest time; begins: here begins a file that is not the capture's first; late: pickled
    rows that belong to the piece too.
    """

    mapped: str
    capture: int
    before: int
    clock: int
    begins: bool = False
    late: bytes = b""


@dataclass(frozen=True, slots=True)
class Course:
    """What a shard does next: go on from the state that the task ``previous`` left (empty: from nothing).

    again, firsts: see ToldLegs.tell; closing: the largest time of the capture, where it is over then.
    """

    shard: int
    previous: str
    portions: tuple[Portion, ...]
    again: tuple[tuple[int, int], ...] = ()
    firsts: tuple[int, ...] = ()
    closing: int | None = None


@dataclass(slots=True)
class Reduced:
    """What a task tells.

    carries_on: of each file that began in it, whether it carries on the one before, as far as this shard
    knows. Once the capture is over: ``unheard`` flows of which must be heard what was said, or the share.
    results: what was found of flows that have ended; the share does not have it.
    """

    carries_on: list[bool]
    unheard: list[Summary]
    results: list[FlowResult] = field(default_factory=list)
    share: Share | None = None


def state_of(name: str) -> str:
    """Where in the store that task leaves its engine."""
    return f"state/{name}.pickle"


def done_of(name: str) -> str:
    """Where in the store stands what that task gave."""
    return f"done/{name}.pickle"


def reduce_shard(store: Store, job: Job, name: str, course: Course) -> Reduced:
    """Take a shard some way further. Raises UserError where the store fails."""
    engine = _engine(store, job, course.previous)
    engine.tell(Twins(course.again, course.firsts))
    reduced = Reduced([], [])
    capture = course.portions[0].capture if course.portions else 0
    for portion in course.portions:
        if portion.capture != capture:
            _track(engine, None)
            capture = portion.capture
        mapped: Mapped = store.get(done_of(portion.mapped))
        columns = rows(
            store, mapped, course.shard, capture=capture, before=portion.before, clock=portion.clock
        )
        if portion.begins:
            _track(engine, None)
            begin = beginning_of(mapped, columns, portion.before)
            reduced.carries_on.append(_knows(engine, job, begin))
        if portion.late:
            late = pickle.loads(portion.late)  # noqa: S301  (our own)
            columns = late if columns is None else with_late(columns, late)
        engine.note_neighbours(after(mapped.neighbours, portion.before, portion.clock))
        if columns is not None:
            _track(engine, columns)
    _track(engine, None)
    if course.closing is None:
        reduced.results = _taken(engine)
        store.put(state_of(name), engine)
        return reduced
    engine.tick(course.closing)
    engine.close()
    reduced.results = _taken(engine)
    reduced.unheard = numbered(engine.unheard, engine.began)
    if reduced.unheard:
        store.put(state_of(name), engine)
    else:
        reduced.share = _share(engine, {})
    return reduced


def hear_shard(store: Store, job: Job, name: str, previous: str, heard: bytes) -> Share:
    """Judge the flows of which is known by now what was said: a pickled mapping of Heard by flow."""
    return _share(_engine(store, job, previous), pickle.loads(heard))  # noqa: S301  (our own)


def _engine(store: Store, job: Job, previous: str) -> Engine:
    if not previous:
        return job.engine()
    engine: Engine = store.get(state_of(previous))
    engine.go_on(Matcher(job.rules))
    return engine


def _track(engine: Engine, columns: PacketColumns | None) -> None:
    """The next rows; None: those of another file follow."""
    for keyed in engine.front.rest() if columns is None else engine.front.put(columns):
        engine.track(keyed.sorted())


def _knows(engine: Engine, job: Job, rows: PacketColumns | None) -> bool:
    return rows is not None and len(rows) > 0 and engine.knows(sort_by_flow(rows, np.uint64(job.seed)))


def _share(engine: Engine, heard: Mapping[int, Heard]) -> Share:
    """All that was found, numbered by the frames with which the flows began."""
    return share_of(engine, heard, engine.began)


def _taken(engine: Engine) -> list[FlowResult]:
    """The results so far, so that they need not be kept here until the end."""
    results, began = engine.take_results(), engine.began
    return [renumbered(result, began) for result in results]
