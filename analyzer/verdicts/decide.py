"""Findings become verdicts: at most one an end, the first failure that its program probably met."""

from __future__ import annotations

from collections.abc import Iterable

from analyzer.data import load
from analyzer.model.finding import Finding, Verdict
from analyzer.model.flow import CLIENT, SERVER
from analyzer.model.rule import Severity
from analyzer.verdicts.confidence import confidence


def without_refined(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in order of time; of two about the same event, the one whose rule refines the other's."""
    found = list(findings)
    refined = {(f.side, f.key, name) for f in found for name in f.refines}
    kept = [f for f in found if (f.side, f.key, f.rule) not in refined]
    return sorted(kept, key=lambda f: (f.time, f.frames, f.rule))


def decide(findings: list[Finding], systems: tuple[str, str]) -> tuple[Verdict, ...]:
    """The verdict for each end that met a failure, from its findings in order of time."""
    verdicts = [_verdict(findings, side, systems[side]) for side in (CLIENT, SERVER)]
    return tuple(verdict for verdict in verdicts if verdict)


def _verdict(findings: list[Finding], side: int, system: str) -> Verdict | None:
    """An errno first, an end of file or a program that gave up only where there is none; warnings never."""
    errors = [f for f in findings if f.side == side and f.severity is Severity.ERROR and f.outcome]
    errors.sort(key=lambda f: not (f.outcome and f.outcome.errno))
    for finding in errors[:1]:
        table = finding.outcome
        if table:
            return Verdict(
                side=side,
                errno=table.errno,
                number=errno_number(table.errno, system),
                table=table,
                confidence=confidence(table.evidence, finding.doubts),
                time=finding.time,
                recovered=False,
                rule=finding.rule,
                frames=finding.frames,
                doubts=tuple(sorted(finding.doubts)),
            )
    return None


def errno_number(errno: str, system: str) -> int | None:
    """The number of an errno on a platform of data/errno.yaml, where it has one."""
    if not errno:
        return None
    number: int | None = load("errno")["errno"][errno]["numbers"].get(system)
    return number
