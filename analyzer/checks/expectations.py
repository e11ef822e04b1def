"""What must, may and must not happen in a capture.

must:                # happens at least once, or as often as is said
  - {rule: connection-refused, errno: ECONNREFUSED, server: "10.0.0.1:5432", count: 3}
may:                 # does not fail the check, up to a limit
  - {rule: retransmission-storm, at_most: 2}
must_not:
  - {errno: EPIPE, why: "the server drains before it closes"}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from analyzer.checks.reading import KeyPath, Located, Reader
from analyzer.checks.selection import KEYS, Selection, read_selection
from analyzer.model.checked import ExpectationResult, Problem, Standing

KINDS = ("must", "may", "must_not")
_COUNTS = ("count", "at_least", "at_most")
_SHOWN = 8
"""Lines of what was found instead."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One entry: how many problems the selection may cover. ``most`` None: any number.

    ``where`` is ``file:line``, ``plain`` the entry as it was written.
    """

    kind: str
    where: str
    selection: Selection
    least: int
    most: int | None
    why: str
    plain: dict[str, Any]

    def __str__(self) -> str:
        most = self.most
        if most == 0:
            number = "never"
        elif most is None:
            number = f"at least {self.least}" if self.least else "any number"
        elif self.least == most:
            number = f"exactly {most}"
        else:
            number = f"{self.least} to {most}" if self.least else f"at most {most}"
        return f"{number}: {self.selection}"


def read_expectations(file: Located, rules: Collection[str]) -> tuple[list[Expectation], list[Any]]:
    """All expectations of a file, and the diagnostics of what is wrong in it."""
    reader = Reader(file)
    content = reader.mapping({} if file.value is None else file.value, (), KINDS)
    found = [
        _expectation(reader, kind, item, path, rules)
        for kind in KINDS
        for item, path in reader.items(content.get(kind), (kind,))
    ]
    return found, reader.errors


def _expectation(reader: Reader, kind: str, item: Any, path: KeyPath, rules: Collection[str]) -> Expectation:
    counts = {"must": _COUNTS, "may": ("at_most",), "must_not": ()}[kind]
    value = reader.mapping(item, path, (*KEYS, *counts, "why"))
    selection = read_selection(reader, value, path, rules)
    numbers = {key: reader.number(value[key], (*path, key)) for key in _COUNTS if key in value}
    if "count" in numbers and len(numbers) > 1:
        reader.wrong("`count` says it all: leave out at_least and at_most", (*path, "count"), key=True)
    least = numbers.get("count", numbers.get("at_least", 1)) if kind == "must" else 0
    most = 0 if kind == "must_not" else numbers.get("count", numbers.get("at_most"))
    if "at_least" not in numbers and "at_most" in numbers:
        least = 0
    if most is not None and least > most:
        reader.wrong(f"at least {least} and at most {most} cannot be", path)
    why = reader.text(value["why"], (*path, "why")) if "why" in value else ""
    place = reader.file.where(path)
    return Expectation(kind, f"{place.path}:{place.line}", selection, least, most, why, dict(value))


def judge(
    expectations: Sequence[Expectation], found: Sequence[Problem], say: Callable[[Problem], str]
) -> tuple[tuple[Problem, ...], tuple[ExpectationResult, ...]]:
    """The problems, those marked that are as expected, and what came of each expectation.

    A problem is as expected where a `must` or a `may` that was met covers it, and no `must_not` does.
    ``say`` puts a problem into a line.
    """
    results = []
    excused: dict[int, str] = {}
    forbidden: set[int] = set()
    for expectation in expectations:
        covered = [index for index, problem in enumerate(found) if expectation.selection.covers(problem)]
        met = expectation.least <= len(covered) and (
            expectation.most is None or len(covered) <= expectation.most
        )
        if expectation.kind == "must_not":
            forbidden.update(covered)
        else:  # where there were too many, the line of the expectation says it; not each one again
            excused.update(dict.fromkeys(covered, expectation.where))
        lines = _found(covered, found, say)
        results.append(
            ExpectationResult(expectation.where, str(expectation), met, tuple(lines), expectation.why)
        )
    marked = tuple(
        replace(problem, standing=Standing.EXPECTED, reason=f"expected by {excused[index]}")
        if index in excused and index not in forbidden
        else problem
        for index, problem in enumerate(found)
    )
    return marked, tuple(results)


def _found(covered: Sequence[int], found: Sequence[Problem], say: Callable[[Problem], str]) -> list[str]:
    """How many, and which; where there is none, what there was instead."""
    shown = [found[index] for index in covered] or list(found)
    lines = Counter(say(problem) for problem in shown)
    told = [f"{number} x {line}" if number > 1 else line for line, number in list(lines.items())[:_SHOWN]]
    if len(lines) > _SHOWN:
        told.append(f"... and {len(lines) - _SHOWN} other lines")
    if covered:
        return [str(len(covered)), *told]
    return ["none; there was instead:", *told] if found else ["none, and nothing else either"]


_HEAD = """\
# What the check expects of this capture; written by `errnoscope check --update`.
# must: has to happen. may: does not fail the check. must_not: fails it.
"""


def as_yaml(found: Sequence[Problem], kept: Sequence[Expectation]) -> str:
    """The text of a file that expects what was found, and keeps the `may` and `must_not` that stood there.

    What a kept `may` covers is not demanded as well. Client ports, times and numbers are left out.
    """
    may = [expectation for expectation in kept if expectation.kind == "may"]
    demanded = [p for p in found if not any(expectation.selection.covers(p) for expectation in may)]
    counts = Counter(_entry(problem) for problem in demanded)
    content: dict[str, Any] = {
        "must": [{**dict(entry), "count": number} for entry, number in sorted(counts.items())]
    }
    for kind in ("may", "must_not"):
        entries = [expectation.plain for expectation in kept if expectation.kind == kind]
        if entries:
            content[kind] = entries
    return _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _entry(problem: Problem) -> tuple[tuple[str, str], ...]:
    flow = problem.flow.flow
    entry = [("rule", problem.rule), ("side", problem.side)]
    if problem.verdict:
        entry += [("call", problem.call), ("errno", problem.result)]
    return (*entry, ("client", flow.client.address), ("server", str(flow.server)))
