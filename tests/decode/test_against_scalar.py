"""The decoder of arrays gives for every frame what the plain decoder gives."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.decode import decode
from analyzer.decode.fragments import Fragments
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import ROW_FIELDS, PacketColumns, Undecoded
from tests.captures import frames_of, sample
from tests.decode.frames import KNOWN_AND_UNKNOWN, carriers, corpus, framed, in_udp, packets, tcp, v4, v6
from tests.decode.scalar import Known, decode_frame, is_shortened
from tests.helpers import block_of

Rows = list[dict[str, int]]

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rows_of(columns: PacketColumns) -> Rows:
    lists = {name: getattr(columns, name).tolist() for name in ROW_FIELDS}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def expected(block: FrameBlock) -> tuple[Rows, list[int], int]:
    rows, undecoded, clock, shortened = [], [0] * len(Undecoded), -(2**63), 0
    known: Known = {}
    for i in range(len(block)):
        begin, time = int(block.offsets[i]), int(block.times[i])
        frame = block.buffer[begin : begin + int(block.captured[i])].tobytes()
        clock = max(clock, time)
        original, link_type = int(block.original[i]), int(block.link_types[i])
        result = decode_frame(frame, original, link_type, time, known)
        shortened += is_shortened(frame, original, link_type)
        if isinstance(result, Undecoded):
            undecoded[result] += 1
        else:
            rows.append(result | {"number": block.first_number + i, "time": time, "clock": clock})
    return rows, undecoded, shortened


def check(block: FrameBlock) -> None:
    columns = decode(block)
    rows, undecoded, shortened = expected(block)
    assert columns.shortened == shortened
    assert rows_of(columns) == rows
    assert columns.undecoded.tolist() == undecoded
    assert columns.packets == len(block) == len(rows) + sum(undecoded)


def mixed(frames: Sequence[tuple[int, bytes]], original: Sequence[int] | None = None) -> FrameBlock:
    block = block_of([frame for _, frame in frames], original=original)
    return replace(block, link_types=np.array([kind for kind, _ in frames], dtype=np.uint16))


def mutated(frame: bytes, rng: random.Random) -> tuple[bytes, int]:
    """A frame with some bytes changed, perhaps cut, and its length on the wire, which may be a lie."""
    data = bytearray(frame)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        place = rng.randrange(min(len(data), 200))
        data[place] = rng.choice((rng.randrange(256), data[place] ^ (1 << rng.randrange(8)), 0, 1, 255))
    kept = rng.randrange(len(data) + 1) if rng.random() < 0.4 else len(data)
    original = rng.choice((len(data), kept, 0, 70, 2**32 - 1)) if rng.random() < 0.3 else len(data)
    return bytes(data[:kept]), original


def chunks(frames: Sequence[tuple[int, bytes]], size: int) -> Iterator[Sequence[tuple[int, bytes]]]:
    for begin in range(0, len(frames), size):
        yield frames[begin : begin + size]


def test_every_frame_in_one_block() -> None:
    check(mixed(corpus()))


@pytest.mark.parametrize("link_type", KNOWN_AND_UNKNOWN)
def test_blocks_of_one_link_type(link_type: int) -> None:
    check(block_of([frame for kind, frame in corpus() if kind == link_type], link_type))


def test_every_frame_alone() -> None:
    for frame in corpus()[::3]:
        check(mixed([frame]))


def test_every_length_of_a_frame_with_its_rest_behind_it() -> None:
    for turn, (kind, frame) in enumerate(corpus()):
        cuts = range(turn % 8, min(len(frame), 150), 8)
        parts = [(kind, part) for cut in cuts for part in (frame[:cut], frame[cut:])]
        check(mixed(parts, original=[len(frame)] * len(parts)))


def test_a_buffer_that_ends_with_its_last_frame() -> None:
    for frame in corpus()[::2]:
        block = mixed([frame])
        check(replace(block, buffer=block.buffer[: len(frame[1])]))


def test_a_buffer_that_ends_inside_the_options() -> None:
    for frame in (frame for kind, frame in corpus() if kind == 1 and frame[23:24] == b"\x06"):
        for cut in range(54, min(len(frame), 75)):
            block = block_of([frame[:cut]], original=[len(frame)])
            check(replace(block, buffer=block.buffer[:cut]))


@pytest.mark.parametrize("seed", range(3))
def test_mutated_frames(seed: int) -> None:
    rng = random.Random(seed)
    for frames in chunks(rng.choices(corpus(), k=15_000), 1500):
        changed = [(kind, *mutated(frame, rng)) for kind, frame in frames]
        check(mixed([(kind, frame) for kind, frame, _ in changed], [length for *_, length in changed]))


@quick
@given(st.lists(st.tuples(st.sampled_from(KNOWN_AND_UNKNOWN), st.binary(max_size=120)), max_size=12))
def test_random_bytes(frames: list[tuple[int, bytes]]) -> None:
    check(mixed(frames))


@quick
@given(st.lists(st.tuples(st.sampled_from([b"\x45\x00", b"\x46\x00", b"\x60\x00"]), st.binary(max_size=120))))
def test_random_bytes_that_begin_like_ip(parts: list[tuple[bytes, bytes]]) -> None:
    check(block_of([begin + rest for begin, rest in parts], link_type=101))


def wrapped_in(ip: bytes, around: list[tuple[int, int]]) -> bytes:
    for version, turn in around:
        if len(ip) < 30_000:
            ip = next(islice(carriers(ip, version), turn, None))
    return ip


NESTED = st.builds(
    wrapped_in,
    st.sampled_from([ip for ip in packets() if len(ip) < 200]),
    st.lists(st.tuples(st.sampled_from((4, 6)), st.integers(0, 17)), max_size=6),
)
"""Packets in tunnels in tunnels, more of them than are looked into."""


@quick
@given(st.lists(NESTED, max_size=4), st.randoms(use_true_random=False))
def test_tunnels_in_tunnels(ips: list[bytes], rng: random.Random) -> None:
    changed = [mutated(framed(ip), rng) if rng.random() < 0.5 else (framed(ip), 0) for ip in ips]
    check(block_of([frame for frame, _ in changed], original=[length for _, length in changed]))


@quick
@given(st.sampled_from((4789, 8472, 6081)), st.binary(max_size=90))
def test_random_bytes_to_a_tunnel_port(port: int, payload: bytes) -> None:
    check(block_of([framed(in_udp(payload, port))]))


@quick
@given(st.data())
def test_any_grouping_into_blocks_gives_the_same_rows(data: st.DataObject) -> None:
    frames = data.draw(st.lists(st.sampled_from(corpus()), max_size=40))
    count = len(frames)
    times = data.draw(st.lists(st.integers(-5, 50), min_size=count, max_size=count))
    cuts = sorted(data.draw(st.sets(st.integers(0, count), max_size=5)) | {0, count})
    whole = replace(mixed(frames), times=np.array(times, dtype=np.int64), first_number=17)
    rows, undecoded = [], np.zeros(len(Undecoded), dtype=np.int64)
    clock, fragments = -(2**63), Fragments()
    for begin, end in pairwise(cuts):
        part = replace(mixed(frames[begin:end]), times=whole.times[begin:end], first_number=17 + begin)
        columns = decode(part, fragments)
        rows += [row | {"clock": max(clock, row["clock"])} for row in rows_of(columns)]
        undecoded += columns.undecoded
        clock = max(clock, columns.clock_end)
    together = decode(whole)
    assert rows == rows_of(together)
    assert undecoded.tolist() == together.undecoded.tolist()
    assert not count or clock == together.clock_end


@pytest.mark.parametrize("length", [66, 80, 100, 140, 256])
def test_cut_answers(length: int) -> None:
    """HTTP heads and TLS records of which the capture kept a part."""
    for scenario in ("premature-eof-mid-answer", "eof-in-tls-record", "tls-alert-unrecognized-name"):
        frames = frames_of(sample(scenario).read_bytes())
        check(
            block_of(
                [frame.data[:length] for frame in frames], original=[len(frame.data) for frame in frames]
            )
        )


TIMESTAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (12345, 6789))]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
USUAL = {
    version: [
        framed(wrap(tcp(flags, options=options) / payload))
        for flags in ("A", "PA", "FA", "R")
        for options in ([], TIMESTAMPS)
        for payload in (b"", b"x" * 100, ANSWER)
    ]
    for version, wrap in ((4, v4), (6, v6))
}
"""What nearly every packet is, by IP version."""


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("seed", range(4))
def test_blocks_of_usual_packets_with_others_among_them(version: int, seed: int) -> None:
    rng = random.Random(seed)
    others = [
        frame
        for kind, frame in corpus()
        if kind == 1 and frame[12:14] == (b"\x08\x00" if version == 4 else b"\x86\xdd")
    ]
    frames = []
    for _ in range(1500):
        frame = rng.choice(USUAL[version] if rng.random() < 0.8 else others)
        frames.append(mutated(frame, rng) if rng.random() < 0.4 else (frame, len(frame)))
    block = block_of([frame for frame, _ in frames], original=[length for _, length in frames])
    check(block)
