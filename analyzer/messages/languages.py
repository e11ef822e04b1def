"""Protocols that are told by how both ends begin and how the client ends: data/languages.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from analyzer.data import load
from analyzer.messages.facts import Facts
from analyzer.messages.tls import farewell
from analyzer.model.talk import Talk

_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""What lines of text never hold."""


@dataclass(frozen=True, slots=True)
class Language:
    """An entry of the data file; ``answers``: each message is answered, some are not, or (None) none is.

    ``sealed``: what the client says once it is encrypted.
    """

    name: str
    client: re.Pattern[bytes] | None
    server: re.Pattern[bytes] | None
    goodbye: re.Pattern[bytes] | None
    sealed: re.Pattern[bytes] | None
    answers: bool | None


@cache
def languages() -> tuple[Language, ...]:
    """All that are known."""
    return tuple(
        Language(
            entry["name"],
            _pattern(entry.get("client")),
            _pattern(entry.get("server")),
            _pattern(entry.get("goodbye"), r"\Z"),
            _pattern(entry.get("sealed")),
            None if entry["answers"] == "never" else entry["answers"],
        )
        for entry in load("languages")["languages"]
    )


def _pattern(text: str | None, end: str = "") -> re.Pattern[bytes] | None:
    return re.compile((text + end).encode("latin-1"), re.DOTALL) if text else None


def read_language(talk: Talk) -> Facts | None:
    """Whether the client's last words ask for an answer; None where no protocol is recognised."""
    for language in languages():
        if _is_spoken(language, talk):
            return _facts(language, talk)
    if _farewell().search(talk.client.last):
        return Facts("unknown", "not-due", "goodbye")
    return None


@cache
def _farewell() -> re.Pattern[bytes]:
    return re.compile(load("languages")["farewell"].encode("latin-1") + rb"\Z")


def _is_spoken(language: Language, talk: Talk) -> bool:
    client, server = talk.client.data, talk.server.data
    if language.server:
        if not language.server.match(server):
            return False
        return not language.client or not client or bool(language.client.match(client))
    return bool(language.client and language.client.match(client))


def _facts(language: Language, talk: Talk) -> Facts:
    if language.answers is None:
        return Facts(language.name, "not-due", "one-way")
    if language.goodbye and language.goodbye.search(talk.client.last):
        return Facts(language.name, "not-due", "goodbye")
    if language.sealed and language.sealed.search(talk.client.data):
        if farewell(talk.client) == "yes":
            return Facts(language.name, "not-due", "goodbye")
        return Facts(language.name, because="sealed")
    if language.answers and talk.client.whole and not _NO_TEXT.search(talk.client.data):
        return Facts(language.name, "due", "no-answer")
    return Facts(language.name)
