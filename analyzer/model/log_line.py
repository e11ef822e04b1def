"""What a log line says about a socket call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that was understood.

    ``program`` is empty where any could have printed it. ``results`` are what the call may have given: an
    errno, EOF (end of file), BLOCKS (the program's own timer), OWN (no kernel gave anything); ``calls`` the
    calls it may come from. ``number`` is the errno's as the line prints it, of ``platform``. ``addresses``
    and ``ports`` are those that stand in the line.
    """

    line: str
    program: str
    results: tuple[str, ...]
    calls: tuple[str, ...]
    number: int | None
    platform: str
    means: str
    trap: str
    evidence: str
    addresses: tuple[str, ...]
    ports: tuple[int, ...]
