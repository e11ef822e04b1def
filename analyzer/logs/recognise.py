"""A log line and what it means: patterns with their sources stand in data/log_lines.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from analyzer.data import load
from analyzer.logs.endpoints import endpoints_in, loose_ports_in
from analyzer.logs.errnos import WINDOWS, by_number, by_text, guess, platform_with
from analyzer.model.flow import Endpoint
from analyzer.model.log_line import LogLine

MAX_LENGTH = 4096
"""Characters of a line that are looked at."""


class _Found(NamedTuple):
    results: tuple[str, ...]
    number: int | None = None
    platform: str = ""


def recognise(line: str, platform: str = "") -> LogLine | None:
    """What a line says, or None where it says nothing that is known.

    ``platform`` (of data/errno.yaml) is where numbers are looked up; by default where they fit, and the
    words beside them, the commonest platform first.
    """
    text = line[:MAX_LENGTH].strip()
    for pattern, entry in _patterns():
        if match := pattern.search(text):
            found = _found(entry, match, text, platform)
            if found.results:
                return _reading(line, text, entry, found)
    return _by_text(line, text)


def _reading(line: str, text: str, entry: dict[str, Any], found: _Found) -> LogLine:
    endpoints, loose = endpoints_in(text), loose_ports_in(text)
    ports = dict.fromkeys([*(end.port for end in endpoints if end.port), *loose])
    notes = load("errno_notes")
    calls = entry.get("call")
    if calls is None:
        name = found.results[0]
        calls = (notes["errno"].get(name) or notes["results"].get(name) or {"calls": []})["calls"]
    return LogLine(
        line=line,
        program=entry["program"],
        results=found.results,
        calls=tuple(calls),
        number=found.number,
        platform=found.platform,
        means=entry["means"],
        trap=entry.get("trap", ""),
        evidence=entry["evidence"],
        addresses=tuple(dict.fromkeys(end.address for end in endpoints)),
        ports=tuple(ports),
        endpoints=endpoints,
        loose_ports=loose,
        peer=_peer(entry, text),
    )


def _found(entry: dict[str, Any], match: re.Match[str], text: str, platform: str) -> _Found:
    groups = {name: value for name, value in match.groupdict().items() if value}
    if "result" in entry:
        return _told(entry["result"], groups.get("number", ""), platform)
    if "results" in entry:
        return _Found(tuple(entry["results"]))
    if entry.get("from_windows_text"):
        return _windows(text)
    if "windows" in groups:
        number = int(groups["windows"])
        return _named(by_number(number, WINDOWS), number, WINDOWS)
    if "number" in groups and len(groups["number"]) < 6:
        return _numbered(int(groups["number"]), platform, text)
    if "name" in groups:
        name = groups["name"]
        return _named(load("errno")["aliases"]["linux"].get(name, name) if name in _names() else "")
    return _named(_text_in(groups["text"])) if "text" in groups else _Found(())


def _told(result: str, digits: str, platform: str) -> _Found:
    """A result that the words say; a number beside it tells the platform."""
    number = int(digits) if 0 < len(digits) < 6 else None
    where = platform_with(number, result) if number is not None else ""
    if platform and number is not None and by_number(number, platform) == result:
        where = platform
    return _Found((result,), number, where) if where else _Found((result,))


def _numbered(number: int, platform: str, text: str) -> _Found:
    if platform:
        return _named(by_number(number, platform), number, platform)
    name, where = guess(number, text)
    return _named(name, number, where)


def _named(name: str, number: int | None = None, platform: str = "") -> _Found:
    return _Found((name,), number, platform) if name else _Found(())


def _windows(text: str) -> _Found:
    for sentence, number in load("log_lines")["windows"].items():
        if sentence.casefold() in text.casefold():
            return _named(by_number(number, WINDOWS), number, WINDOWS)
    return _Found(())


def _text_in(text: str) -> str:
    """The errno whose text begins this one."""
    return by_text(text) or next(
        (n for known, n in _searched() if text.strip().casefold().startswith(known)), ""
    )


def _by_text(line: str, text: str) -> LogLine | None:
    """A line that holds some errno's text, or is one."""
    entry: dict[str, Any] = {"program": "", "means": "", "evidence": "report"}
    found = _windows(text)
    if not found.results:
        folded = text.casefold()
        name = by_text(text) or next((name for known, name in _searched() if known in folded), "")
        found = _named(name)
    return _reading(line, text, entry, found) if found.results else None


def _peer(entry: dict[str, Any], text: str) -> tuple[Endpoint, ...] | None:
    """The other end, where the pattern says what stands before it."""
    before = entry.get("peer")
    if before is None or before not in text:
        return None
    return endpoints_in(text.partition(before)[2])[:1] if before else ()


@cache
def _patterns() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    return [(re.compile(entry["pattern"]), entry) for entry in load("log_lines")["patterns"]]


@cache
def _searched() -> list[tuple[str, str]]:
    """Texts that are looked for anywhere in a line, the longest first, and their errnos."""
    known = load("errno")["errno"]
    texts: Iterable[tuple[str, str]] = (
        (known[name][key].casefold(), name)
        for name in load("log_lines")["texts"]
        for key in ("text", "bsd_text")
        if key in known[name]
    )
    return sorted(texts, key=lambda pair: -len(pair[0]))


@cache
def _names() -> frozenset[str]:
    known = load("errno")
    return frozenset(known["errno"]) | frozenset(known["aliases"]["linux"])
