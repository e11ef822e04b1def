"""Files that may carry on each other: what all their shards have in common, and which tasks follow from it.

Each function yields the tasks that can be done next, at a time and by anybody, and is sent what they gave. So
it knows nothing of those who do them.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from analyzer.cluster.hearing import HeardOf, PieceAt, hear, portions
from analyzer.cluster.job import Job, Task, task
from analyzer.cluster.late import Mended
from analyzer.cluster.mapping import Mapped, map_piece, shards_of
from analyzer.cluster.reducing import Course, Portion, Reduced, hear_shard, reduce_shard
from analyzer.errors import UserError
from analyzer.flows.keys import flow_keys
from analyzer.flows.legs import LEG_NS, SYN, twins
from analyzer.flows.neighbours import Neighbours
from analyzer.model.capture import Capture
from analyzer.model.columns import PacketColumns, Undecoded, after
from analyzer.model.finding import FlowResult
from analyzer.model.records import Records
from analyzer.pipeline.found import Found
from analyzer.pipeline.messages import Heard
from analyzer.pipeline.problems import cut_short, problems
from analyzer.pipeline.reading import not_again
from analyzer.pipeline.shares import Share, joined
from analyzer.sources.inputs import Input
from analyzer.sources.pieces import InPieces, Piece, cut
from analyzer.sources.remote import Place, is_url
from analyzer.sources.series import Seam
from analyzer.sources.tally import Tally
from analyzer.verdicts.places import Places, in_files

Value = TypeVar("Value")
Steps: TypeAlias = Generator[list[Task], list[Any], Value]
"""Yields tasks, is sent what they gave in the same order, a UserError where one failed; returns a value."""

_SMALL = 32 << 20
"""Bytes of files that are not worth more than one shard."""
_AGAIN = 2
"""So often a piece is read anew that the storage did not give."""


@dataclass(slots=True)
class FileMapped:
    """A file whose pieces are in the store.

    pieces: the place of each, how many frames stood before it as it was read, and what is known of it.
    """

    index: int
    capture: Capture
    pieces: list[tuple[Piece, int, Mapped]] = field(default_factory=list)

    @property
    def beginning(self) -> tuple[int, int]:
        """See Mapped."""
        return self.pieces[0][2].beginning if self.pieces else (0, 0)


@dataclass(slots=True)
class Group:
    """Files that were judged as one capture: what was found in it."""

    captures: list[int]
    found: Found
    results: list[FlowResult]


def judged(
    job: Job, files: Sequence[Input], members: Sequence[int], captures: list[Capture]
) -> Steps[list[Group]]:
    """Files that may carry on each other, by their indices in order of time; sets their ``captures``."""
    size = sum(files[index].size for index in members)
    shards = job.shards if size > _SMALL else 1
    mapped = yield from _all_mapped(job, [(index, files[index]) for index in members], shards)
    groups: list[Group] = []
    apart = len(members) == 1
    while mapped:
        together, next_apart = _together(mapped, apart)
        group, count = yield from _group(job, _Course(mapped[:together], shards, job), captures)
        apart = next_apart if count == together else apart
        groups.append(group)
        mapped = mapped[count:]
    return groups


def _all_mapped(job: Job, files: Sequence[tuple[int, Input]], shards: int) -> Steps[list[FileMapped]]:
    """All pieces of all files at a time, then what has to be read anew."""
    readings = [_FileReading(job, index, file, shards) for index, file in files]
    while True:
        tasks = [reading.next() for reading in readings]
        wanted = [one for some in tasks for one in some]
        if not wanted:
            return [reading.mapped for reading in readings]
        gave = iter((yield wanted))
        for reading, some in zip(readings, tasks, strict=True):
            for one in some:
                reading.take(one, next(gave))


class _FileReading:
    """The pieces of a file: which are to be mapped, and what they are together."""

    def __init__(self, job: Job, index: int, file: Input, shards: int) -> None:
        self.mapped = FileMapped(index, Capture(file.path, "", damage=file.error))
        self._file = file
        self._shards = shards
        self._stamp = _stamp(file)
        self._known: dict[Piece, Mapped] = {}
        self._asked: dict[str, tuple[Piece, int]] = {}
        self._wanted: list[tuple[Piece, int]] = []
        self._reading: InPieces | None = None
        if not file.error:
            pieces = cut(file.path, job.piece_bytes)
            self._wanted = [(piece, 0) for piece in pieces]
            self._reading = InPieces(pieces)

    def next(self) -> list[Task]:
        """What is to be done next; nothing where the file is read."""
        if self._reading and not self._wanted:
            self._wanted = [(piece, 0) for piece in self._put_together(self._reading)]
        wanted, self._wanted = self._wanted, []
        return [self._task(piece, attempt) for piece, attempt in wanted]

    def take(self, done: Task, gave: Any) -> None:
        """What a task gave. Raises UserError where the store failed."""
        piece, attempt = self._asked[done.name]
        if isinstance(gave, UserError):
            if gave.reference != "worker-lost":
                raise gave
            gave = Mapped(done.name, Tally(Capture(piece.path, "", damage=gave), end=piece.begin))
        damage = gave.tally.capture.damage
        if damage and damage.reference == "unreadable-file" and attempt < _AGAIN:
            self._wanted.append((piece, attempt + 1))
        else:
            self._known[piece] = gave

    def _task(self, piece: Piece, attempt: int) -> Task:
        weight = (piece.end or self._file.size) - piece.begin
        version, path = (self._stamp, attempt), self._file.path
        made = task(map_piece, piece, self._shards, about=path, weight=weight, version=version)
        self._asked[made.name] = (piece, attempt)
        return made

    def _put_together(self, reading: InPieces) -> list[Piece]:
        """Goes on with what is known, to the next piece of which nothing is; none at the end."""
        while piece := reading.wanted:
            if piece not in self._known:
                return [piece]
            mapped = self._known[piece]
            reading.take(deepcopy(mapped.tally))
            if reading.read:
                self.mapped.pieces.append((reading.read[-1], piece.before, mapped))
            else:  # the file is to be read as one
                self.mapped.pieces.clear()
        self.mapped.capture = reading.capture
        self._reading = None
        return []


def _stamp(file: Input) -> str:
    """Another one where the file has changed."""
    try:
        if is_url(file.path):
            return Place(file.path).version()
        status = Path(file.path).stat()
    except (OSError, ValueError, UserError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _together(files: Sequence[FileMapped], apart: bool) -> tuple[int, bool]:
    """How many of the files follow each other soon enough; and whether one was captured beside another.

    Whether a connection goes on in them is not known yet.
    """
    seam = Seam()
    for count, file in enumerate(files):
        if count:
            frames, begin = file.beginning
            apart = apart or bool(frames and seam.overlaps(begin))
            if apart or not (frames and seam.follows(begin)):
                return count, apart
        for _, _, mapped in file.pieces:
            seam.take(mapped.seam)
        if file.capture.damage:
            return count + 1, apart  # what is missing now is no silence
    return len(files), apart


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece on the course; ``file`` counts the files of the group, ``late`` are rows found afterwards."""

    file: int
    portion: Portion
    mapped: Mapped
    place: PieceAt
    late: PacketColumns | None

    @property
    def matters(self) -> bool:
        """Whether a shard may have to look at it: of a piece that nobody read nothing is in the store."""
        known = bool(self.mapped.rows) or len(self.mapped.neighbours) > 0
        return known or self.portion.begins or self.late is not None


