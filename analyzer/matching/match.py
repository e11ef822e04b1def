"""Events meet rules: a finding for each rule whose condition holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache, reduce
from operator import attrgetter, or_
from string import Formatter
from typing import Any

from analyzer.matching.reasons import reset_reasons
from analyzer.model.event import (
    EVENTS,
    Activity,
    DatagramError,
    DatagramUnanswered,
    EndOfFile,
    Event,
    GaveUp,
    IcmpReceived,
    KeepaliveTimeout,
    MessageView,
    ProbesUnanswered,
    ResetReceived,
    Retransmission,
    RetransmissionTimeout,
    ZeroWindow,
)
from analyzer.model.finding import CallTable, Finding, Icmp
from analyzer.model.flow import SIDES
from analyzer.model.rule import Evidence, Outcome, Rule
from analyzer.model.times import duration, times

_CALL_OF = {Activity.CONNECTING: "connect", Activity.SENDING: "send", Activity.WAITING: "recv"}


class Matcher:
    """The loaded rules, by the event that they fire on."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_event: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            self._by_event[rule.event].append(rule)
        self._tables: dict[tuple[str, ...], CallTable | None] = {}
        """What was made of outcomes: few different ones, which many findings share."""

    @property
    def triggers(self) -> int:
        """Kinds of segments that can lead to an event which some rule fires on."""
        return reduce(or_, (EVENTS[name].triggers for name in self._by_event), 0)

    def match(self, event: Event) -> list[Finding]:
        """Findings of an event, with the outcomes of the operating system that its end is taken to run."""
        return [
            _finding(rule, event, self._table(rule, event))
            for rule in self._by_event.get(event.name, ())
            if rule.test(event)
        ]

    def _table(self, rule: Rule, event: Event) -> CallTable | None:
        """The outcome of the rule for the system of the event's end, with this event's errno filled in."""
        outcome = rule.outcomes[event.system]
        filled_in = _filled_in(outcome, event)
        key = (rule.name, event.system, event.socket.activity, *filled_in.values())
        if key not in self._tables:
            self._tables[key] = _table(outcome, event.socket.activity, filled_in)
        return self._tables[key]


def _finding(rule: Rule, event: Event, outcome: CallTable | None) -> Finding:
    icmp = event.icmp if isinstance(event, (IcmpReceived, DatagramError)) else None
    return Finding(
        flow_id=event.flow_id,
        side=event.side,
        system=event.system,
        key=event.key,
        rule=rule.name,
        refines=rule.refines,
        severity=rule.severity,
        title=rule.title,
        summary=_summary(rule, event),
        explanation=rule.explanation,
        fix=rule.fix,
        frames=event.frames,
        time=event.time,
        doubts=event.doubts,
        outcome=outcome,
        icmp=Icmp(icmp.type, icmp.code, icmp.reporter) if icmp else None,
        reset_sender=_reset_sender(event),
        reset_reason=reset_reasons(event),
        evidence=_evidence(event),
    )


def _summary(rule: Rule, event: Event) -> str:
    """The rule's sentence with the event's figures, and what a reset itself says."""
    parts = _parts(rule.summary)
    text = "".join([text + (_figure(field(event), spec) if field else "") for text, field, spec in parts])
    says = event.segment.says if isinstance(event, ResetReceived) else ""
    return f"{text} The reset says why: {says}.".strip() if says else text.strip()


@cache
def _parts(summary: str) -> list[tuple[str, Callable[[Event], Any] | None, str]]:
    """A sentence in parts: text, the field of the event that follows it, and how that is to be said."""
    parts = Formatter().parse(summary.strip())
    return [(text, attrgetter(name) if name else None, spec or "") for text, name, spec, _ in parts]


def _figure(value: Any, spec: str) -> str:
    """``{wait.seconds:time}`` is a length of time in words, ``{retry.count:times}`` says how often."""
    if spec == "times":
        return times(value)
    return duration(round(value * 1e9)) if spec == "time" else format(value, spec)


def _table(outcome: Outcome, activity: str, filled_in: Mapping[str, str]) -> CallTable | None:
    """The outcome with the fields of an event filled in, and its headline call."""
    if outcome.evidence is Evidence.NONE or not outcome.calls:
        return None
    calls = {call: filled_in.get(result, result) for call, result in outcome.calls.items()}
    later = {call: filled_in.get(result, result) for call, result in outcome.later.items()}
    doing = _CALL_OF[Activity(activity)]
    call = outcome.call or (doing if doing in calls else next(iter(calls)))
    return CallTable(outcome.evidence, call, calls, later, outcome.signal)


def _reset_sender(event: Event) -> str:
    """Who sent the reset, ``middle`` for a box between; empty where there was none."""
    if isinstance(event, KeepaliveTimeout):
        return SIDES[event.side]
    if not isinstance(event, ResetReceived):
        return ""
    return "middle" if event.segment.ttl_differs or event.segment.too_soon else SIDES[1 - event.side]


def _filled_in(outcome: Outcome, event: Event) -> dict[str, str]:
    """What the fields of the event hold that stand in an outcome for a result: ``icmp.errno``."""
    return {field: str(attrgetter(field)(event)) for field in outcome.fields}


_NO_FIGURES: dict[str, object] = {}
"""Of most findings: they share one."""


def _evidence(event: Event) -> dict[str, object]:
    """The figures behind a finding, for reports."""
    if isinstance(event, (Retransmission, RetransmissionTimeout)):
        retry = event.retry
        return {
            "retransmissions": retry.count,
            "seconds": round(retry.elapsed, 3),
            "next_due": retry.next_due,
            "gives_up_at": retry.gives_up_at,
        }
    if isinstance(event, (KeepaliveTimeout, ProbesUnanswered, ZeroWindow)):
        return {"probes": event.probe.count, "seconds": round(event.probe.seconds, 3)}
    if isinstance(event, (EndOfFile, GaveUp)):
        waited = {"waited_seconds": round(event.wait.seconds, 3), "acknowledged": event.wait.acknowledged}
        return {**waited, **_said(event.message)}
    if isinstance(event, DatagramUnanswered):
        return {"question": event.query.question, "datagrams": event.query.count}
    if isinstance(event, ResetReceived) and event.segment.says:
        return {"reset_says": event.segment.says}
    return _NO_FIGURES


def _said(message: MessageView) -> dict[str, object]:
    """What is known of what both ends said."""
    if not message.read:
        return {}
    told = {name: getattr(message, name) for name in ("protocol", "answer", "because")}
    more = {name: getattr(message, name) for name in ("request", "missing", "server_name", "alert")}
    return {**told, **{name: value for name, value in more.items() if value}}
