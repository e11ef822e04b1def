"""What the capture files share: the window through which a file is read, and the loop that fills blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from analyzer.errors import UserError
from analyzer.model.blocks import NO_FRAMES, SLACK, FrameBlock
from analyzer.model.capture import Capture
from analyzer.sources.records import TUNING, Bytes, Offsets, RecordFormat, Tuning, find_records, touch
from analyzer.sources.tally import Tally

PIECE = 32 << 20
"""Bytes read at once: enough records for the fast walk to pay, and for blocks that are nearly full."""

_LINE = 64
"""Bytes of a line of the processor's caches, mostly: headers stand in the first two of a record."""

ENDS_HERE = "the file is damaged from there on; what stands before it was read. Copy or record it again."


class Stream(Protocol):
    """What is read from: an unbuffered file, a pipe. Nothing seeks."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Bytes put into the buffer; 0 at the end, None where nothing came for a moment."""

    def close(self) -> None:
        """Gives the file back."""


class Compressed(Stream, Protocol):
    """What a compressed file holds. Reading it raises UserError, too: where the compressed data is damaged.

    kind: how it is compressed; offset: bytes of the compressed file that were taken; cut_short: whether that
    has ended before its time.
    """

    kind: str
    cut_short: bool

    @property
    def offset(self) -> int:
        """Bytes of the compressed file that were read so far."""


