"""What the two ends of a TCP connection said, as far as the capture holds it."""

from __future__ import annotations

from dataclasses import dataclass

KEPT = 1 << 18
"""Bytes of one direction that are kept for reading: those from its beginning on."""
LAST = 256
"""Bytes of its end that are kept besides: a goodbye is no longer."""


@dataclass(frozen=True, slots=True)
class Said:
    """The payload of one direction.

    ``data`` is what was captured without a gap from the beginning on, at most KEPT bytes; ``total`` counts
    the bytes up to the last one that was seen, whether captured or not; ``heard`` is how much of what the
    other end said was acknowledged by the last segment with data: an answer acknowledges its request.
    ``tail`` are up to LAST bytes that end at ``total``, kept where ``data`` does not reach so far.
    ``cut``: of a segment that is missing in ``data`` the capture kept the beginning only.
    """

    data: bytes = b""
    total: int = 0
    heard: int = 0
    tail: bytes = b""
    cut: bool = False

    @property
    def whole(self) -> bool:
        """Nothing is missing of it."""
        return len(self.data) == self.total

    @property
    def last(self) -> bytes:
        """Its last bytes, LAST at most; empty where they were not captured."""
        return self.data[-LAST:] if self.whole else self.tail


@dataclass(frozen=True, slots=True)
class Talk:
    """Both directions; ``server_first`` where the server said something before the client did.

    ``first`` is where its first frame stands: the capture's index, and the number. Of datagrams
    (``datagrams``) what is said is that of each end's first one. ``reset`` is the payload of the last reset
    that had one; ``placed``: the beginning was seen, so that what was said could be put in order.
    """

    client: Said
    server: Said
    server_first: bool = False
    reset: bytes = b""
    placed: bool = True
    first: tuple[int, int] = (0, 0)
    datagrams: bool = False

    @property
    def cut(self) -> bool:
        """The capture cut something of it."""
        return self.client.cut or self.server.cut
