"""What the programs of failing connections were saying: their packets alone, dissected by tshark."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.flows.members import Members
from analyzer.model.application import Dissection, Message
from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult
from analyzer.model.flow import CLIENT, SERVER
from analyzer.pipeline.again import Again, Progress, size_of
from analyzer.pipeline.problems import counted
from analyzer.sources.carved import CarvedFile
from analyzer.sources.dissection import dissect
from analyzer.sources.open import open_capture

MOST_FLOWS = 1000
"""Flows of which the messages are looked for."""
_KEPT = 6
"""Messages that are kept of each flow: the last ones."""


class Place(NamedTuple):
    """A frame: index of its flow among the results (-1: none of them), of its capture, number in that.

    ``cut``: the capture kept the begin of it only.
    """

    flow: int
    capture: int
    number: int
    cut: bool


def with_messages(
    results: Sequence[FlowResult],
    captures: Sequence[Capture],
    wanted: Dissection,
    progress: Progress | None = None,
) -> tuple[list[FlowResult], list[str]]:
    """The results with what was said, and what could not be looked at, as sentences.

    Raises UserError where tshark is missing or fails.
    """
    chosen = [index for index, result in enumerate(results) if result.summary and _is_file(result, captures)]
    problems = []
    if len(chosen) < len(results):
        problems.append(
            f"what {len(results) - len(chosen)} connections said was not looked at: "
            "it takes a file that can be read again"
        )
    if len(chosen) > MOST_FLOWS:
        problems.append(f"what was said was looked at in the first {MOST_FLOWS:,} failing connections only")
    chosen = chosen[:MOST_FLOWS]
    if not chosen:
        return list(results), problems
    with tempfile.TemporaryDirectory(prefix="errnoscope-") as folder:
        path = Path(folder, "flows.pcapng")
        places = _carved(path, results, chosen, captures, progress)
        told, cut = with_messages_of(path, places, results, wanted, progress)
        return told, problems + cut


def with_messages_of(
    path: Path,
    places: Sequence[Place],
    results: Sequence[FlowResult],
    wanted: Dissection,
    progress: Progress | None = None,
) -> tuple[list[FlowResult], list[str]]:
    """The results with what was said in a capture whose frames are those of ``places``, in that order.

    And what could not be looked at, as sentences. Raises UserError where tshark is missing or fails.
    """
    messages: dict[int, list[Message]] = {}
    for found in dissect(path, wanted):
        if progress:
            progress(found.frame, len(places), "asking tshark")
        index, capture, number, cut = places[found.frame - 1]
        if index >= 0:
            side = CLIENT if found.port == results[index].flow.client.port else SERVER
            message = Message(capture, number, side, found.layer, found.kind, found.text, cut)
            messages.setdefault(index, []).append(message)
    told = [
        replace(result, messages=tuple(messages.get(index, [])[-_KEPT:]))
        for index, result in enumerate(results)
    ]
    return told, list(_cut_short(places))


def _cut_short(places: Sequence[Place]) -> Iterator[str]:
    """A sentence about the flows of which tshark did not see everything."""
    cut = len({place.flow for place in places if place.cut and place.flow >= 0})
    if cut:
        yield (
            f"in {counted(cut)} what the programs said was not judged, or in part: their frames were cut "
            "short by the capture (-s 0 keeps all of them)"
        )


def _is_file(result: FlowResult, captures: Sequence[Capture]) -> bool:
    return all(Path(captures[index].path).is_file() for index in result.captures)


def _carved(
    path: Path,
    results: Sequence[FlowResult],
    chosen: Sequence[int],
    captures: Sequence[Capture],
    progress: Progress | None,
) -> list[Place]:
    """Write the frames of these flows; where each of them comes from, in their order."""
    places: list[Place] = []
    file = CarvedFile(path, "")
    summaries = [summary for index in chosen if (summary := results[index].summary)]
    numbers = sorted({number for index in chosen for number in results[index].captures})
    again = Again(size_of(captures[number].path for number in numbers), "picking", progress)
    for number in numbers:
        for place in _copied(file, Members(summaries), captures[number].path, number, again):
            places.append(place._replace(flow=chosen[place.flow]))
    file.flush()
    return places


def _copied(file: CarvedFile, members: Members, path: str, capture: int, again: Again) -> Iterator[Place]:
    with open_capture(path, capture) as source:
        fragments = Fragments()
        for block in again.blocks(source):
            owners = {
                number: flow
                for flow, numbers in members.of(decode(block, fragments))
                for number in numbers.tolist()
            }
            for number in sorted(owners):
                row = number - block.first_number
                file.add(block, row)
                yield Place(owners[number], capture, number, bool(block.captured[row] < block.original[row]))
