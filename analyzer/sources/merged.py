"""Several captures as one stream: their records in the order of their times."""

from __future__ import annotations

import io
import select
import struct
from collections.abc import Sequence
from operator import itemgetter
from time import monotonic, sleep

from analyzer.errors import UserError
from analyzer.sources.tap import COLLECT, IDLE, STEP, widen

_FILE_HEADER, _RECORD_HEADER = 24, 16
_RECORD = struct.Struct("<IIII")
_HELD = 20_000
"""Microseconds for which a record waits for an earlier one of another interface."""


class Merged:
    """A stream (see reading.Stream) of what programs on this machine write as pcap with microseconds.

    It ends when all of them have. Raises UserError where their link types differ.
    """

    def __init__(self, files: Sequence[io.FileIO], names: Sequence[str]) -> None:
        self._inputs = [_Input(file, name) for file, name in zip(files, names, strict=True)]
        self._held: list[tuple[int, bytes]] = []
        self._output = b""
        for file in files:
            widen(file)
        self._begin()

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Whole or parts of records; None where none came for a moment, 0 at the end. Raises OSError."""
        if not self._output:
            came = self._collect()
            self._output = self._take(everything=not came)
            if not self._output:
                return None if self._inputs or self._held else 0
        count = min(len(self._output), len(buffer))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def close(self) -> None:
        """Closes all."""
        for one in self._inputs:
            one.file.close()

    def _begin(self) -> None:
        """Reads the headers, which the programs write at once, and hands on the first one."""
        for one in self._inputs:
            while len(one.left) < _FILE_HEADER:
                more = one.file.read(_FILE_HEADER - len(one.left))
                if not more:
                    raise UserError("capture-failed", f"-i {one.name}", "the capture ended before it began")
                one.left += more
        kinds = {one.left[20:_FILE_HEADER] for one in self._inputs}
        if len(kinds) > 1:
            names = ", ".join(one.name for one in self._inputs)
            hint = "use -i any, or one call for each"
            raise UserError("two-link-types", names, "these interfaces have frames of different kinds", hint)
        self._output = self._inputs[0].left[:_FILE_HEADER]
        for one in self._inputs:
            one.left = one.left[_FILE_HEADER:]

    def _collect(self) -> bool:
        """Takes what comes within a moment; whether anything did."""
        if not self._read(IDLE):
            return False
        until = monotonic() + COLLECT
        while (left := until - monotonic()) > 0 and self._inputs:
            sleep(min(STEP, left))
            while self._read(0):
                pass
        return True

    def _read(self, seconds: float) -> bool:
        if not self._inputs:
            return False
        ready, _, _ = select.select([one.file for one in self._inputs], [], [], seconds)
        for one in [one for one in self._inputs if one.file in ready]:
            data = one.file.read(1 << 20)
            if data:
                self._held.extend(one.records(data))
            else:
                self._inputs.remove(one)
                one.file.close()
        return bool(ready)

    def _take(self, *, everything: bool) -> bytes:
        """What nothing earlier can come before any more."""
        self._held.sort(key=itemgetter(0))
        count = len(self._held)
        if not everything and self._held and self._inputs:
            before = self._held[-1][0] - _HELD
            while count and self._held[count - 1][0] > before:
                count -= 1
        taken, self._held = self._held[:count], self._held[count:]
        return b"".join(record for _, record in taken)


class _Input:
    """One of the captures; ``left``: the beginning of a record."""

    def __init__(self, file: io.FileIO, name: str) -> None:
        self.file = file
        self.name = name
        self.left = b""

    def records(self, data: bytes) -> list[tuple[int, bytes]]:
        """Time (microseconds) and bytes of each record that is whole now."""
        data = self.left + data
        at, end, found = 0, len(data), []
        while at + _RECORD_HEADER <= end:
            seconds, fraction, captured, _ = _RECORD.unpack_from(data, at)
            after = at + _RECORD_HEADER + captured
            if after > end:
                break
            found.append((seconds * 1_000_000 + fraction, data[at:after]))
            at = after
        self.left = data[at:]
        return found
