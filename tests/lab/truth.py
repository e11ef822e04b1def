"""The truth file: what the programs at both ends of a connection really got."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .resets import Reset
from .stage import Connection, Stage

Truth = dict[str, Any]
WIDTH = 120


def kernel_version() -> str:
    """The kernel's version without what a builder appended to it."""
    release = os.uname().release
    match = re.match(r"\d+(\.\d+)*", release)
    return match[0] if match else release


def _resets(connection: Connection, resets: Sequence[Reset]) -> list[Truth]:
    """The resets of one connection; one that a listener sent does not tell its destination, only port 0."""
    peers = {
        connection.client: ("client", connection.server),
        connection.server: ("server", connection.client),
    }
    found: list[Truth] = []
    for reset in resets:
        sender, peer = peers.get(reset.source, ("", None))
        if sender and (reset.destination == peer or reset.destination[1] == 0):
            found.append({"t": reset.t, "sender": sender, "reason": reset.reason})
    return found


def _connection(connection: Connection, resets: Sequence[Reset] | None) -> Truth:
    """One connection."""
    made: Truth = {
        "protocol": connection.protocol,
        "client": list(connection.client),
        "server": list(connection.server),
        "calls": {"client": connection.client_calls, "server": connection.server_calls},
    }
    if resets is not None:
        made["resets"] = _resets(connection, resets)
    if connection.waiting:
        made["waiting"] = connection.waiting
    return made


def truth(stage: Stage, name: str, description: str, resets: Sequence[Reset] | None) -> Truth:
    """Everything but what depends on the vantage point."""
    made: Truth = {
        "scenario": name,
        "description": description,
        "os": {"client": "linux", "server": "linux"},
        "kernel": kernel_version(),
        "connections": [_connection(connection, resets) for connection in stage.connections],
    }
    settings = stage.settings()
    return {**made, "settings": settings} if settings else made


def _text(value: Any, indent: int = 0, lead: int = 0) -> str:
    """JSON with short things on one line, for people to read; `lead` stands before it on its line."""
    flat = json.dumps(value)
    if indent + lead + len(flat) < WIDTH or not isinstance(value, (dict, list)):
        return flat
    if isinstance(value, list):
        parts = [_text(item, indent + 1) for item in value]
    else:
        parts = [f'"{key}": {_text(item, indent + 1, len(key) + 4)}' for key, item in value.items()]
    inner = f",\n{' ' * (indent + 1)}".join(parts)
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return f"{opening}\n{' ' * (indent + 1)}{inner}\n{' ' * indent}{closing}"


def write(made: Truth, vantage: str, capture: Path) -> Path:
    """Write the truth for one capture beside it."""
    path = capture.with_name(f"{vantage}.truth.json")
    text = _text({"capture": capture.name, "vantage": vantage, **made})
    path.write_text(text + "\n", encoding="utf-8")
    return path