class _Course:
    """What all shards of some files have in common, if each of them carries on the one before."""

    def __init__(self, files: Sequence[FileMapped], shards: int, job: Job) -> None:
        self.files = files
        self.shards = shards
        self.units: list[_Unit] = []
        self._seed = np.uint64(job.seed)
        self._again: list[list[tuple[int, int]]] = [[] for _ in range(shards)]
        self._firsts: list[list[int]] = [[] for _ in range(shards)]
        mended, before, clock = Mended(), 0, 0
        recent = np.zeros(0, SYN)
        for number, file in enumerate(files):
            for place, (piece, read_as, mapped) in enumerate(file.pieces):
                add = before + piece.before - read_as
                begins = number > 0 and not place
                portion = Portion(mapped.name, file.index, add, clock, begins)
                late = mended.rows(
                    [
                        note._replace(number=note.number + add, clock=max(note.clock, clock))
                        for note in mapped.notes
                    ],
                    file.index,
                )
                times = mapped.tally.clock
                at = PieceAt(
                    replace(piece, before=0), file.index, before + piece.before, times.first, times.last
                )
                self.units.append(_Unit(number, portion, mapped, at, late))
                recent = self._note_twins(recent, mapped, add, clock)
                clock = max(clock, mapped.clock_end)
            before += file.capture.packets

    def clock(self, units: int) -> int:
        """The largest time of the first so many units."""
        return max((unit.mapped.clock_end for unit in self.units[:units]), default=0)

    def _note_twins(self, recent: Records, mapped: Mapped, add: int, clock: int) -> Records:
        """Look for SYNs that are one packet with one before; the last ones of all."""
        syns = mapped.syns.copy()
        syns["number"] += add
        syns["clock"] = np.maximum(syns["clock"], clock)
        every = np.concatenate([recent, syns])
        found = twins(every)
        keys = np.array([(key, first_key) for _, key, _, first_key in found], np.uint64).reshape(-1, 2)
        for (number, _, first, _), (own, other) in zip(
            found, shards_of(keys, self.shards).tolist(), strict=True
        ):
            self._again[own].append((number, first))
            self._firsts[other].append(first)
        return every[every["clock"] > max(clock, mapped.clock_end) - LEG_NS]

    def next(self, shard: int, previous: str, begin: int, end: int, *, closing: bool) -> Task:
        """The task that takes a shard from unit ``begin`` to ``end``."""
        units = self.units[begin:end]
        low = self._before(begin)
        high = self._before(end)
        course = Course(
            shard,
            previous,
            tuple(replace(unit.portion, late=self._late(unit, shard)) for unit in units if unit.matters),
            tuple(pair for pair in self._again[shard] if low < pair[0] <= high),
            tuple(sorted({first for first in self._firsts[shard] if low < first <= high})),
            self.clock(end) if closing else None,
        )
        about = self.files[units[0].file if units else 0].capture.path
        weight = sum(unit.mapped.written[shard] for unit in units if unit.mapped.written)
        return task(reduce_shard, course, about=f"shard {shard} of {about}", weight=weight)

    def _late(self, unit: _Unit, shard: int) -> bytes:
        """The late rows of that shard, pickled; empty without any."""
        if unit.late is None:
            return b""
        own = shards_of(flow_keys(unit.late, self._seed)[0], self.shards) == shard
        return pickle.dumps(unit.late.take(np.flatnonzero(own))) if own.any() else b""

    def _before(self, unit: int) -> float:
        """How many frames stand before that unit."""
        return self.units[unit].place.before if unit < len(self.units) else inf

    def slice_end(self, begin: int, most: int) -> int:
        """The unit behind those from ``begin`` on that have so many rows in their largest shard."""
        rows = np.zeros(self.shards, np.int64)
        for end in range(begin, len(self.units)):
            rows += np.array(self.units[end].mapped.rows or [0] * self.shards)
            if rows.max() >= most:
                return end + 1
        return len(self.units)


