"""Writes a copy of a capture as pcapng, with comments on its frames and on the whole of it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from analyzer.model.blocks import FrameBlock
from analyzer.model.comments import Comments
from analyzer.sources.pcap_file import SECOND, PcapRecords, PcapSource
from analyzer.sources.pcapng_blocks import (
    BYTE_ORDER,
    END_OF_OPTIONS,
    INTERFACE,
    OLD_PACKET,
    PACKET,
    RESOLUTION,
    SECTION,
    SIMPLE_PACKET,
    PcapngBlocks,
)
from analyzer.sources.reading import CaptureSource, Frames
from analyzer.sources.records import Bytes, Offsets, RecordFormat, gather

_COMMENT, _FCS_LENGTH = 1, 13  # opt_comment of any block, if_fcslen of an interface
_LONGEST = 60_000
"""Bytes of a comment at most: an option can have 65,535."""

_UNKNOWN_LENGTH = b"\xff" * 8  # of a section (section "Section Header Block")


def write_annotated(
    source: CaptureSource,
    comments: Comments,
    out: BinaryIO,
    read: Callable[[CaptureSource], Iterator[FrameBlock]] = CaptureSource.blocks,
) -> None:
    """Copy what can be read of the source, by ``read``, to ``out``.

    Blocks of pcapng are copied byte for byte, unknown ones too, but for those that get a comment, behind the
    ones that they have; a section with a comment states no length any more. Records of pcap become enhanced
    packet blocks of one interface with the resolution of the file. Simple packet blocks have no room for a
    comment, and get none. Raises OSError of ``out`` only.
    """
    if isinstance(source, PcapSource):
        source.tap = _from_pcap(source, comments, out)
    else:
        source.tap = _PcapngCopy(comments, out)
    for _ in read(source):
        pass


class _PcapngCopy:
    """Takes the blocks of a pcapng file, batch by batch."""

    def __init__(self, comments: Comments, out: BinaryIO) -> None:
        self._comments = comments
        self._out = out
        self._wanted = np.array(sorted(comments.frames), np.int64)
        self._packets = 0
        self._begun = False

    def __call__(self, form: RecordFormat, buffer: Bytes, offsets: Offsets, frames: Frames) -> None:
        """Write the blocks at the offsets."""
        assert isinstance(form, PcapngBlocks)  # noqa: S101  (of this format)
        if not len(offsets):
            return
        words = gather(buffer, offsets, 2, form.order)
        kinds, ends = words[:, 0], offsets + words[:, 1]
        packets = (kinds == PACKET) | (kinds == SIMPLE_PACKET) | (kinds == OLD_PACKET)
        numbers = self._packets + np.cumsum(packets)
        touched = packets & np.isin(numbers, self._wanted)
        if not self._begun:
            touched[0] = True
        memory, at = buffer.data, int(offsets[0])
        for row in np.flatnonzero(touched).tolist():
            begin, end = int(offsets[row]), int(ends[row])
            self._out.write(memory[at:begin])
            given = self._comments
            texts = given.frames.get(int(numbers[row]), ()) if packets[row] else [given.whole]
            self._out.write(commented(bytes(memory[begin:end]), texts, form.order))
            self._begun, at = True, end
        self._out.write(memory[at : int(ends[-1])])
        self._packets += int(np.count_nonzero(packets))


def commented(block: bytes, texts: Sequence[str], order: str) -> bytes:
    """A block with further comments among its options; as it is, where it can have none."""
    (kind,) = struct.unpack_from(f"{order}I", block)
    begin = _options_begin(block, kind, order)
    if begin is None or not texts:
        return block
    end, at = len(block) - 4, begin
    while at + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", block, at)
        following = at + 4 + length + (-length & 3)
        if code == END_OF_OPTIONS or following > end:
            break
        at = following
    added = b"".join(option(_COMMENT, _encoded(text), order) for text in texts) + bytes(4)
    head, length = block[8:at], 12 + at - 8 + len(added)
    if kind == SECTION:
        head = head[:8] + _UNKNOWN_LENGTH + head[16:]
    size = struct.pack(f"{order}I", length)
    return block[:4] + size + head + added + size


def _options_begin(block: bytes, kind: int, order: str) -> int | None:
    if kind == SECTION:
        return 24
    if kind in (PACKET, OLD_PACKET):
        (captured,) = struct.unpack_from(f"{order}I", block, 20)
        return 28 + int(captured) + (-int(captured) & 3)
    return None


def option(code: int, value: bytes, order: str) -> bytes:
    """An option (section "Options")."""
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def _encoded(text: str) -> bytes:
    """UTF-8, cut between characters where it is too long."""
    return text.encode(errors="backslashreplace")[:_LONGEST].decode(errors="ignore").encode()


class _PcapCopy:
    """Takes the records of a classic pcap file, batch by batch."""

    def __init__(self, comments: Comments, out: BinaryIO) -> None:
        self._comments = comments
        self._out = out
        self._packets = 0

    def __call__(self, form: RecordFormat, buffer: Bytes, offsets: Offsets, frames: Frames) -> None:
        """Write the records at the offsets."""
        assert isinstance(form, PcapRecords)  # noqa: S101  (of this format)
        self._out.writelines(self._blocks(form, buffer, offsets))
        self._packets += len(offsets)

    def _blocks(self, form: PcapRecords, buffer: Bytes, offsets: Offsets) -> Iterator[bytes]:
        """Enhanced packet blocks, in the byte order of the file."""
        memory, order, fixed, wanted = buffer.data, form.order, form.fixed, self._comments.frames
        per_second = SECOND // form.unit
        head, size = struct.Struct(f"{order}IIIIIII"), struct.Struct(f"{order}I")
        fields = gather(buffer, offsets, 4, order).tolist()
        records = zip(offsets.tolist(), fields, strict=True)
        for number, (at, (seconds, fraction, captured, original)) in enumerate(records, self._packets + 1):
            ticks = seconds * per_second + fraction
            length = 32 + captured + (-captured & 3)
            block = b"".join(
                (
                    head.pack(PACKET, length, 0, ticks >> 32, ticks & 0xFFFFFFFF, captured, original),
                    memory[at + fixed : at + fixed + captured],
                    bytes(-captured & 3),
                    size.pack(length),
                )
            )
            yield commented(block, wanted[number], order) if number in wanted else block


def _from_pcap(source: PcapSource, comments: Comments, out: BinaryIO) -> _PcapCopy:
    """Writes the section and the interface that stand for the file's header."""
    form, header = source.records, source.header
    order = form.order
    body = struct.pack(f"{order}IHH", BYTE_ORDER, 1, 0) + _UNKNOWN_LENGTH
    out.write(commented(block_of(SECTION, body, order), [comments.whole], order))
    snaplen, link_type = struct.unpack(f"{order}II", header[16:24])
    pairs = [option(RESOLUTION, bytes([9 if form.unit == 1 else 6]), order)]
    if link_type >> 26 & 1:  # the F bit of the field says that its upper four bits count the FCS
        pairs.append(option(_FCS_LENGTH, bytes([link_type >> 28 << 1]), order))
    interface = struct.pack(f"{order}HHI", link_type & 0xFFFF, 0, snaplen) + b"".join(pairs) + bytes(4)
    out.write(block_of(INTERFACE, interface, order))
    return _PcapCopy(comments, out)


def block_of(kind: int, body: bytes, order: str) -> bytes:
    """A block of pcapng (section "General Block Structure"); the body is a multiple of four bytes."""
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size
