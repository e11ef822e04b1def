"""What is known, or taken to be so, of the machine at one end."""

from __future__ import annotations

from typing import NamedTuple


class Host(NamedTuple):
    """Its system, one of rule.SYSTEMS, and settings that differ from the defaults: names and values.

    Names and units are those of the system's profile in data/profiles.
    """

    system: str = "linux"
    settings: tuple[tuple[str, float], ...] = ()


DEFAULT_HOST = Host()