def _group(job: Job, course: _Course, captures: list[Capture]) -> Steps[tuple[Group, int]]:
    """The files of a course, as far as a connection goes on from each to the next; and how many they are."""
    early: list[FlowResult] = []
    count, reduced, names = yield from _reduced(job, course, early)
    files = course.files[:count]
    units = [unit for unit in course.units if unit.file < count]
    for file in files:
        captures[file.index] = file.capture
    first = files[0].capture
    heard = yield from _heard(reduced, units, first)
    shares = yield from _shares(reduced, names, heard)
    found = joined(shares, early)
    neighbours = Neighbours()
    for unit in units:
        found.counts.take(unit.mapped.counts)
        neighbours.add(after(unit.mapped.neighbours, unit.portion.before, unit.portion.clock))
        if unit.late is not None:
            found.counts.undecoded[Undecoded.LATER_FRAGMENT] -= len(unit.late)
    read = [file for file in files if file.pieces]
    places = Places()
    for number, file in enumerate(read):
        places.add(file.index, sum(other.capture.packets for other in read[:number]))
        if number:
            file.capture.carries_on = read[number - 1].index
    results = found.settled(harmless=job.all_flows)
    if len(read) > 1:
        results = [in_files(result, places) for result in results]
    if read:
        told = [*problems(found.counts, job.max_flows), *cut_short(found.counts)]
        first.problems.extend([*told, *neighbours.problems()])
        first.silent.extend(neighbours.silent())
    return Group([file.index for file in read], found, results), count


