"""What a check of captures came to: plain values for the reports of `check`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analyzer.errors import UserError
from analyzer.model.finding import Finding, FlowResult, Verdict
from analyzer.model.flow import SIDES
from analyzer.model.report import Report
from analyzer.model.rule import Rule, Severity


class Standing(StrEnum):
    """Whether a problem counts; only ``new`` ones fail a check."""

    NEW = "new"
    EXPECTED = "expected"
    KNOWN = "known"
    SUPPRESSED = "suppressed"
    RECOVERED = "recovered"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Problem:
    """A verdict, or a finding without one, of a flow. ``index`` is the flow's in its report, ``start`` the
    time of the capture's first frame in nanoseconds, ``reason`` says why the problem does not count.
    """

    index: int
    start: int
    flow: FlowResult
    finding: Finding
    verdict: Verdict | None
    standing: Standing = Standing.NEW
    reason: str = ""

    @property
    def rule(self) -> str:
        """Name of the rule that matched."""
        return self.finding.rule

    @property
    def severity(self) -> Severity:
        """The rule's."""
        return self.finding.severity

    @property
    def side(self) -> str:
        """``client`` or ``server``."""
        return SIDES[self.finding.side]

    @property
    def call(self) -> str:
        """The call that met it; empty where there is no verdict."""
        return self.verdict.table.call if self.verdict else ""

    @property
    def result(self) -> str:
        """The errno, else what the call gave (EOF, BLOCKS); empty where there is no verdict."""
        if not self.verdict:
            return ""
        return self.verdict.errno or self.verdict.table.calls[self.verdict.table.call]

    @property
    def recovered(self) -> bool:
        """Its program got what it wanted all the same."""
        return bool(self.verdict and self.verdict.recovered)

    @property
    def key(self) -> str:
        """What stays the same from run to run: no ports that systems hand out, no times, no numbers."""
        server = self.flow.flow.server
        parts = (self.rule, self.side, self.call or "-", self.result or "-", server.address)
        return " ".join((*parts, str(server.port) if server.port < FIRST_LOCAL_PORT else "*"))


FIRST_LOCAL_PORT = 32768
"""Ports from here on are handed out by systems: net/ipv4/af_inet.c, inet_init_net(), 32768 to 60999 on Linux;
RFC 6335 section 6, from 49152 elsewhere."""


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One expectation: ``where`` it stands (``file:line``), what it wants; in lines, what was found."""

    where: str
    wanted: str
    met: bool
    found: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One capture. ``error`` where it could not be read, or not to its end; then ``report`` may be None.

    ``carries_on`` is the path of the file before it, where they are pieces of one capture.
    """

    path: str
    report: Report | None
    problems: tuple[Problem, ...] = ()
    expectations: tuple[ExpectationResult, ...] = ()
    error: UserError | None = None
    carries_on: str = ""

    @property
    def new(self) -> tuple[Problem, ...]:
        """The problems that count."""
        return tuple(problem for problem in self.problems if problem.standing is Standing.NEW)

    @property
    def unmet(self) -> tuple[ExpectationResult, ...]:
        """The expectations that were not met."""
        return tuple(expectation for expectation in self.expectations if not expectation.met)

    @property
    def passed(self) -> bool:
        """It was read, nothing in it counts, and all expectations were met."""
        return not self.error and not self.new and not self.unmet


@dataclass(frozen=True, slots=True)
class CheckRun:
    """All captures of a call, each by itself. ``notes`` are sentences about the check's own files,
    ``vanished`` what the baseline has and no capture shows; ``rules`` are those that were looked for.
    """

    captures: tuple[Checked, ...]
    rules: tuple[Rule, ...]
    notes: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Every capture passed."""
        return all(capture.passed for capture in self.captures)

    @property
    def unreadable(self) -> bool:
        """A capture could not be read to its end."""
        return any(capture.error for capture in self.captures)
