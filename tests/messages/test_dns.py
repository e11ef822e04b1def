"""Questions to a name server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.messages.read import read
from tests.messages.said import talk

HEADER = bytes.fromhex("1234 0100 0001 0000 0000 0000")
NAME = b"\x03www\x07example\x00"
QUESTION = HEADER + NAME + b"\x00\x1c\x00\x01"


def of(client: bytes, server: bytes = b"") -> tuple[str, str, str]:
    found = read(replace(talk(client, server), datagrams=True))
    return found.protocol, found.answer, found.request


def test_a_question() -> None:
    assert of(QUESTION) == ("dns", "due", "www.example AAAA")
    assert of(QUESTION, b"x" * 60) == ("dns", "complete", "www.example AAAA")
    assert of(HEADER + b"\x00\x00\x02\x00\x01") == ("dns", "due", ". NS")
    assert of(HEADER + NAME + b"\x00\x63\x00\x01") == ("dns", "due", "www.example type 99")


@pytest.mark.parametrize(
    "datagram",
    [
        b"heartbeat",
        QUESTION[:20],
        QUESTION[:-4],
        bytes.fromhex("1234 8180 0001 0001 0000 0000") + QUESTION[12:],
        bytes.fromhex("1234 2800 0001 0000 0000 0000") + QUESTION[12:],
        HEADER + b"\xc0\x0c\x00\x01\x00\x01",
    ],
    ids=["short", "cut in the name", "without a type", "an answer", "an update", "a pointer for a name"],
)
def test_what_is_no_question(datagram: bytes) -> None:
    assert of(datagram) == ("unknown", "unknown", "")


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(rest: bytes) -> None:
    assert of(HEADER + rest)[2].isprintable()
