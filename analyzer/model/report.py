"""All that was found in one run."""

from __future__ import annotations

from dataclasses import dataclass, field

from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult


@dataclass(slots=True)
class Totals:
    """Counts over all captures; ``undecoded`` by reason, other protocols (ARP ...) are not among them."""

    packets: int = 0
    tcp_flows: int = 0
    udp_flows: int = 0
    other_packets: int = 0
    undecoded: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incident:
    """The same failure between the same services, told once.

    ``service`` is the server's address and port, ``first`` and ``last`` the times of the first and last
    verdict (nanoseconds), ``examples`` indices into the report's flows.
    """

    rule: str
    errno: str
    call: str
    service: str
    clients: int
    flows: int
    recovered: int
    first: int
    last: int
    title: str
    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What ``analyze`` returns. ``flows`` are those with a finding, by capture and time of their start."""

    captures: tuple[Capture, ...]
    totals: Totals
    flows: tuple[FlowResult, ...]
    incidents: tuple[Incident, ...]
