"""HTTP/1: what became of the last request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.messages.read import read
from tests.messages.said import talk

GET = b"GET /list?secret=1 HTTP/1.1\r\nHost: server\r\n\r\n"
POST = b"POST /upload HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("client", "server", "answer", "because"),
    [
        pytest.param(GET, b"", "due", "no-answer", id="nothing"),
        pytest.param(GET, OK, "complete", "answered", id="answered"),
        pytest.param(GET + GET, OK, "due", "no-answer", id="the second request"),
        pytest.param(GET + GET, OK + OK, "complete", "answered", id="both"),
        pytest.param(GET, OK[:-2], "cut", "answer-cut", id="two bytes of the body are missing"),
        pytest.param(GET, OK[:30], "cut", "answer-cut", id="in the head"),
        pytest.param(GET, b"HTTP/1.1 2", "cut", "answer-cut", id="in the status line"),
        pytest.param(GET, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", "complete", "answered", id="chunks"),
        pytest.param(GET, CHUNKED + b"5\r\nhello\r\n", "cut", "answer-cut", id="the last chunk is missing"),
        pytest.param(GET, CHUNKED + b"5\r\nhe", "cut", "answer-cut", id="in a chunk"),
        pytest.param(GET, CHUNKED + b"0\r\nX: y\r\n\r\n", "complete", "answered", id="with a trailer"),
        pytest.param(GET, b"HTTP/1.0 200 OK\r\n\r\nabc", "complete", "answered", id="until the end"),
        pytest.param(GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "complete", "answered",
                     id="no body by its status"),
        pytest.param(b"HEAD / HTTP/1.1\r\n\r\n", OK[:-5], "complete", "answered", id="no body by its method"),
        pytest.param(POST + b"x" * 10, b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", "complete",
                     "answered-early", id="an early answer"),
        pytest.param(POST, b"HTTP/1.1 100 Continue\r\n\r\n", "due", "no-answer", id="only told to go on"),
        pytest.param(POST + b"x" * 1000, b"HTTP/1.1 100 Continue\r\n\r\n" + OK, "complete", "answered",
                     id="told to go on, then answered"),
        pytest.param(GET, b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05", "unknown", "unknown",
                     id="another protocol follows"),
        pytest.param(GET + b"\x88\x82abcd..", SWITCHED + b"\x81\x01a", "not-due", "goodbye",
                     id="WebSocket, bye"),
        pytest.param(GET + b"\x88\x80abcd", SWITCHED, "not-due", "goodbye", id="WebSocket, just bye"),
        pytest.param(GET + b"\x81\x81abcd.", SWITCHED + b"\x88\x02\x03\xe9", "not-due", "goodbye",
                     id="WebSocket: the server's bye"),
        pytest.param(GET + b"\x81\x82abcd\x88\x80", SWITCHED, "unknown", "unknown", id="WebSocket, open"),
        pytest.param(b"CONNECT a:443 HTTP/1.1\r\n\r\nxyz", b"HTTP/1.1 200 OK\r\n\r\nabc", "unknown",
                     "unknown", id="a tunnel"),
    ],
)  # fmt: skip
def test_what_became_of_the_last_request(client: bytes, server: bytes, answer: str, because: str) -> None:
    found = read(talk(client, server))
    assert (found.protocol, found.answer, found.because) == ("http", answer, because)


def test_what_a_tunnel_carries_is_read() -> None:
    ask, open_ = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"
    smtp = read(talk(ask + b"EHLO me\r\nQUIT\r\n", open_ + b"220 mail\r\n"))
    assert (smtp.protocol, smtp.answer) == ("smtp", "not-due")
    tls = read(talk(ask + b"\x16\x03\x01\x00\x05\x01abcd", open_))
    assert (tls.protocol, tls.answer) == ("tls", "due")


def test_the_request_is_named_without_its_query() -> None:
    assert read(talk(GET)).request == "GET /list"
    assert read(talk(GET)).told == "The request: GET /list."


def test_what_is_missing_is_counted() -> None:
    assert read(talk(GET, OK[:-2])).missing == 2
    assert read(talk(GET, CHUNKED + b"a\r\nhe")).missing == 8


def test_bytes_that_were_not_captured() -> None:
    """The length of the body is enough where only its end was not captured."""
    head = OK[:-5]
    whole = talk(GET, head)
    body_not_kept = replace(whole, server=replace(whole.server, total=len(head) + 5))
    assert read(body_not_kept).answer == "complete"
    less = replace(whole, server=replace(whole.server, total=len(head) + 3))
    assert (read(less).answer, read(less).missing) == ("cut", 2)
    head_not_kept = replace(talk(GET, OK[:20]), server=replace(whole.server, data=OK[:20], total=500))
    assert read(head_not_kept).answer == "unknown"
