"""Keeps what was captured in pcap files, and rotates them as tcpdump does."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from analyzer.errors import unwritable
from analyzer.model.blocks import FrameBlock
from analyzer.model.live import Keep

_SECOND = 10**9
_HEADER = struct.Struct("<IHHiIII")
_RECORD = 16
"""Bytes of a record's header."""
_NANOSECONDS, _MICROSECONDS = 0xA1B23C4D, 0xA1B2C3D4
_MEGABYTE = 1_000_000  # of tcpdump's -C


class Keeper:
    """Writes frames as they come; whatever stops it, a file has whole records only.

    ``full``: all that was wanted has been written. ``problems``: what went wrong; after an error nothing more
    is written. Raises UserError where the first file cannot be written.
    """

    def __init__(self, keep: Keep, snaplen: int, *, nanoseconds: bool = False) -> None:
        self.full = False
        self.problems: list[str] = []
        self._keep = keep
        self._snaplen = snaplen or 262_144
        self._magic, self._unit = (_NANOSECONDS, 1) if nanoseconds else (_MICROSECONDS, 1000)
        self._link_type: int | None = None
        self._file: int | None = None
        self._size = 0
        self._number = 0
        self._since = 0
        self._files = 0
        self._others = 0
        self._closed = False
        try:
            os.close(os.open(self._path(0), os.O_WRONLY | os.O_CREAT, 0o644))
        except OSError as error:
            raise unwritable(f"-w {keep.path}", error) from None

    def write(self, block: FrameBlock) -> None:
        """Keep these frames."""
        if self.full or self.problems or not len(block):
            return
        if self._link_type is None:
            self._link_type = int(block.link_types[0])
        rows = np.flatnonzero(block.link_types == self._link_type)
        self._others += len(block) - len(rows)
        sizes = _RECORD + block.captured[rows]
        try:
            self._write(self._records(block, rows).data, sizes, block.times[rows])
        except OSError as error:
            self._cut()
            self.problems.append(
                f"{self._keep.path}: {error.strerror}: nothing more is written, the capture goes on"
            )

    def close(self) -> None:
        """End the file; all ``problems`` are known then."""
        if self._closed:
            return
        self._closed = True
        if self._file is None and not self.problems and not self.full:
            self._open(0)  # nothing came: an empty capture
        if self._others:
            self.problems.append(
                f"{self._keep.path}: {self._others:,} packets have another link type and were not written"
            )
        self._close()

    def _records(self, block: FrameBlock, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Header and frame of each of these rows, one behind the other."""
        heads = np.empty((len(rows), 4), "<u4")
        times = block.times[rows]
        heads[:, 0], heads[:, 1] = times // _SECOND, times % _SECOND // self._unit
        sizes = block.captured[rows]
        heads[:, 2], heads[:, 3] = sizes, block.original[rows]
        begins = block.offsets[rows]
        ends = begins + sizes
        places = np.cumsum(_RECORD + sizes) - sizes
        if len(rows) and begins[0] >= _RECORD and (begins[1:] == ends[:-1] + _RECORD).all():
            records = block.buffer[begins[0] - _RECORD : ends[-1]].copy()  # as they stand in a pcap stream
        else:
            records = np.empty(int((_RECORD + sizes).sum()), np.uint8)
            for place, begin, end in zip(places.tolist(), begins.tolist(), ends.tolist(), strict=True):
                records[place : place + end - begin] = block.buffer[begin:end]
        records[(places - _RECORD)[:, None] + np.arange(_RECORD)] = heads.view(np.uint8)
        return records

    def _write(self, records: memoryview, sizes: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        at = 0
        ends = [0, *np.cumsum(sizes).tolist()]
        while at < len(sizes) and not self.full:
            if self._file is None:
                self._open(int(times[at]))
            count = self._room(sizes[at:], times[at:])
            if count:
                self._put(records[ends[at] : ends[at + count]])
            at += count
            if at < len(sizes):
                self._rotate()

    def _room(self, sizes: NDArray[np.int64], times: NDArray[np.int64]) -> int:
        """How many of the records go into this file: until it is larger than asked for, or too old."""
        count = len(sizes)
        if self._keep.megabytes:
            before = self._size + np.cumsum(sizes) - sizes
            count = min(count, int((before <= self._keep.megabytes * _MEGABYTE).sum()))
        if self._keep.seconds:
            count = min(count, int((times < self._since + self._keep.seconds * _SECOND).sum()))
        return count

    def _rotate(self) -> None:
        self._close()
        self._files += 1
        self._number += 1
        keep = self._keep
        if keep.files and keep.seconds and not keep.megabytes and self._files >= keep.files:
            self.full = True
        if keep.files and keep.megabytes:
            self._number %= keep.files

    def _path(self, time: int) -> str:
        keep = self._keep
        path = keep.path
        if keep.seconds:
            path = datetime.fromtimestamp(time / _SECOND).astimezone().strftime(path)
        if not keep.megabytes:
            return path
        if keep.files:
            return f"{path}{self._number:0{len(str(keep.files - 1))}}"
        return f"{path}{self._number}" if self._number else path

    def _open(self, time: int) -> None:
        self._since = time
        self._file = os.open(self._path(time), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._size = 0
        link_type = 1 if self._link_type is None else self._link_type
        self._put(_HEADER.pack(self._magic, 2, 4, 0, 0, self._snaplen, link_type))

    def _put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view and self._file is not None:
            view = view[os.write(self._file, view) :]
        self._size += len(data)

    def _cut(self) -> None:
        """Back to the last whole record, so that the file can be read."""
        if self._file is not None:
            with suppress(OSError):  # a device
                os.ftruncate(self._file, self._size)
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
