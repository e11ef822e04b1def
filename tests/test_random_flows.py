"""Random conversations on a few ports: the answer is the same however the frames are cut into batches."""

from __future__ import annotations

import random
import socket
import struct
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.columns import Flag
from analyzer.model.finding import FlowResult
from analyzer.pipeline.engine import Engine
from tests.helpers import block_of

RULES = load_rules(rules_folder())
CLIENT, SERVER, ROUTER = "10.0.0.1", "10.0.0.2", "10.0.0.9"
RAW_IP = 101
MS = 10**6
PAUSES = (0, 0, 1, 20, 200, 400, 1000, 2000, 130_000)
"""Milliseconds; the longest is beyond what a closed flow is kept for."""
FLAGS = (
    Flag.SYN,
    Flag.SYN | Flag.ACK,
    Flag.ACK,
    Flag.ACK | Flag.PSH,
    Flag.ACK | Flag.PSH,
    Flag.ACK | Flag.FIN,
    Flag.RST,
    Flag.RST | Flag.ACK,
)

Frames = list[tuple[int, bytes]]


def ip(source: str, target: str, protocol: int, payload: bytes, number: int = 0) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, 0, 64, protocol, 0)
    return header + addresses + payload


def conversation(seed: int) -> Frames:
    """Frames of both ends of one or two pairs of ports, in the order of a clock that may go back."""
    rnd = random.Random(seed)
    frames: Frames = []
    time = rnd.choice((0, 5, 10**18))
    ends: dict[int, list[int]] = {}
    ports = rnd.randint(1, 2)
    for _ in range(rnd.randint(3, 40)):
        time = max(0, time + rnd.choice(PAUSES) * MS - rnd.choice((0, 0, 0, 1)) * MS)
        port, side = 4000 + rnd.randrange(ports), rnd.randrange(2)
        packet = _packet(rnd, ends.setdefault(port, [0, 0]), port, side)
        frames.append((time, packet))
        for _ in range(rnd.choice((0, 0, 0, 1, 3))):
            time += rnd.choice((1, 200, 400, 1000)) * MS
            frames.append((time, packet))
    return frames


def _packet(rnd: random.Random, ends: list[int], port: int, side: int) -> bytes:
    flags = rnd.choice(FLAGS)
    length = rnd.choice((0, 1, 10, 10)) if flags & Flag.ACK and not flags & (Flag.SYN | Flag.RST) else 0
    seq = rnd.randrange(1 << 32) if rnd.random() < 0.1 else ends[side] - rnd.choice((0, 0, 0, 1, 10))
    ack = ends[1 - side] - rnd.choice((0, 0, 0, 10))
    sport, dport = (port, 80) if side == 0 else (80, port)
    source, target = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
    header = struct.pack(
        ">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 0x50, flags, rnd.choice((0, 1000)), 0, 0
    )
    packet = ip(source, target, 6, header + b"x" * length, rnd.choice((0, rnd.randrange(1, 60_000))))
    if rnd.random() < 0.1:
        icmp = struct.pack(">BBHI", 3, rnd.choice((0, 1, 3, 4, 13)), 0, 0) + packet
        return ip(ROUTER, source, 1, icmp)
    ends[side] = max(ends[side], seq + length + bool(flags & Flag.SYN) + bool(flags & Flag.FIN))
    return packet


def answer(frames: Frames, size: int, *, keep_all: bool = False) -> list[FlowResult]:
    engine = Engine(Matcher(RULES), keep_all=keep_all)
    for begin in range(0, len(frames), size):
        part = frames[begin : begin + size]
        block = block_of(
            [packet for _, packet in part],
            RAW_IP,
            [time for time, _ in part],
            first_number=begin + 1,
        )
        engine.feed(block)
    return engine.finish()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32))
@example(20951152)  # begins at time 0 with a packet that is there twice
def test_batches_do_not_matter(seed: int) -> None:
    frames = conversation(seed)
    expected = answer(frames, len(frames))
    assert answer(frames, 1) == expected
    assert answer(frames, 3) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_the_filter_does_not_matter(seed: int) -> None:
    frames = conversation(seed)
    found = [
        [replace(result, ladder=()) for result in answer(frames, 16_384, keep_all=keep_all)]
        for keep_all in (False, True)
    ]
    assert found[0] == found[1]


def test_conversations_come_to_something() -> None:
    rules = {
        finding.rule
        for seed in range(150)
        for result in answer(conversation(seed), 16_384)
        for finding in result.findings
    }
    assert len(rules) >= 6, rules
