"""Writes some frames of a capture into a pcapng file of their own."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from analyzer.model.blocks import FrameBlock
from analyzer.sources.annotated import block_of, commented, option
from analyzer.sources.pcapng_blocks import BYTE_ORDER, INTERFACE, PACKET, RESOLUTION, SECTION

_AT_ONCE = 1 << 18
"""Bytes kept until they are written: thousands of files may grow, and are not held open."""


class CarvedFile:
    """A pcapng file with times in nanoseconds and an interface for each link type.

    ``path`` must not exist yet. Raises OSError where it cannot be written.
    """

    def __init__(self, path: Path, whole: str) -> None:
        self.path = path
        self.packets = 0
        self._interfaces: dict[int, int] = {}
        self._waiting: list[bytes] = []
        self._size = 0
        body = struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)
        self._put(commented(block_of(SECTION, body, "<"), [whole], "<"))
        path.open("xb").close()

    def add(self, block: FrameBlock, row: int, texts: Sequence[str] = ()) -> None:
        """Append a frame of the block, with comments."""
        link_type = int(block.link_types[row])
        if link_type not in self._interfaces:
            self._interfaces[link_type] = len(self._interfaces)
            body = struct.pack("<HHI", link_type, 0, 0) + option(RESOLUTION, b"\x09", "<") + bytes(4)
            self._put(block_of(INTERFACE, body, "<"))
        at, captured, time = (int(column[row]) for column in (block.offsets, block.captured, block.times))
        head = (
            self._interfaces[link_type],
            time >> 32,
            time & 0xFFFFFFFF,
            captured,
            int(block.original[row]),
        )
        data = block.buffer[at : at + captured].tobytes()
        packet = block_of(PACKET, struct.pack("<IIIII", *head) + data + bytes(-captured & 3), "<")
        self._put(commented(packet, texts, "<"))
        self.packets += 1

    def flush(self) -> None:
        """Write what waits."""
        with self.path.open("ab") as out:
            out.writelines(self._waiting)
        self._waiting, self._size = [], 0

    def _put(self, block: bytes) -> None:
        self._waiting.append(block)
        self._size += len(block)
        if self._size > _AT_ONCE:
            self.flush()
