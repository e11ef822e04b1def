"""What a scenario is, and all of them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.network import VANTAGES
from tests.lab.stage import Stage

Play = Callable[[Stage], None]
Edit = Callable[[Path], None]
SLOW_PATH = 0.005
ALL_INTERFACES = {"client": ("dumpcap", "-q", "-i", "any")}
DROP = "tcp dport PORT drop", "tcp sport PORT drop"
EVERYWHERE: Mapping[str, tuple[str, ...]] = dict.fromkeys(VANTAGES, ())
AT_THE_ENDS: Mapping[str, tuple[str, ...]] = {"client": (), "server": ()}
AT_THE_CLIENT: Mapping[str, tuple[str, ...]] = {"client": ()}
BEFORE_FILTER: Mapping[str, tuple[str, ...]] = {"client": (), "middle": ()}  # the server sees nothing of it


@dataclass(frozen=True)
class Scenario:
    """One scenario; `seconds` is about how long it takes, `delay` how long the router holds a packet.

    `captures` has tcpdump's options for each place; `edit` changes each capture once it is recorded; `needs`
    names the programs that must be installed.
    """

    name: str
    description: str
    play: Play
    ipv6: bool = False
    delay: float = 0.0
    seconds: int = 2
    captures: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EVERYWHERE)
    edit: Edit | None = None
    needs: tuple[str, ...] = ()

    @property
    def slow(self) -> bool:
        """Takes minutes."""
        return self.seconds > 120


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    description: str,
    *,
    ipv6: bool = False,
    delay: float = 0.0,
    seconds: int = 2,
    captures: Mapping[str, tuple[str, ...]] = EVERYWHERE,
    edit: Edit | None = None,
    needs: tuple[str, ...] = (),
) -> Callable[[Play], Play]:
    """Register a scenario; decorators can be stacked."""

    def register(play: Play) -> Play:
        SCENARIOS[name] = Scenario(name, description, play, ipv6, delay, seconds, captures, edit, needs)
        return play

    return register
