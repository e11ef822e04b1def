"""One match of a rule, the verdict for an end, and all that is reported of a flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from analyzer.model.event import Doubt
from analyzer.model.flow import CLIENT, SIDES, Flow
from analyzer.model.host import System
from analyzer.model.rule import RESULTS, Evidence, Severity
from analyzer.model.summary import Summary

if TYPE_CHECKING:
    from analyzer.model.application import Message


class Confidence(StrEnum):
    """How often a verdict with this word is right: 99.5 %, 90 %, 50 %."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


class CallTable(NamedTuple):
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


class Icmp(NamedTuple):
    """The ICMP message that had a part."""

    type: int
    code: int
    reporter: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule matched an event at one end of a flow. ``time`` in nanoseconds since the epoch.

    ``system`` is what that end is taken to run, on which the outcome depends.
    ``key`` is the event's: a later finding of the same rule and key replaces the earlier. ``outcome`` is
    None where the rule knows nothing about the end's system or is only a warning. ``frame_captures`` are the
    indices of the captures that hold ``frames``; empty where all are in that in which the flow began.
    """

    flow_id: int
    side: int
    system: str
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
    frame_captures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first failure that the program at one end probably met; ``errno`` is empty where there is none.

    ``recovered``: it got what it wanted all the same, by a connection that began at ``recovered_at`` (ns), to
    ``recovered_by`` where that was another address of the service.
    ``number`` and ``platform_name`` (``WSAECONNRESET``; else the errno's own) are those of ``platform``, one
    of data/errno.yaml. ``frame_captures``: see Finding.
    """

    side: int
    errno: str
    number: int | None
    platform: str
    platform_name: str
    table: CallTable
    confidence: Confidence
    time: int
    recovered: bool
    rule: str
    frames: tuple[int, ...]
    doubts: tuple[Doubt, ...]
    recovered_at: int = 0
    recovered_by: str = ""
    frame_captures: tuple[int, ...] = ()

    @property
    def endpoint(self) -> str:
        """``client`` or ``server``."""
        return SIDES[self.side]


@dataclass(frozen=True, slots=True)
class FlowResult:
    """All that is reported of a flow. ``end`` in nanoseconds; ``systems`` of client and server.

    ``summary`` is what is kept of every flow that ends, clean or not; ``messages`` the last that its programs
    said, where that was asked for. ``same_as`` are the other flows in which the capture shows the same
    connection: behind a NAT, inside or outside of a tunnel. ``follows`` is the connection on the other side
    of a proxy whose failure was the reason of this one's. ``harmless``: what it was, as Totals counts it, if
    its failure harmed nobody; such a one is in no report.
    """

    flow: Flow
    end: int
    packets: int
    systems: tuple[System, System]
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    ladder: tuple[LadderLine, ...]
    summary: Summary | None = None
    messages: tuple[Message, ...] = ()
    same_as: tuple[Flow, ...] = ()
    follows: Flow | None = None
    harmless: str = ""

    @property
    def client_verdict(self) -> Verdict | None:
        """What the program of the client met."""
        for verdict in self.verdicts:
            if verdict.side == CLIENT:
                return verdict
        return None

    @property
    def lasting(self) -> tuple[Finding, ...]:
        """The findings without the warnings that were overtaken: what they say will be never came.

        A warning is by the verdict of its end, and by what became of the transmissions that it was about.
        """
        verdicts = {verdict.side: verdict.time for verdict in self.verdicts}
        over = {finding.key for finding in self.findings}
        return tuple(
            finding
            for finding in self.findings
            if finding.severity is not Severity.WARNING
            or not (
                finding.time <= verdicts.get(finding.side, -1)
                or finding.key.replace("retry ", "timeout ", 1) in over - {finding.key}
            )
        )

    @property
    def captures(self) -> tuple[int, ...]:
        """Indices of the captures that it spans, in order of time; its own alone where it is in one."""
        told = [self.flow.capture]
        told += [line.capture for line in self.ladder if line.capture is not None]
        told += [capture for finding in self.findings for capture in finding.frame_captures]
        return tuple(dict.fromkeys(told))


class News(NamedTuple):
    """What is to be said of a flow while the capture goes on; all was taken back where it has no findings.

    ``ended``: nothing more will be said of it.
    """

    result: FlowResult
    ended: bool


class LadderLine(NamedTuple):
    """A segment worth showing: times in nanoseconds, numbers relative to each end's first.

    ``capture`` is the index of the capture that holds the frame, None for that in which the flow began.
    """

    number: int
    time: int
    side: int
    label: str
    reporter: str = ""
    capture: int | None = None
