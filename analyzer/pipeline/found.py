"""What an engine found in a capture, or in a share of one: of all shares it is put together and judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from analyzer.model.finding import FlowResult
from analyzer.model.report import Totals
from analyzer.pipeline.problems import Counts
from analyzer.verdicts.aftermath import settle
from analyzer.verdicts.joined import Legs
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice


@dataclass(slots=True)
class Found:
    """``results``: flows with a finding; ``clean``: others to be told of; ``harmless`` as in Totals."""

    results: list[FlowResult] = field(default_factory=list)
    clean: list[FlowResult] = field(default_factory=list)
    services: Services = field(default_factory=Services)
    twice: Twice = field(default_factory=Twice)
    legs: Legs = field(default_factory=Legs)
    counts: Counts = field(default_factory=Counts)
    harmless: dict[str, int] = field(default_factory=dict)

    def take(self, other: Found) -> None:
        """Add what was found in another share, whose flows have other numbers."""
        self.results += other.results
        self.clean += other.clean
        self.services.merge(other.services)
        self.twice.merge(other.twice)
        self.legs.merge(other.legs)
        self.counts.take(other.counts)

    def add_to(self, totals: Totals) -> None:
        """Add the counts, once it is ``settled``."""
        self.counts.add_to(totals)
        for name, number in self.harmless.items():
            totals.harmless[name] = totals.harmless.get(name, 0) + number

    def settled(self, *, harmless: bool = False) -> list[FlowResult]:
        """What is told in the end, by the order in which the flows began; ``harmless``: those as well."""
        results = sorted(self.results, key=lambda result: result.flow.id)
        told, others, self.harmless = settle(results, self.services, self.legs)
        told += others if harmless else []
        found = {result.flow.id for result in results}  # of datagrams, whose flows are clean ones besides
        clean = [result for result in self.clean if result.flow.id not in found]
        return sorted([*told, *clean], key=lambda result: result.flow.id)
