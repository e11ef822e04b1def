"""TLS as far as it is not encrypted: records, the handshake, alerts. RFC 8446 sections 4 to 6, RFC 5246."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.data import load
from analyzer.messages.facts import Facts, printable
from analyzer.model.talk import Said, Talk

_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
_LONGEST = (1 << 14) + 2048  # RFC 5246 section 6.2.3
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_FATAL = 2  # level of an alert (RFC 5246 section 7.2)
_SEALED_ALERT = 2 + 1 + 16  # TLS 1.3: alert, type, tag of an AEAD
_ALERTS = (2 + 16, _SEALED_ALERT, 8 + 2 + 16)
"""Bytes of an encrypted alert: TLS 1.2 with ChaCha20 (RFC 7905), TLS 1.3, TLS 1.2 with AES-GCM (RFC 5288)."""
_FINISHED = (4 + 32 + 1 + 16, 4 + 48 + 1 + 16)  # TLS 1.3: SHA-256 and SHA-384
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446 4.1.3
_SERVER_NAME, _SUPPORTED_VERSIONS = 0, 43
_RECORDS = 1 << 16
"""Of one direction that are looked at."""


@dataclass(frozen=True, slots=True)
class Record:
    """Type, and where its content begins and ends; ``end`` may lie behind what was captured."""

    type: int
    begin: int
    end: int

    @property
    def length(self) -> int:
        """Bytes of its content."""
        return self.end - self.begin


def is_tls(talk: Talk) -> bool:
    """The client begins with a handshake record that holds a ClientHello."""
    data = talk.client.data
    return (
        len(data) >= 6
        and data[0] == _HANDSHAKE
        and data[1] == 3
        and data[2] <= 4
        and 4 <= int.from_bytes(data[3:5]) <= _LONGEST
        and data[5] == _CLIENT_HELLO
    )


def read_tls(talk: Talk) -> Facts:
    """How far the handshake came, and what the last words were."""
    client, server = _records(talk.client), _records(talk.server)
    hello = _handshake(talk.client.data, client)
    answer = _server_hello(talk.server.data, server)
    facts = Facts(
        "tls",
        handshake=_stage(client, server, answer),
        server_name=_name(hello),
        in_record=talk.server.whole and bool(server) and server[-1].end > talk.server.total,
    )
    alert, sender = _alert(talk, client, server)
    facts = _with(facts, alert=alert, alert_from=sender)
    if not (talk.client.whole and talk.server.whole):
        goodbye = _ends_in_alert(talk.client, sealed=answer.sealed)
        return _with(facts, answer="not-due", because="goodbye") if goodbye else facts
    if facts.in_record:
        return _with(facts, answer="cut", because="record-cut")
    if _said_farewell(client, answer):
        return _with(facts, answer="not-due", because="goodbye")
    if not talk.server.total or facts.handshake == "client-hello":
        refused = "alert" if sender == "server" else "no-answer"
        return _with(facts, answer="due", because=refused)
    if sender == "server":
        return _with(facts, answer="due", because="alert")
    if facts.handshake == "complete" and not _asked(client, answer):
        return _with(facts, answer="not-due", because="unused")
    if facts.handshake == "server-hello":
        return _with(facts, answer="due", because="no-answer")
    return facts


def farewell(said: Said) -> str:
    """Whether what was said ends with a record that is as short as an encrypted alert: unknown, yes, no."""
    if said.total and not said.last:
        return "unknown"
    return "yes" if _ends_in_alert(said, sealed=True, lengths=_ALERTS) else "no"


def _ends_in_alert(said: Said, *, sealed: bool, lengths: tuple[int, ...] = (_SEALED_ALERT,)) -> bool:
    """The last record is an alert by its type, or (``sealed``) looks like data of one of these lengths."""
    for length in _ALERTS:
        last = said.last[-5 - length :]
        kinds = (_ALERT, _DATA) if sealed and length in lengths else (_ALERT,)
        is_record = len(last) == 5 + length and last[0] in kinds and last[1] == 3
        if is_record and int.from_bytes(last[3:5]) == length:
            return True
    return False


def _with(facts: Facts, **changed: str | bool) -> Facts:
    values = {name: getattr(facts, name) for name in Facts.__slots__}
    return Facts(**{**values, **changed})


def _records(said: Said) -> list[Record]:
    """The records; the last one may be unfinished."""
    data, at = said.data, 0
    found: list[Record] = []
    while at + 5 <= len(data) and len(found) < _RECORDS:
        kind, length = data[at], int.from_bytes(data[at + 3 : at + 5])
        if kind not in (_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _DATA) or data[at + 1] != 3 or length > _LONGEST:
            return found
        found.append(Record(kind, at + 5, at + 5 + length))
        at += 5 + length
    if at < len(data) and said.whole:
        found.append(Record(data[at], at, at + 5))  # in the middle of its header
    return found


def _handshake(data: bytes, records: list[Record]) -> bytes:
    """What the first records carry, as long as they are handshake."""
    parts = []
    for record in records:
        if record.type != _HANDSHAKE:
            break
        parts.append(data[record.begin : record.end])
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The ServerHello: whether there was one, and whether it chose TLS 1.3."""

    seen: bool
    sealed: bool


