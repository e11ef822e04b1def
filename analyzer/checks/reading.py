"""Reads the check's own YAML files key by key, and collects all that is wrong with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

KeyPath = tuple[str | int, ...]
_T = TypeVar("_T")


class Place(Protocol):
    """Where something stands in a file, from 1."""

    @property
    def path(self) -> str:
        """The file's name."""

    @property
    def line(self) -> int:
        """The line."""


class Located(Protocol):
    """A YAML file whose content keeps its places."""

    @property
    def value(self) -> Any:
        """The content."""

    def where(self, path: KeyPath, *, key: bool = False) -> Place:
        """The place of a value, or of its key."""

    def error(self, message: str, path: KeyPath = (), *, key: bool = False, hint: str = "") -> Any:
        """A diagnostic that points there."""


@dataclass(slots=True)
class Reader:
    """A file while it is read; ``errors`` are its diagnostics."""

    file: Located
    errors: list[Any] = field(default_factory=list)

    def wrong(self, message: str, path: KeyPath, *, key: bool = False, hint: str = "") -> None:
        """Note an error."""
        self.errors.append(self.file.error(message, path, key=key, hint=hint))

    def mapping(self, value: Any, path: KeyPath, known: Iterable[str]) -> dict[str, Any]:
        """A mapping without unknown keys; the unknown ones are errors."""
        allowed = tuple(known)
        if not isinstance(value, dict):
            self.wrong(f"this must be a mapping with the keys {', '.join(allowed)}", path)
            return {}
        for key in value:
            if key not in allowed:
                self.wrong(f"unknown key `{key}`", (*path, key), key=True, hint=near(key, allowed))
        return {key: content for key, content in value.items() if key in allowed}

    def items(self, value: Any, path: KeyPath) -> list[tuple[Any, KeyPath]]:
        """The entries of a list, with their places."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong("this must be a list", path, hint="begin each entry with `- `")
            return []
        return [(item, (*path, index)) for index, item in enumerate(value)]

    def words(self, value: Any, path: KeyPath, possible: Iterable[str]) -> tuple[str, ...]:
        """One word or a list of them, all of them possible ones."""
        known = tuple(possible)
        found = []
        for word, place in self.items(value, path) if isinstance(value, list) else [(value, path)]:
            if word in known:
                found.append(word)
            else:
                self.wrong(f"{word!r} is not known here", place, hint=near(str(word), known))
        return tuple(found)

    def number(self, value: Any, path: KeyPath) -> int:
        """A whole number, not negative."""
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.wrong(f"{value!r} is not a whole number of at least 0", path)
            return 0
        return value

    def text(self, value: Any, path: KeyPath) -> str:
        """A text that is not empty."""
        if not isinstance(value, str) or not value.strip():
            self.wrong("this must be a text", path)
            return ""
        return value

    def parsed(self, value: Any, path: KeyPath, parse: Callable[[Any], _T]) -> _T | None:
        """What ``parse`` makes of a value; its ValueError is an error here."""
        try:
            return parse(value)
        except ValueError as error:
            self.wrong(str(error), path)
            return None


def near(word: str, possible: Iterable[str]) -> str:
    """A hint with the nearest possible word, else with all of them if they are few."""
    known = list(possible)
    found = get_close_matches(word, known, n=1)
    if found:
        return f"did you mean `{found[0]}`?"
    return f"one of {', '.join(known)}" if len(known) <= 20 else ""
