"""The file with which a new rule begins: every key, a comment each, samples that pass as they are."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence

from analyzer.errors import UserError
from analyzer.matching.diagnostics import did_you_mean
from analyzer.model.event import EVENTS
from analyzer.model.host import SYSTEMS
from analyzer.model.rule import Rule, Sample

OWN_IDS = 900
"""Ids from here on are for rules that are not in the catalogue, so that its new ones never meet them."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def template(name: str, event: str, rules: Sequence[Rule], *, own: bool) -> str:
    """The text of a rule file, after the shortest rule on that event; raises UserError on a wrong name.

    ``own``: it does not go into the catalogue, and gets an id for such rules.
    """
    if not _NAME.fullmatch(name):
        hint = "small letters, digits and single hyphens, such as reset-while-idle"
        raise UserError("bad-name", name, "this cannot be the name of a rule", hint)
    if name in {rule.name for rule in rules}:
        raise UserError(
            "name-taken", name, "there is a rule of this name already", f"see `errnoscope explain {name}`"
        )
    if event not in EVENTS:
        hint = did_you_mean(event, EVENTS) or f"events: {', '.join(EVENTS)}"
        raise UserError("unknown-event", event, "there is no event of this name", hint)
    model = min((rule for rule in rules if _can_be_model(rule, event)), key=lambda rule: len(rule.condition))
    return _TEMPLATE.format(
        id=_free_id(event, rules, own=own),
        name=name,
        event=event,
        model=model.name,
        condition=model.condition if "\n" not in model.condition else " ".join(model.condition.split()),
        first=SYSTEMS[0],
        outcomes="\n".join(f"  {system}: {{evidence: none}}" for system in SYSTEMS[1:]),
        fires=_packets(model, fires=True),
        endpoint=next(s.expect.endpoint for s in model.samples if s.packets and s.expect.endpoint),
        silent=_packets(model, fires=False),
    )


def _can_be_model(rule: Rule, event: str) -> bool:
    told = {bool(sample.expect.endpoint) for sample in rule.samples if sample.packets}
    return rule.event == event and told == {True, False}


def _packets(rule: Rule, *, fires: bool) -> str:
    samples: list[Sample] = [s for s in rule.samples if s.packets and bool(s.expect.endpoint) == fires]
    shortest = min(samples, key=lambda sample: len(sample.packets))
    return textwrap.indent(shortest.packets.strip(), " " * 6)


def _free_id(event: str, rules: Sequence[Rule], *, own: bool) -> str:
    """An id next to those of the rules on the same event."""
    used = {int(rule.id[2:]) for rule in rules}
    hundreds = Counter(int(rule.id[2:]) // 100 * 100 for rule in rules if rule.event == event)
    start = OWN_IDS if own else hundreds.most_common(1)[0][0]
    below = max((number for number in used if start <= number < start + 100), default=start - 1)
    free = [*range(below + 1, start + 100), *range(1000)]
    return f"ES{next(number for number in free if number not in used):03}"


_TEMPLATE = """\
id: {id}          # ES and three digits, never used before
name: {name}   # the file's name without .yaml
title: TODO what happened   # a sentence without a full stop
severity: info     # error: a program gets an error; warning: it will, or suffers; info: no failure
event: {event}   # `errnoscope rules --fields {event}` lists what the next line may use
condition: {condition}   # TODO as in {model}
summary: TODO the figures of this case, with fields in braces, {{flow.age:time}}   # may be left out
refines: []        # narrower than these rules: where both fit, this one is told; may be left out
outcomes:          # what each call returns, by system
  {first}:
    evidence: none   # TODO measured, source (name the function here), report or none; none gives no verdict
    # call: recv     # the call that meets it first, where that does not depend on what the program was doing
    calls: {{}}        # the first call after the event: {{recv: EOF, send: EPIPE, so_error: OK}}
    later: {{}}        # the calls once the error was delivered
    signal: {{}}       # a signal that a call raises with its errno: {{send: SIGPIPE}}
{outcomes}   # the same keys, or same_as: SYSTEM
explanation: |     # what the wire shows, and why the kernel does that
  TODO
fix: |             # what to look at, and what to change
  TODO
references: []     # RFCs with their sections, manual pages; may be left out
samples:           # transcripts or captures: at least one that fires, one that looks alike and stays silent
  - name: TODO what it shows
    packets: |     # packetdrill's notation; or capture: with the path of a file below samples/
{fires}
    expect: {{endpoint: {endpoint}}}   # and where you want frames: [5, 6] and errno: {{linux: NAME}}
  - name: silent, TODO what is different
    packets: |
{silent}
    expect: nothing
"""
