"""HTTP/2 that is not encrypted, and gRPC on it: which streams were answered. RFC 9113."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analyzer.messages.facts import Facts
from analyzer.model.talk import Said, Talk

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # section 3.4
_HEADERS, _RST_STREAM, _GOAWAY = 1, 3, 7
_END_STREAM = 0x01
_HEADER = 9
_GOAWAY_LEAST = 8
_FRAMES = 1 << 16
"""Of one direction that are looked at."""


@dataclass(frozen=True, slots=True)
class _Frame:
    type: int
    flags: int
    stream: int


def is_http2(talk: Talk) -> bool:
    """The client begins with the preface."""
    return talk.client.data.startswith(PREFACE)


def read_http2(talk: Talk) -> Facts:
    """What became of the streams that the client opened, once the server sends no more.

    Settings, pings and windows are nothing that an answer is due to, and GOAWAY is a goodbye.
    """
    client = _frames(talk.client, len(PREFACE))
    server = _frames(talk.server, 0)
    goodbye = Facts("http2", "not-due", "goodbye")
    if client is None or server is None:
        return goodbye if _ends_in_goaway(talk.client) else Facts("http2")
    asked = {frame.stream for frame in client if frame.type == _HEADERS}
    begun = {frame.stream for frame in server if frame.type == _HEADERS}
    ended = {frame.stream for frame in server if frame.flags & _END_STREAM and frame.type <= _HEADERS}
    ended |= {frame.stream for frame in (*client, *server) if frame.type == _RST_STREAM}
    if asked - ended - begun:
        return Facts("http2", "due", "no-answer")
    if asked - ended:
        return Facts("http2", "cut", "answer-cut")
    return Facts("http2", "complete", "answered") if asked else goodbye


def _frames(said: Said, at: int) -> list[_Frame] | None:
    """The frames that begin from there on; None where they cannot be told."""
    if not said.whole:
        return None
    found = list(_walk(said.data, at))
    return found if len(found) < _FRAMES else None


def _walk(data: bytes, at: int) -> Iterator[_Frame]:
    for _ in range(_FRAMES):
        if at + _HEADER > len(data):
            return
        length, stream = int.from_bytes(data[at : at + 3]), int.from_bytes(data[at + 5 : at + 9])
        at += _HEADER + length
        flags = data[at - length - 5] if at <= len(data) else 0  # an unfinished frame ends nothing
        yield _Frame(data[at - length - 6], flags, stream & 0x7FFFFFFF)


def _ends_in_goaway(said: Said) -> bool:
    """The last frame is a GOAWAY (section 6.8), of which only the end was kept."""
    last = said.last
    return any(
        last[-_HEADER - length :][:9] == length.to_bytes(3) + bytes((_GOAWAY, 0, 0, 0, 0, 0))
        for length in range(_GOAWAY_LEAST, len(last) - _HEADER + 1)
    )
