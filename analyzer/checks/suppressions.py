"""Problems that do not count for a stated reason, until a stated day.

suppress:
  - {rule: retransmission-storm, server: "10.0.0.1:80", reason: "the slow test link", until: 2026-12-31}
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

from analyzer.checks.reading import KeyPath, Located, Reader
from analyzer.checks.selection import KEYS, Selection, read_selection
from analyzer.model.checked import Problem, Standing


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry; it holds on the day ``until`` too. ``capture`` is a pattern for paths, empty for all."""

    where: str
    selection: Selection
    capture: str
    reason: str
    until: date

    def covers(self, problem: Problem, path: str) -> bool:
        """Whether it speaks of a problem in the capture with this path."""
        matches = not self.capture or any(
            fnmatchcase(name, self.capture) for name in (path, PurePath(path).name)
        )
        return matches and self.selection.covers(problem)


def read_suppressions(file: Located, rules: Collection[str]) -> tuple[list[Suppression], list[Any]]:
    """All suppressions of a file, and the diagnostics of what is wrong in it."""
    reader = Reader(file)
    content = reader.mapping({} if file.value is None else file.value, (), ("suppress",))
    items = reader.items(content.get("suppress"), ("suppress",))
    return [_suppression(reader, item, path, rules) for item, path in items], reader.errors


def _suppression(reader: Reader, item: Any, path: KeyPath, rules: Collection[str]) -> Suppression:
    value = reader.mapping(item, path, (*KEYS, "capture", "reason", "until"))
    for key in ("reason", "until"):
        if key not in value:
            reader.wrong(f"`{key}` is missing", path, hint="say why, and until which day (2026-12-31)")
    place = reader.file.where(path)
    return Suppression(
        where=f"{place.path}:{place.line}",
        selection=read_selection(reader, value, path, rules),
        capture=reader.text(value["capture"], (*path, "capture")) if "capture" in value else "",
        reason=reader.text(value["reason"], (*path, "reason")) if "reason" in value else "",
        until=reader.parsed(value.get("until", "9999-12-31"), (*path, "until"), _day) or date.max,
    )


def _day(value: Any) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no day: 2026-12-31") from None


def suppress(
    suppressions: Sequence[Suppression], problems: Sequence[Problem], path: str, today: date
) -> tuple[tuple[Problem, ...], set[str]]:
    """A capture's problems, the suppressed ones marked, and which suppressions (``where``) spoke of any."""
    used = set()
    marked = []
    for problem in problems:
        for entry in suppressions if problem.standing is Standing.NEW else ():
            if entry.covers(problem, path):
                used.add(entry.where)
                if entry.until >= today:
                    reason = f"{entry.reason} (until {entry.until}, {entry.where})"
                    problem = replace(problem, standing=Standing.SUPPRESSED, reason=reason)
                    break
        marked.append(problem)
    return tuple(marked), used


def notes(suppressions: Sequence[Suppression], used: Collection[str], today: date) -> tuple[str, ...]:
    """What is to be said of the entries themselves: expired, or of no use."""
    told = []
    for entry in suppressions:
        if entry.until < today:
            told.append(f"{entry.where}: expired on {entry.until}, no longer in force: {entry.selection}")
        elif entry.where not in used:
            told.append(f"{entry.where}: suppresses nothing: {entry.selection}")
    return tuple(told)
