"""Errnos by number and text, on each platform."""

from __future__ import annotations

import errno
import os
import sys
from functools import cache

from analyzer.data import load

WINDOWS = "windows"


def by_number(number: int, platform: str) -> str:
    """The errno with this number on a platform; empty where that has none, or this is none of networks'."""
    return _numbers(platform).get(number, "")


def platforms_of(number: int) -> dict[str, str]:
    """Each platform that knows this number, and the errno that it is there."""
    known = {platform: by_number(number, platform) for platform in load("errno")["platforms"]}
    return {platform: name for platform, name in known.items() if name}


def guess(number: int, line: str = "") -> tuple[str, str]:
    """Errno and platform of a number of an untold platform: the first that has it, Linux before others.

    Platforms whose errno's text stands in the line go before those whose does not.
    """
    known, folded = platforms_of(number), line.casefold()
    said = {platform: name for platform, name in known.items() if _said(name, folded)}
    return next(((name, platform) for platform, name in (said or known).items()), ("", ""))


def platform_with(number: int, name: str) -> str:
    """The first platform on which this number is that errno; empty if there is none."""
    return next((platform for platform, known in platforms_of(number).items() if known == name), "")


def by_text(text: str) -> str:
    """The errno with this text (strerror), letters' case and a full stop aside; empty if there is none."""
    return _texts().get(text.strip().rstrip(".").casefold(), "")


def foreign(word: str | int) -> str:
    """An errno that this machine has and networks have not, by name, text or number; empty if it is none."""
    name = errno.errorcode.get(word, "") if isinstance(word, int) else _own_names().get(word.casefold(), "")
    return "" if name in load("errno")["errno"] else name


def mentioned(line: str) -> str:
    """The errno whose text stands in a line, the longest of them; empty if there is none."""
    folded = line.casefold()
    known = _own_names() | _texts()
    found = [text for text in known if " " in text and text in folded]
    return known[max(found, key=len)] if found else ""


def own_number(name: str) -> int:
    """The number of an errno of this machine's."""
    return next(number for number, known in errno.errorcode.items() if known == name)


def own_platform() -> str:
    """What this machine is; Python's errnos are those of the C runtime on Windows."""
    own = {"linux": "linux", "darwin": "macos", "win32": "windows_crt"}
    return own.get(sys.platform, sys.platform.rstrip("0123456789"))


def _said(name: str, folded: str) -> bool:
    entry = load("errno")["errno"][name]
    return any(entry[key].casefold() in folded for key in ("text", "bsd_text") if key in entry)


@cache
def _own_names() -> dict[str, str]:
    """Names and texts of this machine's errnos, in small letters."""
    known = {os.strerror(number).casefold(): name for number, name in errno.errorcode.items()}
    return known | {name.casefold(): name for name in errno.errorcode.values()}


@cache
def _numbers(platform: str) -> dict[int, str]:
    entries = load("errno")["errno"].items()
    return {entry["numbers"][platform]: name for name, entry in entries if platform in entry["numbers"]}


@cache
def _texts() -> dict[str, str]:
    entries = load("errno")["errno"].items()
    return {
        entry[key].casefold(): name for name, entry in entries for key in ("text", "bsd_text") if key in entry
    }