def _server_hello(data: bytes, records: list[Record]) -> _Answer:
    """The last ServerHello that is no request to try again."""
    for record in records:
        hello = data[record.begin : record.end]
        if record.type == _HANDSHAKE and hello[:1] == bytes([_SERVER_HELLO]) and hello[6:38] != _RETRY:
            session = hello[38] if len(hello) > 38 else 0
            versions = _extensions(hello, 39 + session + 3).get(_SUPPORTED_VERSIONS, b"")
            return _Answer(seen=True, sealed=versions == b"\x03\x04")
        if record.type == _DATA:
            break
    return _Answer(seen=False, sealed=False)


def _stage(client: list[Record], server: list[Record], answer: _Answer) -> str:
    if not answer.seen:
        return "client-hello"
    if answer.sealed:
        done = any(r.type == _DATA for r in client) and any(r.type == _DATA for r in server)
    else:
        done = all(any(r.type == _CHANGE_CIPHER for r in records) for records in (client, server))
    return "complete" if done else "server-hello"


def _name(hello: bytes) -> str:
    """The server name that the client asks for: RFC 6066 section 3."""
    at = 38
    for size in (1, 2, 1):  # session, cipher suites, compression methods
        at += size + int.from_bytes(hello[at : at + size])
    names = _extensions(hello, at).get(_SERVER_NAME, b"")
    length = int.from_bytes(names[3:5])
    return printable(names[5 : 5 + length], 255) if names[2:3] == b"\0" else ""


def _extensions(hello: bytes, at: int) -> dict[int, bytes]:
    """The extensions that begin, with their length, at that place."""
    end = min(at + 2 + int.from_bytes(hello[at : at + 2]), len(hello))
    at += 2
    found: dict[int, bytes] = {}
    while at + 4 <= end:
        length = int.from_bytes(hello[at + 2 : at + 4])
        found.setdefault(int.from_bytes(hello[at : at + 2]), hello[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _alert(talk: Talk, client: list[Record], server: list[Record]) -> tuple[str, str]:
    """The last fatal alert that can be read, and who sent it: after a warning both go on (RFC 5246, 7.2)."""
    for sender, data, records in (
        ("server", talk.server.data, server),
        ("client", talk.client.data, client),
    ):
        for record in reversed(records):
            content = data[record.begin : record.end]
            if record.type == _ALERT and record.length == 2 == len(content) and content[0] == _FATAL:
                return load("tls_alerts").get(content[1], f"alert {content[1]}"), sender
    return "", ""


def _said_farewell(client: list[Record], answer: _Answer) -> bool:
    """The client's last record is an alert: plain, encrypted (TLS 1.2), or as long as one is (TLS 1.3)."""
    if not client:
        return False
    last = client[-1]
    if last.type == _ALERT:
        return True
    return (
        answer.sealed and last.type == _DATA and last.length == _SEALED_ALERT and _asked(client[:-1], answer)
    )


def _asked(client: list[Record], answer: _Answer) -> bool:
    """The client has sent more than its part of the handshake."""
    data = [record.length for record in client if record.type == _DATA]
    if not answer.sealed:
        return bool(data)
    finished = next((index for index, length in enumerate(data) if length in _FINISHED), None)
    return finished is None or finished + 1 < len(data)