def _reduced(
    job: Job, course: _Course, early: list[FlowResult]
) -> Steps[tuple[int, list[Reduced], list[str]]]:
    """All shards, slice by slice, to the end of the capture: how many files it has, what the shards gave.

    ``early`` gets what was found of flows that ended before.
    """
    names, begin = [""] * course.shards, 0
    while True:
        end = course.slice_end(begin, job.slice_rows)
        is_last = end == len(course.units)
        reduced, done = yield from _sliced(course, names, begin, end, closing=is_last)
        broken = _broken(course, reduced, begin, end)
        if broken is not None:
            reduced, done = yield from _sliced(course, names, begin, broken, closing=True)
        for one in reduced:
            early += one.results
        if broken is not None:
            return course.units[broken].file, reduced, done
        if is_last:
            return len(course.files), reduced, done
        names, begin = done, end


def _sliced(
    course: _Course, names: Sequence[str], begin: int, end: int, *, closing: bool
) -> Steps[tuple[list[Reduced], list[str]]]:
    """Take all shards from one unit to another; what they gave, and the names of the tasks."""
    tasks = [
        course.next(shard, previous, begin, end, closing=closing) for shard, previous in enumerate(names)
    ]
    gave = yield tasks
    return [_sound(one) for one in gave], [one.name for one in tasks]


def _broken(course: _Course, reduced: Sequence[Reduced], begin: int, end: int) -> int | None:
    """The first unit of a file that carries on nothing, as all shards say."""
    starts = [place for place in range(begin, end) if course.units[place].portion.begins]
    for place, known in zip(starts, zip(*(one.carries_on for one in reduced), strict=True), strict=True):
        if not any(known):
            return place
    return None


def _heard(
    reduced: Sequence[Reduced], units: Sequence[_Unit], capture: Capture
) -> Steps[list[dict[int, Heard]]]:
    """What both ends of the undecided flows of each shard said, by their numbers."""
    shard_of = {flow.flow: shard for shard, one in enumerate(reduced) for flow in one.unheard}
    flows = [flow for one in reduced for flow in one.unheard]
    found: list[dict[int, Heard]] = [{} for _ in reduced]
    if not flows:
        return found
    tasks = [
        task(hear, places, own, about=f"what was said in {capture.path}")
        for places, own in portions(flows, [unit.place for unit in units])
    ]
    gave: list[HeardOf] = [_sound(one) for one in (yield tasks)]
    failure = next((one.failure for one in gave if one.failure), "")
    if failure:
        capture.problems.append(f"{not_again(len(flows))} ({failure})")
        return found
    if unread := sum(one.unread for one in gave):
        capture.problems.append(not_again(unread))
    for one in gave:
        for number, heard in one.heard.items():
            found[shard_of[number]][number] = heard
    return found


def _shares(
    reduced: Sequence[Reduced], names: Sequence[str], heard: Sequence[dict[int, Heard]]
) -> Steps[list[Share]]:
    """What each shard found, now that it is known what was said."""
    waiting = [shard for shard, one in enumerate(reduced) if one.share is None]
    gave: list[Share] = []
    if waiting:
        tasks = [
            task(hear_shard, names[shard], pickle.dumps(heard[shard]), about=f"shard {shard}")
            for shard in waiting
        ]
        gave = [_sound(one) for one in (yield tasks)]
    heard_of = iter(gave)
    return [next(heard_of) if one.share is None else one.share for one in reduced]


def _sound(gave: Any) -> Any:
    """What a task gave. Raises UserError where it failed."""
    if isinstance(gave, UserError):
        raise gave
    return gave
