"""Frames without addresses and payload."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.decode.anonymous import anonymized, ip_begins
from analyzer.decode.pseudonyms import Pseudonyms
from analyzer.sources.open import open_capture
from tests.captures import CAPTURES, capture_name

KEY = bytes(range(32))
PUBLISHED = bytes.fromhex("1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202")
"""The key of the sample that comes with the authors' implementation, and addresses of it."""


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("128.11.68.132", "135.242.180.132"),
        ("129.118.74.4", "134.136.186.123"),
        ("130.132.252.244", "133.68.164.234"),
        ("141.223.7.43", "141.167.8.160"),
    ],
)
def test_addresses_of_the_published_sample(address: str, expected: str) -> None:
    assert Pseudonyms(PUBLISHED, keep_special=False).text(address) == expected


def common(one: bytes, other: bytes) -> int:
    width = 8 * len(one)
    return width - (int.from_bytes(one) ^ int.from_bytes(other)).bit_length()


@pytest.mark.parametrize("size", [4, 16])
@pytest.mark.parametrize("special", [True, False])
def test_common_prefixes_stay_as_long(size: int, special: bool) -> None:
    names, chance = Pseudonyms(KEY, keep_special=special), random.Random(size)
    for _ in range(300):
        one = chance.randbytes(size)
        other = bytearray(one)
        other[chance.randrange(size)] ^= 1 << chance.randrange(8)
        assert common(names.address(one), names.address(bytes(other))) == common(one, bytes(other))


def test_what_names_nobody_stays_and_nobody_else_becomes_it() -> None:
    names = Pseudonyms(KEY)
    for address in (
        "0.0.0.0",
        "127.0.0.1",
        "127.8.0.1",
        "224.0.0.5",
        "255.255.255.255",
        "::",
        "::1",
        "ff02::1",
    ):
        assert names.text(address) == address
    for address in ("10.0.0.1", "126.1.1.1", "128.0.0.1", "192.168.1.1", "fe80::1", "2001:db8::1", "fd00::1"):
        other = ip_address(names.text(address))
        assert str(other) != address
        assert not other.is_loopback
        assert not other.is_multicast
    assert names.mac(b"\xff" * 6) == b"\xff" * 6
    assert names.mac(b"\x33\x33\0\0\0\1") == b"\x33\x33\0\0\0\1"
    assert names.mac(b"\x00\x11\x22\x33\x44\x55")[0] == 2


def test_another_key_gives_other_addresses() -> None:
    assert Pseudonyms(KEY).text("10.0.0.1") != Pseudonyms(KEY[::-1]).text("10.0.0.1")
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")


@pytest.mark.parametrize("path", CAPTURES[::5], ids=capture_name)
def test_no_machine_of_the_lab_is_left_in_a_frame(path: object) -> None:
    """All of them have 10.9. or fd00:9 addresses, and payload of one letter."""
    names = Pseudonyms(KEY)
    with open_capture(str(path), 0) as source:
        for block in source.blocks():
            for row, begin in ip_begins(block).items():
                at = int(block.offsets[row])
                frame = block.buffer[at : at + int(block.captured[row])].tobytes()
                new, original = anonymized(frame, int(block.link_types[row]), begin, len(frame), names)
                assert original in (len(frame), len(new))
                assert len(new) <= len(frame)
                assert bytes([10, 9, 0]) not in new[begin + 12 :]
                assert bytes([0xFD, 0, 0, 9]) not in new


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([0, 1, 9, 50, 51, 101, 105, 113, 127, 228, 229, 276]), st.data()
)
def test_no_bytes_make_it_fail(frame: bytes, link_type: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(frame)))
    names = Pseudonyms(KEY)
    for first in (b"", b"\x45", b"\x60"):
        packet = frame[:begin] + first + frame[begin + len(first) :]
        new, _ = anonymized(packet, link_type, begin, len(packet), names)
        assert len(new) <= len(packet)
