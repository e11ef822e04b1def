"""A rule: the event that it fires on, and what each call returns then, by operating system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from analyzer.model.event import Event

CALLS = ("connect", "accept", "recv", "send", "so_error")
"""Calls whose outcome a rule states; ``so_error`` is getsockopt(SO_ERROR)."""

RESULTS = ("OK", "EOF", "BLOCKS")
"""What a call can give besides an errno: EOF is recv() returning 0, BLOCKS that it does not return yet."""


class Severity(StrEnum):
    """``error``: a program gets an error or loses data; ``warning``: it will, or suffers."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Evidence(StrEnum):
    """How an outcome is known; it caps the confidence of a verdict."""

    MEASURED = "measured"
    SOURCE = "source"
    REPORT = "report"
    NONE = "none"


class Outcome(NamedTuple):
    """What each call returns from the event on, being the first one made (``calls``), and after (``later``).

    Values are RESULTS, errno names, or a field of the event that holds one: ``icmp.errno``; ``fields`` are
    those fields. ``call`` is the call that meets the failure first; empty where that depends on what the
    program did.
    """

    evidence: Evidence
    calls: dict[str, str]
    later: dict[str, str]
    signal: dict[str, str]
    call: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a sample must give: a finding at this end, or (``endpoint`` empty) nothing of this rule.

    ``errno`` is what the headline or SO_ERROR shows, by operating system; empty: not looked at.
    """

    endpoint: str = ""
    frames: tuple[int, ...] = ()
    errno: dict[str, str] = field(default_factory=dict)


class Sample(NamedTuple):
    """A transcript in packetdrill's notation, or the path of a capture below samples/."""

    name: str
    packets: str
    capture: str
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule file. ``test`` says whether its condition holds for an event of its kind."""

    id: str
    name: str
    title: str
    severity: Severity
    event: str
    condition: str
    refines: tuple[str, ...]
    outcomes: dict[str, Outcome]
    summary: str
    explanation: str
    fix: str
    references: tuple[str, ...]
    samples: tuple[Sample, ...]
    path: str
    test: Callable[[Event], bool]
    explain_false: Callable[[Event], str]
