"""What is known of one input, filled in while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from analyzer.errors import UserError

INDEX_SCHEMA = "errnoscope.carved/1"
"""Stands at the begin of the index beside captures that were cut out of others: it is none."""


class Comment(NamedTuple):
    """What somebody wrote into a capture; ``frame`` is the number of the packet, None for the whole."""

    frame: int | None
    text: str


@dataclass(slots=True)
class Capture:
    """One input file: the source counts in it as it reads.

    ``first`` and ``last`` are the smallest and the largest time stamp, in nanoseconds since the epoch.
    ``problems`` are sentences about what this capture cannot show. ``damage`` is set where reading had to
    stop before the end because the bytes make no sense; what was read before it counts. ``format`` is empty
    where it could not be opened. ``carries_on`` is the index of the capture that it carries on, as the next
    file of a rotation does: the two are judged as one. Of many ``comments`` the first are kept. In the
    file ``kept`` the frames of a stream were kept, or those of what failed; empty where there is none.
    ``silent`` are the addresses of hosts that answered neither ARP nor neighbour discovery, of which
    ``problems`` say more: a connection to them may have failed without a packet of its own.
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
    carries_on: int | None = None
    comments: list[Comment] = field(default_factory=list)
    comments_left_out: int = 0
    kept: str = ""
    silent: list[str] = field(default_factory=list)
