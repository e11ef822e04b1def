"""Classic pcap files: draft-ietf-opsawg-pcap, "PCAP Capture File Format"."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.errors import UserError
from analyzer.model.capture import Capture
from analyzer.sources.reading import CaptureSource, Frames, Verdict, Window, link_type_of
from analyzer.sources.records import (
    MAX_RECORD,
    Bytes,
    Offsets,
    RecordFormat,
    Windows,
    gather,
    word_view,
)

FILE_HEADER = 24
USUAL_LIMIT = 262_144
"""Bytes of a record that are believed even where the snapshot length says less: it is often wrong."""

SECOND = 1_000_000_000

# Magic number: record header bytes, nanoseconds in a unit of the fraction. The last is that of the
# "modified" format (A. Kuznetzov's libpcap), whose records have 8 more bytes: interface, protocol, direction.
_MAGICS = {0xA1B2C3D4: (16, 1000), 0xA1B23C4D: (16, 1), 0xA1B2CD34: (24, 1000)}


def is_pcap(start: bytes) -> bool:
    """Whether a file that starts with these (at least four) bytes is a classic pcap file."""
    return any(struct.unpack(f"{order}I", start[:4])[0] in _MAGICS for order in "<>")


@dataclass(frozen=True, slots=True)
class PcapRecords:
    """Records of a classic pcap file (section "Packet Record").

    order: "<" or ">"; fixed: bytes of a record header; unit: nanoseconds in a unit of the fraction; limit:
    bytes that a record may claim.
    """

    order: str
    fixed: int
    unit: int
    limit: int

    def plain_walk(
        self, buffer: Bytes, at: int, end: int, until: int | None = None, most: int | None = None
    ) -> tuple[list[int], int]:
        """See RecordFormat. A record is damaged when it claims more than ``limit`` bytes."""
        unpack = struct.Struct(f"{self.order}I").unpack_from
        memory, fixed, limit = buffer.data, self.fixed, self.limit
        last = end - fixed  # where the header of a complete record starts at most
        if until is not None:
            last = min(last, until - 1)
        most = len(buffer) if most is None else most
        offsets: list[int] = []
        while at <= last and len(offsets) < most:
            (captured,) = unpack(memory, at + 8)
            following = at + fixed + captured
            if captured > limit or following > end:
                break
            offsets.append(at)
            at = following
        return offsets, at

    def lengths(self, buffer: Bytes) -> NDArray[np.uint32]:
        """See RecordFormat."""
        return word_view(buffer, 8, self.order)

    def first_unsound(self, buffer: Bytes, offsets: Offsets, following: Offsets) -> int:
        """See RecordFormat."""
        unsound = following - offsets > self.fixed + self.limit
        return int(unsound.argmax()) if unsound.any() else len(offsets)

    def guesses(self, buffer: Bytes, at: int, windows: Windows) -> Offsets:
        """See RecordFormat. Seconds near those of the record at ``at``, sane lengths; so the next ones."""
        high = 3 if self.order == "<" else 0  # where the most significant byte of a word is
        era = int(buffer[at + high])
        found, rows = windows.positions(windows.bytes_at(buffer, high) == era)
        sane: NDArray[np.bool_] = buffer.take(found + 8 + high) == 0
        sane &= buffer.take(found + 12 + high) == 0
        found, rows = found[sane], rows[sane]
        here, sane = found, np.ones(len(found), np.bool_)
        for _ in range(3):
            fields = gather(buffer, here, 4, self.order)
            seconds, fraction, captured, original = fields.T
            sane &= (seconds >> 24 == era) & (fraction < SECOND // self.unit)
            sane &= (captured <= original) & (captured <= self.limit) & (original > 0)
            here = np.minimum(here + self.fixed + captured, windows.end)
        found, rows = found[sane], rows[sane]
        return found[np.diff(rows, prepend=-1) > 0]


class PcapSource(CaptureSource):
    """A classic pcap file."""

    def __init__(self, capture: Capture, window: Window, index: int, max_frames: int) -> None:
        """Takes the file header from the window; raises UserError where it is short or of another version."""
        super().__init__(capture, window, index, max_frames)
        if not window.fill_to(FILE_HEADER):
            what = f"the file ends after {window.end} bytes, inside the header of a pcap file"
            hint = "whoever wrote it was stopped too early: record it again."
            raise UserError("capture-cut-short", capture.path, what, hint)
        self.header = header = bytes(window.buffer[:FILE_HEADER])
        order = next(sign for sign in "<>" if struct.unpack(f"{sign}I", header[:4])[0] in _MAGICS)
        magic, major, minor, _, _, snaplen, link_type = struct.unpack(f"{order}IHHiIII", header)
        if (major, minor) not in ((2, 3), (2, 4)):
            what = f"pcap files of version {major}.{minor} are not supported, only 2.4"
            hint = "convert it with `editcap -F pcap`, if it is no damage."
            raise UserError("unsupported-capture", capture.path, what, hint)
        fixed, unit = _MAGICS[magic]
        self.records = PcapRecords(order, fixed, unit, max(USUAL_LIMIT, min(snaplen, MAX_RECORD)))
        self._link_type = link_type_of(link_type)
        window.begin = FILE_HEADER

    @property
    def _form(self) -> RecordFormat:
        return self.records

    def _judge(self, buffer: Bytes, at: int, end: int) -> Verdict:
        records = self.records
        if end - at < records.fixed:
            return Verdict(need=records.fixed)
        (captured,) = struct.unpack_from(f"{records.order}I", buffer.data, at + 8)
        if captured > records.limit:
            what = (
                f"record {self.capture.packets + 1} claims {captured:,} bytes; a record of this file "
                f"can have {records.limit:,} at most"
            )
            return Verdict(damage=what)
        return Verdict(need=records.fixed + captured)

    def _frames(self, buffer: Bytes, offsets: Offsets) -> Frames:
        records = self.records
        fields = gather(buffer, offsets, 4, records.order)
        captured = fields[:, 2].astype(np.int64)
        damage, stop = "", 0
        if not captured.all():
            sound = _records_before_hole(fields)
            if sound < len(offsets):
                number = self.capture.packets + sound + 1
                damage, stop = f"the header of record {number} is all zeros", int(offsets[sound])
                offsets, fields, captured = offsets[:sound], fields[:sound], captured[:sound]
        fraction = fields[:, 1].astype(np.int64)
        self.tally.odd_fractions += int(np.count_nonzero(fraction >= SECOND // records.unit))
        times = fields[:, 0].astype(np.int64)
        times *= SECOND
        times += fraction * records.unit
        return Frames(
            offsets=offsets + records.fixed,
            captured=captured,
            original=np.maximum(captured, fields[:, 3]),
            times=times,
            link_types=np.full(len(offsets), self._link_type, np.uint16),
            stop=stop,
            damage=damage,
        )


def _records_before_hole(fields: NDArray[np.uint32]) -> int:
    """Records before the first whose header is all zeros: uint32 (n, 4) fields.

    That is no packet but a hole, as a crash of the recording machine leaves it.
    """
    hole = ~fields.any(axis=1)
    return int(hole.argmax()) if hole.any() else len(fields)
