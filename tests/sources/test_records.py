"""The fast walk gives what the plain walk gives, whatever the bytes are."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.sources.pcap_file import PcapRecords
from analyzer.sources.pcapng_blocks import PcapngBlocks
from analyzer.sources.records import MARGIN, TUNING, Tuning, find_records

from . import build

LIMIT = 4096

tunings = st.builds(
    Tuning,
    probe=st.integers(1, 6),
    fewest=st.integers(2, 6),
    chains=st.integers(2, 40),
    length=st.integers(1, 4),
    batch=st.integers(1, 5),
    few=st.integers(0, 4),
)
orders = st.sampled_from("<>")


def padded(data: bytes) -> np.ndarray:
    # What stands behind the data must not matter, so it is something that looks like records.
    behind = (struct.pack("<IIII", 1, 1, 0, 1) * 8)[:MARGIN]
    return np.frombuffer(data + behind, np.uint8)


def check(form, data: bytes, at: int, tuning: Tuning) -> tuple[list[int], int]:
    buffer = padded(data)
    expected, stop = form.plain_walk(buffer, at, len(data))
    offsets, found_stop = find_records(form, buffer, at, len(data), tuning)
    assert offsets.dtype == np.int64
    assert (offsets.tolist(), found_stop) == (expected, stop)
    return expected, stop


def pcap_payload(draw, order):
    """What a packet may carry to mislead: records of its own, zeros, text, anything."""
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return draw(st.binary(max_size=90))
    if kind == 1:
        return bytes(draw(st.integers(0, 120)))
    inner = [draw(st.binary(max_size=6)) for _ in range(draw(st.integers(1, 6)))]
    if kind == 2:
        body = b"".join(build.pcap_record(1_700_000_000, 5, data, order=order) for data in inner)
        return body[draw(st.integers(0, 3)) :]
    if kind == 3:
        body = build.pcapng([build.Frame(data, len(data), 10**18) for data in inner], order)
        return body[draw(st.integers(0, 3)) :]
    return b"payload " * draw(st.integers(1, 9))


def damaged(draw, data: bytes) -> bytes:
    """Some bytes changed, a part lost, or the end missing."""
    mutable = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(mutable) - 1))
        if draw(st.booleans()):
            mutable[place] = draw(st.sampled_from([0, 1, 2, 12, 255]))
        else:
            del mutable[place : place + draw(st.integers(1, 9))]
        if not mutable:
            mutable = bytearray(1)
    return bytes(mutable[: draw(st.integers(0, len(mutable)))] if draw(st.booleans()) else mutable)


@st.composite
def pcap_buffers(draw):
    order = draw(orders)
    extra = draw(st.sampled_from([b"", bytes(8)]))
    payloads = [pcap_payload(draw, order) for _ in range(draw(st.integers(1, 25)))]
    records = [
        build.pcap_record(1_700_000_000 + place, 7, data, order=order, extra=extra)
        for place, data in enumerate(payloads)
    ]
    form = PcapRecords(order, 16 + len(extra), 1000, draw(st.sampled_from([40, LIMIT, 1 << 24])))
    return form, damaged(draw, b"".join(records) or bytes(1))


@st.composite
def pcapng_buffers(draw):
    order = draw(orders)
    other = "<" if order == ">" else ">"
    parts = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.integers(0, 7))
        if kind <= 4:
            parts.append(build.packet(10**18, pcap_payload(draw, order), order=order))
        elif kind == 5:
            parts.append(build.block(draw(st.integers(0, 12)), pcap_payload(draw, order), order))
        elif kind == 6:
            parts.append(build.section(draw(st.sampled_from([order, order, order, other]))))
        else:
            parts.append(build.interface(order=order))
    return PcapngBlocks(order), damaged(draw, b"".join(parts))


@settings(max_examples=300, deadline=None)
@given(pcap_buffers(), tunings)
def test_pcap_fast_walk_is_the_plain_walk(case, tuning):
    check(*case, 0, tuning)


@settings(max_examples=300, deadline=None)
@given(pcapng_buffers(), tunings)
def test_pcapng_fast_walk_is_the_plain_walk(case, tuning):
    check(*case, 0, tuning)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), tunings, orders, st.integers(0, 30))
def test_of_random_bytes(data, tuning, order, at):
    for form in (PcapRecords(order, 16, 1000, LIMIT), PcapngBlocks(order)):
        check(form, data, min(at, len(data)), tuning)


words = st.lists(
    st.sampled_from([0, 1, 3, 6, 12, 16, 20, 28, 32, 0x0A0D0D0A, 0x4D3C2B1A, 2**32 - 1]), max_size=200
)


@settings(max_examples=200, deadline=None)
@given(words, tunings, orders)
def test_of_small_words(values, tuning, order):
    data = struct.pack(f"{order}{len(values)}I", *values)
    for form in (PcapRecords(order, 16, 1000, LIMIT), PcapRecords(order, 24, 1, LIMIT), PcapngBlocks(order)):
        check(form, data, 0, tuning)


def many_records(order: str, seed: int, inner: bool) -> tuple[bytes, list[int]]:
    """A few thousand records; with ``inner`` each carries a chain of plausible records that is none."""
    generator = random.Random(seed)
    parts, offsets, at = [], [], 0
    for number in range(4000):
        size = generator.choice([52, 60, 66, 200, 1514])
        second = 1_700_000_000 + number // 100
        small = build.pcap_record(second, 3, b"GET ", order=order)
        data = (small * (size // len(small) + 1))[:size] if inner else generator.randbytes(size)
        offsets.append(at)
        parts.append(build.pcap_record(second, number % 1000, data, order=order))
        at += len(parts[-1])
    return b"".join(parts), offsets


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("inner", [False, True])
def test_as_tuned(order, inner):
    data, offsets = many_records(order, 5, inner)
    form = PcapRecords(order, 16, 1000, 262_144)
    assert check(form, data, 0, TUNING) == (offsets, len(data))
    assert check(form, data[:-1], 0, TUNING) == (offsets[:-1], offsets[-1])


@pytest.mark.parametrize("order", "<>")
def test_guesses_are_made_and_true(order):
    data, offsets = many_records(order, 6, inner=False)
    form = PcapRecords(order, 16, 1000, 262_144)
    seen = []

    class Spy(PcapRecords):
        def guesses(self, buffer, at, windows):
            seen.append((super().guesses(buffer, at, windows), windows))
            return seen[-1][0]

    find_records(Spy(order, 16, 1000, 262_144), padded(data), 0, len(data))
    ((guesses, windows),) = seen
    assert len(guesses) > 0.9 * windows.count
    assert set(guesses.tolist()) <= set(offsets)
    assert form.order == order


@pytest.mark.parametrize("order", "<>")
def test_pcapng_guesses_are_made_and_true(order):
    parts = [build.packet(10**18, bytes(place * 37 % 700), order=order) for place in range(4000)]
    data = b"".join(parts)
    offsets = np.cumsum([0] + [len(part) for part in parts])[:-1].tolist()
    seen = []

    class Spy(PcapngBlocks):
        def guesses(self, buffer, at, windows):
            seen.append((super().guesses(buffer, at, windows), windows))
            return seen[-1][0]

    found, stop = find_records(Spy(order), padded(data), 0, len(data))
    assert (found.tolist(), stop) == (offsets, len(data))
    ((guesses, windows),) = seen
    assert len(guesses) > 0.9 * windows.count
    assert set(guesses.tolist()) <= set(offsets)


class Liar(PcapRecords):
    """Guesses as an attacker would like it."""

    lies: np.ndarray = np.empty(0, np.int64)

    def guesses(self, buffer, at, windows):
        return self.lies[(self.lies > at) & (self.lies < windows.end)]


@settings(max_examples=200, deadline=None)
@given(pcap_buffers(), tunings, st.lists(st.integers(1, 1500), unique=True))
def test_no_guess_is_believed(case, tuning, lies):
    form, data = case
    Liar.lies = np.array(sorted(lies), np.int64)
    check(Liar(form.order, form.fixed, form.unit, form.limit), data, 0, tuning)


@pytest.mark.parametrize("place", [0, 1, 63, 64, 65, 700, 2000, 3998, 3999])
def test_a_damaged_length_is_found_at_its_record(place):
    data, offsets = many_records("<", 7, inner=False)
    mutable = bytearray(data)
    struct.pack_into("<I", mutable, offsets[place] + 8, 300_000)
    form = PcapRecords("<", 16, 1000, 262_144)
    assert check(form, bytes(mutable), 0, TUNING) == (offsets[:place], offsets[place])
