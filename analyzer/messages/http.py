"""HTTP/1: which requests were answered, and how much of the last answer came. RFC 9112, RFC 9110."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from analyzer.messages import websocket
from analyzer.messages.facts import Facts, printable
from analyzer.model.talk import Said, Talk

_REQUEST = re.compile(rb"([A-Z][A-Z-]{0,19}) ([^ \r\n]{1,8192}) HTTP/1\.([01])\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\n(?i:content-length)[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r?\n")
_CHUNKED = re.compile(rb"\n(?i:transfer-encoding)[ \t]*:[^\r\n]*(?i:chunked)[ \t]*\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]{0,4096})?\r?\n")
_LAST_CHUNK = re.compile(rb"(?:[^\r\n]{1,8192}\r?\n)*\r?\n")
_LONGEST_HEAD = 65_536
_MESSAGES = 10_000
"""Of one direction that are looked at."""


@dataclass(frozen=True, slots=True)
class Body:
    """Where a message ends, None where that cannot be told; ``missing`` bytes, 0 where that is not known.

    ``known``: whether it is whole can be told.
    """

    end: int | None
    whole: bool
    missing: int = 0
    known: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """A request of which at least the first line was seen; ``method`` and ``target`` as printable text.

    ``end``: where the next one begins, None where that cannot be told.
    """

    method: str
    target: str
    whole: bool
    end: int | None


@dataclass(frozen=True, slots=True)
class Response:
    """A response of which at least the first line was seen; ``known``: whether it is whole could be told.

    ``end`` as of a request.
    """

    status: int
    whole: bool
    missing: int
    known: bool
    end: int | None = None


def is_http(talk: Talk) -> bool:
    """The client begins with a request, or the server with a status line."""
    return bool(
        _REQUEST.match(talk.client.data) or (not talk.client.data and _STATUS.match(talk.server.data))
    )


def read_http(talk: Talk) -> Facts:
    """What became of the last request, once the server sends no more."""
    requests, requests_known = _requests(talk.client)
    methods = [request.method for request in requests]
    responses, known = _responses(talk.server, methods)
    facts = Facts("http", request=_words(requests[-1]) if requests else "")
    if any(response.status == 101 for response in responses):
        goodbye = websocket.said_goodbye(talk)
        return Facts("http", "not-due", "goodbye", facts.request) if goodbye else facts
    if not known or not requests_known or _tunnel(requests, responses):
        return facts
    finals = [response for response in responses if response.status >= 200]
    if finals and not finals[-1].whole:
        if not finals[-1].known:
            return facts
        told = _words(requests[min(len(finals), len(requests)) - 1]) if requests else ""
        return Facts("http", "cut", "answer-cut", told, missing=finals[-1].missing)
    if len(finals) >= len(requests):
        early = bool(requests) and not requests[-1].whole
        return Facts("http", "complete", "answered-early" if early else "answered", facts.request)
    return Facts("http", "due", "no-answer", facts.request)


def _words(request: Request) -> str:
    return f"{request.method} {request.target}"


def inside(talk: Talk) -> Talk | None:
    """What went through the tunnel that a CONNECT opened (RFC 9110 section 9.3.6), if one did."""
    requests, _ = _requests(talk.client)
    responses, _ = _responses(talk.server, [request.method for request in requests])
    ends = _tunnel(requests, responses)
    return (
        replace(talk, client=_rest(talk.client, ends[0]), server=_rest(talk.server, ends[1]))
        if ends
        else None
    )


def _tunnel(requests: list[Request], responses: list[Response]) -> tuple[int, int] | None:
    """Where both directions of a tunnel begin."""
    finals = [response for response in responses if response.status >= 200]
    for request, response in zip(requests, finals, strict=False):
        if request.method == "CONNECT" and response.status < 300 and request.end and response.end:
            return request.end, response.end
    return None


def _rest(said: Said, at: int) -> Said:
    return replace(said, data=said.data[at:], total=said.total - at, heard=max(0, said.heard - at))


def _requests(said: Said) -> tuple[list[Request], bool]:
    """The requests, and whether that is all that was said."""
    found: list[Request] = []
    at = 0
    while at < len(said.data) and len(found) < _MESSAGES:
        line = _REQUEST.match(said.data, at)
        if not line:
            return found, False
        head = _head(said.data, at)
        body = _body(said, head, until_end=False) if head else Body(None, whole=False)
        target = line[2].partition(b"?")[0]
        found.append(Request(printable(line[1]), printable(target), body.whole, body.end))
        if body.end is None or not body.whole:
            return found, said.whole or (head is not None and body.known)
        at = body.end
    return found, at == said.total


def _responses(said: Said, methods: list[str]) -> tuple[list[Response], bool]:
    """The responses to requests with these methods, and whether that is all that was said."""
    found: list[Response] = []
    at = finals = 0
    while at < len(said.data) and len(found) < _MESSAGES:
        line = _STATUS.match(said.data, at)
        if not line:
            cut = said.whole and said.data[at:].startswith(b"HTTP/1.")  # in the middle of its first line
            return [*found, Response(200, whole=False, missing=0, known=True)] if cut else found, cut
        status = int(line[2])
        method = methods[finals] if finals < len(methods) else ""
        head = _head(said.data, at)
        body = _response_body(said, head, status, method)
        found.append(Response(status, body.whole, body.missing, body.known, body.end))
        finals += status >= 200
        if body.end is None or not body.whole or status == 101:
            return found, True
        at = body.end
    return found, at == said.total


def _response_body(said: Said, head: tuple[int, int] | None, status: int, method: str) -> Body:
    """RFC 9112 section 6.3: where a response ends; without a length with the connection."""
    if head is None:
        return Body(None, whole=False, known=said.whole)
    if method == "HEAD" or status < 200 or status in (204, 304) or (method == "CONNECT" and status < 300):
        return Body(head[1], whole=True)
    return _body(said, head, until_end=True)


def _head(data: bytes, at: int) -> tuple[int, int] | None:
    """Begin and end of the head of a message; None where it is not whole."""
    end = _HEAD_END.search(data, at, at + _LONGEST_HEAD)
    return (at, end.end()) if end else None


def _body(said: Said, head: tuple[int, int], *, until_end: bool) -> Body:
    """What follows the head; ``until_end``: without a length it is all that follows."""
    text = said.data[head[0] : head[1]]
    if _CHUNKED.search(text):
        return _chunks(said, head[1])
    length = _LENGTH.search(text)
    if length:
        end = head[1] + int(length[1])
        return Body(end, whole=end <= said.total, missing=max(0, end - said.total))
    return Body(said.total, whole=True) if until_end else Body(head[1], whole=True)


def _chunks(said: Said, at: int) -> Body:
    """RFC 9112 section 7.1."""
    while True:
        size = _CHUNK.match(said.data, at)
        if not size:
            return Body(None, whole=False, known=said.whole)
        length = int(size[1], 16)
        if not length:
            end = _LAST_CHUNK.match(said.data, size.end())
            return Body(end.end(), whole=True) if end else Body(None, whole=False, known=said.whole)
        end_of_data = size.end() + length
        at = end_of_data + (2 if said.data[end_of_data : end_of_data + 1] != b"\n" else 1)
        if at > len(said.data):
            return Body(None, whole=False, missing=max(0, size.end() + length - said.total), known=said.whole)
