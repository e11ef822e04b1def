"""What of the results somebody wants to be told."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network


class Moment(NamedTuple):
    """Nanoseconds since the epoch, or (``relative``) since the first frame."""

    time: int
    relative: bool = False

    def absolute(self, first: int) -> int:
        """Nanoseconds since the epoch, where ``first`` is the first frame's time."""
        return first + self.time if self.relative else self.time


@dataclass(frozen=True, slots=True)
class Filter:
    """Which flows are told of; what is empty or None lets every one pass.

    A flow passes, whole, if one of its ends is in one of ``hosts``, one has one of ``ports`` (first and last
    of ranges), and one of its verdicts (where it has none and no errno is asked for: findings) has one of
    ``errnos`` (empty text: none) and lies between ``since`` and ``until``, both included. ``rules`` are the
    names of those that are told; findings and verdicts of others are left out.
    """

    hosts: tuple[Network, ...] = ()
    ports: tuple[tuple[int, int], ...] = ()
    errnos: frozenset[str] = frozenset()
    since: Moment | None = None
    until: Moment | None = None
    rules: frozenset[str] | None = None


EVERYTHING = Filter()


class LeftOut(NamedTuple):
    """Flows that did not pass: those with a verdict, and others with a finding."""

    failed: int = 0
    other: int = 0


NONE_LEFT_OUT = LeftOut()
