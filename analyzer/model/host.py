"""What is known, or taken to be so, of the machine at one end."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

SYSTEMS = ("linux", "freebsd", "macos", "windows")
"""Operating systems that a host may run, and that a rule must speak of."""
AUTO = "auto"
"""In place of a system: it is inferred for each flow, Linux where nothing tells it."""

Version = tuple[int, ...]
"""The numbers of a version: (6, 5)."""


def version_text(version: Version) -> str:
    """``6.5``."""
    return ".".join(map(str, version))


class Host(NamedTuple):
    """Its system, one of SYSTEMS or AUTO, and settings that differ from the defaults: names and values.

    Names and units are those of the system's profile in data/profiles; with AUTO they count where the end
    turns out to run a system that has them. ``version`` is the system's, empty for that which the profile
    describes; ``platform`` one of data/errno.yaml whose numbers this end has, empty for the system's own.
    """

    system: str = AUTO
    settings: tuple[tuple[str, float], ...] = ()
    version: Version = ()
    platform: str = ""


DEFAULT_HOST = Host()


class Likeness(StrEnum):
    """How the system of one end of a flow is known."""

    GIVEN = "given"
    SIGNATURE = "signature"  # its SYN or SYN+ACK is the system's in all: TTL, options, window, scale
    OPTIONS = "options"  # ... in TTL and order of options
    TTL = "ttl"  # its TTL alone is that of the system
    OTHER = "other"  # its SYN or SYN+ACK is that of a system that nothing is known of: taken for Linux
    NONE = "none"  # nothing tells: taken for Linux


class System(NamedTuple):
    """What one end of a flow is taken to run: one of SYSTEMS, and why; ``version`` where it is known."""

    name: str
    likeness: Likeness
    version: Version = ()


UNKNOWN = System("linux", Likeness.NONE)


def taken_for(host: Host) -> System:
    """What an end of which nothing was seen yet is taken to run."""
    return UNKNOWN if host.system == AUTO else System(host.system, Likeness.GIVEN, host.version)


def platform_of(system: str, host: Host) -> str:
    """The platform of data/errno.yaml that says which numbers this end has: ``linux/mips``.

    The host's own where that is a platform of this system.
    """
    return host.platform if system_of(host.platform) == system else system


def system_of(platform: str) -> str:
    """The system of a platform: ``linux`` of ``linux/mips``."""
    return platform.partition("/")[0].partition("_")[0]
