"""Captures changed after they were recorded, to be what tcpdump could not be made to write here."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

HEADER = 24
RECORD = struct.Struct("<IIII")  # seconds, microseconds, captured length, length
MACS = 12  # both addresses of an Ethernet frame
DOT1Q = 0x8100
Edit = Callable[[Path], None]
Record = tuple[int, int, int, bytes]  # seconds, microseconds, length, frame


def records(data: bytes) -> Iterator[Record]:
    """The records of a little-endian pcap file."""
    at = HEADER
    while at < len(data):
        seconds, micros, captured, length = RECORD.unpack_from(data, at)
        at += RECORD.size
        yield seconds, micros, length, data[at : at + captured]
        at += captured


def _rewrite(path: Path, kept: list[Record], header: bytes) -> None:
    packed = [RECORD.pack(s, u, len(frame), length) + frame for s, u, length, frame in kept]
    path.write_bytes(header + b"".join(packed))


def without_every(nth: int, last: int) -> Edit:
    """Remove each `nth` record but not the `last` ones, as if the kernel had dropped them."""

    def edit(path: Path) -> None:
        data = path.read_bytes()
        whole = list(records(data))
        kept = [record for n, record in enumerate(whole, 1) if n % nth or n > len(whole) - last]
        _rewrite(path, kept, data[:HEADER])

    return edit


def without_first(count: int) -> Edit:
    """Remove the first records, as if the capture had been started later."""

    def edit(path: Path) -> None:
        data = path.read_bytes()
        _rewrite(path, list(records(data))[count:], data[:HEADER])

    return edit


def only_last(count: int) -> Edit:
    """Keep the last records only."""

    def edit(path: Path) -> None:
        data = path.read_bytes()
        _rewrite(path, list(records(data))[-count:], data[:HEADER])

    return edit


def tagged(*identifiers: int) -> Edit:
    """Put each Ethernet frame into these VLANs, the outermost first."""

    def edit(path: Path) -> None:
        data = path.read_bytes()
        tags = b"".join(struct.pack("!HH", DOT1Q, identifier) for identifier in identifiers)
        kept = [
            (s, u, length + len(tags), frame[:MACS] + tags + frame[MACS:])
            for s, u, length, frame in records(data)
        ]
        _rewrite(path, kept, data[:HEADER])

    return edit
