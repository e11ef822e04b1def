"""Pieces of a large capture file, which several processes may read at a time.

Where a record begins is known only from all records before it. So the beginnings of the pieces are guessed:
offsets from which records follow each other for a while. Each piece is then read by itself, as far as its
records go, and that proves the next one: the records of a piece, of which the first is true, must end exactly
where the next begins. Where they do not, what follows is read anew from where they did end. So the answer is
that of reading the file in one go, however the guesses were.

    reading = InPieces(cut(path, size))
    while piece := reading.wanted:
        reading.take(tally_of[piece])  # of each piece, read with ``open_piece`` by anybody at any time before
    reading.capture, reading.read  # the whole file; its pieces, with the numbers of frames before them
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES
from analyzer.model.capture import Capture
from analyzer.sources.compressed import compression_of
from analyzer.sources.open import open_capture, open_stream
from analyzer.sources.reading import PIECE, CaptureSource, Frames
from analyzer.sources.records import MARGIN, Bytes, Offsets, RecordFormat, Windows
from analyzer.sources.remote import Place, is_url, opened
from analyzer.sources.tally import Tally

_LOOK = 1 << 20
"""Bytes read where a beginning is looked for, and at the beginning of the file."""
_WINDOW, _WINDOWS = 4096, 64
"""Bytes in which one beginning is looked for, and how many such places are tried."""
_REST = 1 << 18
"""Bytes of the longest usual record: those that seem to follow each other do so up to there."""
_FIRST = 64
"""Bytes of a record that are kept to know others by."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The records of a capture file that begin at ``begin`` and end at ``end``; None: where the file ends.

    ``head`` are the bytes that describe them, as if they stood before ``begin``: empty for the file's
    beginning. They hold ``described`` sections and interfaces. ``before``: frames of the file that stand
    before the piece; 0 also where that is not known yet, so that the piece's frames are numbered from 1 on.
    """

    path: str
    begin: int = 0
    end: int | None = None
    head: bytes = b""
    described: int = 0
    before: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it is the file, from its beginning to its end."""
        return not self.begin and self.end is None


