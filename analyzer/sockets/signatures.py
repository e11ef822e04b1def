"""Which system an end runs, by how its SYN or SYN+ACK looks: data/signatures.yaml."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any, NamedTuple

from analyzer.data import load
from analyzer.model.columns import Flag, Layout
from analyzer.model.flow import Segment
from analyzer.model.host import UNKNOWN, Likeness, System

_TIMESTAMPS_BYTES = 12
"""What timestamps take of each segment: RFC 7323 section 3.2, with two NOPs."""


class Signature(NamedTuple):
    """One row; ``system`` is empty where it has no profile."""

    system: str
    windows: frozenset[int]
    multiple_of_mss: bool
    scales: tuple[int, int]

    @property
    def ttl(self) -> int:
        """The first one of a system that has a profile, which is read only if it is asked for."""
        ttl: int = load(f"profiles/{self.system}")["ttl"]
        return ttl

    def fits(self, segment: Segment) -> bool:
        """Whether window and scale are this system's, too."""
        least, most = self.scales
        return least <= segment.scale <= most and (
            segment.window in self.windows or (self.multiple_of_mss and _is_multiple(segment))
        )


def recognise(segment: Segment) -> System:
    """What the sender of this segment is taken to run, by this segment alone."""
    initial = _initial_ttl(segment.ttl)
    if segment.flags & Flag.SYN:
        kind = "syn-ack" if segment.flags & Flag.ACK else "syn"
        alike = _by_layout().get((kind, segment.layout), [])
        for signature in alike:
            if signature.system and signature.ttl == initial:
                likeness = Likeness.SIGNATURE if signature.fits(segment) else Likeness.OPTIONS
                return _system(signature.system, likeness)
        if any(signature.system == UNKNOWN.name for signature in alike):
            return _system(UNKNOWN.name, Likeness.OPTIONS)  # whatever its TTL, which is a doubt of its own
        if alike:
            return _system(UNKNOWN.name, Likeness.OTHER)
    system = load("signatures")["by_ttl"].get(initial)
    return _system(system, Likeness.TTL) if system else UNKNOWN


@cache
def _system(name: str, likeness: Likeness) -> System:
    """Equal ones are one object: every flow keeps two."""
    return System(name, likeness)


@cache
def _initial_ttl(ttl: int) -> int:
    """What a packet with this TTL probably began with."""
    initial: int = next(initial for initial in load("signatures")["initial_ttls"] if ttl <= initial)
    return initial


def _is_multiple(segment: Segment) -> bool:
    sizes = (segment.mss, segment.mss - _TIMESTAMPS_BYTES if segment.has_ts else 0)
    return any(size > 0 and segment.window >= size and segment.window % size == 0 for size in sizes)


@cache
def _by_layout() -> dict[tuple[str, int], list[Signature]]:
    """The signatures by segment (``syn``, ``syn-ack``) and order of options."""
    found: defaultdict[tuple[str, int], list[Signature]] = defaultdict(list)
    for row in load("signatures")["signatures"]:
        for segment in row["segments"]:
            for options in row["options"]:
                found[segment, layout(options)].append(_signature(row))
    return dict(found)


def _signature(row: dict[str, Any]) -> Signature:
    system = row["system"] or ""
    least, most = row.get("scales", (-1, 14))
    return Signature(
        system=system,
        windows=frozenset(row.get("windows", ())),
        multiple_of_mss=row.get("multiple_of_mss", False),
        scales=(least, most),
    )


def layout(options: str) -> int:
    """``mss sok ts nop ws`` as the number that columns.Layout describes."""
    digits = "".join(str(Layout.DIGITS[option]) for option in options.split())
    return int(digits[: Layout.MOST] or "0", 8)
