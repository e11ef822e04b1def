"""The sample captures, and what tests do with capture files."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.sources.build import SECOND, Frame
from tests.sources.build import pcapng as write_pcapng

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
CAPTURES = sorted(SAMPLES.glob("*/*.pcap*"))


def sample(scenario: str, vantage: str = "client") -> Path:
    """The capture of a scenario."""
    return SAMPLES / scenario / f"{vantage}.pcap"


def capture_name(path: Path) -> str:
    """``scenario/vantage``, to name a test."""
    return f"{path.parent.name}/{path.stem}"


def record_offsets(data: bytes) -> list[int]:
    """Where each record of a little-endian pcap file begins, and where the last one ends."""
    offsets, at = [], 24
    while at < len(data):
        offsets.append(at)
        at += 16 + int(struct.unpack_from("<I", data, at + 8)[0])
    return [*offsets, at]


def frames_of(data: bytes) -> list[Frame]:
    """The frames of a pcap file as tcpdump writes it here: little-endian, micro- or nanoseconds."""
    magic, *_, link_type = struct.unpack_from("<IHHiIII", data)
    unit = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}[magic]
    frames = []
    for at in record_offsets(data)[:-1]:
        seconds, fraction, captured, original = struct.unpack_from("<IIII", data, at)
        body = data[at + 16 : at + 16 + captured]
        frames.append(Frame(body, original, seconds * SECOND + fraction * unit, link_type))
    return frames


def to_pcapng(data: bytes, order: str = "<") -> bytes:
    """A pcap file as a pcapng file with the same frames."""
    return write_pcapng(frames_of(data), order)