def cut(path: str, size: int) -> list[Piece]:
    """Pieces of about so many bytes, whose beginnings are guessed: see InPieces.

    It is one piece, the whole file, where that is no regular file, compressed, small, cannot be read, or only
    from its beginning on, as behind some URLs.
    """
    whole = [Piece(path)]
    try:
        length = _length(path)
        finder = _Finder.of(path) if length >= 2 * size else None
        places = range(size, length - size // 2, size)
        begins = [finder.begin_behind(place) for place in places] if finder else []
    except (OSError, ValueError, UserError):
        return whole
    ascending = sorted({begin for begin in begins if begin is not None})
    if not finder or not ascending:
        return whole
    head, described = finder.head, finder.described
    ends: list[int | None] = [*ascending[1:], None]
    others = [Piece(path, begin, end, head, described) for begin, end in zip(ascending, ends, strict=True)]
    return [Piece(path, 0, ascending[0], b"", described), *others]


def _length(path: str) -> int:
    """Bytes of a file that can be read from anywhere in it; 0 of others. Raises OSError, UserError."""
    if is_url(path):
        place = Place(path)
        return place.size() if place.gives_parts else 0
    return Path(path).stat().st_size if Path(path).is_file() else 0


def _part_of(path: str, begin: int, count: int) -> bytes:
    """So many bytes of it, or up to its end. Raises OSError, UserError."""
    if is_url(path):
        place = Place(path)
        return place.part(begin, min(begin + count, place.size()))
    with Path(path).open("rb", buffering=0) as file:
        file.seek(begin)
        return file.read(count)


def open_piece(
    piece: Piece, index: int, *, max_frames: int = MAX_FRAMES, at_once: int = PIECE
) -> CaptureSource:
    """Its source; ``at_once`` are the bytes read at once. Raises UserError where the file cannot be opened.

    What was counted stands in its ``tally`` at the end, and is not yet told in ``capture``.
    """
    if piece.is_whole:
        source = open_capture(piece.path, index, max_frames=max_frames, piece=at_once)
    else:
        try:
            part = _Part(piece)
        except OSError:
            return open_capture(piece.path, index)  # says what is wrong with it
        source = open_stream(part, piece.path, index, max_frames=max_frames, piece=at_once)
    source.is_piece(piece.begin - len(piece.head), piece.before, goes_on=piece.end is not None)
    return source


class InPieces:
    """Puts together what was read of a file in pieces; ``capture`` is that of the whole file in the end.

    ``read``: the pieces that hold, in their order, each with the number of frames before it.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.read: list[Piece] = []
        self._left = list(pieces)
        self._head = max((piece.head for piece in pieces), key=len)
        self._tally: Tally | None = None
        self._path = pieces[0].path

    @property
    def wanted(self) -> Piece | None:
        """The piece of which ``take`` must be told next; None at the end.

        One of those that were given, or one that takes the place of some of them and is to be read yet. If
        that is the whole file, all that was read of it before is void.
        """
        return self._left[0] if self._left else None

    @property
    def capture(self) -> Capture:
        """What is known of the file by now; its problems are told at the end only."""
        return self._tally.capture if self._tally else Capture(self._path, "")

    def take(self, tally: Tally) -> None:
        """What was counted in the wanted piece; it is not to be used any more."""
        piece = self._left.pop(0)
        before = self.capture.packets
        described = piece.end is not None and tally.described != piece.described
        if described or (self._tally and not self._tally.take(tally, piece.before)):
            # Pieces behind new interfaces were read without them; or what was counted cannot be put together.
            self._left, self._tally, self.read = [Piece(self._path)], None, []
            return
        self._tally = self._tally or tally
        self.read.append(replace(piece, before=before))
        damage = self._tally.capture.damage
        if damage and piece.before == before:
            self._left.clear()
        elif damage or (piece.end is not None and tally.end != piece.end):
            self._go_on(piece, tally.end)
        if not self._left:
            self._tally.close()

    def _go_on(self, piece: Piece, begin: int) -> None:
        """The next piece begins here; of damage it tells with the right number of the frame."""
        end = self._left.pop(0).end if self._left else None
        self._left.insert(0, Piece(self._path, begin, end, self._head, piece.described, self.capture.packets))


class _Part(io.RawIOBase):
    """The bytes of a piece, behind those that describe it."""

    def __init__(self, piece: Piece) -> None:
        """Raises OSError, UserError."""
        self._head = memoryview(piece.head)
        self._file: Any
        if is_url(piece.path):
            self._file = opened(piece.path, piece.begin)
        else:
            self._file = Path(piece.path).open("rb", buffering=0)  # noqa: SIM115  (closed with this)
            self._file.seek(piece.begin)
        self._left = None if piece.end is None else piece.end - piece.begin

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """See Stream."""
        count: int
        if self._head:
            count = min(len(self._head), len(buffer))
            buffer[:count], self._head = self._head[:count], self._head[count:]
            return count
        count = self._file.readinto(buffer if self._left is None else buffer[: self._left])
        if self._left is not None:
            self._left -= count
        return count

    def close(self) -> None:
        """See Stream."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class _Finder:
    """Looks for the beginnings of records of a format; ``first`` is how one begins."""

    path: str
    form: RecordFormat
    head: bytes
    described: int
    first: bytes

    @classmethod
    def of(cls, path: str) -> _Finder | None:
        """None where the beginning does not show how records look. Raises OSError, UserError."""
        start = _part_of(path, 0, _LOOK)
        if compression_of(start):
            return None
        source = open_stream(io.BytesIO(start), path, 0, max_frames=1)
        found: list[_Finder] = []

        def tap(form: RecordFormat, buffer: Bytes, offsets: Offsets, frames: Frames) -> None:
            if len(frames) and not found:
                at = int(offsets[-1])
                first = start[at : at + _FIRST].ljust(_FIRST)
                found.append(cls(path, form, start[:at], source.tally.described, first))

        source.tap = tap
        with source:
            next(source.blocks(), None)
        return found[0] if found else None

    def begin_behind(self, place: int) -> int | None:
        """The offset in the file of a record not far behind ``place``, as it seems.

        Raises OSError, UserError.
        """
        data = _part_of(self.path, place, _LOOK)
        end = _FIRST + len(data)
        buffer = np.frombuffer(self.first + data + bytes(MARGIN), np.uint8)
        windows = Windows(_FIRST, _WINDOW, _WINDOW, min(_WINDOWS, len(data) // _WINDOW), end)
        for guess in self.form.guesses(buffer, 0, windows).tolist():
            if self.form.plain_walk(buffer, guess, end)[1] > end - _REST:
                return int(place + guess - _FIRST)
        return None
