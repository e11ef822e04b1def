"""Writes captures byte by byte, and reads them back through the source under test."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from analyzer.model.blocks import MAX_FRAMES, SLACK
from analyzer.model.capture import Capture
from analyzer.sources.open import CaptureSource, open_stream
from analyzer.sources.reading import PIECE
from analyzer.sources.records import TUNING, Tuning

SECOND = 1_000_000_000


class Frame(NamedTuple):
    data: bytes
    original: int
    time: int
    link_type: int = 1


def pcap_header(order="<", magic=0xA1B2C3D4, snaplen=262_144, link_type=1, version=(2, 4)) -> bytes:
    return struct.pack(f"{order}IHHiIII", magic, *version, 0, 0, snaplen, link_type)


def pcap_record(seconds, fraction, data, original=None, order="<", captured=None, extra=b"") -> bytes:
    captured = len(data) if captured is None else captured
    original = len(data) if original is None else original
    return struct.pack(f"{order}IIII", seconds, fraction, captured, original) + extra + data


def pcap(frames, order="<", magic=0xA1B2C3D4, **header) -> bytes:
    unit = 1 if magic == 0xA1B23C4D else 1000
    extra = bytes(8) if magic == 0xA1B2CD34 else b""
    parts = [pcap_header(order, magic, **header)]
    for frame in frames:
        seconds, rest = divmod(frame.time, SECOND)
        parts.append(pcap_record(seconds, rest // unit, frame.data, frame.original, order, extra=extra))
    return b"".join(parts)


def block(kind, body, order="<", length=None, repeated=None) -> bytes:
    body += bytes(-len(body) % 4)
    length = 12 + len(body) if length is None else length
    repeated = length if repeated is None else repeated
    return struct.pack(f"{order}II", kind, length) + body + struct.pack(f"{order}I", repeated)


def options(*pairs, order="<", end=True) -> bytes:
    parts = [
        struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in pairs
    ]
    return b"".join(parts) + (bytes(4) if end and pairs else b"")


def section(order="<", length=-1, version=(1, 0)) -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, *version, length), order)


def interface(link_type=1, snaplen=0, resolution=None, offset=None, order="<") -> bytes:
    pairs = [] if resolution is None else [(9, bytes([resolution]))]
    pairs += [] if offset is None else [(14, struct.pack(f"{order}q", offset))]
    return block(1, struct.pack(f"{order}HHI", link_type, 0, snaplen) + options(*pairs, order=order), order)


def packet(ticks, data, number=0, original=None, order="<", captured=None, tail=b"") -> bytes:
    captured = len(data) if captured is None else captured
    original = len(data) if original is None else original
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, captured, original)
    return block(6, head + data + bytes(-len(data) % 4) + tail, order)


def old_packet(ticks, data, number=0, drops=0, order="<") -> bytes:
    head = struct.pack(f"{order}HHIII", number, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(data))
    return block(2, head + struct.pack(f"{order}I", len(data)) + data, order)


def simple_packet(data, original=None, order="<") -> bytes:
    return block(3, struct.pack(f"{order}I", len(data) if original is None else original) + data, order)


def statistics(number=0, if_drop=None, os_drop=None, order="<") -> bytes:
    pairs = [(5, if_drop)] if if_drop is not None else []
    pairs += [(7, os_drop)] if os_drop is not None else []
    packed = [(code, struct.pack(f"{order}Q", value)) for code, value in pairs]
    return block(5, struct.pack(f"{order}III", number, 0, 0) + options(*packed, order=order), order)


def pcapng(frames, order="<") -> bytes:
    link_types = list(dict.fromkeys(frame.link_type for frame in frames)) or [1]
    parts = [section(order)] + [interface(value, resolution=9, order=order) for value in link_types]
    for frame in frames:
        number = link_types.index(frame.link_type)
        parts.append(packet(frame.time, frame.data, number, frame.original, order))
    return b"".join(parts)


class Chunks(io.RawIOBase):
    """A stream that gives at most ``most`` bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, most: int | None = None) -> None:
        self._data = memoryview(data)
        self._most = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        room = len(buffer) if self._most is None else min(len(buffer), self._most)
        part = self._data[:room]
        self._data = self._data[len(part) :]
        buffer[: len(part)] = part
        return len(part)


@dataclass
class Read:
    capture: Capture
    frames: list[Frame] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def damage(self) -> str:
        return "" if self.capture.damage is None else self.capture.damage.where

    def summary(self):
        """All that may not depend on how the file was cut."""
        damage = self.capture.damage
        told = (damage.reference, damage.where, damage.what) if damage else None
        capture = self.capture
        counts = (capture.packets, capture.bytes, capture.first, capture.last)
        return self.frames, counts, capture.link_types, capture.problems, capture.comments, told


# Makes the fast walk run on a few hundred bytes.
TINY = Tuning(probe=1, fewest=2, chains=8, length=1, batch=2, few=0)


def read(data: bytes, *, max_frames=MAX_FRAMES, piece=PIECE, most: int | None = None, tuning=TUNING) -> Read:
    """Everything that the source gives for a file with these bytes, with FrameBlock's promises checked."""
    source = open_stream(
        Chunks(data, most), "file", 3, max_frames=max_frames, piece=min(piece, len(data) + 9)
    )
    source.tuning = tuning
    return examined(source, max_frames)


def examined(source: CaptureSource, max_frames: int = MAX_FRAMES) -> Read:
    """Everything that a source numbered 3 gives, with FrameBlock's promises checked."""
    result = Read(source.capture)
    for frames in source.blocks():
        assert frames.capture == 3
        assert frames.first_number == len(result.frames) + 1
        assert 1 <= len(frames) <= max_frames
        assert frames.buffer.dtype == np.uint8
        types = [frames.offsets.dtype, frames.captured.dtype, frames.original.dtype, frames.times.dtype]
        assert types == [np.int64] * 4
        assert frames.link_types.dtype == np.uint16
        columns = (frames.offsets, frames.captured, frames.original, frames.times, frames.link_types)
        assert {len(column) for column in columns} == {len(frames)}
        assert int(frames.offsets.max()) + SLACK <= len(frames.buffer)
        for at, captured, original, time, link_type in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            assert at + captured <= len(frames.buffer)
            body = frames.buffer[at : at + captured].tobytes()
            result.frames.append(Frame(body, original, time, link_type))
        result.sizes.append(len(frames))
    assert result.capture.packets == len(result.frames)
    return result
