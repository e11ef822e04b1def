"""From rows to the bytes of a capture: Ethernet, IPv4, TCP and the records of pcap or pcapng."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np

from tests.bench.flows import Floats, Ints, Table
from tests.bench.payloads import Bytes, speak
from tests.bench.rows import ACK, NO_OPTION, RST, SACK_OPTION, STAMP_OPTION, SYN, SYN_OPTION

EPOCH = 1_767_225_600  # 2026-01-01
LONGEST_HEADER = 14 + 20 + 44
_FILLER = ord("x")  # reads as no protocol
_OPTION_SIZE = np.array([0, 12, 20, 24])
_MACS = np.array([[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]], np.uint8)
_TTL = np.array([64, 57])

_PCAP = [("seconds", "<u4"), ("micros", "<u4"), ("captured", "<u4"), ("original", "<u4")]
_PCAPNG = [
    ("block", "<u4"),
    ("total", "<u4"),
    ("interface", "<u4"),
    ("high", "<u4"),
    ("low", "<u4"),
    ("captured", "<u4"),
    ("original", "<u4"),
]
_FRAME: list[Any] = [
    ("to", "u1", 6),
    ("from", "u1", 6),
    ("type", ">u2"),
    ("version", "u1"),
    ("tos", "u1"),
    ("ip_length", ">u2"),
    ("ip_id", ">u2"),
    ("fragment", ">u2"),
    ("ttl", "u1"),
    ("protocol", "u1"),
    ("ip_sum", ">u2"),
    ("source", ">u4"),
    ("target", ">u4"),
    ("source_port", ">u2"),
    ("target_port", ">u2"),
    ("seq", ">u4"),
    ("ack", ">u4"),
    ("offset", "u1"),
    ("flags", "u1"),
    ("window", ">u2"),
    ("tcp_sum", ">u2"),
    ("urgent", ">u2"),
]
_STAMP = [("stamp_head", "S4"), ("stamp", ">u4"), ("echo", ">u4")]
_OPTIONS = {
    STAMP_OPTION: np.dtype(_STAMP),
    SYN_OPTION: np.dtype([("head", "V8"), ("stamp", ">u4"), ("echo", ">u4"), ("rest", "V4")]),
    SACK_OPTION: np.dtype([*_STAMP, ("sack_head", "S4"), ("left", ">u4"), ("right", ">u4")]),
}
_CONSTANT = {
    "stamp_head": bytes([1, 1, 8, 10]),
    "sack_head": bytes([1, 1, 5, 10]),
    "head": np.void(bytes([2, 4, 5, 180, 4, 2, 8, 10])),  # MSS 1460, SACK permitted, timestamps
    "rest": np.void(bytes([1, 3, 3, 7])),  # window scale 7
}


class Writer:
    """Writes rows in order of time to a capture; with ``filler`` their payload means nothing."""

    def __init__(self, out: BinaryIO, snaplen: int = 0, pcapng: bool = False, filler: bool = False) -> None:
        self._out = out
        self._filler = filler
        self._snaplen = snaplen or 262_144
        self._pcapng = pcapng
        self._header = np.dtype([*(_PCAPNG if pcapng else _PCAP), *_FRAME])
        self._prefix = 28 if pcapng else 16
        self._buffer = np.zeros(0, np.uint8)
        out.write(self._file_header())

    def write(self, rows: Table, flows: Table) -> None:
        """Append the rows, which come in order of time; moves the counters of their flows on."""
        if not len(rows):
            return
        ids = _ip_ids(rows, flows)
        stamps, echoes = _stamps(rows, flows)
        original = 54 + _OPTION_SIZE[rows["option"]] + rows["length"]
        captured = np.minimum(original, self._snaplen)
        size = self._prefix + (((captured + 3) & ~3) + 4 if self._pcapng else captured)
        offsets = np.cumsum(size) - size
        buffer = self._blank(int(size.sum()))
        headers = self._headers(rows, flows, ids, captured, original)
        if self._pcapng:
            headers["total"] = size
            self._trail(buffer, offsets, captured, size)
        _scatter(buffer, offsets, headers)
        for option, layout in _OPTIONS.items():
            chosen = np.flatnonzero(rows["option"] == option)
            values = _options(layout, rows[chosen], stamps[chosen], echoes[chosen])
            _scatter(buffer, offsets[chosen] + self._header.itemsize, values)
        if not self._filler:
            head = original - rows["length"]
            speak(buffer, offsets + self._prefix + head, captured - head, rows, flows)
        self._out.write(buffer.data)

    def _file_header(self) -> bytes:
        if not self._pcapng:
            return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, self._snaplen, 1)
        section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        return section + struct.pack("<IIHHII", 1, 20, 1, 0, self._snaplen, 20)

    def _blank(self, size: int) -> Bytes:
        if len(self._buffer) < size:
            self._buffer = np.empty(size + size // 8, np.uint8)
        buffer = self._buffer[:size]
        buffer.fill(_FILLER)
        return buffer

    def _headers(self, rows: Table, flows: Table, ids: Ints, captured: Ints, original: Ints) -> Table:
        headers = np.zeros(len(rows), self._header)
        headers["captured"], headers["original"] = captured, original
        self._set_time(headers, rows["time"])
        side = rows["side"]
        headers["to"], headers["from"], headers["type"] = _MACS[1 - side], _MACS[side], 0x0800
        _set_ip(headers, flows, rows, ids, original - 14)
        headers["source_port"] = flows["port"][rows["flow"], side]
        headers["target_port"] = flows["port"][rows["flow"], 1 - side]
        headers["offset"] = (20 + _OPTION_SIZE[rows["option"]]) << 2
        for name in ("seq", "ack", "flags", "window"):
            headers[name] = rows[name]
        return headers

    def _set_time(self, headers: Table, time: Floats) -> None:
        micros = (time * 1e6).astype(np.int64) + EPOCH * 1_000_000
        if self._pcapng:
            headers["block"] = 6
            headers["high"], headers["low"] = micros >> 32, micros & 0xFFFFFFFF
        else:
            headers["seconds"], headers["micros"] = np.divmod(micros, 1_000_000)

    def _trail(self, buffer: Bytes, offsets: Ints, captured: Ints, size: Ints) -> None:
        """Padding to a multiple of four bytes, and the total length again, at the end of each block."""
        _scatter(buffer, offsets + size - 4, size.astype([("total", "<u4")]))
        for place in range(3):
            short = np.flatnonzero(-captured & 3 > place)
            buffer[(offsets + self._prefix + captured)[short] + place] = 0


def _scatter(buffer: Bytes, offsets: Ints, values: Table) -> None:
    """Write each of the structured ``values`` at its offset, through a view whose stride is one byte."""
    room = len(buffer) - values.dtype.itemsize + 1
    if len(values):
        np.ndarray((room,), values.dtype, buffer, strides=(1,))[offsets] = values


def _set_ip(headers: Table, flows: Table, rows: Table, ids: Ints, length: Ints) -> None:
    address, side = flows["address"][rows["flow"]].astype(np.int64), rows["side"]
    pick = np.arange(len(rows))
    source, target, ttl = address[pick, side], address[pick, 1 - side], _TTL[side]
    headers["version"], headers["fragment"], headers["protocol"] = 0x45, 0x4000, 6
    headers["ip_length"], headers["ip_id"], headers["ttl"] = length, ids, ttl
    headers["source"], headers["target"] = source, target
    total = 0x4500 + 0x4000 + 6 + length + ids + (ttl << 8)
    for value in (source, target):
        total += (value >> 16) + (value & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    headers["ip_sum"] = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def _options(layout: np.dtype[Any], rows: Table, stamps: Ints, echoes: Ints) -> Table:
    values = np.zeros(len(rows), layout)
    names = layout.names or ()
    for name in names:
        if name in _CONSTANT:
            values[name] = _CONSTANT[name]
    values["stamp"], values["echo"] = stamps, echoes
    if "left" in names:
        values["left"], values["right"] = rows["sack"].T
    return values


def _ip_ids(rows: Table, flows: Table) -> Ints:
    """A counter for each sender; zero where no socket answers: SYN-ACK and the resets of the kernel."""
    counts = ((rows["flags"] & (SYN | ACK)) != (SYN | ACK)) & (
        ((rows["flags"] & RST) == 0) | (rows["option"] != NO_OPTION)
    )
    key = rows["flow"].astype(np.int64) * 2 + rows["side"]
    order = np.argsort(key, kind="stable")
    key, counted = key[order], counts[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    running = np.cumsum(counted)
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(key)]))
    within = running - (running - counted)[starts][group]
    flow, side = np.divmod(key, 2)
    value = (flows["ip_id"][flow, side].astype(np.int64) + within) & 0xFFFF
    ends = np.r_[starts[1:], len(key)] - 1
    flows["ip_id"][flow[ends], side[ends]] = value[ends]
    ids = np.empty(len(rows), np.int64)
    ids[order] = np.where(counted, value, 0)
    return ids


def _stamps(rows: Table, flows: Table) -> tuple[Ints, Ints]:
    """Each packet's timestamp, and the last one that its sender had from the other side."""
    order = np.argsort(rows["flow"], kind="stable")
    flow, side = rows["flow"][order], rows["side"][order]
    now = (rows["time"][order] * 1000).astype(np.int64)
    stamp = (now + flows["clock"][flow, side]) & 0xFFFFFFFF
    place = np.arange(len(flow))
    begins = np.r_[True, flow[1:] != flow[:-1]]
    start = np.maximum.accumulate(np.where(begins, place, 0))
    ends = np.flatnonzero(np.r_[flow[1:] != flow[:-1], True])
    echo = np.zeros(len(flow), np.int64)
    for peer in (0, 1):
        last = np.maximum.accumulate(np.where(side == peer, place, -1))
        heard = np.where(last >= start, stamp[last], flows["stamp"][flow, peer])
        echo = np.where(side != peer, heard, echo)
        flows["stamp"][flow[ends], peer] = heard[ends]
    stamps, echoes = np.empty_like(stamp), np.empty_like(echo)
    stamps[order], echoes[order] = stamp, echo
    return stamps, echoes
