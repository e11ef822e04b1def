"""A capture that goes on: what is wanted of it, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass

SNAPLEN = 256
"""Bytes of a frame that all headers fit in, those of a tunnel and of an ICMP error's quotation included."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Where the frames are kept, and when the next file begins: as tcpdump's -w, -C, -G and -W."""

    path: str
    megabytes: int = 0
    seconds: int = 0
    files: int = 0

    @property
    def in_one_file(self) -> bool:
        """Whether all of it is in the file of this name."""
        return not (self.megabytes or self.seconds)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be captured: from ``interfaces``, or from standard input where there are none.

    ``filter`` in the language of pcap-filter; ``snaplen`` bytes of each frame, 0 for all; ``count``: packets
    after which it ends.
    """

    interfaces: tuple[str, ...] = ()
    filter: str = ""
    snaplen: int = SNAPLEN
    count: int | None = None
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts so far; ``dropped`` by the kernel, for want of room in its buffer, as it has told
    ``drops_told`` times.

    ``open_flows`` are followed, those that ended a short time ago included. ``lag``: seconds for which the
    latest portion was under way, against the quickest one. ``problems``: what went wrong and did not end the
    capture.
    """

    packets: int = 0
    open_flows: int = 0
    dropped: int = 0
    drops_told: int = 0
    lag: float = 0.0
    problems: tuple[str, ...] = ()
