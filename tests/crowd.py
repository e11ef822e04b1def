"""Captures of many connections, made by hand: what one connection cannot show."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from random import Random
from zlib import crc32

from analyzer.model.columns import TCP, Flag

SECOND = 10**9
MILLI = 10**6
BEGIN = 1_795_000_000 * SECOND
RAW_IP = 101

SYN, FIN, RST, ACK, PSH = Flag.SYN, Flag.FIN, Flag.RST, Flag.ACK, Flag.PSH


@dataclass(frozen=True)
class Ends:
    """Addresses and ports of the two ends of a connection."""

    client: str
    port: int
    server: str
    service: int


Timed = tuple[int, bytes]


class Talk:
    """One connection: a method sends a segment and moves the time on."""

    def __init__(self, ends: Ends, start: int, *, delay: int = MILLI, ttl: int = 64) -> None:
        self.time, self.delay, self.ends, self.ttl = start, delay, ends, ttl
        self.frames: list[Timed] = []
        number = crc32(f"{ends} {start}".encode())
        self.seq = [number >> 1, number >> 2 ^ 0x155555]
        self.ident = 0

    def send(self, side: int, flags: int, payload: int = 0, *, again: bool = False, ttl: int = 0) -> Talk:
        """``again``: the last ``payload`` bytes once more."""
        ends, self.ident = self.ends, self.ident + 1
        source, target = (ends.client, ends.port), (ends.server, ends.service)
        if side:
            source, target = target, source
        seq = self.seq[side] - payload if again else self.seq[side]
        ack = self.seq[1 - side] if flags & ACK else 0
        ident = (ends.port * 31 + self.ident) % 65535 + 1
        frame = _frame(source, target, seq, ack, flags, payload, ttl or self.ttl, ident)
        self.frames.append((self.time, frame))
        if not again:
            self.seq[side] += payload + bool(flags & (SYN | FIN))
        self.time += self.delay
        return self

    def wait(self, time: int) -> Talk:
        self.time += time
        return self

    def open(self) -> Talk:
        return self.send(0, SYN).send(1, SYN | ACK).send(0, ACK)

    def ask(self, request: int = 100, answer: int = 300) -> Talk:
        return self.send(0, PSH | ACK, request).send(1, PSH | ACK, answer).send(0, ACK)

    def close(self) -> Talk:
        return self.send(0, FIN | ACK).send(1, FIN | ACK).send(0, ACK)


def served(ends: Ends, start: int) -> list[Timed]:
    """A request, an answer, closed by both."""
    return Talk(ends, start).open().ask().close().frames


def refused(ends: Ends, start: int) -> list[Timed]:
    """Nobody listens."""
    return Talk(ends, start).send(0, SYN).send(1, RST | ACK).frames


def checked(ends: Ends, start: int) -> list[Timed]:
    """Connected, then reset by the client without a byte: a health check."""
    return Talk(ends, start).open().send(0, RST | ACK).frames


def paused(ends: Ends, start: int, *, pause: int) -> list[Timed]:
    """A request, a pause, another request that is answered."""
    return Talk(ends, start).open().ask().wait(pause).ask().close().frames


def forgotten(ends: Ends, start: int, *, pause: int) -> list[Timed]:
    """As ``paused``, but what comes after the pause gets a reset, from somebody nearer than the server."""
    talk = Talk(ends, start).open().ask().wait(pause)
    return talk.send(0, PSH | ACK, 100).send(1, RST | ACK, ttl=254).frames


def vanished(ends: Ends, start: int, *, size: int, tries: int = 8) -> list[Timed]:
    """Small segments are acknowledged, a large one never."""
    talk = Talk(ends, start).open().ask().wait(SECOND).send(0, PSH | ACK, size)
    for attempt in range(tries):
        talk.wait(200 * MILLI << attempt).send(0, PSH | ACK, size, again=True)
    return talk.frames


def translated(frames: list[Timed], ends: Ends, *, later: int) -> list[Timed]:
    """The same packets behind a NAT, between these ends: requests so much later, answers so much earlier."""
    moved = []
    client = frames[0][1][12:16]
    for time, frame in frames:
        asked = frame[12:16] == client
        pairs = [(ends.client, ends.port), (ends.server, ends.service)]
        (source, sport), (target, dport) = pairs if asked else pairs[::-1]
        addresses = ip_address(source).packed + ip_address(target).packed
        head = frame[:12] + addresses + struct.pack(">HH", sport, dport)
        moved.append((time + later if asked else time - later, head + frame[24:]))
    return moved


def write(path: Path, conversations: Iterable[Iterable[Timed]]) -> Path:
    """A pcap file (raw IP) of all their packets in order of time."""
    timed = sorted((packet for packets in conversations for packet in packets), key=lambda packet: packet[0])
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, RAW_IP)
    path.write_bytes(head + b"".join(_records(timed)))
    return path


def _records(timed: Iterable[Timed]) -> Iterator[bytes]:
    for time, frame in timed:
        yield struct.pack("<IIII", time // SECOND, time % SECOND, len(frame), len(frame)) + frame


End = tuple[str, int]


def _frame(
    source: End, target: End, seq: int, ack: int, flags: int, payload: int, ttl: int, ident: int
) -> bytes:
    segment = struct.pack(">HHIIBBHHH", source[1], target[1], seq, ack, 5 << 4, flags, 60000, 0, 0)
    segment += bytes(payload)
    addresses = ip_address(source[0]).packed + ip_address(target[0]).packed
    if len(addresses) == 8:
        return (
            struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), ident, 0, ttl, TCP, 0) + addresses + segment
        )
    return struct.pack(">IHBB", 6 << 28, len(segment), TCP, ttl) + addresses + segment


def outage(count: int, *, clients: int = 14, seconds: int = 148) -> list[list[Timed]]:
    """A service that refuses everybody for some time, and works before and after."""
    random = Random(count)
    service = ("10.0.9.30", 5432)
    down = BEGIN + 432 * SECOND
    found = []
    for number in range(count):
        ends = Ends(f"10.0.1.{1 + number % clients}", 20_000 + number % 40_000, *service)
        found.append(refused(ends, down + random.randrange(seconds * SECOND)))
    for number in range(clients):
        before = Ends(f"10.0.1.{1 + number}", 10_000 + number, *service)
        after = Ends(f"10.0.1.{1 + number}", 11_000 + number, *service)
        found.append(served(before, down - 20 * SECOND + number * MILLI))
        found.append(served(after, down + (seconds + 1) * SECOND + number * MILLI))
    return found


def crowd(connections: int) -> list[list[Timed]]:
    """Three ways to fail among many that are fine, health checks and a fallback of localhost."""
    random = Random(connections)
    found = outage(max(3, connections * 871 // 40_000))
    idle = max(3, connections * 297 // 40_000)
    broker = partial(Ends, server="10.0.8.15", service=9092)
    for number in range(idle):
        ends = broker(f"10.0.2.{1 + number % 6}", 20_000 + number)
        pause = random.randrange(352 * SECOND, 900 * SECOND)
        found.append(forgotten(ends, BEGIN + random.randrange(600 * SECOND), pause=pause))
    for number in range(4 * idle):
        ends = broker(f"10.0.2.{1 + number % 6}", 40_000 + number)
        found.append(
            paused(ends, BEGIN + random.randrange(600 * SECOND), pause=random.randrange(348 * SECOND))
        )
    for number in range(max(3, connections * 32 // 40_000)):
        ends = Ends("10.0.3.7", 20_000 + number, "10.8.0.14", 443)
        found.append(vanished(ends, BEGIN + 900 * SECOND + number * SECOND, size=1372 + 8 * (number % 8)))
        ends = Ends("10.0.3.7", 30_000 + number, "10.8.0.14", 443)
        found.append(
            Talk(ends, BEGIN + 800 * SECOND + number * SECOND).open().ask(900 + number).close().frames
        )
    for number in range(max(3, connections // 8)):
        ends = Ends("10.0.0.4", 1024 + number, "10.0.9.31", 8080)
        found.append(checked(ends, BEGIN + number * 1500 * SECOND // max(3, connections // 8)))
    for number in range(max(3, connections // 20)):
        start = BEGIN + random.randrange(1500 * SECOND)
        found.append(refused(Ends("::1", 5000 + number, "::1", 3000), start))
        found.append(served(Ends("127.0.0.1", 5000 + number, "127.0.0.1", 3000), start + 5 * MILLI))
    while len(found) < connections:
        number = len(found)
        ends = Ends(f"10.0.4.{number % 200}", 1024 + number % 60_000, f"10.0.5.{number % 7}", 80)
        found.append(served(ends, BEGIN + random.randrange(1700 * SECOND)))
    return found
