"""Loads a YAML file and keeps the line and column of everything in it.

Only what a rule file needs: one document, text keys, no tags and no aliases, not deep and not large. The file
may be hostile. Dates and sexagesimal numbers (``1:30``) stay the text that they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from analyzer.errors import UserError
from analyzer.matching.diagnostics import Diagnostic, DiagnosticsError, Where

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_ERRORS = 20  # of one file that are told

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value: ``("outcomes", "linux", "calls")``; ``()`` is the whole file."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TAG = "tag:yaml.org,2002:"
_RESOLVER: Any = yaml.resolver.Resolver()


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The content of a YAML file; ``where`` says where each key and each value begins.

    ``keys`` and ``values`` are the parser's events: where they stand is worked out for what is asked about.
    """

    path: str
    value: Any
    keys: Mapping[KeyPath, Any]
    values: Mapping[KeyPath, Any]
    _places: _Places

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the file."""
        return self._places.lines

    def where(self, path: KeyPath, *, key: bool = False) -> Where:
        """Return the place of a value, or of its key; of what is nearest above it where there is none."""
        while path:
            if not key and path in self.values:
                return self._places.of_value(self.values[path])
            if path in self.keys:
                return self._places.of(self.keys[path])
            path = path[:-1]
        return self._places.of_value(self.values[()]) if () in self.values else Where(self.path)

    def error(self, message: str, path: KeyPath = (), *, key: bool = False, hint: str = "") -> Diagnostic:
        """Return a diagnostic that points at a value, or at its key."""
        return self._places.diagnostic(self.where(path, key=key), message, hint)


def load_yaml(file: Path, name: str = "") -> YamlFile:
    """Read a file, called ``name`` in messages; raise UserError if that fails or anything is wrong in it."""
    name = name or str(file)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError("rule-file-unreadable", name, error.strerror or str(error)) from error
    return parse_yaml(data, name)


def parse_yaml(data: bytes | str, name: str) -> YamlFile:
    """Return the content of a YAML text; raise DiagnosticsError with all that is wrong in it."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_BYTES:
        raise _invalid(Diagnostic(name, 1, 1, f"the file is larger than {MAX_BYTES // 1024} KiB"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(raw[: error.start].decode("utf-8", "replace"))
        raise _invalid(Diagnostic(name, line, column, "this byte is not UTF-8")) from error
    return _Builder(text, name).build()


class _Places:
    """Where the parser's events stand in a file."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of the file."""
        return tuple(_LINE_BREAK.split(self._text))

    def of(self, event: Any) -> Where:
        """Return where an event begins."""
        start: Any = event.start_mark
        end: Any = event.end_mark
        width = end.column - start.column if end.line == start.line else 1
        line = min(start.line + 1, len(self.lines))  # an empty value at the end may be said to stand below it
        return Where(self.name, line, start.column + 1, max(1, width))

    def of_value(self, event: Any) -> Where:
        """Return the place of a value; of a scalar that of the first letter of its text."""
        place = self.of(event)
        if not isinstance(event, yaml.ScalarEvent):
            return place
        start: Any = event.start_mark
        end: Any = event.end_mark
        if event.style in ("|", ">"):
            return self._of_block(place, end.line)
        column = place.column + (event.style in ("'", '"'))
        found = self._line(place.line)[column - 1 :].startswith(event.value)
        exact = found and start.line == end.line
        return Where(self.name, place.line, column, max(1, len(event.value)) if exact else place.width, exact)

    def _of_block(self, head: Where, end: int) -> Where:
        """Return the place of the first line with text below a ``|`` or ``>``."""
        for number in range(head.line + 1, end + 1):
            text = self._line(number).strip(" ")
            if text:
                return Where(self.name, number, self._line(number).index(text) + 1, len(text), exact=False)
        return Where(self.name, head.line, head.column, head.width, exact=False)

    def diagnostic(self, where: Where, message: str, hint: str) -> Diagnostic:
        """Return what is wrong there, with its line."""
        return Diagnostic(
            where.path, where.line, where.column, message, self._line(where.line), where.width, hint
        )

    def _line(self, number: int) -> str:
        return self.lines[number - 1] if number <= len(self.lines) else ""


class _Builder:
    """Turns the parser's events into values and places; an instance is used once."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.places = _Places(name, text)
        self.keys: dict[KeyPath, Any] = {}
        self.values: dict[KeyPath, Any] = {}
        self.errors: list[Diagnostic] = []

    def build(self) -> YamlFile:
        """Read the whole text."""
        try:
            self.loader = _Loader(self.text)
            value = self._document()
        except yaml.YAMLError as error:
            self.errors.append(self._syntax_error(error))
            value = None
        if self.errors:
            raise _invalid(*self.errors)
        return YamlFile(self.name, value, self.keys, self.values, self.places)

    def _document(self) -> Any:
        self._next()  # the stream begins
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        value = self._node(self._next(), ())
        self._next()  # the document ends
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(after, "a second document begins here", "one file holds one document")
        return value

    def _next(self) -> Any:
        return self.loader.get_event()

    def _node(self, event: Any, path: KeyPath) -> Any:
        """Return the value that begins with this event."""
        if isinstance(event, yaml.AliasEvent):
            self._stop(event, "aliases are not allowed", "write the value again")
        if len(path) > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None:
            self._report(event, "tags are not allowed", "for text, use quotation marks")
        self.values[path] = event
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)

    def _sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            below = (*path, key)
            if key in result:
                first = self.places.of(self.keys[below]).line
                self._report(event, f"`{key}` is given twice", f"the first is in line {first}")
            else:
                self.keys[below] = event
            result[key] = self._node(self._next(), below)
        return result

    def _key(self, event: Any, path: KeyPath) -> str:
        """Return the text of a key, and report it if it is not text."""
        if not isinstance(event, yaml.ScalarEvent):
            self._report(event, "a key must be text")
            self._node(event, (*path, ""))
            return ""
        value = self._scalar(event)
        if not isinstance(value, str):
            self._report(
                event, f"a key must be text, and YAML reads this as {value!r}", "use quotation marks"
            )
        elif event.tag is not None:
            self._report(event, "tags are not allowed")
        return str(event.value)

    def _scalar(self, event: Any) -> str | int | float | bool | None:
        """Return the plain value of a scalar."""
        text: str = event.value
        if not event.implicit[0]:  # in quotation marks, or a block
            return text
        tag = _tag(text)
        if tag == "null":
            return None
        if tag not in {"bool", "int", "float"} or ":" in text:
            return text
        try:
            construct = getattr(self.loader, f"construct_yaml_{tag}")
            value: bool | int | float = construct(yaml.ScalarNode(_TAG + tag, text))
        except ValueError:
            self._report(event, "this number cannot be read", "for text, use quotation marks")
            return text
        return value

    def _report(self, event: Any, message: str, hint: str = "") -> None:
        self.errors.append(self.places.diagnostic(self.places.of(event), message, hint))
        if len(self.errors) >= MAX_ERRORS:
            raise _invalid(*self.errors)

    def _stop(self, event: Any, message: str, hint: str = "") -> NoReturn:
        self._report(event, message, hint)
        raise _invalid(*self.errors)

    def _syntax_error(self, error: yaml.YAMLError) -> Diagnostic:
        mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        message = getattr(error, "problem", None) or getattr(error, "reason", None) or "not valid YAML"
        if mark is not None:
            where = Where(self.name, mark.line + 1, mark.column + 1)
        else:
            where = Where(self.name, *self._unreadable_place(getattr(error, "character", None)))
        return self.places.diagnostic(where, f"not valid YAML: {message}", "")

    def _unreadable_place(self, character: object) -> tuple[int, int]:
        """Return where the first character stands that YAML does not allow."""
        found = self.text.find(chr(character)) if isinstance(character, int) else -1
        return _line_and_column(self.text[: max(0, found)])


@lru_cache(maxsize=1024)
def _tag(text: str) -> str:
    """Return what YAML takes a text without quotation marks for; rule files have the same ones many times."""
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    return tag.removeprefix(_TAG)


def _line_and_column(before: str) -> tuple[int, int]:
    """Return line and column of what follows this text."""
    lines = _LINE_BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


def _invalid(*diagnostics: Diagnostic) -> DiagnosticsError:
    return DiagnosticsError("rule-file-invalid", diagnostics)
