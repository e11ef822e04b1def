"""Talks for tests: what both ends said, as a capture that holds everything shows it."""

from __future__ import annotations

from analyzer.model.talk import Said, Talk
from tests.lab.tls.wire import Wire


def talk(client: bytes, server: bytes = b"", *, heard: int = 0, server_first: bool = False) -> Talk:
    return Talk(Said(client, len(client)), Said(server, len(server), heard), server_first)


def talk_of(wire: Wire, client: int | None = None, server: int | None = None) -> Talk:
    """All of it, or so many bytes of each end; negative: without the last ones."""
    return talk(wire.said["client"][:client], wire.said["server"][:server])
