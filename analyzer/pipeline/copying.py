"""Copies of what was analyzed: with the findings as comments, and each flow by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from analyzer.decode.anonymous import anonymized, ip_begins
from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.decode.pseudonyms import Pseudonyms
from analyzer.flows.members import Members
from analyzer.model.blocks import FrameBlock
from analyzer.model.carving import Carving
from analyzer.model.comments import Comments
from analyzer.pipeline.again import Again, Progress, size_of
from analyzer.sources.annotated import write_annotated
from analyzer.sources.carved import CarvedFile, frame_bytes
from analyzer.sources.open import open_capture

__all__ = ["Pseudonyms", "annotate", "carve"]


def annotate(capture: str, comments: Comments, out: BinaryIO, *, progress: Progress | None = None) -> None:
    """Write a copy of the capture as pcapng, with the comments; up to where it is damaged, if it is.

    Raises UserError where it cannot be opened, OSError where ``out`` cannot be written.
    """
    with open_capture(capture, 0) as source:
        write_annotated(source, comments, out, Again(size_of([capture]), "copying", progress).blocks)


def carve(
    captures: Sequence[str],
    carvings: Sequence[Carving],
    names: Pseudonyms | None = None,
    *,
    progress: Progress | None = None,
) -> list[int]:
    """Read the captures of a report once more, and write each flow into its file; how many packets each has.

    With ``names`` frames are made anonymous (decode.anonymous). All flows have a summary. Raises UserError
    where a capture cannot be opened any more, OSError where a file cannot be written.
    """
    files = [CarvedFile(carving.path, carving.whole) for carving in carvings]
    members = Members([carving.result.summary for carving in carvings if carving.result.summary])
    indices = sorted({index for carving in carvings for index in carving.result.captures})
    again = Again(size_of(captures[index] for index in indices), "carving", progress)
    for index in indices:
        with open_capture(captures[index], index) as source:
            fragments = Fragments()
            for block in again.blocks(source):
                begins: dict[int, int] | None = None
                for flow, numbers in members.of(decode(block, fragments)):
                    texts = carvings[flow].comments
                    if names and begins is None:
                        begins = ip_begins(block)
                    for number in numbers.tolist():
                        row = number - block.first_number
                        changed = _changed(block, row, begins[row], names) if names and begins else None
                        files[flow].add(block, row, texts.get((index, number), ()), changed=changed)
    for file in files:
        file.flush()
    return [file.packets for file in files]


def _changed(block: FrameBlock, row: int, begin: int, names: Pseudonyms) -> tuple[bytes, int]:
    frame, original = frame_bytes(block, row), int(block.original[row])
    return anonymized(frame, int(block.link_types[row]), begin, original, names)
