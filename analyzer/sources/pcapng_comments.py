"""What people wrote into a pcapng file: the comments of its sections, interfaces and packets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.model.capture import Comment
from analyzer.sources.pcapng_blocks import options
from analyzer.sources.records import Bytes, Offsets, word_view

MAX_COMMENTS = 100
_MAX_LENGTH = 1000
"""Characters of a comment that are kept."""

_COMMENT, _FLAGS = 1, 2  # opt_comment of any block; epb_flags, which many programs write first


class Comments:
    """The first MAX_COMMENTS comments; ``left_out`` counts the others."""

    def __init__(self) -> None:
        self.kept: list[Comment] = []
        self.left_out = 0

    def of_block(self, buffer: Bytes, begin: int, end: int, order: str, frame: int | None = None) -> None:
        """Takes the comments among the options that stand from ``begin`` to ``end``."""
        for code, value in options(buffer, begin, end, order):
            if code != _COMMENT:
                continue
            if len(self.kept) < MAX_COMMENTS:
                text = value.rstrip(b"\0").decode(errors="replace")
                self.kept.append(Comment(frame, text[:_MAX_LENGTH]))
            else:
                self.left_out += 1

    def take(self, later: Comments, before: int) -> None:
        """Add those of the packets of the next piece, before which stand so many packets."""
        of_packets = [one for one in later.kept if one.frame is not None]
        room = MAX_COMMENTS - len(self.kept)
        self.kept += [Comment((one.frame or 0) + before, one.text) for one in of_packets[:room]]
        self.left_out += len(of_packets[room:])

    def of_packets(self, buffer: Bytes, begin: Offsets, end: Offsets, order: str, first_number: int) -> None:
        """The same for packets, one row each: int64 (n,) where their options stand.

        Looked into are those that have a comment as their first option or behind their flags.
        """
        rows = np.flatnonzero(end - begin >= 8)
        if not len(rows):
            return
        begin, end = begin[rows], end[rows]
        code = _codes(buffer, begin, order)
        behind = _codes(buffer, np.minimum(begin + 8, end), order)
        said = np.flatnonzero((code == _COMMENT) | ((code == _FLAGS) & (behind == _COMMENT)))
        room = MAX_COMMENTS - len(self.kept)
        for row in said[:room].tolist():
            self.of_block(buffer, int(begin[row]), int(end[row]), order, first_number + int(rows[row]))
        self.left_out += len(said[room:])


def _codes(buffer: Bytes, at: Offsets, order: str) -> NDArray[np.uint32]:
    """The code of the option at each offset: uint32 (n,)."""
    words = word_view(buffer, 0, order)[at]
    return words & np.uint32(0xFFFF) if order == "<" else words >> np.uint32(16)
