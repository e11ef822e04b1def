"""Rules for people: one explained, or the list of all."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from analyzer.data import load
from analyzer.model.event import Event
from analyzer.model.rule import Evidence, Outcome, Rule
from analyzer.reports.host_text import SYSTEM_NAMES
from analyzer.reports.words import call_name, result_name

_EVIDENCE = {
    Evidence.MEASURED: "measured on a real kernel",
    Evidence.SOURCE: "read in its source",
    Evidence.REPORT: "told by others",
    Evidence.NONE: "not known",
}


def write_list(rules: Sequence[Rule]) -> None:
    """Print each rule, sorted by id: what to call it, and its title below."""
    for rule in sorted(rules, key=lambda rule: rule.id):
        click.echo(f"{rule.id}  {rule.severity.value:<7}  {rule.name}")
        click.echo(_wrap(rule.title, " " * 16))


def rule_lines(rule: Rule) -> Iterable[str]:
    """All that the rule's file says, samples aside."""
    yield f"{rule.name} ({rule.id}, {rule.severity.value})"
    yield _wrap(rule.title, "  ")
    yield _section("What it means", rule.explanation)
    yield "\nWhat the program gets"
    for system, outcome in rule.outcomes.items():
        yield _wrap(f"{SYSTEM_NAMES[system]}: {_outcome(outcome)}", "  ", hanging="    ")
    yield _section("What to do", rule.fix)
    yield _section("When it fires", f"on {rule.event}, if {' '.join(rule.condition.split())}")
    if rule.references:
        yield "\nSee"
        for reference in rule.references:
            yield _wrap(reference, "  ", hanging="    ")
    if rule.refines:
        yield _section("Refines", ", ".join(rule.refines))


def plain_rule(rule: Rule) -> dict[str, Any]:
    """The same as dictionaries and lists."""
    return {
        "rule": rule.name,
        "id": rule.id,
        "severity": rule.severity.value,
        "title": rule.title,
        "explanation": rule.explanation,
        "fix": rule.fix,
        "event": rule.event,
        "condition": rule.condition,
        "refines": list(rule.refines),
        "references": list(rule.references),
        "outcomes": {
            system: {
                "evidence": outcome.evidence.value,
                "call": outcome.call or None,
                "calls": outcome.calls,
                "later": outcome.later,
                "signal": outcome.signal,
            }
            for system, outcome in rule.outcomes.items()
        },
    }


def write_fields(event: type[Event], schema: Mapping[str, Mapping[str, Any]]) -> None:
    """Print an event, and the fields that a condition on it may use: type, meaning, possible values."""
    click.echo(f"{event.name}: {event.__doc__}")
    for variable, known in schema.items():
        for name, field in known.items():
            click.echo(f"  {variable}.{name} ({field.type.__name__})")
            click.echo(_wrap(field.doc, "      "))
            if field.values:
                click.echo(_wrap(f"one of {', '.join(field.values)}", "      "))
    click.echo()


def _section(title: str, text: str) -> str:
    return f"\n{title}\n{_wrap(text, '  ')}"


def _wrap(text: str, indent: str, hanging: str = "") -> str:
    joined = " ".join(text.split())
    return textwrap.fill(joined, 78, initial_indent=indent, subsequent_indent=hanging or indent)


def _outcome(outcome: Outcome) -> str:
    if not outcome.calls:
        return _EVIDENCE[Evidence.NONE]
    known = load("errno")["errno"]
    calls = ", ".join(f"{call_name(call)} {_result(result, known)}" for call, result in outcome.calls.items())
    later = ", ".join(f"{call_name(call)} {_result(result, known)}" for call, result in outcome.later.items())
    signals = "".join(f"; {call_name(call)} raises {name}" for call, name in outcome.signal.items())
    afterwards = f"; once that was delivered: {later}" if later else ""
    return f"{calls}{afterwards}{signals} ({_EVIDENCE[outcome.evidence]})"


def _result(result: str, known: dict[str, object]) -> str:
    if "." in result:
        return "the errno of that ICMP message"
    return result if result in known else result_name(result)
