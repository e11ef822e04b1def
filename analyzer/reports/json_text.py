"""Writes a JSON document of which a part may be long."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TextIO

_AT_ONCE = 500
"""Items that are written at once: with PYTHONUNBUFFERED every write is a call of the system's."""


def write_json(document: Mapping[str, Any], out: TextIO) -> None:
    """Write an object, a member a line; and of a list that is a member, an item a line.

    A list may be any iterator: its items are made as they are written, so that never all of them are there.
    Indented to its last level a document would take twenty times as long, and three times the room.
    """
    for number, (name, value) in enumerate(document.items()):
        out.write(",\n  " if number else "{\n  ")
        out.write(f"{json.dumps(name)}: ")
        if isinstance(value, (list, Iterator)):
            _write_list(value, out)
        else:
            out.write(json.dumps(value))
    out.write("\n}\n")


def _write_list(items: Iterable[Any], out: TextIO) -> None:
    lines, before = map(json.dumps, items), "["
    while portion := ",\n    ".join(islice(lines, _AT_ONCE)):
        out.write(f"{before}\n    {portion}")
        before = ","
    out.write("[]" if before == "[" else "\n  ]")
