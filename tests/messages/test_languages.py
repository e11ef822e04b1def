"""Protocols that are told by their first and last words; and bytes that mean nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.messages.read import read
from analyzer.model.talk import Said, Talk
from tests.messages.said import talk

HELLO = b"\x16\x03\x01\x00\x05\x01abcd"
FAREWELL = b"\x17\x03\x03\x00\x13" + b"x" * 19
AMQP_CLOSE = b"\1\0\0\0\0\0\x12\0\x0a\0\x32\0\xc8\7goodbye\0\0\0\0\xce"
AMQP_CLOSE_OK = b"\1\0\0\0\0\0\4\0\x0a\0\x33\xce"
BGP = b"\xff" * 16
GREETING = b"J\x00\x00\x00\x0a8.0.36\x00"


@pytest.mark.parametrize(
    ("client", "server", "protocol", "answer"),
    [
        (b"EHLO me\r\nQUIT\r\n", b"220 mail\r\n250 ok\r\n", "smtp", "not-due"),
        (b"EHLO me\r\nMAIL FROM:<a>\r\n", b"220 mail\r\n250 ok\r\n", "smtp", "due"),
        (b"EHLO me\r\nSTARTTLS\r\n" + HELLO + FAREWELL, b"220 mail\r\n220 go\r\n", "smtp", "not-due"),
        (b"EHLO me\r\nSTARTTLS\r\n\x16\x03\x01", b"220 mail\r\n220 go\r\n", "smtp", "unknown"),
        (b"USER me\r\nquit\r\n", b"220 files\r\n331 ok\r\n", "ftp", "not-due"),
        (b"SSH-2.0-me\r\nabc", b"SSH-2.0-you\r\n", "ssh", "unknown"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", b"N", "postgresql", "unknown"),
        (b"\0\0\0\x29\0\3\0\0user\0me\0\0X\0\0\0\4", b"R\0\0\0\x08\0\0\0\0", "postgresql", "not-due"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f" + HELLO + FAREWELL, b"S", "postgresql", "not-due"),
        (b"....\1\0\0\0\1", GREETING, "mysql", "not-due"),
        (b"....\1\0\0\0\3", GREETING, "mysql", "unknown"),
        (b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", b"+PONG\r\n", "redis", "not-due"),
        (b"<34>Oct 11 22:14:15 host su: no\n", b"", "syslog", "not-due"),
        (b"61 <34>1 2026-01-01T00:00:00Z host su - - -", b"", "syslog", "not-due"),
        (b"servers.web1.load 42 1700000000\n", b"", "graphite", "not-due"),
        (b"hits:1|c\n", b"", "statsd", "not-due"),
        (b"AMQP\0\0\x09\1" + AMQP_CLOSE, b"\1\0\0", "amqp", "not-due"),
        (b"AMQP\0\0\x09\1" + AMQP_CLOSE_OK, b"\1\0\0", "amqp", "not-due"),
        (b"AMQP\0\0\x09\1" + b"\1\0\1\0\0\0\4\0\x14\0\x0a\xce", b"\1\0\0", "amqp", "unknown"),
        (b"AMQP\0\1\0\0" + b"\0\0\0\x0c\2\0\0\0\0\x53\x18\x45", b"AMQP\0\1\0\0", "amqp", "not-due"),
        (b"CONNECT\n\n\0DISCONNECT\n\n\0", b"CONNECTED\n\n\0", "stomp", "not-due"),
        (b"<?xml version='1.0'?><stream:stream to='a'></stream:stream>", b"<", "xmpp", "not-due"),
        (BGP + b"\0\x1d\1" + BGP + b"\0\x15\3\6\2", BGP + b"\0\x1d\1", "bgp", "not-due"),
        (b"\x10\x0c\0\4MQTT\4\2\0\0\0\0\xe0\0", b"\x20\2\0\0", "mqtt", "not-due"),
        (b"\x30\x0c\2\1\1\x60\7\2\1\3\4\0\x80\0\x30\5\2\1\2\x42\0", b"\x30\x0c", "ldap", "not-due"),
        (b"whatever", b"", "unknown", "unknown"),
    ],
)
def test_first_and_last_words(client: bytes, server: bytes, protocol: str, answer: str) -> None:
    found = read(talk(client, server))
    assert (found.protocol, found.answer) == (protocol, answer)


def test_the_goodbye_of_a_long_talk() -> None:
    """Of a long talk the beginning and the last bytes are kept."""
    long = Said(GREETING, 1 << 20, tail=b"\1\0\0\0\3SELECT\1\0\0\0\1")
    assert read(Talk(long, Said(GREETING, 1 << 20))).answer == "not-due"
    assert read(Talk(replace(long, tail=b""), Said(GREETING, 1 << 20))).answer == "unknown"


def test_what_is_encrypted_may_be_a_goodbye() -> None:
    ssh = b"SSH-2.0-me\r\n\0\0\0\x0c\x0a\x15" + b"\0" * 10
    assert read(talk(ssh + b"?" * 60, b"SSH-2.0-you\r\n")).because == "sealed"


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
