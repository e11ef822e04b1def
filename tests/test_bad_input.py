"""Whatever a file holds: a report or a message, never a traceback or a warning."""

from __future__ import annotations

import functools
import io
import json
import random
import re
import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.errors import UserError
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports import json_report, text
from tests.captures import capture_name, frames_of, record_offsets, sample, to_pcapng
from tests.decode.frames import KNOWN_AND_UNKNOWN, ethernet, wrapped
from tests.report_format import RULES, complaints
from tests.sources.build import SECOND, Frame, interface, options, pcap, pcap_header, pcapng, section

BASES = [
    sample("rst-after-fin-send-first"),
    sample("icmp-host-unreachable-connect"),
    sample("icmpv6-no-route-connect"),
    sample("retransmission-recovers"),
    sample("rst-in-accept-queue", "server"),
    sample("clean-any-interface"),
]
SEEDS = range(12)
NOW = 1_700_000_000

CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "pcap": bytes,
    "pcapng": to_pcapng,
    "pcapng big-endian": functools.partial(to_pcapng, order=">"),
}

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


def reading(path: Path) -> Report | UserError:
    """What comes of it; anything else that is raised fails the test."""
    try:
        return analyze(path, rules=RULES)
    except UserError as error:
        return error


def survive(folder: Path, data: bytes, name: str = "hostile.pcap") -> Report | None:
    """Analyse a file with these bytes and write both reports; None where it is told to be no capture."""
    path = folder / name
    path.write_bytes(data)
    report = reading(path)
    if isinstance(report, UserError):
        assert report.where == str(path)
        assert report.what
        return None
    assert isinstance(report, Report)
    plain = json_report.as_plain(report)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert list(complaints(plain)) == []
    out = io.StringIO()
    text.write(report, out)
    assert out.getvalue().replace("\n", "").isprintable()
    coloured = io.StringIO()
    text.write(report, coloured, colour=True)
    assert re.sub(r"\x1b\[[01]m", "", coloured.getvalue()) == out.getvalue()
    return report


# Mutations of real captures


def flip(data: bytearray, chance: random.Random) -> None:
    """A few bytes anywhere."""
    for _ in range(chance.randrange(1, 9)):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)


