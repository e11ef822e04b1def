"""What the two ends of a TCP connection said, as far as the capture holds it."""

from __future__ import annotations

from dataclasses import dataclass

KEPT = 1 << 18
"""Bytes of one direction that are kept for reading: those from its beginning on."""


@dataclass(frozen=True, slots=True)
class Said:
    """The payload of one direction.

    ``data`` is what was captured without a gap from the beginning on, at most KEPT bytes; ``total`` counts
    the bytes up to the last one that was seen, whether captured or not; ``heard`` is how much of what the
    other end said was acknowledged by the last segment with data: an answer acknowledges its request.
    """

    data: bytes = b""
    total: int = 0
    heard: int = 0

    @property
    def whole(self) -> bool:
        """Nothing is missing of it."""
        return len(self.data) == self.total


@dataclass(frozen=True, slots=True)
class Talk:
    """Both directions; ``server_first`` where the server said something before the client did."""

    client: Said
    server: Said
    server_first: bool = False
