"""DNS questions: RFC 1035 section 4.1."""

from __future__ import annotations

from analyzer.messages.facts import Facts, printable
from analyzer.model.talk import Talk

_HEADER = 12
_LONGEST_NAME, _LONGEST_LABEL = 255, 63
_TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    65: "HTTPS",
}


def read_dns(talk: Talk) -> Facts:
    """Whether the client's datagram asks a name server, and whether anything came back."""
    question = _question(talk.client.data)
    if not question:
        return Facts("unknown")
    answered = talk.server.total > 0
    answer, because = ("complete", "answered") if answered else ("due", "no-answer")
    return Facts("dns", answer, because, question)


def _question(data: bytes) -> str:
    """Name and type of the only question of a standard query; empty where the datagram is none."""
    flags, questions, answers, authorities = (int.from_bytes(data[at : at + 2]) for at in (2, 4, 6, 8))
    if len(data) < _HEADER + 5 or flags & 0xF80F or (questions, answers, authorities) != (1, 0, 0):
        return ""
    labels, at = [], _HEADER
    while at < len(data) and data[at]:
        length = data[at]
        if length > _LONGEST_LABEL or at + 1 + length > min(len(data), _HEADER + _LONGEST_NAME):
            return ""
        labels.append(printable(data[at + 1 : at + 1 + length]))
        at += 1 + length
    if at + 5 > len(data):
        return ""
    kind = int.from_bytes(data[at + 1 : at + 3])
    return f"{'.'.join(labels) or '.'} {_TYPES.get(kind, f'type {kind}')}"
