"""What is known of hosts that asked in vain for the hardware address of their next hop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Asked(NamedTuple):
    """Questions of one host for ``target`` that nobody answered: their times (nanoseconds) and frames.

    ``before``: when it asked in vain the last time before these, if nobody has answered since; else 0.
    """

    target: str
    times: tuple[int, ...]
    frames: tuple[int, ...]
    before: int = 0


class InVain(Protocol):
    """Knows them."""

    def __call__(self, asker: str, since: int, until: int) -> Sequence[Asked]:
        """Whom that address asked for in vain between these times of the capture's clock, both left out."""


def nobody_asked(asker: str, since: int, until: int) -> Sequence[Asked]:
    """Where nothing is known of them."""
    return ()
