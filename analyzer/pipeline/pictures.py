"""Reads captures once more, for pictures of some of their flows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.flows.members import Members
from analyzer.flows.shown import LAST, ShownTracker, is_sampled
from analyzer.flows.tracker import Tracked
from analyzer.model.blocks import MAX_FRAMES
from analyzer.model.capture import Capture
from analyzer.model.columns import PacketColumns, joined
from analyzer.model.finding import FlowResult
from analyzer.model.flow import Flow, Kind
from analyzer.model.picture import Picture
from analyzer.model.report import Report
from analyzer.pipeline.again import Again, Progress, size_of
from analyzer.sockets.shadow import ShadowFlow
from analyzer.sources.open import open_capture
from analyzer.verdicts.picture import Painter
from analyzer.verdicts.places import Places


def pictures(
    report: Report, wanted: Sequence[FlowResult], *, progress: Progress | None = None
) -> dict[int, Picture]:
    """The packets of these flows of the report, by the ``id()`` of each result; of long flows a part.

    What was not read from a file has none. Raises UserError where a capture cannot be opened any more.
    """
    found: dict[int, Picture] = {}
    parts = [
        (chain, own)
        for chain in chains(report.captures)
        if (own := [result for result in wanted if result.summary and result.flow.capture in chain])
    ]
    read = [report.captures[index].path for chain, _ in parts for index in chain]
    again = Again(size_of(read), "drawing", progress)
    for chain, own in parts:
        found |= _Drawing(report, chain, own, again).pictures()
    return found


def chains(captures: Sequence[Capture]) -> Iterator[list[int]]:
    """Indices of the captures that are one, in their order: the files of a rotation."""
    follows = {capture.carries_on: index for index, capture in enumerate(captures)}
    for index, capture in enumerate(captures):
        if capture.carries_on is None:
            chain = [index]
            while chain[-1] in follows:
                chain.append(follows[chain[-1]])
            yield chain


_Same = tuple[object, ...]


def _same(flow: Flow) -> _Same:
    return flow.start, flow.protocol, flow.client, flow.server, flow.tunnel


class _Drawing:
    """Draws some flows of one capture, which may be in several files."""

    def __init__(
        self, report: Report, chain: Sequence[int], wanted: Sequence[FlowResult], again: Again
    ) -> None:
        self._captures = report.captures
        self._hosts = report.hosts
        self._chain = chain
        self._again = again
        self._members = Members([result.summary for result in wanted if result.summary])
        self._wanted: dict[_Same, int] = {_same(result.flow): id(result) for result in wanted}
        self._tracker = ShownTracker()
        self._flows: dict[int, tuple[int, ShadowFlow, Painter]] = {}
        self._places = Places()

    def pictures(self) -> dict[int, Picture]:
        """All of them, by the ``id()`` of the results."""
        for columns in self._batches():
            self._take(self._tracker.feed(columns))
        return {key: self._in_files(painter.picture()) for key, _, painter in self._flows.values()}

    def _batches(self) -> Iterator[PacketColumns]:
        """The rows of these flows, some thousands at a time; frames are counted on over the files."""
        waiting: list[PacketColumns] = []
        rows = before = 0
        for index in self._chain:
            self._places.add(index, before)
            fragments = Fragments()
            with open_capture(self._captures[index].path, index) as source:
                for block in self._again.blocks(source):
                    counted = replace(block, first_number=block.first_number + before)
                    columns = decode(counted, fragments)
                    own = self._members.rows(columns)
                    if rows + len(own) > MAX_FRAMES:
                        yield joined(waiting)
                        waiting, rows = [], 0
                    if len(own):
                        waiting.append(columns.take(own))
                        rows += len(own)
            before += source.capture.packets
        if waiting:
            yield joined(waiting)

    def _take(self, tracked: Tracked) -> None:
        for flow in tracked.flows:
            key = self._wanted.get(_same(flow))
            if key is not None:
                self._flows[flow.id] = key, ShadowFlow(flow, *self._hosts), Painter(flow, LAST)
        places = np.array([self._tracker.places[s.number] for s in tracked.segments], np.int64)
        sampled = is_sampled(places)
        for segment, place, is_kept in zip(tracked.segments, places.tolist(), sampled.tolist(), strict=True):
            if segment.flow in self._flows:
                _, shadow, painter = self._flows[segment.flow]
                if not segment.kinds & Kind.COPY:
                    shadow.receive(segment)
                painter.add(segment, shadow.states, place, sampled=is_kept)
        self._tracker.places.clear()

    def _in_files(self, picture: Picture) -> Picture:
        return tuple(
            seen._replace(number=self._places.number(seen.number), capture=self._places.capture(seen.number))
            for seen in picture
        )
