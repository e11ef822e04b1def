"""Findings become verdicts: at most one an end, the first failure that its program probably met."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from analyzer.data import load
from analyzer.model.finding import CallTable, Finding, Verdict
from analyzer.model.flow import CLIENT, SERVER
from analyzer.model.host import Host, platform_of
from analyzer.model.rule import Severity
from analyzer.verdicts.confidence import confidence


def without_refined(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in order of time; of two about the same event, the one whose rule refines the other's.

    An error of which nothing is known on that end's system takes no other one's place.
    """
    found = list(findings)
    if len(found) < 2:
        return found
    telling = [f for f in found if f.outcome or f.severity is not Severity.ERROR]
    refined = {(f.side, f.key, name) for f in telling for name in f.refines}
    kept = [f for f in found if (f.side, f.key, f.rule) not in refined]
    return sorted(kept, key=lambda f: (f.time, f.frames, f.rule))


def decide(findings: list[Finding], hosts: tuple[Host, Host]) -> tuple[Verdict, ...]:
    """The verdict for each end that met a failure, from its findings in order of time.

    ``hosts`` are what is known of client and server.
    """
    errors = [(f, f.outcome) for f in findings if f.severity is Severity.ERROR and f.outcome]
    by_side = ([error for error in errors if error[0].side == side] for side in (CLIENT, SERVER))
    return tuple(_verdict(met, hosts[met[0][0].side]) for met in by_side if met)


def _verdict(errors: list[tuple[Finding, CallTable]], host: Host) -> Verdict:
    """The first error that its program could meet, by the time when it was ready there; warnings never."""
    finding, table = next((later for later in errors[1:] if _tells_more(errors[0][1], later[1])), errors[0])
    platform, errno = platform_of(finding.system, host), table.errno
    return Verdict(
        side=finding.side,
        errno=errno,
        number=errno_number(errno, platform),
        platform=platform,
        platform_name=errno_name(errno, platform),
        table=table,
        confidence=confidence(table.evidence, finding.doubts),
        time=finding.time,
        recovered=False,
        rule=finding.rule,
        frames=finding.frames,
        doubts=tuple(sorted(finding.doubts)),
    )


def _tells_more(first: CallTable, later: CallTable) -> bool:
    """A later errno that leaves recv() the very end of file which came first.

    It befalls only a program that did not close at the end of file, and which may have met either.
    """
    ends = first.calls.get("recv") == later.calls.get("recv") == "EOF"
    return ends and not first.errno and bool(later.errno)


@cache
def errno_number(errno: str, platform: str) -> int | None:
    """The number of an errno on a platform of data/errno.yaml, where it has one."""
    if not errno:
        return None
    number: int | None = load("errno")["errno"][errno]["numbers"].get(platform)
    return number


@cache
def errno_name(errno: str, platform: str) -> str:
    """What a platform calls an errno: ``WSAECONNRESET`` for Winsock, if that has the errno."""
    winsock = load("errno")["winsock"]
    if platform != winsock["platform"] or errno_number(errno, platform) is None:
        return errno
    return f"{winsock['prefix']}{errno}"
