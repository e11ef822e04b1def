"""What is known of one input, filled in while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from analyzer.errors import UserError


@dataclass(slots=True)
class Capture:
    """One input file: the source counts in it as it reads.

    ``first`` and ``last`` are the smallest and the largest time stamp, in nanoseconds since the epoch.
    ``problems`` are sentences about what this capture cannot show. ``damage`` is set where reading had to
    stop before the end because the bytes make no sense; what was read before it counts.
    """

    path: str
    format: str
    link_types: list[str] = field(default_factory=list)
    packets: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    problems: list[str] = field(default_factory=list)
    damage: UserError | None = None
