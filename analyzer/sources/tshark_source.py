"""Captures that tshark reads: formats, link types and tunnels that the own decoder does not know.

tshark tells the fields of the innermost packet of each frame; from those a plain IP packet is made, which
goes the way of all others.
"""

from __future__ import annotations

import ipaddress
import struct
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES, SLACK, FrameBlock
from analyzer.model.capture import Capture
from analyzer.sources.clock import Clock
from analyzer.sources.tshark import tshark

_RAW = 101
"""LINKTYPE_RAW: the frame begins with an IP header."""
_ICMP, _TCP, _UDP, _ICMPV6, _OTHER = 1, 6, 17, 58, 253
"""IP protocol numbers (IANA); 253 is for experiments, and stands for all that is not looked at."""
_AT_ONCE = 4096
_SECOND = 10**9

_FIELDS = (
    *("frame.time_epoch", "frame.len", "frame.protocols"),
    *("ip.src", "ip.dst", "ip.ttl", "ip.id", "ipv6.src", "ipv6.dst", "ipv6.hlim"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq", "tcp.ack", "tcp.flags", "tcp.window_size_value"),
    *("tcp.len", "tcp.options", "tcp.payload", "udp.srcport", "udp.dstport", "udp.length", "udp.payload"),
    *("icmp.type", "icmp.code", "icmp.mtu", "icmpv6.type", "icmpv6.code", "icmpv6.mtu"),
)

_SWITCHED_OFF = (
    *("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams"),
    "tcp.relative_sequence_numbers",
)
"""Settings of tshark: each frame is told as it is."""


class _Frame(NamedTuple):
    data: bytes
    original: int
    time: int


class TsharkSource:
    """Frames of a file by way of tshark; ``blocks`` can be iterated once.

    Raises UserError where tshark is missing or reads nothing of the file.
    """

    taken = 0

    def __init__(self, path: str, index: int, *, max_frames: int = MAX_FRAMES) -> None:
        program = tshark("--decoder tshark")
        self.capture = Capture(path, "tshark", ["RAW"])
        self._clock = Clock()
        self._index = index
        self._most = max(1, min(max_frames, _AT_ONCE))
        fields = [word for name in _FIELDS for word in ("-e", name)]
        settings = [word for name in _SWITCHED_OFF for word in ("-o", f"{name}:FALSE")]
        command = [program, "-n", "-r", path, "-T", "fields", "-E", "separator=/t", *settings, *fields]
        self._process = subprocess.Popen(  # noqa: S603 - no shell, and no word of it is split
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames in their order. What tshark cannot read is damage."""
        assert self._process.stdout is not None  # noqa: S101  (a pipe)
        assert self._process.stderr is not None  # noqa: S101  (a pipe)
        lines = iter(self._process.stdout)
        while some := list(islice(lines, self._most)):
            yield self._block([_frame(line.decode(errors="replace")) for line in some])
        said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        if self._process.wait():
            what = said[-1].removeprefix("tshark: ") if said else "tshark failed without a word"
            self.capture.damage = UserError("damaged-capture", self.capture.path, what)
        self.capture.problems.extend(self._clock.problems())

    def close(self) -> None:
        """Leaves no process behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                with suppress(OSError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _block(self, frames: list[_Frame]) -> FrameBlock:
        capture = self.capture
        first_number = capture.packets + 1
        data, original, times = zip(*frames, strict=True)
        lengths = np.array([len(one) for one in data], np.int64)
        stamps = np.array(times, np.int64)
        capture.packets += len(frames)
        capture.bytes += sum(original)
        self._clock.note(stamps)
        capture.first, capture.last = self._clock.first, self._clock.last
        return FrameBlock(
            capture=self._index,
            first_number=first_number,
            buffer=np.frombuffer(b"".join(data) + bytes(SLACK), np.uint8),
            offsets=np.cumsum(lengths) - lengths,
            captured=lengths,
            original=np.maximum(np.array(original, np.int64), lengths),
            times=stamps,
            link_types=np.full(len(frames), _RAW, np.uint16),
        )


def _frame(line: str) -> _Frame:
    """The frame of a line of fields; never raises, whatever the fields hold."""
    values = dict(zip(_FIELDS, line.rstrip("\r\n").split("\t"), strict=False))
    told = {name: text.split(",") if text else [] for name, text in values.items()}
    time = _time(values.get("frame.time_epoch", ""))
    try:
        data, missing = _packet(told)
    except (ValueError, IndexError, struct.error):
        data, missing = _ip(4, "0.0.0.0", "0.0.0.0", 0, 0, _OTHER, b"", 0), 0  # noqa: S104 - no address
    return _Frame(data, len(data) + missing, time)


def _time(text: str) -> int:
    try:
        return min(max(int(Decimal(text) * _SECOND), 0), 2**62)
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def _packet(told: dict[str, list[str]]) -> tuple[bytes, int]:
    """The innermost IP packet that carries something looked at, and how much of it was not captured."""
    layers = _layers(told["frame.protocols"][0].split(":"))
    outer = layers[-1]
    if len(layers) > 1 and layers[-2].transport in ("icmp", "icmpv6"):
        return _icmp(told, layers[-2], outer)
    head, length = _transport(told, outer.transport)
    texts = told.get(f"{outer.transport}.payload")
    payload = bytes.fromhex(texts[-1].replace(":", ""))[:length] if texts else b""
    number = {"tcp": _TCP, "udp": _UDP}.get(outer.transport, _OTHER)
    missing = length - len(payload)
    return _ip(*_addresses(told, outer), number, head + payload, missing), missing


class _Layer(NamedTuple):
    """An IP packet inside of a frame: its version, which one of that version it is, what it carries."""

    version: int
    place: int
    transport: str


def _layers(protocols: list[str]) -> list[_Layer]:
    """The IP packets of a frame, the outermost first. Raises ValueError where there is none."""
    counts = {4: 0, 6: 0}
    layers: list[_Layer] = []
    for protocol in protocols:
        if protocol in ("ip", "ipv6"):
            version = 4 if protocol == "ip" else 6
            layers.append(_Layer(version, counts[version], ""))
            counts[version] += 1
        elif layers and not layers[-1].transport and protocol in ("tcp", "udp", "icmp", "icmpv6"):
            layers[-1] = layers[-1]._replace(transport=protocol)
    if not layers:
        raise ValueError("no IP packet")
    return layers


def _addresses(told: dict[str, list[str]], layer: _Layer) -> tuple[int, str, str, int, int]:
    name, at = ("ip", layer.place) if layer.version == 4 else ("ipv6", layer.place)
    ttl = told["ip.ttl" if layer.version == 4 else "ipv6.hlim"][at]
    ip_id = int(told["ip.id"][at], 0) if layer.version == 4 else 0
    return layer.version, told[f"{name}.src"][at], told[f"{name}.dst"][at], int(ttl), ip_id


def _ip(
    version: int, source: str, target: str, ttl: int, ip_id: int, protocol: int, body: bytes, payload: int
) -> bytes:
    """A packet with the plainest header there is (RFC 791 section 3.1, RFC 8200 section 3)."""
    length = len(body) + payload
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    if version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, min(20 + length, 0xFFFF), ip_id, 0, ttl, protocol, 0)
    else:
        head = struct.pack(">IHBB", 6 << 28, min(length, 0xFFFF), protocol, ttl)
    return head + addresses + body


def _transport(told: dict[str, list[str]], transport: str) -> tuple[bytes, int]:
    """The header, and the length of what follows it."""
    if transport == "tcp":
        options = bytes.fromhex(told["tcp.options"][-1].replace(":", "")) if told["tcp.options"] else b""
        options += bytes(-len(options) % 4)
        flags = int(told["tcp.flags"][-1], 0) & 0x0FFF if told["tcp.flags"] else 0
        ports = int(told["tcp.srcport"][-1]), int(told["tcp.dstport"][-1])
        numbers = (_last(told["tcp.seq"]), _last(told["tcp.ack"]))
        window = _last(told["tcp.window_size_value"])
        offset = (20 + len(options)) // 4 << 12
        head = struct.pack(">HHIIHHHH", *ports, *numbers, offset | flags, window, 0, 0)
        return head + options, _last(told["tcp.len"])
    if transport == "udp":
        length = _last(told["udp.length"])
        ports = int(told["udp.srcport"][-1]), int(told["udp.dstport"][-1])
        return struct.pack(">HHHH", *ports, length, 0), max(length - 8, 0)
    return b"", 0


def _last(values: list[str]) -> int:
    return int(values[-1], 0) if values else 0


def _icmp(told: dict[str, list[str]], outer: _Layer, inner: _Layer) -> tuple[bytes, int]:
    """An ICMP error with the packet that it quotes."""
    quoted, _ = _transport(told, inner.transport)
    number = {"tcp": _TCP, "udp": _UDP}.get(inner.transport, _OTHER)
    name, protocol = ("icmp", _ICMP) if outer.version == 4 else ("icmpv6", _ICMPV6)
    kind, code = int(told[f"{name}.type"][0]), int(told[f"{name}.code"][0])
    head = struct.pack(">BBHI", kind, code, 0, _last(told[f"{name}.mtu"]))
    body = head + _ip(*_addresses(told, inner), number, quoted, 0)
    return _ip(*_addresses(told, outer), protocol, body, 0), 0
