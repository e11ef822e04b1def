"""The made captures are what they claim to be, or nothing measured on them means anything."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from pathlib import Path

import pytest

from tests.bench.flows import MIXES, SERVICES, plan
from tests.bench.generate import generate

_PACKETS = 20_000
Record = tuple[float, int, bytes]


def _make(path: Path, mix: str, snaplen: int = 0, pcapng: bool = False, seconds: float = 600) -> list[Record]:
    written = generate(path, plan(mix, _PACKETS, None, 7, seconds), snaplen, pcapng)
    records = _pcapng(path.read_bytes()) if pcapng else _pcap(path.read_bytes())
    assert written == len(records) == _PACKETS
    return records


def _pcap(raw: bytes) -> list[Record]:
    at, records = 24, []
    while at < len(raw):
        seconds, micros, captured, original = struct.unpack_from("<IIII", raw, at)
        records.append((seconds + micros / 1e6, original, raw[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return records


def _pcapng(raw: bytes) -> list[Record]:
    at, records = 48, []
    while at < len(raw):
        kind, total, _, high, low, captured, original = struct.unpack_from("<7I", raw, at)
        assert (kind, total) == (6, struct.unpack_from("<I", raw, at + total - 4)[0])
        micros = (high << 32) + low
        records.append((micros // 10**6 + micros % 10**6 / 1e6, original, raw[at + 28 : at + 28 + captured]))
        at += total
    return records


def _flags(records: list[Record]) -> list[int]:
    return [frame[47] for _, _, frame in records]


def _sides(records: list[Record]) -> list[tuple[bytes, bytes]]:
    """Source and target, address and port, of each packet."""
    return [(f[26:30] + f[34:36], f[30:34] + f[36:38]) for _, _, f in records]


@pytest.mark.parametrize("mix", MIXES)
def test_times_never_go_back_and_lengths_agree(tmp_path: Path, mix: str) -> None:
    records = _make(tmp_path / "x.pcap", mix)
    times = [time for time, _, _ in records]
    assert times == sorted(times)
    for _, original, frame in records:
        assert len(frame) == original == 14 + int.from_bytes(frame[16:18])


@pytest.mark.parametrize("seconds", [60.0, 600.0])
@pytest.mark.parametrize("mix", MIXES)
def test_no_sender_leaves_a_gap_and_nothing_unsent_is_acknowledged(
    tmp_path: Path, mix: str, seconds: float
) -> None:
    records = _make(tmp_path / "x.pcap", mix, seconds=seconds)
    sent: dict[tuple[bytes, bytes], int] = {}
    for (source, target), (_, original, frame) in zip(_sides(records), records, strict=True):
        seq, ack, offset, flags = struct.unpack_from(">IIBB", frame, 38)
        size = original - 34 - (offset >> 2) + bool(flags & 3)
        ahead = (seq - sent.setdefault((source, target), seq)) % 2**32
        assert ahead == 0 or ahead > 2**31, "a gap"
        if ahead == 0 or size > 2**32 - ahead:
            sent[source, target] = (seq + size) % 2**32
        if flags & 16 and (target, source) in sent:
            assert (sent[target, source] - ack) % 2**32 < 2**31, "acknowledges what was not sent"


def test_the_same_seed_gives_the_same_bytes_in_either_format(tmp_path: Path) -> None:
    first = _make(tmp_path / "a.pcap", "realistic")
    assert first == _make(tmp_path / "b.pcap", "realistic")
    assert first == _make(tmp_path / "c.pcapng", "realistic", pcapng=True)


@pytest.mark.parametrize("pcapng", [False, True])
def test_a_snaplen_cuts_frames_and_nothing_else(tmp_path: Path, pcapng: bool) -> None:
    whole = _make(tmp_path / "a.pcap", "realistic")
    cut = _make(tmp_path / "b", "realistic", 97, pcapng)
    assert cut == [(time, original, frame[:97]) for time, original, frame in whole]


_HTTP = rb"(?:GET|PUT) /orders HTTP/1\.1\r\n|HTTP/1\.1 (?:200 OK|304 Not Modified)\r\n"


def _http(stream: bytes) -> int:
    head = re.match(rb"(?:%s)(?:[\w-]+: [^\r\n]+\r\n)*\r\n" % _HTTP, stream)
    stated = re.search(rb"Content-Length: (\d+)", head[0]) if head else None
    return head.end() + (int(stated[1]) if stated else 0) if head else 0


def _tls(stream: bytes) -> int:
    size = int.from_bytes(stream[3:5])
    return 5 + size if stream.startswith(b"\x17\3\3") and 0 < size <= 16_384 + 256 else 0


def _postgres(stream: bytes) -> int:
    return 1 + int.from_bytes(stream[1:5]) if stream[:1] in (b"Q", b"D", b"Z", b"d") else 0


def _redis(stream: bytes) -> int:
    value = re.match(rb"(?:\*2\r\n\$3\r\nGET\r\n)?\$(\d+)\r\n", stream)
    return value.end() + int(value[1]) + 2 if value else 0


@pytest.mark.parametrize("mix", ["realistic", "short", "retransmissions"])
def test_what_applications_say_is_a_chain_of_messages(tmp_path: Path, mix: str) -> None:
    streams: dict[tuple[bytes, bytes], dict[int, bytes]] = defaultdict(dict)
    records = _make(tmp_path / "x.pcap", mix)
    for (source, target), (_, _, frame) in zip(_sides(records), records, strict=True):
        data = frame[34 + (frame[46] >> 2) :]
        if data:
            said = streams[source, target].setdefault(int.from_bytes(frame[38:42]), data)
            assert said == data, "sent again, and not the same"
    walks = dict(zip(SERVICES, (_http, _tls, _postgres, _redis), strict=True))
    messages = 0
    for (source, target), parts in streams.items():
        port = min(int.from_bytes(end[4:6]) for end in (source, target))
        first = next(iter(parts))  # numbers wrap around
        stream = b"".join(parts[seq] for seq in sorted(parts, key=lambda seq: (seq - first) % 2**32))
        while len(stream) > 100:  # what a capture or a reset has cut off may end anywhere
            size = walks[port](stream)
            assert size, stream[:60]
            stream, messages = stream[size:], messages + 1
    assert messages > _PACKETS // 20


def test_filler_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    generate(path, plan("realistic", _PACKETS, None, 7, 600.0, filler=True))
    frames = [frame for _, _, frame in _pcap(path.read_bytes())]
    assert {byte for frame in frames for byte in frame[34 + (frame[46] >> 2) :]} == {ord("x")}
    assert not {int.from_bytes(frame[36:38]) for frame in frames} & set(SERVICES)


def test_realistic_has_the_failures_that_it_promises(tmp_path: Path) -> None:
    records = _make(tmp_path / "x.pcap", "realistic")
    flags = _flags(records)
    flows = {frozenset(pair) for pair in _sides(records)}
    assert len(flows) == _PACKETS // 50
    assert 0.005 < sum(flag & 4 > 0 for flag in flags) / len(flows) < 0.03
    assert 700 < sum(original for _, original, _ in records) / _PACKETS < 900


def test_short_flows_have_ten_packets_and_a_flood_one(tmp_path: Path) -> None:
    pairs = [frozenset(pair) for pair in _sides(_make(tmp_path / "a.pcap", "short"))]
    assert len(set(pairs)) == _PACKETS // 10
    assert all(pairs.count(pair) == 10 for pair in pairs[:50])
    flood = _make(tmp_path / "b.pcap", "synflood")
    assert len(set(_sides(flood))) == _PACKETS
    assert set(_flags(flood)) == {2}


def test_every_data_segment_is_sent_again(tmp_path: Path) -> None:
    records = _make(tmp_path / "x.pcap", "retransmissions")
    times: dict[tuple[bytes, bytes, bytes], int] = {}
    for (source, target), (_, original, frame) in zip(_sides(records), records, strict=True):
        if original - 34 > frame[46] >> 2 and not frame[47] & 4:
            key = source, target, frame[38:42]
            times[key] = times.get(key, 0) + 1
    assert sum(count < 2 for count in times.values()) < 0.01 * len(times)  # the capture ends in mid-burst


@pytest.mark.parametrize(("mix", "packets", "flows"), [("short", 100, 5), ("realistic", 100, 90)])
def test_wishes_that_cannot_be_granted_are_refused(
    tmp_path: Path, mix: str, packets: int, flows: int
) -> None:
    with pytest.raises(ValueError, match="flows"):
        generate(tmp_path / "x.pcap", plan(mix, packets, flows, 1, 600.0))
