"""Fragments whose first one is in an earlier piece: noted where they are found, made rows of afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.fragments import First, Fragments, Later, add_rows
from analyzer.decode.rows import Rows
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import ROW_FIELDS, PacketColumns, Undecoded


class Note(NamedTuple):
    """A fragment; number of its frame in the piece, its time, the clock of the piece's frames up to it."""

    fragment: First | Later
    number: int
    time: int
    clock: int


class Noted(Fragments):
    """Fragments of a piece; ``notes`` are all first ones, and those whose first one is not in it."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Note] = []
        self._block: FrameBlock | None = None
        self._clock = 0

    def begin(self, block: FrameBlock, clock: int) -> None:
        """The fragments of this block follow; ``clock`` is the largest time before it."""
        self._block, self._clock = block, clock

    def remember(self, first: First, time: int) -> None:
        """See Fragments."""
        super().remember(first, time)
        self._note(first, time)

    def first_of(self, later: Later, time: int) -> First | None:
        """See Fragments."""
        first = super().first_of(later, time)
        if first is None:
            self._note(later, time)
        return first

    def _note(self, fragment: First | Later, time: int) -> None:
        block = self._block
        if block is not None:
            clock = max(self._clock, int(block.times[: fragment.frame + 1].max()))
            self.notes.append(Note(fragment, block.first_number + fragment.frame, time, clock))


class Mended:
    """Goes over the notes of the pieces of a capture in their order."""

    def __init__(self) -> None:
        self._fragments = Fragments()

    def rows(self, notes: Sequence[Note], capture: int) -> PacketColumns | None:
        """Rows of a piece's fragments whose first one came before it; None where there are none."""
        found: list[tuple[First, Later, Note]] = []
        for note in notes:
            if isinstance(note.fragment, First):
                self._fragments.remember(note.fragment, note.time)
            elif first := self._fragments.first_of(note.fragment, note.time):
                found.append((first, note.fragment, note))
        if not found:
            return None
        rows = Rows(len(found))
        add_rows(rows, np.arange(len(found)), [(first, later) for first, later, _ in found])
        columns: dict[str, Any] = rows.finish()[1]
        for name in ("number", "time", "clock"):
            columns[name] = np.array([getattr(note, name) for _, _, note in found], np.int64)
        refused = np.zeros(len(Undecoded), np.int64)
        return PacketColumns(capture, 0, 0, refused, 0, **columns)


def with_late(columns: PacketColumns, late: PacketColumns) -> PacketColumns:
    """The rows of both, in the order of their frames."""
    both: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(columns, name), getattr(late, name)]) for name in ROW_FIELDS
    }
    order = np.argsort(both["number"], kind="stable")
    return PacketColumns(
        columns.capture,
        columns.packets,
        columns.clock_end,
        columns.undecoded,
        columns.shortened,
        **{name: values.take(order) for name, values in both.items()},
    )
