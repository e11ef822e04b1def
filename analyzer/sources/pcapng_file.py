"""pcapng files: draft-ietf-opsawg-pcapng, "PCAP Next Generation Capture File Format"."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer.errors import UserError
from analyzer.model.capture import Capture
from analyzer.sources.pcapng_blocks import (
    BYTE_ORDER,
    IF_DROP,
    INTERFACE,
    MAX_BLOCK,
    OFFSET,
    OLD_PACKET,
    OS_DROP,
    OTHER_BYTE_ORDER,
    PACKET,
    RESOLUTION,
    SECTION,
    SIMPLE_PACKET,
    STATISTICS,
    PcapngBlocks,
    fault_of_section,
    options,
    word,
)
from analyzer.sources.pcapng_times import MAX_TIME, MICROSECONDS, SECOND, nanoseconds
from analyzer.sources.reading import CaptureSource, Frames, Verdict, Window, link_type_of
from analyzer.sources.records import (
    SHORTEST,
    Bytes,
    Offsets,
    RecordFormat,
    Tuning,
    gather,
)

MAX_INTERFACES = 65_536
"""Interfaces of a section: more are no capture, but an attempt to fill the memory."""

MAX_SWITCHES = 10_000
"""Changes of the byte order in a file: each costs time, and a file joined of so many does not exist."""


_UNKNOWN_COUNT = b"\xff" * 8  # what some programs write where the system gave them no number

_PROBE_AFTER_SWITCH = 4096
"""Blocks. A hostile file changes its byte order again and again, and each time a fast walk to the end of the
buffer would be in vain: so a section in another order is walked plainly for a while first."""


class _Interface(NamedTuple):
    """What an interface description block says; ``offset`` is if_tsoffset in nanoseconds."""

    link_type: int
    snaplen: int
    resolution: int
    offset: int


class _Fault(NamedTuple):
    """The row of a batch's first block that makes no sense (their number where all do), and why."""

    row: int
    what: str = ""


