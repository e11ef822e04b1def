"""What goes well over IPv4 goes well over IPv6: the same programs once more."""

from __future__ import annotations

from dataclasses import replace

from . import basic, paths, patience
from .registry import SCENARIOS

__all__ = ["basic", "paths", "patience"]  # imported first, so that their scenarios are known

TWINS = (
    "clean-client-shutdown-then-reads",
    "clean-half-close",
    "clean-idle-client-closes",
    "clean-reset-after-both-closed",
    "clean-server-closes-first",
    "clean-server-talks-only",
    "clean-slow-answer",
    "clean-syn-ack-lost",
    "clean-syn-lost",
)

for _name in TWINS:
    _first = SCENARIOS[_name]
    _twin = replace(_first, name=f"{_name}-ipv6", description=f"{_first.description}; IPv6", ipv6=True)
    SCENARIOS[_twin.name] = _twin
