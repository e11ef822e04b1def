"""Protocols that are told by their first and last words; and bytes that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.messages import read
from analyzer.model.talk import Said, Talk
from tests.messages.said import talk

GREETING = b"J\x00\x00\x00\x0a8.0.36\x00"


@pytest.mark.parametrize(
    ("client", "server", "protocol", "answer"),
    [
        (b"EHLO me\r\nQUIT\r\n", b"220 mail\r\n250 ok\r\n", "smtp", "not-due"),
        (b"EHLO me\r\nMAIL FROM:<a>\r\n", b"220 mail\r\n250 ok\r\n", "smtp", "due"),
        (b"EHLO me\r\nSTARTTLS\r\n\x16\x03\x01", b"220 mail\r\n220 go\r\n", "smtp", "unknown"),
        (b"USER me\r\nquit\r\n", b"220 files\r\n331 ok\r\n", "ftp", "not-due"),
        (b"SSH-2.0-me\r\nabc", b"SSH-2.0-you\r\n", "ssh", "unknown"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", b"N", "postgresql", "unknown"),
        (b"\0\0\0\x29\0\3\0\0user\0me\0\0X\0\0\0\4", b"R\0\0\0\x08\0\0\0\0", "postgresql", "not-due"),
        (b"....\1\0\0\0\1", GREETING, "mysql", "not-due"),
        (b"....\1\0\0\0\3", GREETING, "mysql", "unknown"),
        (b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", b"+PONG\r\n", "redis", "not-due"),
        (b"<34>Oct 11 22:14:15 host su: no\n", b"", "syslog", "not-due"),
        (b"61 <34>1 2026-01-01T00:00:00Z host su - - -", b"", "syslog", "not-due"),
        (b"servers.web1.load 42 1700000000\n", b"", "graphite", "not-due"),
        (b"hits:1|c\n", b"", "statsd", "not-due"),
        (b"whatever", b"", "unknown", "unknown"),
    ],
)
def test_first_and_last_words(client: bytes, server: bytes, protocol: str, answer: str) -> None:
    found = read(talk(client, server))
    assert (found.protocol, found.answer) == (protocol, answer)


def test_an_answer_acknowledges_its_request() -> None:
    """Whatever the language, and whatever the order in the capture."""
    assert read(talk(b"one question", b"an answer", heard=12)).answer == "complete"
    assert read(talk(b"one question", b"an answer", heard=5)).answer == "unknown"


def test_who_spoke_first() -> None:
    assert read(talk(b"b", b"a", server_first=True)).server_asks


STARTS = st.sampled_from([
    b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"\x16\x03\x01\x00\x50\x01",
    b"\x16\x03\x03\x00\x7a\x02", b"\x15\x03\x03\x00\x02", b"220 ", b"0;\r\n", b"ffffffffffffff\r\n", GREETING,
])  # fmt: skip
SPEECH = st.builds(lambda start, rest: start + rest, STARTS, st.binary(max_size=200))


@settings(max_examples=300, deadline=None)
@given(SPEECH, SPEECH, st.integers(0, 1000), st.integers(0, 1000))
def test_no_bytes_make_it_raise(client: bytes, server: bytes, more: int, heard: int) -> None:
    found = read(Talk(Said(client, len(client) + more), Said(server, len(server) + more // 2, heard)))
    assert found.missing >= 0
    assert found.request.isprintable()
    assert found.server_name.isprintable()
