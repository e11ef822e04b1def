"""Packets that scapy holds (a PacketList, what sniff() or PcapReader give) as a source of frames.

scapy is never imported here: where there are packets of it, it was imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from itertools import chain
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES, SLACK, FrameBlock
from analyzer.model.capture import Capture
from analyzer.sources.clock import Clock
from analyzer.sources.reading import link_type_name, link_type_of

FORMAT = "packets"

_AT_ONCE = 2048
_BYTES_AT_ONCE = 4 << 20
"""Packets of a block, and bytes from which on it gets no more."""

_UNKNOWN = 0xFFFF
"""Link type of a packet whose class stands for none, such as Raw."""

_LATEST = 2**62
_EVERYBODY = "ff:ff:ff:ff:ff:ff"


class _Frame(NamedTuple):
    data: bytes
    original: int
    time: int
    link_type: int


class ScapySource:
    """Packets of scapy, taken from any iterable a few at a time; ``blocks`` can be iterated once.

    A packet's time, its length on the wire and, by its class, its link type are those that wrpcap() writes.
    """

    taken = 0
    """No file is read."""

    def __init__(
        self, packets: Iterable[Any], name: str, index: int, *, max_frames: int = MAX_FRAMES
    ) -> None:
        """Takes the first packet. Raises UserError where that is none, and whatever the iterable raises."""
        self.capture = Capture(name, FORMAT)
        self._clock = Clock()
        self._index = index
        self._most = max(1, min(max_frames, _AT_ONCE))
        iterator = iter(packets)
        first = list(zip(range(1), iterator, strict=False))
        self._packets = chain((packet for _, packet in first), iterator)
        if first and not _is_packet(first[0][1]):
            raise self._no_packet(first[0][1], 1)

    def blocks(self) -> Iterator[FrameBlock]:
        """The packets in their order. Raises what the iterable raises; what is no packet is damage."""
        frames: list[_Frame] = []
        size = 0
        for number, packet in enumerate(self._packets, 1):
            try:
                frame = self._frame(packet, number)
            except UserError as error:
                self.capture.damage = error
                break
            frames.append(frame)
            size += len(frame.data)
            if len(frames) >= self._most or size >= _BYTES_AT_ONCE:
                yield self._block(frames)
                frames, size = [], 0
        if frames:
            yield self._block(frames)
        self.capture.problems.extend(self._clock.problems())

    def close(self) -> None:
        """Nothing was opened; ``blocks`` gives nothing after it."""
        self._packets = chain()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self, packet: Any, number: int) -> _Frame:
        if not _is_packet(packet):
            raise self._no_packet(packet, number)
        try:
            data, time = bytes(_with_target(packet)), _nanoseconds(packet.time)
        except Exception as error:  # fields of a packet may hold anything, and say so only now
            what = f"it cannot be turned into bytes ({type(error).__name__}: {error})"
            raise UserError("bad-packet", f"{self.capture.path}: packet {number}", what) from None
        layers = sys.modules["scapy.config"].conf.l2types.layer2num
        link_type = next((layers[kind] for kind in type(packet).__mro__ if kind in layers), _UNKNOWN)
        return _Frame(data, max(len(data), packet.wirelen or 0), time, link_type_of(link_type))

    def _no_packet(self, thing: object, number: int) -> UserError:
        hint = "several captures are several arguments: analyze(*captures)."
        what = f"this is of type {type(thing).__name__}, no packet of scapy"
        return UserError("not-a-packet", f"{self.capture.path}: packet {number}", what, hint)

    def _block(self, frames: list[_Frame]) -> FrameBlock:
        """Counts the frames in the capture and makes a block of them."""
        capture = self.capture
        data, original, times, link_types = zip(*frames, strict=True)
        lengths = np.array([len(one) for one in data], np.int64)
        first_number = capture.packets + 1
        capture.packets += len(frames)
        capture.bytes += sum(original)
        stamps = np.array(times, np.int64)
        self._clock.note(stamps)
        capture.first, capture.last = self._clock.first, self._clock.last
        names = dict.fromkeys([*capture.link_types, *map(link_type_name, link_types)])
        capture.link_types = list(names)
        return FrameBlock(
            capture=self._index,
            first_number=first_number,
            buffer=np.frombuffer(b"".join(data) + bytes(SLACK), np.uint8),
            offsets=np.cumsum(lengths) - lengths,
            captured=lengths,
            original=np.array(original, np.int64),
            times=stamps,
            link_types=np.array(link_types, np.uint16),
        )


def _is_packet(thing: object) -> bool:
    module = sys.modules.get("scapy.packet")
    return module is not None and isinstance(thing, module.Packet)


def _with_target(packet: Any) -> Any:
    """The packet, or a copy that goes to all stations where a layer says to none.

    Else scapy would look for the station on this machine's network (DestMACField.i2m).
    """
    if not any(_lacking(layer) for layer in packet.iterpayloads()):
        return packet
    packet = packet.copy()
    for layer in packet.iterpayloads():
        for name in _lacking(layer):
            layer.setfieldval(name, _EVERYBODY)
    return packet


def _lacking(layer: Any) -> list[str]:
    """The fields for a hardware address that scapy would fill in."""
    kind: Any = type(layer)
    return [name for name in _targets(kind) if layer.getfieldval(name) is None]


@cache
def _targets(kind: Any) -> tuple[str, ...]:
    """The fields of a class of layers that take the hardware address of a target."""
    link_layers = sys.modules.get("scapy.layers.l2")
    if link_layers is None:
        return ()
    return tuple(field.name for field in kind.fields_desc if isinstance(field, link_layers.DestMACField))


def _nanoseconds(time: Any) -> int:
    """Nanoseconds since the epoch; a float holds no more than microseconds of that."""
    if isinstance(time, float):
        return min(max(round(time * 1_000_000) * 1000, 0), _LATEST)
    if not isinstance(time, int | Decimal):
        raise TypeError(f"its time is of type {type(time).__name__}")
    return min(max(int(time * 1_000_000_000), 0), _LATEST)
