"""The second reading: what both ends of some flows said, read from the pieces of the files in their time."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.cluster.job import Job
from analyzer.cluster.store import Store
from analyzer.errors import UserError
from analyzer.flows.members import SLACK_NS
from analyzer.model.summary import Summary
from analyzer.pipeline.begun import counted_on
from analyzer.pipeline.messages import Heard, MessageReader
from analyzer.sources.pieces import Piece, open_piece

_FLOWS = 500
"""Flows that are worth a task of their own."""
_TASKS = 16
"""Tasks at most: each reads the pieces in the time of its flows once more."""


@dataclass(frozen=True, slots=True)
class PieceAt:
    """A piece in its capture, whose own frames are numbered from 1 on.

    capture: index of its file; before: frames before it; first, last: its times, None without frames.
    """

    piece: Piece
    capture: int
    before: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class HeardOf:
    """What was heard, by the numbers of the flows; how many were left out; why nothing could be read."""

    heard: dict[int, Heard]
    unread: int = 0
    failure: str = ""


def hear(store: Store, job: Job, name: str, places: tuple[PieceAt, ...], flows: bytes) -> HeardOf:
    """Read the pieces once more; ``flows`` are the pickled summaries."""
    reader = MessageReader(pickle.loads(flows))  # noqa: S301  (our own)
    for place in places:
        try:
            with open_piece(place.piece, place.capture) as source:
                reader.take(counted_on(block, place.before) for block in source.blocks())
        except UserError as error:
            return HeardOf({}, failure=error.what)
    return HeardOf(reader.finish(), reader.unread)


def portions(flows: Sequence[Summary], places: Sequence[PieceAt]) -> list[tuple[tuple[PieceAt, ...], bytes]]:
    """The flows by time, in portions, with the pieces in whose time they are."""
    ordered = sorted(flows, key=lambda flow: (flow.start, flow.flow))
    count = min(_TASKS, -(-len(ordered) // _FLOWS))
    found = []
    for number in range(count):
        own = ordered[number * len(ordered) // count : (number + 1) * len(ordered) // count]
        begin = min(flow.start for flow in own) - SLACK_NS
        end = max(flow.end for flow in own) + SLACK_NS
        inside = tuple(place for place in places if _overlaps(place, begin, end))
        found.append((inside, pickle.dumps(own)))
    return found


def _overlaps(place: PieceAt, begin: int, end: int) -> bool:
    return place.first is not None and place.last is not None and place.first <= end and place.last >= begin