def flip_bodies(data: bytearray, chance: random.Random) -> None:
    """Many bytes behind the file's header."""
    for _ in range(len(data) // 20):
        data[chance.randrange(24, len(data))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    """The file ends anywhere."""
    del data[chance.randrange(len(data)) :]


def lose(data: bytearray, chance: random.Random) -> None:
    """A piece is missing."""
    begin = chance.randrange(len(data))
    del data[begin : begin + chance.randrange(1, 200)]


def insert(data: bytearray, chance: random.Random) -> None:
    """A piece too much."""
    begin = chance.randrange(len(data))
    data[begin:begin] = chance.randbytes(chance.randrange(1, 200))


def duplicate(data: bytearray, chance: random.Random) -> None:
    """A piece of the file once more, somewhere else."""
    begin = chance.randrange(len(data))
    piece = bytes(data[begin : begin + chance.randrange(1, 400)])
    at = chance.randrange(len(data))
    data[at:at] = piece


def turn_words(data: bytearray, chance: random.Random) -> None:
    """Some 32-bit words in the other byte order."""
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(0, max(len(data) - 4, 1), 4)
        data[at : at + 4] = data[at : at + 4][::-1]


def extreme_words(data: bytearray, chance: random.Random) -> None:
    """Some 32-bit words at their limits."""
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(0, max(len(data) - 4, 1), 4)
        limit = chance.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
        struct.pack_into("<I", data, at, limit)


def tail(data: bytearray, chance: random.Random) -> None:
    """Something behind the end."""
    data += chance.randbytes(chance.randrange(1, 500))


def parts(data: bytes) -> list[bytes]:
    """The file header and each record, or each block of a pcapng file."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        order = "<" if data[8] == 0x4D else ">"
        offsets, at = [], 0
        while at < len(data):
            offsets.append(at)
            at += int(struct.unpack_from(f"{order}I", data, at + 4)[0])
    else:
        offsets = [0, *record_offsets(data)[:-1]]
    return [data[begin:end] for begin, end in pairwise([*offsets, len(data)])]


def double_records(data: bytearray, chance: random.Random) -> None:
    """Some records or blocks once more, anywhere."""
    found = parts(bytes(data))
    for part in chance.choices(found, k=chance.randrange(1, 9)):
        found.insert(chance.randrange(len(found) + 1), part)
    data[:] = b"".join(found)


def turn_records(data: bytearray, chance: random.Random) -> None:
    """All words of some records or blocks in the other byte order."""
    found = parts(bytes(data))
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(found))
        whole = found[place][: len(found[place]) & ~3]
        turned = struct.pack(f">{len(whole) // 4}I", *struct.unpack(f"<{len(whole) // 4}I", whole))
        found[place] = turned + found[place][len(whole) :]
    data[:] = b"".join(found)


def shuffle_records(data: bytearray, chance: random.Random) -> None:
    """The records or blocks in any order, but for the first."""
    found = parts(bytes(data))
    data[:] = b"".join([found[0], *chance.sample(found[1:], len(found) - 1)])


MUTATIONS = (flip, flip_bodies, cut, lose, insert, duplicate, turn_words, extreme_words, tail)
MUTATIONS += (double_records, turn_records, shuffle_records)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
@pytest.mark.parametrize("base", BASES, ids=capture_name)
def test_mutated_captures(
    tmp_path: Path, base: Path, mutate: Callable[[bytearray, random.Random], None], container: str
) -> None:
    whole = CONTAINERS[container](base.read_bytes())
    for seed in SEEDS:
        data = bytearray(whole)
        mutate(data, random.Random(f"{base.parent.name} {mutate.__name__} {container} {seed}"))
        survive(tmp_path, bytes(data))


@pytest.mark.parametrize("base", BASES, ids=capture_name)
def test_mutated_pieces_of_a_rotation(tmp_path: Path, base: Path) -> None:
    """Some of the files are spoiled; the report is whole, the others are read."""
    frames = frames_of(base.read_bytes())
    for seed in SEEDS:
        chance = random.Random(f"{base.parent.name} {seed}")
        places = sorted(chance.choices(range(len(frames) + 1), k=2))
        for number, (begin, end) in enumerate(pairwise([0, *places, len(frames)])):
            data = bytearray(pcap(frames[begin:end], link_type=frames[0].link_type))
            if end > begin and chance.random() < 0.5:
                chance.choice(MUTATIONS)(data, chance)
            (tmp_path / f"cap.pcap{number}").write_bytes(data)
        report = reading(tmp_path)
        if isinstance(report, Report):
            assert list(complaints(json_report.as_plain(report))) == []
            out = io.StringIO()
            text.write(report, out)
            assert out.getvalue().replace("\n", "").isprintable()


@pytest.mark.parametrize("base", BASES, ids=capture_name)
def test_every_cut_of_a_capture(tmp_path: Path, base: Path) -> None:
    """What was whole before the cut is reported, whatever the place of the cut."""
    data = base.read_bytes()
    ends = record_offsets(data)
    for length in range(0, len(data), 23):
        report = survive(tmp_path, data[:length])
        assert (report is None) == (length < 24)
        if report:
            whole = sum(1 for end in ends[1:] if end <= length)
            assert report.captures[0].packets == whole
            assert bool(report.captures[0].problems) >= (length not in ends)
            assert report.captures[0].damage is None


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_in_any_order_and_number(tmp_path: Path, seed: int) -> None:
    """Records are whole, but lost, doubled, shuffled, and at any time."""
    chance = random.Random(seed)
    frames = [frame for base in BASES[:5] for frame in frames_of(base.read_bytes())]
    chosen = chance.choices(frames, k=chance.randrange(1, 120))
    times = [frame.time + chance.choice((0, 0, 0, 1, -5, 3600, -86400)) * SECOND for frame in chosen]
    moved = [frame._replace(time=time) for frame, time in zip(chosen, times, strict=True)]
    report = survive(tmp_path, pcap(moved))
    assert report is not None
    assert report.captures[0].packets == len(moved)


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_packets_in_whole_records(tmp_path: Path, seed: int) -> None:
    """Every layer above the file is spoiled: the decoder, the flows and the sockets get to see it."""
    chance = random.Random(seed)
    moved = []
    for base in BASES[:5]:
        for frame in frames_of(base.read_bytes()):
            data = bytearray(frame.data)
            for _ in range(chance.choice((0, 0, 1, 2))):
                data[chance.randrange(12, len(data))] = chance.choice((0, 0xFF, chance.randrange(256)))
            moved.append(frame._replace(data=bytes(data[: chance.choice((None, None, None, 40))])))
    assert survive(tmp_path, pcap(moved)) is not None


# Bytes without any sense


@quick
@given(data=st.binary(max_size=400))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    survive(tmp_path, data)


@quick
@given(
    data=st.binary(max_size=400),
    order=st.sampled_from("<>"),
    magic=st.sampled_from([0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34]),
)
def test_any_bytes_behind_a_pcap_header(tmp_path: Path, data: bytes, order: str, magic: int) -> None:
    assert survive(tmp_path, pcap_header(order, magic) + data) is not None


@quick
@given(data=st.binary(max_size=400), order=st.sampled_from("<>"))
def test_any_bytes_behind_pcapng_headers(tmp_path: Path, data: bytes, order: str) -> None:
    assert survive(tmp_path, section(order) + interface(order=order) + data) is not None


blocks = st.tuples(
    st.sampled_from([1, 2, 3, 4, 5, 6, 10, 0x0A0D0D0A, 0x80000001]),
    st.one_of(
        st.binary(max_size=60), st.binary(max_size=40).map(lambda value: bytes(20) + options((9, value)))
    ),
)


@quick
@given(told=st.lists(blocks, max_size=8), order=st.sampled_from("<>"))
def test_any_blocks(tmp_path: Path, told: list[tuple[int, bytes]], order: str) -> None:
    data = section(order) + interface(order=order)
    for kind, body in told:
        padded = body + bytes(-len(body) % 4)
        length = struct.pack(f"{order}I", 12 + len(padded))
        data += struct.pack(f"{order}I", kind) + length + padded + length
    assert survive(tmp_path, data) is not None


# Frames without any sense


@pytest.mark.parametrize("link_type", KNOWN_AND_UNKNOWN)
@pytest.mark.parametrize("write", [pcap, pcapng])
def test_any_frames_of_every_link_type(tmp_path: Path, link_type: int, write: Callable[..., bytes]) -> None:
    chance = random.Random(link_type)
    frames = [
        Frame(body, len(body) + chance.choice((0, 0, 1000)), NOW * SECOND + number, link_type)
        for number, body in enumerate(chance.randbytes(chance.randrange(1, 120)) for _ in range(300))
    ]
    data = write(frames, link_type=link_type) if write is pcap else write(frames)
    report = survive(tmp_path, data)
    assert report is not None
    assert report.captures[0].packets == 300


ports = st.sampled_from([1, 80, 40000])
addresses = st.sampled_from([b"\n\0\0\1", b"\n\0\0\2", b"\0\0\0\0", b"\xff\xff\xff\xff"])
numbers = st.one_of(st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]), st.integers(0, 50))
segments = st.tuples(
    addresses,
    addresses,
    ports,
    ports,
    numbers,
    numbers,
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 60),
)


def segment(told: tuple[bytes, bytes, int, int, int, int, int, int, int]) -> bytes:
    """A TCP segment in IPv4; addresses, ports, numbers, flags, window and length of the payload."""
    source, target, sport, dport, seq, ack, flags, window, length = told
    header = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, window, 0, 0)
    start = struct.pack("!BBHHHBBH", 0x45, 0, 40 + length, 1, 0, 64, 6, 0)
    return start + source + target + header + bytes(length)


def quoted(ip: bytes, kind: int, code: int) -> bytes:
    """An ICMP message about a packet."""
    body = struct.pack("!BBHI", kind, code, 0, 0) + ip[:28]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0) + bytes(4) + ip[12:16] + body


events = st.lists(
    st.tuples(
        segments,
        st.integers(-2_000_000_000, 200_000_000_000),
        st.none() | st.tuples(st.sampled_from([3, 4, 11, 12]), st.integers(0, 16)),
    ),
    min_size=1,
    max_size=25,
)


@settings(quick, max_examples=200)
@given(told=events, link_type=st.sampled_from([1, 101, 113, 276]))
def test_any_conversation(tmp_path: Path, told: list[tuple], link_type: int) -> None:
    """Segments and ICMP errors between few addresses, with any flags and numbers, at any time."""
    time, frames = NOW * SECOND, []
    for parts, step, icmp in told:
        time = max(time + step, 0)
        ip = segment(parts)
        frames.append(Frame(wrapped(quoted(ip, *icmp) if icmp else ip, link_type), 200, time, link_type))
    report = survive(tmp_path, pcap(frames, link_type=link_type))
    assert report is not None
    assert report.totals.packets == len(told)


SYN, RST, ACK, FIN = 2, 4, 16, 1


def test_a_failure_that_its_program_sees_as_end_of_file(tmp_path: Path) -> None:
    """The request crosses the FIN of an idle connection: recv() gives end of file, EPIPE waits behind it."""
    client, server = (b"\n\0\0\1", b"\n\0\0\2", 40000, 80), (b"\n\0\0\2", b"\n\0\0\1", 80, 40000)
    wire = [
        (*client, 99, 0, SYN, 1000, 0),
        (*server, 499, 100, SYN | ACK, 1000, 0),
        (*client, 100, 500, ACK, 1000, 10),
        (*server, 500, 110, ACK, 1000, 20),
        (*client, 110, 520, ACK, 1000, 10),
        (*server, 520, 110, FIN | ACK, 1000, 0),
        (*server, 521, 0, RST, 0, 0),
    ]
    frames = [
        Frame(ethernet(segment(told)), 54 + told[-1], NOW * SECOND + number * 1_000_000)
        for number, told in enumerate(wire)
    ]
    report = survive(tmp_path, pcap(frames))
    assert report is not None
    (verdict,) = report.flows[0].verdicts
    assert (verdict.rule, verdict.errno, verdict.table.calls["recv"]) == ("rst-after-fin", "EPIPE", "EOF")


# Names and addresses that want to do harm


@pytest.mark.parametrize(
    "name",
    ["\x1b[31mred.pcap", "bell\x07.pcap", "line\nend.pcap", "a\u202eb.pcap", "\udcff.pcap", "tab\there"],
)
def test_file_names_are_shown_without_their_effect(tmp_path: Path, name: str) -> None:
    assert survive(tmp_path, BASES[0].read_bytes(), name) is not None
    assert survive(tmp_path, BASES[0].read_bytes()[:-3], name) is not None
    broken = bytearray(BASES[0].read_bytes())
    broken[32:36] = b"\xff" * 4
    report = survive(tmp_path, bytes(broken), name)
    assert report is not None
    assert report.captures[0].damage


@pytest.mark.parametrize(
    "address",
    ["::", "::1", "::ffff:1.2.3.4", "fe80::1", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
)
def test_addresses_of_every_length_fit_the_report(tmp_path: Path, address: str) -> None:
    """A SYN and the reset that refuses it, from the longest and the shortest addresses."""
    ours, theirs = IPv6Address(address).packed, IPv6Address("2001:db8::5").packed
    syn = struct.pack("!HHIIBBHHH", 65535, 65534, 5, 0, 5 << 4, 2, 1, 0, 0)
    rst = struct.pack("!HHIIBBHHH", 65534, 65535, 0, 6, 5 << 4, 0x14, 0, 0, 0)
    head = struct.pack("!IHBB", 6 << 28, 20, 6, 64)
    bodies = [head + ours + theirs + syn, head + theirs + ours + rst]
    frames = [
        Frame(ethernet(body, 0x86DD), 74, NOW * SECOND + number, 1) for number, body in enumerate(bodies)
    ]
    report = survive(tmp_path, pcap(frames))
    assert report is not None
    assert [verdict.errno for result in report.flows for verdict in result.verdicts] == ["ECONNREFUSED"]


def test_frames_that_a_tool_cut_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    syn = frames_of(sample("rst-after-fin-send-first").read_bytes())[2]
    path.write_bytes(pcap([Frame(syn.data[:70], 70, syn.time + later) for later in (0, 10**9)]))
    assert analyze(path).captures[0].problems == [
        "2 frames are shorter than the IP packets in them: something cut them and did not keep "
        "their lengths, which are taken from the packets"
    ]


def test_link_types_that_are_not_known_are_named(tmp_path: Path) -> None:
    path = tmp_path / "usb.pcap"
    path.write_bytes(pcap([Frame(b"\x55" * 60, 60, NOW * SECOND)] * 2, link_type=220))
    report = analyze(path)
    assert report.totals.undecoded == {"unknown-link-type": 2}
    assert report.captures[0].problems == [
        "2 frames have a link type that is not known, and were not looked at: USB_LINUX_MMAPPED"
    ]