class Window:
    """The part of a stream that is in memory: ``buffer[begin:end]`` is not yet taken.

    buffer: uint8 (room + SLACK,), reused; ``position`` is the offset in the stream of ``buffer[0]``. name:
    what messages call the file; compressed: the stream, where the file is compressed; live: that it ends
    inside a record is nothing to speak of.
    """

    def __init__(
        self, stream: Stream, piece: int = PIECE, name: str = "", compressed: Compressed | None = None
    ) -> None:
        self.stream = stream
        self.name = name
        self.compressed = compressed
        self.buffer: Bytes = np.zeros(max(piece, 1) + SLACK, np.uint8)
        self.begin = 0
        self.end = 0
        self.position = 0
        self.waits = False
        self.live = False

    def fill(self, need: int = 1, at_once: int | None = None) -> bool:
        """Reads once, at most ``at_once`` bytes, with room for ``need`` bytes from ``begin`` on.

        False at the end of the stream; ``waits`` says whether nothing came for a moment. Views of the buffer
        are void after it. Raises OSError and UserError.
        """
        self._make_room(max(need, self.end - self.begin + 1))
        upto = len(self.buffer) - SLACK
        if at_once is not None:
            upto = min(upto, self.end + at_once)
        count = self.stream.readinto(self.buffer.data[self.end : upto])
        self.waits = count is None
        self.end += count or 0
        return count != 0

    def fill_to(self, need: int) -> bool:
        """Reads until ``need`` bytes are there, and little more; False where the stream ends before."""
        while self.end - self.begin < need:
            if not self.fill(need, at_once=max(4096, need)):
                return False
        return True

    def place(self, at: int) -> str:
        """Says where the byte ``at`` of the buffer stands."""
        inside = " of the decompressed data" if self.compressed else ""
        return f"byte {self.position + at}{inside}"

    def _make_room(self, need: int) -> None:
        """Moves what is left to the front, into a larger buffer where one record needs it."""
        left = self.buffer[self.begin : self.end]
        if need > len(self.buffer) - SLACK:
            self.buffer = np.zeros(need + SLACK, np.uint8)
        self.buffer[: len(left)] = left
        self.position += self.begin
        self.begin, self.end = 0, len(left)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why no whole record stands at an offset: bytes that it needs, or damage; neither means: look again."""

    need: int = 0
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Frames:
    """Columns of a block as in FrameBlock; ``damage`` says what is wrong with the record at ``stop``."""

    offsets: NDArray[np.int64]
    captured: NDArray[np.int64]
    original: NDArray[np.int64]
    times: NDArray[np.int64]
    link_types: NDArray[np.uint16]
    stop: int = 0
    damage: str = ""

    def __len__(self) -> int:
        return len(self.offsets)


class Tap(Protocol):
    """Gets every batch of sound records as it is read, those that hold no frame included."""

    def __call__(self, form: RecordFormat, buffer: Bytes, offsets: Offsets, frames: Frames) -> None:
        """int64 (n,) offsets of the records in the buffer, and the frames among them."""


class CaptureSource(ABC):
    """One capture that is being read: ``capture`` is filled in while ``blocks`` is iterated.

    ``blocks`` can be iterated once, raises nothing whatever the bytes are, and closes the file at its end.
    A source that is not iterated needs ``close``.
    """

    tuning: Tuning = TUNING

    def __init__(self, capture: Capture, window: Window, index: int, max_frames: int) -> None:
        self.capture = capture
        self.tally = Tally(capture)
        self._is_piece = self._goes_on = False
        self._window = window
        self._index = index
        self._max_frames = max(max_frames, 1)
        self._closed = False
        self.tap: Tap | None = None

    @property
    def taken(self) -> int:
        """Bytes of the file that were read so far."""
        window = self._window
        return window.compressed.offset if window.compressed else window.position + window.begin

    def is_piece(self, position: int, before: int, *, goes_on: bool) -> None:
        """Only a piece of a file is read: what is counted is not told, but left in ``tally``.

        position: the offset in the file of its first byte, if it had been there; before: frames before it;
        goes_on: other records follow, so that it is nothing to speak of where the last one ends.
        """
        self._window.position += position
        self.capture.packets = before
        self._is_piece, self._goes_on = True, goes_on

    @property
    @abstractmethod
    def _form(self) -> RecordFormat:
        """How records are found now."""

    def _how(self) -> Tuning:
        """How records are looked for now."""
        return self.tuning

    @abstractmethod
    def _judge(self, buffer: Bytes, at: int, end: int) -> Verdict:
        """What stands at ``at``, where the walk stopped."""

    @abstractmethod
    def _frames(self, buffer: Bytes, offsets: Offsets) -> Frames:
        """The frames of at most ``max_frames`` whole records: int64 (n,) offsets."""

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames in file order, at most ``max_frames`` a block; FrameBlock says how long each lives.

        A block without frames: nothing came for a moment, from a stream that is live.
        """
        try:
            if not self._closed:
                yield from self._read()
        finally:
            self.close()

    def close(self) -> None:
        """Closes the file; may be called more than once."""
        self._closed = True
        self._window.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> Iterator[FrameBlock]:
        """Blocks until the stream ends or makes no sense, then the sentences about it."""
        window, going = self._window, True
        while going:
            offsets, stop = find_records(self._form, window.buffer, window.begin, window.end, self._how())
            for part in self._parts(offsets):
                touch(window.buffer, part)
                touch(window.buffer, part + _LINE)
                frames = self._frames(window.buffer, part)
                if self.tap:
                    sound = part[part < frames.stop] if frames.damage else part
                    self.tap(self._form, window.buffer, sound, frames)
                if len(frames):
                    yield self._block(frames)
                if frames.damage:
                    stop = frames.stop
                    self._damaged(stop, frames.damage)
                    break
            window.begin = stop
            going = self.capture.damage is None and self._advance()
            if window.waits:
                yield NO_FRAMES
        self.tally.end = self.taken
        if not self._is_piece:
            self.tally.close()

    def _parts(self, offsets: Offsets) -> Iterator[Offsets]:
        """Even parts of at most ``max_frames``."""
        count = len(offsets)
        parts = -(-count // self._max_frames)
        for part in range(parts):
            yield offsets[part * count // parts : (part + 1) * count // parts]

    def _advance(self) -> bool:
        """Gets what the record at the window's begin lacks; False where nothing more can be read."""
        window = self._window
        verdict = self._judge(window.buffer, window.begin, window.end)
        if verdict.damage:
            self._damaged(window.begin, verdict.damage)
            return False
        if not verdict.need:
            return True
        try:
            if window.fill(verdict.need):
                return True
        except OSError as error:
            self._unreadable(error)
            return False
        except UserError as error:
            self.capture.damage = error
            return False
        self._ended(verdict.need)
        return False

    def _block(self, frames: Frames) -> FrameBlock:
        """Counts the frames in the capture and makes a block of them."""
        capture = self.capture
        first_number = capture.packets + 1
        capture.packets += len(frames)
        capture.bytes += int(frames.original.sum())
        clock = self.tally.clock
        clock.note(frames.times)
        capture.first, capture.last = clock.first, clock.last
        self._name_link_types(frames.link_types)
        return FrameBlock(
            capture=self._index,
            first_number=first_number,
            buffer=self._window.buffer,
            offsets=frames.offsets,
            captured=frames.captured,
            original=frames.original,
            times=frames.times,
            link_types=frames.link_types,
        )

    def _name_link_types(self, link_types: NDArray[np.uint16]) -> None:
        """Adds the names that the capture does not have yet, in the order of their appearance."""
        values = link_types[:1]
        if (link_types != values).any():
            distinct, places = np.unique(link_types, return_index=True)
            values = distinct[np.argsort(places)]
        for value in values.tolist():
            name = link_type_name(value)
            if name not in self.capture.link_types:
                self.capture.link_types.append(name)

    def _damaged(self, at: int, what: str) -> None:
        where = f"{self._window.name}: {self._window.place(at)}"
        self.capture.damage = UserError("damaged-capture", where, what, ENDS_HERE)

    def _unreadable(self, error: OSError) -> None:
        window = self._window
        offset = window.compressed.offset if window.compressed else window.position + window.end
        self.capture.damage = UserError(
            "unreadable-file",
            f"{window.name}: byte {offset}",
            f"reading stopped: {error.strerror or error}",
            "what stands before it was read. See whether the disk or the network share is in order.",
        )

    def _ended(self, need: int) -> None:
        """Says so where the stream ended before its time; the next record needs ``need`` bytes."""
        window, left = self._window, self._window.end - self._window.begin
        compressed = window.compressed
        if compressed and compressed.cut_short:
            where = f"byte {compressed.offset} of the file"
            what = f"The {compressed.kind} data ends early, at {where}. The end of the capture may be missing"
        elif left and not self._goes_on and not window.live:
            what = (
                f"The file ends inside a record: at {window.place(window.begin)} it needs {need:,} bytes or "
                f"more and only {left:,} are there. The last packet is missing"
            )
        else:
            return
        self.capture.problems.append(
            f"{what}; whoever wrote the file was stopped, is still writing, or had no room."
        )


_LINK_TYPES = {
    0: "NULL",
    1: "EN10MB",
    6: "IEEE802_5",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    100: "ATM_RFC1483",
    101: "RAW",
    104: "C_HDLC",
    105: "IEEE802_11",
    107: "FRELAY",
    108: "LOOP",
    113: "LINUX_SLL",
    117: "PFLOG",
    119: "IEEE802_11_PRISM",
    122: "IP_OVER_FC",
    127: "IEEE802_11_RADIO",
    138: "APPLE_IP_OVER_IEEE1394",
    163: "IEEE802_11_AVS",
    166: "PPP_PPPD",
    192: "PPI",
    204: "PPP_WITH_DIR",
    220: "USB_LINUX_MMAPPED",
    226: "IPNET",
    227: "CAN_SOCKETCAN",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    253: "NETLINK",
    276: "LINUX_SLL2",
}


def link_type_name(link_type: int) -> str:
    """The name of a LINKTYPE_ value of the pcap registry without its prefix; LINKTYPE_nnn where unknown."""
    return _LINK_TYPES.get(link_type, f"LINKTYPE_{link_type}")


def link_type_of(value: int) -> int:
    """The LINKTYPE_ value of a file's field: DLT_RAW, which old files have as 12 or 14, is RAW (101)."""
    value &= 0xFFFF
    return 101 if value in (12, 14) else value