class _Table:
    """Interfaces as columns. link_types: uint16; snaplens, resolutions, offsets: int64, all (n,)."""

    def __init__(self, interfaces: list[_Interface]) -> None:
        columns = np.array(interfaces, np.int64).reshape(-1, 4)
        self.link_types = columns[:, 0].astype(np.uint16)
        self.snaplens = columns[:, 1]
        self.resolutions = columns[:, 2]
        self.offsets = columns[:, 3]
        self._are_alike = len(columns) > 0 and bool((self.resolutions == self.resolutions[0]).all())

    def times(self, ticks: NDArray[np.uint64], index: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 (n,) nanoseconds since the epoch of uint64 (n,) ticks of the interfaces ``index``."""
        if self._are_alike:
            times = nanoseconds(ticks, int(self.resolutions[0]))
        else:
            times = np.zeros(len(ticks), np.int64)
            resolutions = self.resolutions[index]
            for resolution in np.unique(resolutions):
                rows = resolutions == resolution
                times[rows] = nanoseconds(ticks[rows], int(resolution))
        if self.offsets.any():
            times = np.clip(times + self.offsets[index], 0, MAX_TIME)
        return times


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which interfaces a block can name: ``declared`` of them, in the table from ``base`` on.

    rows: the blocks behind which that changed, ascending, the first -1; base, declared: from there on.
    """

    rows: list[int]
    base: list[int]
    declared: list[int]

    def of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """base and declared of the blocks ``rows``: int64 (n,) each."""
        if len(self.rows) == 1:
            return np.full(len(rows), self.base[0]), np.full(len(rows), self.declared[0])
        place = np.searchsorted(np.array(self.rows), rows) - 1
        return np.array(self.base, np.int64)[place], np.array(self.declared, np.int64)[place]


@dataclass(frozen=True, slots=True)
class _Packets:
    """Packet blocks of a batch, one row each.

    rows: of the batch's blocks; offsets: of the blocks; words: uint32 (n, 7); kinds: uint32, block types;
    numbers: of the interface, in its section; base, declared: see _Scope. int64 (n,) where nothing is said.
    """

    rows: NDArray[np.int64]
    offsets: Offsets
    words: NDArray[np.uint32]
    kinds: NDArray[np.uint32]
    numbers: NDArray[np.int64]
    base: NDArray[np.int64]
    declared: NDArray[np.int64]

    @classmethod
    def among(
        cls,
        offsets: Offsets,
        words: NDArray[np.uint32],
        kinds: NDArray[np.uint32],
        scope: _Scope,
        order: str,
    ) -> _Packets:
        """The packet blocks among the blocks at ``offsets``."""
        if (kinds == PACKET).all():
            rows, numbers = np.arange(len(offsets)), words[:, 2].astype(np.int64)
        else:
            rows = np.flatnonzero((kinds == PACKET) | (kinds == SIMPLE_PACKET) | (kinds == OLD_PACKET))
            offsets, words, kinds = offsets[rows], words[rows], kinds[rows]
            numbers = words[:, 2].astype(np.int64)
            numbers[kinds == SIMPLE_PACKET] = 0
            old = kinds == OLD_PACKET  # two 16-bit fields: the interface, then packets dropped
            numbers[old] = numbers[old] & 0xFFFF if order == "<" else numbers[old] >> 16
        return cls(rows, offsets, words, kinds, numbers, *scope.of(rows))

    def up_to(self, count: int) -> _Packets:
        """The first ``count`` rows."""
        return _Packets(*(getattr(self, name)[:count] for name in self.__slots__))

    def first_fault(self) -> tuple[int, str]:
        """The first row that contradicts itself and why; their number and "" where none does."""
        simple = self.kinds == SIMPLE_PACKET
        room = self.words[:, 1].astype(np.int64) - np.where(simple, 16, 32)
        stranger = self.numbers >= self.declared
        bad = stranger | (room < 0) | (~simple & (self.words[:, 5] > room))
        if not bad.any():
            return len(bad), ""
        row = int(bad.argmax())
        if stranger[row]:
            return row, f"is of interface {self.numbers[row]}, which the file has not described"
        if room[row] < 0:
            return row, f"has a block of {self.words[row, 1]} bytes, too short for its header"
        return row, f"claims {self.words[row, 5]:,} bytes, but its block has room for {room[row]:,}"


class PcapngSource(CaptureSource):
    """A pcapng file."""

    def __init__(self, capture: Capture, window: Window, index: int, max_frames: int) -> None:
        """Looks at the first section header, which stays in the window; raises UserError where it is bad."""
        super().__init__(capture, window, index, max_frames)
        if not window.fill_to(28):
            what = f"the file ends after {window.end} bytes, inside its section header"
            hint = "whoever wrote it was stopped too early: record it again."
            raise UserError("capture-cut-short", capture.path, what, hint)
        order = next((sign for sign in "<>" if word(window.buffer, 8, sign) == BYTE_ORDER), None)
        if order is None:
            what = "the file begins like a pcapng file, but its section header shows no byte order"
            raise UserError("not-a-capture", capture.path, what, "it is damaged: copy or record it again.")
        fault = fault_of_section(window.buffer, 0, order)
        if fault:
            hint = "if it is no damage, convert it with `editcap -F pcapng`."
            raise UserError("unsupported-capture", capture.path, fault, hint)
        self._blocks = PcapngBlocks(order)
        self._switched = False
        self._switches = 0
        # Those of the section; while a batch is read, behind those of earlier sections that it begins with.
        self._interfaces: list[_Interface] = []
        self._table = _Table([])
        self._last_time = 0

    @property
    def _form(self) -> RecordFormat:
        return self._blocks

    def _how(self) -> Tuning:
        return replace(self.tuning, probe=_PROBE_AFTER_SWITCH) if self._switched else self.tuning

    def _judge(self, buffer: Bytes, at: int, end: int) -> Verdict:
        self._switched = False
        if end - at < SHORTEST:
            return Verdict(need=SHORTEST)
        order, after = self._blocks.order, f"the block after packet {self.capture.packets}"
        if word(buffer, at, order) == SECTION and word(buffer, at + 8, order) == OTHER_BYTE_ORDER:
            return self._switch_order()
        length = word(buffer, at + 4, order)
        if length < SHORTEST or length & 3 or length > MAX_BLOCK:
            lengths = f"a block has {SHORTEST} to {MAX_BLOCK:,}, and a multiple of four"
            return Verdict(damage=f"{after} claims {length:,} bytes; {lengths}")
        if end - at < length:
            return Verdict(need=length)
        repeated = word(buffer, at + length - 4, order)
        if repeated != length:
            return Verdict(damage=f"{after} claims {length:,} bytes at its start and {repeated:,} at its end")
        return Verdict()

    def _switch_order(self) -> Verdict:
        """Goes on in the other byte order, as the section header at hand demands."""
        self._blocks = PcapngBlocks("<" if self._blocks.order == ">" else ">")
        self._switched = True
        self._switches += 1
        if self._switches > MAX_SWITCHES:
            return Verdict(damage=f"the byte order changes more than {MAX_SWITCHES:,} times: the limit")
        return Verdict()

    def _frames(self, buffer: Bytes, offsets: Offsets) -> Frames:
        words = gather(buffer, offsets, 7, self._blocks.order)
        kinds = np.ascontiguousarray(words[:, 0])
        scope, fault = self._read_descriptions(buffer, offsets, kinds)
        good = slice(fault.row)
        packets = _Packets.among(offsets[good], words[good], kinds[good], scope, self._blocks.order)
        sound, what = packets.first_fault()
        if what:
            number = self.capture.packets + sound + 1
            fault = _Fault(int(packets.rows[sound]), f"packet {number} {what}")
            packets = packets.up_to(sound)
        self.tally.drops.settle(fault.row)
        self._read_comments(buffer, offsets[: fault.row], kinds[: fault.row], packets)
        frames = self._columns(packets)
        self._interfaces = self._interfaces[scope.base[-1] :]
        if len(scope.base) > 1:
            self._table = _Table(self._interfaces)
        if fault.what:
            return replace(frames, stop=int(offsets[fault.row]), damage=fault.what)
        return frames

    def _read_descriptions(
        self, buffer: Bytes, offsets: Offsets, kinds: NDArray[np.uint32]
    ) -> tuple[_Scope, _Fault]:
        """Reads the blocks that describe the packets, in their order; stops at one that makes no sense."""
        scope, fault = _Scope([-1], [0], [len(self._interfaces)]), _Fault(len(offsets))
        others = np.flatnonzero(kinds != PACKET)
        kind_of = kinds[others]
        rows = others[(kind_of == SECTION) | (kind_of == INTERFACE) | (kind_of == STATISTICS)]
        for row in rows.tolist():
            at, kind, base = int(offsets[row]), int(kinds[row]), scope.base[-1]
            if kind == STATISTICS:
                self._read_statistics(buffer, at, row, scope.declared[-1])
                continue
            if kind == SECTION:
                base = len(self._interfaces)
                what = fault_of_section(buffer, at, self._blocks.order)
                self.tally.drops.end_section(row)
            else:
                what = self._read_interface(buffer, at, scope.declared[-1])
            if what:
                fault = _Fault(row, what)
                break
            self.tally.described += 1
            scope.rows.append(row)
            scope.base.append(base)
            scope.declared.append(len(self._interfaces) - base)
        if len(scope.rows) > 1:
            self._table = _Table(self._interfaces)
        return scope, fault

    def _read_interface(self, buffer: Bytes, at: int, declared: int) -> str:
        """Section "Interface Description Block"; says what is wrong with it."""
        order = self._blocks.order
        length = word(buffer, at + 4, order)
        if length < 20:
            return f"an interface description has {length} bytes, 20 are the fewest"
        if declared == MAX_INTERFACES:
            return f"a section describes more than {MAX_INTERFACES:,} interfaces, which is the limit"
        (link_type,) = struct.unpack_from(f"{order}H", buffer.data, at + 8)
        resolution, offset = MICROSECONDS, 0
        for code, value in options(buffer, at + 16, at + length - 4, order):
            if code == RESOLUTION and len(value) == 1:
                resolution = value[0]
            elif code == OFFSET and len(value) == 8:
                offset = struct.unpack(f"{order}q", value)[0] * SECOND
        offset = max(-MAX_TIME, min(offset, MAX_TIME - 1))  # so that time and offset fit 64 bits
        snaplen = word(buffer, at + 12, order)
        self._interfaces.append(_Interface(link_type_of(link_type), snaplen, resolution, offset))
        return ""

    def _read_statistics(self, buffer: Bytes, at: int, row: int, declared: int) -> None:
        """Section "Interface Statistics Block": the counts are totals, so the latest one holds."""
        order = self._blocks.order
        length, number = word(buffer, at + 4, order), word(buffer, at + 8, order)
        if length < 24 or number >= declared:
            return
        for code, value in options(buffer, at + 20, at + length - 4, order):
            if code in (IF_DROP, OS_DROP) and len(value) == 8 and value != _UNKNOWN_COUNT:
                self.tally.drops.note(row, code, number, struct.unpack(f"{order}Q", value)[0])

    def _read_comments(
        self, buffer: Bytes, offsets: Offsets, kinds: NDArray[np.uint32], packets: _Packets
    ) -> None:
        """Option opt_comment of sections, interfaces and packets, all of which are sound."""
        order, comments = self._blocks.order, self.tally.comments
        for kind, head in ((SECTION, 24), (INTERFACE, 16)):
            for row in np.flatnonzero(kinds == kind).tolist():
                at = int(offsets[row])
                comments.of_block(buffer, at + head, at + word(buffer, at + 4, order) - 4, order)
        captured = packets.words[:, 5].astype(np.int64)
        begin = packets.offsets + 28 + captured + (-captured & 3)
        end = packets.offsets + packets.words[:, 1] - 4
        begin = np.where(packets.kinds == SIMPLE_PACKET, end, begin)
        comments.of_packets(buffer, begin, end, order, self.capture.packets + 1)

    def _columns(self, packets: _Packets) -> Frames:
        """The packets as frames, with times; ``packets`` are sound."""
        words, index = packets.words, packets.base + packets.numbers
        ticks = words[:, 3].astype(np.uint64) << np.uint64(32)
        ticks |= words[:, 4]
        times = self._table.times(ticks, index)
        captured, original = words[:, 5].astype(np.int64), words[:, 6].astype(np.int64)
        start = packets.offsets + 28
        simple = packets.kinds == SIMPLE_PACKET
        if simple.any():
            start[simple] -= 16
            original[simple] = words[simple, 2]
            captured[simple] = self._stored(words[simple], self._table.snaplens[index[simple]])
            times = self._times_before(times, simple)
            self.tally.untimed += int(np.count_nonzero(simple))
        if len(times):
            self._last_time = int(times[-1])
        self._count_old_drops(packets)
        original = np.maximum(original, captured)
        return Frames(start, captured, original, times, self._table.link_types[index])

    @staticmethod
    def _stored(words: NDArray[np.uint32], snaplens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bytes that simple packet blocks hold (section "Simple Packet Block"): int64 (n,)."""
        room = words[:, 1].astype(np.int64) - 16
        limit = np.where(snaplens > 0, snaplens, room)
        return np.minimum(np.minimum(words[:, 2], limit), room)

    def _times_before(self, times: NDArray[np.int64], untimed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Gives each untimed row the time of the last timed one before it."""
        timed = np.where(untimed, 0, np.arange(1, len(times) + 1))
        return np.append(self._last_time, times)[np.maximum.accumulate(timed)]

    def _count_old_drops(self, packets: _Packets) -> None:
        """Section "Packet Block (obsolete)": packets dropped since the one before, 65,535 for unknown."""
        old = packets.words[packets.kinds == OLD_PACKET, 2]
        drops = old >> 16 if self._blocks.order == "<" else old & 0xFFFF
        self.tally.drops.interface += int(drops[drops != 0xFFFF].sum())
