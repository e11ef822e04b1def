"""What the applications of a made capture say: HTTP, TLS, PostgreSQL and Redis, a message each way.

Of every message there is what tells a reader where it begins, how long it is and where it ends; between these
stands filler. The bytes follow from the place in the stream alone, so that a segment sent again is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.bench.flows import MSS, SERVICES, Ints, Table
from tests.bench.rows import sent_per_exchange

Bytes = NDArray[np.uint8]

_HTTP, _TLS, _POSTGRES, _REDIS = SERVICES
_CLIENT = 0
_RECORD = 5 + 16_384 + 17  # a TLS 1.3 record that is full: RFC 8446 section 5.2
_GET = b"GET /orders HTTP/1.1\r\nHost: shop.example\r\nCookie: id="
_PUT = b"PUT /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %s\r\n\r\n"
_FOUND = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %s\r\n\r\n"
_KNOWN = b"HTTP/1.1 304 Not Modified\r\nETag: "  # for what is shorter than the head of a full answer
_DIGITS = 7
_ODD = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Segments:
    """Segments with data, (n,) each: where in the buffer it begins, how much of it is captured.

    place: in its message, which has ``size`` bytes.
    """

    at: Ints
    room: Ints
    place: Ints
    size: Ints
    seq: Ints

    def take(self, chosen: NDArray[np.bool_]) -> Segments:
        """Some of them."""
        return Segments(
            self.at[chosen], self.room[chosen], self.place[chosen], self.size[chosen], self.seq[chosen]
        )

    def put(self, buffer: Bytes, position: Ints | int, text: Bytes | bytes) -> None:
        """Write ``text``, one for all or uint8 (n, width), at that position of each message, where seen."""
        values = np.atleast_2d(np.frombuffer(text, np.uint8) if isinstance(text, bytes) else text)
        values = np.broadcast_to(values, (len(self.at), values.shape[1]))
        ahead = (position - self.place)[:, None] + np.arange(values.shape[1])
        seen = (ahead >= 0) & (ahead < self.room[:, None])
        buffer[(self.at[:, None] + ahead)[seen]] = values[seen]


def speak(buffer: Bytes, at: Ints, room: Ints, rows: Table, flows: Table) -> None:
    """Write what each row's segment says at ``at`` (n,), ``room`` bytes (n,) of it at most."""
    said = np.flatnonzero(rows["length"])
    rows, at, room = rows[said], at[said], room[said]
    flow, side = rows["flow"], rows["side"]
    size = np.maximum(sent_per_exchange(flows)[flow, side], 1)
    seq = rows["seq"].astype(np.int64)
    sent = (seq - flows["isn"][flow, side].astype(np.int64) - 1) & 0xFFFFFFFF
    segments = Segments(at, room, sent % size, size, seq)
    service = flows["port"][flow, 1]
    for port, asks, answers in (
        (_HTTP, _http_request, _http_response),
        (_TLS, _tls, _tls),
        (_POSTGRES, _postgres_query, _postgres_row),
        (_REDIS, _redis_command, _redis_value),
    ):
        for of_client, say in ((True, asks), (False, answers)):
            say(buffer, segments.take((service == port) & ((side == _CLIENT) == of_client)))


def _http_request(buffer: Bytes, every: Segments) -> None:
    few, much = every.take(every.size <= MSS), every.take(every.size > MSS)
    few.put(buffer, 0, _GET)
    few.put(buffer, few.size - 4, b"\r\n\r\n")
    _with_length(buffer, much, _PUT)


def _http_response(buffer: Bytes, every: Segments) -> None:
    short = every.size <= len(_FOUND) + _DIGITS
    known = every.take(short)
    known.put(buffer, 0, _KNOWN)
    known.put(buffer, known.size - 4, b"\r\n\r\n")
    _with_length(buffer, every.take(~short), _FOUND)


def _with_length(buffer: Bytes, segments: Segments, head: bytes) -> None:
    before, after = head.split(b"%s")
    ahead = len(before) + _DIGITS + len(after)
    segments.put(buffer, 0, before)
    segments.put(buffer, len(before), _decimal(segments.size - ahead))
    segments.put(buffer, len(before) + _DIGITS, after)


def _tls(buffer: Bytes, segments: Segments) -> None:
    """Records of about the same size that hold application data, which looks like chance."""
    mixed = (segments.seq.astype(np.uint64) * np.uint64(_ODD)).astype(">u8")
    segments.put(buffer, segments.place, mixed[:, None].view(np.uint8))
    count = -(-segments.size // _RECORD)
    each = -(-segments.size // count)
    first = segments.place // each
    for number in (first, first + 1):
        begin = number * each
        here = begin < segments.size
        length = np.minimum(each, segments.size - begin)[here] - 5
        head = np.concatenate(
            (np.full((len(length), 3), (23, 3, 3), np.uint8), _binary(length, ">u2")), axis=1
        )
        segments.take(here).put(buffer, begin[here], head)


def _postgres_query(buffer: Bytes, every: Segments) -> None:
    few, much = every.take(every.size <= MSS), every.take(every.size > MSS)
    few.put(buffer, 0, b"Q")
    few.put(buffer, 1, _binary(few.size - 1, ">u4"))
    few.put(buffer, 5, b"SELECT * FROM orders WHERE note = '")
    few.put(buffer, few.size - 2, b"'\0")
    much.put(buffer, 0, b"d")
    much.put(buffer, 1, _binary(much.size - 1, ">u4"))


def _postgres_row(buffer: Bytes, segments: Segments) -> None:
    """A row of one column, and that the server is ready for the next query."""
    ready = b"Z\0\0\0\5I"
    length = segments.size - len(ready) - 1
    segments.put(buffer, 0, b"D")
    segments.put(buffer, 1, _binary(length, ">u4"))
    segments.put(buffer, 5, b"\0\1")
    segments.put(buffer, 7, _binary(length - 10, ">u4"))
    segments.put(buffer, segments.size - len(ready), ready)


def _redis_command(buffer: Bytes, segments: Segments) -> None:
    _redis(buffer, segments, b"*2\r\n$3\r\nGET\r\n$")


def _redis_value(buffer: Bytes, segments: Segments) -> None:
    _redis(buffer, segments, b"$")


def _redis(buffer: Bytes, segments: Segments, head: bytes) -> None:
    segments.put(buffer, 0, head)
    segments.put(buffer, len(head), _decimal(segments.size - len(head) - _DIGITS - 4))
    segments.put(buffer, len(head) + _DIGITS, b"\r\n")
    segments.put(buffer, segments.size - 2, b"\r\n")


def _decimal(values: Ints) -> Bytes:
    """Each in so many digits that all fit: uint8 (n, _DIGITS)."""
    digits = values[:, None] // 10 ** np.arange(_DIGITS - 1, -1, -1) % 10
    return (digits + ord("0")).astype(np.uint8)


def _binary(values: Ints, kind: str) -> Bytes:
    """Each in the bytes of that dtype: uint8 (n, its size)."""
    return values.astype(kind)[:, None].view(np.uint8)
