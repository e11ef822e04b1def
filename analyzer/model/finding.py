"""One match of a rule, the verdict for an end, and all that is reported of a flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from analyzer.model.event import Doubt
from analyzer.model.flow import SIDES, Flow
from analyzer.model.rule import RESULTS, Evidence, Severity
from analyzer.model.summary import Summary


class Confidence(StrEnum):
    """How often a verdict with this word is right: 99.5 %, 90 %, 50 %."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class CallTable:
    """The outcome for the system of one end; ``call`` is the headline and a key of ``calls``."""

    evidence: Evidence
    call: str
    calls: dict[str, str]
    later: dict[str, str]
    signal: dict[str, str]

    @property
    def errno(self) -> str:
        """What the kernel holds for the program: the headline's errno, else another call's; or empty."""
        results = [self.calls[self.call], self.calls.get("so_error", ""), *self.calls.values()]
        return next((result for result in results if result and result not in RESULTS), "")


@dataclass(frozen=True, slots=True)
class Icmp:
    """The ICMP message that had a part."""

    type: int
    code: int
    reporter: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule matched an event at one end of a flow. ``time`` in nanoseconds since the epoch.

    ``key`` is the event's: a later finding of the same rule and key replaces the earlier. ``outcome`` is
    None where the rule knows nothing about the end's system or is only a warning.
    """

    flow_id: int
    side: int
    key: str
    rule: str
    refines: tuple[str, ...]
    severity: Severity
    title: str
    summary: str
    explanation: str
    fix: str
    frames: tuple[int, ...]
    time: int
    doubts: frozenset[Doubt]
    outcome: CallTable | None = None
    icmp: Icmp | None = None
    reset_sender: str = ""
    reset_reason: tuple[str, ...] = ()
    """Why a Linux that sent the reset did, the most probable first."""
    evidence: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first failure that the program at one end probably met; ``errno`` is empty where there is none.

    ``recovered``: it got what it wanted all the same, by a connection that began at ``recovered_at`` (ns).
    """

    side: int
    errno: str
    number: int | None
    table: CallTable
    confidence: Confidence
    time: int
    recovered: bool
    rule: str
    frames: tuple[int, ...]
    doubts: tuple[Doubt, ...]
    recovered_at: int = 0

    @property
    def endpoint(self) -> str:
        """``client`` or ``server``."""
        return SIDES[self.side]


@dataclass(frozen=True, slots=True)
class FlowResult:
    """All that is reported of a flow. ``end`` in nanoseconds; ``systems`` of client and server.

    ``summary`` is what is kept of every flow that ends, clean or not.
    """

    flow: Flow
    end: int
    packets: int
    systems: tuple[str, str]
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    ladder: tuple[LadderLine, ...]
    summary: Summary | None = None


@dataclass(frozen=True, slots=True)
class LadderLine:
    """A segment worth showing: times in nanoseconds, numbers relative to each end's first."""

    number: int
    time: int
    side: int
    label: str
    reporter: str = ""
