"""Writes some frames of a capture into a pcapng file of their own."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from analyzer.model.blocks import FrameBlock
from analyzer.sources.annotated import block_of, commented, option
from analyzer.sources.pcapng_blocks import BYTE_ORDER, INTERFACE, PACKET, RESOLUTION, SECTION

_AT_ONCE = 1 << 18
"""Bytes kept until they are written: thousands of files may grow, and are not held open."""


class CarvedFile:
    """A pcapng file with times in nanoseconds and an interface for each link type.

    ``path`` must not exist yet unless it is to be ``replaced``. Raises OSError where it cannot be written.
    """

    def __init__(self, path: Path, whole: str, *, replaced: bool = False) -> None:
        self.path = path
        self.packets = 0
        self._interfaces: dict[int, int] = {}
        self._waiting: list[bytes] = []
        self._size = 0
        body = struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)
        self._put(commented(block_of(SECTION, body, "<"), [whole], "<"))
        path.open("wb" if replaced else "xb").close()

    def add(
        self,
        block: FrameBlock,
        row: int,
        texts: Sequence[str] = (),
        *,
        changed: tuple[bytes, int] | None = None,
    ) -> None:
        """Append a frame of the block, with comments; ``changed``: with other bytes, and another length."""
        data, original = changed or (frame_bytes(block, row), int(block.original[row]))
        link_type = int(block.link_types[row])
        if link_type not in self._interfaces:
            self._interfaces[link_type] = len(self._interfaces)
            body = struct.pack("<HHI", link_type, 0, 0) + option(RESOLUTION, b"\x09", "<") + bytes(4)
            self._put(block_of(INTERFACE, body, "<"))
        time = int(block.times[row])
        head = (self._interfaces[link_type], time >> 32, time & 0xFFFFFFFF, len(data), original)
        packet = block_of(PACKET, struct.pack("<IIIII", *head) + data + bytes(-len(data) & 3), "<")
        self._put(commented(packet, texts, "<"))
        self.packets += 1

    def flush(self) -> None:
        """Write what waits; whole blocks only, whatever goes wrong."""
        with self.path.open("ab", buffering=0) as out:
            before, left = out.tell(), memoryview(b"".join(self._waiting))
            try:
                while left:
                    left = left[out.write(left) :]
            except OSError:
                out.truncate(before)
                raise
        self._waiting, self._size = [], 0

    def sort(self) -> None:
        """Write it anew in the order of time, as readers of captures expect."""
        self.flush()
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with self.path.open("rb") as old, part.open("xb") as new:
                for _, begin, size in sorted(_blocks(old)):
                    old.seek(begin)
                    new.write(old.read(size))
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def _put(self, block: bytes) -> None:
        self._waiting.append(block)
        self._size += len(block)
        if self._size > _AT_ONCE:
            self.flush()


def _blocks(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Of each block: the time of its packet (-1 where it is none), where it begins, and its size."""
    file.seek(0)
    begin, head = 0, struct.Struct("<IIIII")
    while len(read := file.read(head.size)) == head.size:
        kind, size, _, high, low = head.unpack(read)
        yield (high << 32 | low if kind == PACKET else -1), begin, size
        begin += size
        file.seek(begin)


def frame_bytes(block: FrameBlock, row: int) -> bytes:
    """What was captured of a frame."""
    at = int(block.offsets[row])
    return block.buffer[at : at + int(block.captured[row])].tobytes()
