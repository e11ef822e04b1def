"""What lines of a log say about socket calls, and which flows explain them."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.model.finding import Confidence, FlowResult
from analyzer.model.flow import Endpoint


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that was understood.

    ``program`` is empty where any could have printed it. ``results`` are what the call may have given: an
    errno, EOF (end of file), BLOCKS (the program's own timer), OWN (no kernel gave anything); ``calls`` the
    calls it may come from. ``number`` is the errno's as the line prints it, of ``platform``. ``addresses``
    and ``ports`` are those that stand in the line, ``endpoints`` the addresses with the port behind each (0
    where there is none), ``loose_ports`` those that stand elsewhere. ``peer`` are those of ``endpoints`` that
    are the other end's, where the line says which (else None: any of them may be of either end).
    """

    line: str
    program: str
    results: tuple[str, ...]
    calls: tuple[str, ...]
    number: int | None
    platform: str
    means: str
    trap: str
    evidence: str
    addresses: tuple[str, ...]
    ports: tuple[int, ...]
    endpoints: tuple[Endpoint, ...] = ()
    loose_ports: tuple[int, ...] = ()
    peer: tuple[Endpoint, ...] | None = None


@dataclass(frozen=True, slots=True)
class LogTime:
    """When a line was logged: nanoseconds since the epoch, rounded down to ``resolution`` (nanoseconds).

    ``zone`` is how many seconds its clock is ahead of UTC; None where the line does not say: then ``time`` is
    what the clock showed, as if it were UTC.
    """

    time: int
    resolution: int
    zone: int | None


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One thing that a log tells: a line that was understood, with those that belong to it (a stack trace).

    ``number`` is that line's, from 1; ``time`` None where neither it nor the lines before it say any;
    ``more`` how many other lines of the event were understood.
    """

    number: int
    reading: LogLine
    time: LogTime | None
    more: int = 0


@dataclass(frozen=True, slots=True)
class Log:
    """A log that was read; ``left_out`` counts events beyond those that are kept."""

    name: str
    lines: int
    events: tuple[LogEvent, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class LogClock:
    """How the times of a log become those of the capture: they are subtracted ``zone`` and ``ahead``.

    ``zone`` (seconds) is how far its clock's zone is ahead of UTC, ``ahead`` (nanoseconds) how far its clock
    is ahead of the capture's besides; ``found``: that was found out by ``agree`` of ``of`` events that have a
    failure at that time. Where not even one has, ``found`` is false: nothing is known but what the log says.
    ``stated``: the lines name their zone, or are seconds since 1970.
    """

    zone: int
    ahead: int
    stated: bool
    found: bool
    agree: int
    of: int


@dataclass(frozen=True, slots=True)
class Explained:
    """What explains an event of a log: one end of a flow.

    ``rule`` is empty where nothing but the plain end of the flow does. ``delay`` (nanoseconds) is how long
    after the failure the line was written, None where its time is not known; ``others`` how many other ends
    fit as well. ``sure`` is about the line and the flow belonging together.
    """

    result: FlowResult
    side: int
    rule: str
    frames: tuple[int, ...]
    sure: Confidence
    delay: int | None
    others: int


@dataclass(frozen=True, slots=True)
class LogMatch:
    """An event of a log, and what explains it; where nothing does, ``why`` says what was looked for.

    ``time`` on the capture's clock (nanoseconds), None where it is not known. ``candidates`` counts the
    connections that failed in this way where they are several and nothing says which is meant, else 0; of a
    line whose time is known those among the nearest failures.
    """

    log: int
    event: LogEvent
    time: int | None
    explained: Explained | None
    why: str = ""
    candidates: int = 0

    @property
    def seen_through(self) -> bool:
        """Whether the line speaks of an errno, or of an end, that no kernel gave."""
        return not set(self.event.reading.results) - {"BLOCKS", "OWN"} or bool(self.event.reading.trap)


@dataclass(frozen=True, slots=True)
class LogReport:
    """What the capture says about logs: each with its clock, and every event in the order of the lines."""

    logs: tuple[Log, ...]
    clocks: tuple[LogClock, ...]
    matches: tuple[LogMatch, ...]
