"""Blocks of a pcapng file: how they follow each other, what stands where in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.sources.records import MAX_RECORD, SHORTEST, Bytes, Offsets, Windows, gather, word_view

# Block types (section "Block Types"); the section header's reads the same in both byte orders.
SECTION = 0x0A0D0D0A
INTERFACE = 1
OLD_PACKET = 2
SIMPLE_PACKET = 3
STATISTICS = 5
PACKET = 6

BYTE_ORDER = 0x1A2B3C4D
OTHER_BYTE_ORDER = 0x4D3C2B1A

# Options: if_tsresol and if_tsoffset of an interface (section "Interface Description Block"), isb_ifdrop and
# isb_osdrop of its statistics (section "Interface Statistics Block").
END_OF_OPTIONS, RESOLUTION, OFFSET, IF_DROP, OS_DROP = 0, 9, 14, 5, 7

MAX_BLOCK = MAX_RECORD + 4096
"""Bytes that a block may claim: the largest packet with its header and options."""


def is_pcapng(start: bytes) -> bool:
    """Whether a file that starts with these (at least four) bytes begins with a section header."""
    return start[:4] == SECTION.to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class PcapngBlocks:
    """Blocks of a section in one byte order (section "General Block Structure"). order: "<" or ">"."""

    order: str
    fixed: int = 0

    def plain_walk(
        self, buffer: Bytes, at: int, end: int, until: int | None = None, most: int | None = None
    ) -> tuple[list[int], int]:
        """See RecordFormat.

        A block is damaged when its length is no multiple of four, less than 12, more than MAX_BLOCK, or not
        repeated at its end. The walk also stops at the header of a section in the other byte order.
        """
        head = struct.Struct(f"{self.order}III").unpack_from
        word = struct.Struct(f"{self.order}I").unpack_from
        memory = buffer.data
        last = end - SHORTEST
        if until is not None:
            last = min(last, until - 1)
        most = len(buffer) if most is None else most
        offsets: list[int] = []
        while at <= last and len(offsets) < most:
            kind, length, third = head(memory, at)
            if length < SHORTEST or length & 3 or length > MAX_BLOCK or at + length > end:
                break
            if kind == SECTION and third == OTHER_BYTE_ORDER:
                break
            if word(memory, at + length - 4)[0] != length:
                break
            offsets.append(at)
            at += length
        return offsets, at

    def lengths(self, buffer: Bytes) -> NDArray[np.uint32]:
        """See RecordFormat."""
        return word_view(buffer, 4, self.order)

    def first_unsound(self, buffer: Bytes, offsets: Offsets, following: Offsets) -> int:
        """See RecordFormat."""
        length = following - offsets
        unsound = (length < SHORTEST) | (length & 3 != 0) | (length > MAX_BLOCK)
        # The last word of a block and the first of the next lie together: one look at the memory for both.
        words = gather(buffer, following - 4, 2, self.order)
        unsound |= words[:, 0] != length
        sections = np.append(np.flatnonzero(words[:, 1] == SECTION) + 1, 0)
        sections = sections[sections < len(offsets)]
        kinds = word_view(buffer, 0, self.order)[offsets[sections]]
        orders = word_view(buffer, 8, self.order)[offsets[sections]]
        unsound[sections] |= (kinds == SECTION) & (orders == OTHER_BYTE_ORDER)
        return int(unsound.argmax()) if unsound.any() else len(offsets)

    def guesses(self, buffer: Bytes, at: int, windows: Windows) -> Offsets:
        """See RecordFormat. Enhanced packet blocks whose length stands at both ends, another block behind."""
        low = 0 if self.order == "<" else 3  # where the least significant byte of a word is
        found, rows = windows.positions(windows.bytes_at(buffer, low) == PACKET)
        sane: NDArray[np.bool_] = word_view(buffer, 0, self.order)[found] == PACKET
        found, rows = found[sane], rows[sane]
        fields = gather(buffer, found, 7, self.order)
        sane = (fields[:, 1] >= 32) & (fields[:, 5] <= fields[:, 6])
        found, rows = found[sane], rows[sane]
        here, sane = found, np.ones(len(found), np.bool_)
        for _ in range(3):
            length = word_view(buffer, 4, self.order)[here].astype(np.int64)
            following = here + length
            sane &= (length >= SHORTEST) & (length & 3 == 0) & (following <= windows.end - SHORTEST)
            here = np.where(sane, following, here)
            sane &= word_view(buffer, 0, self.order)[here - 4] == length
        found, rows = found[sane], rows[sane]
        return found[np.diff(rows, prepend=-1) > 0]


def fault_of_section(buffer: Bytes, at: int, order: str) -> str:
    """What is wrong with a section header block (section "Section Header Block"), "" where nothing is.

    Its length field is not looked at: the blocks say themselves where they end.
    """
    length = word(buffer, at + 4, order)
    if length < 28:
        return f"a section header has {length} bytes, 28 are the fewest"
    if word(buffer, at + 8, order) != BYTE_ORDER:
        return "a section header shows no byte order"
    major, minor = struct.unpack_from(f"{order}HH", buffer.data, at + 12)
    if major != 1:
        return f"a section is of pcapng version {major}.{minor}; only 1.x is supported"
    return ""


def options(buffer: Bytes, at: int, end: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option (section "Options") up to one that does not fit before ``end``."""
    while at + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", buffer.data, at)
        if code == END_OF_OPTIONS or at + 4 + length > end:
            return
        yield code, bytes(buffer[at + 4 : at + 4 + length])
        at += 4 + length + (-length & 3)


def word(buffer: Bytes, at: int, order: str) -> int:
    """The 32-bit word at ``at``."""
    value: int = struct.unpack_from(f"{order}I", buffer.data, at)[0]
    return value
