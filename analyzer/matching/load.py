"""Rule files become rules; every error of every file is told in one go, with its line and column."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from analyzer.data import load as load_data
from analyzer.errors import UserError
from analyzer.matching.condition import Condition, Field, Schema, compile_condition
from analyzer.matching.diagnostics import Diagnostic, DiagnosticsError, did_you_mean
from analyzer.matching.yaml_lines import KeyPath, YamlFile, load_yaml
from analyzer.model.event import EVENTS, Event, type_of, variables
from analyzer.model.flow import SIDES
from analyzer.model.host import SYSTEMS
from analyzer.model.rule import (
    CALLS,
    RESULTS,
    Evidence,
    Expectation,
    Outcome,
    Rule,
    Sample,
    Severity,
)

_REQUIRED = (
    "id",
    "name",
    "title",
    "severity",
    "event",
    "condition",
    "outcomes",
    "explanation",
    "fix",
    "samples",
)
_FORMATS = {"": None, ".1f": float, "time": float, "times": int}
"""What may follow a field in a summary, and the type of field that it is for."""
_OPTIONAL = ("refines", "summary", "references")
_OUTCOME_KEYS = ("evidence", "calls", "later", "signal", "call", "same_as")
_SAMPLE_KEYS = ("name", "packets", "capture", "expect")
_EXPECT_KEYS = ("endpoint", "frames", "errno")
_ID = re.compile(r"ES\d{3}")
_MISSING = object()
_INSTALLED = Path(__file__).resolve().parent.parent / "rules"


def rules_folder() -> Path:
    """Where the catalogue is: inside the installed package, or beside it in a checkout."""
    return _INSTALLED if is_installed() else _INSTALLED.parent.parent / "rules"


def is_installed() -> bool:
    """Whether the catalogue is part of an installed package, and not of a checkout."""
    return _INSTALLED.is_dir()


def load_rules(folder: Path, own: Sequence[Path] = ()) -> list[Rule]:
    """All rules of the catalogue's folder and of a user's own folders, sorted by name.

    Raises UserError with everything that is wrong in them; two rules never have one name or id.
    """
    paths = _rule_files(folder, f"{folder.name}/", "reinstall errnoscope")
    for other in own:
        hint = f"`errnoscope rules --new NAME --event EVENT --rule-dir {other}` writes the first"
        paths |= _rule_files(other, f"{other}/", hint)
    read: list[tuple[Rule, YamlFile]] = []
    errors: list[Diagnostic] = []
    for path, shown in paths.items():
        try:
            read.append(_read_rule(path, shown))
        except DiagnosticsError as error:
            errors.extend(error.diagnostics)
    errors.extend(_across_files(read, {path.stem for path in paths}))
    if errors:
        raise DiagnosticsError("bad-rule", errors)
    return sorted((rule for rule, _ in read), key=lambda rule: rule.name)


def load_rule(path: Path) -> Rule:
    """One rule; raise DiagnosticsError with everything that is wrong in its file."""
    return _read_rule(path, f"{path.parent.name}/{path.name}")[0]


def _read_rule(path: Path, shown: str) -> tuple[Rule, YamlFile]:
    file = load_yaml(path, shown)
    return _Reader(file, path).rule(), file


def _rule_files(folder: Path, shown: str, hint: str) -> dict[Path, str]:
    """The rule files of a folder, and what they are called in messages."""
    if not folder.is_dir():
        raise UserError("no-rules", str(folder), "there is no such folder", hint)
    if not os.access(folder, os.R_OK | os.X_OK):
        what, hint = "this folder cannot be opened", "run as its owner, or have it made readable."
        raise UserError("no-permission", str(folder), what, hint)
    files = sorted(folder.glob("*.yaml"))
    if not files:
        misnamed = next(folder.glob("*.yml"), None)
        hint = f"rename {misnamed.name} to {misnamed.stem}.yaml" if misnamed else hint
        raise UserError("no-rules", str(folder), "no rule files (*.yaml) here", hint)
    return {path: f"{shown}{path.name}" for path in files}


def _across_files(read: list[tuple[Rule, YamlFile]], names: set[str]) -> Iterable[Diagnostic]:
    """What is wrong with the rules together; ``names`` are also those of rules that could not be read."""
    by_id: dict[str, Rule] = {}
    by_name: dict[str, Rule] = {}
    for rule, file in read:
        if (other := by_name.setdefault(rule.name, rule)) is not rule:
            hint = "give yours another name; `refines` makes it take the place of the other"
            yield file.error(f"the rule `{rule.name}` is also in {other.path}", ("name",), hint=hint)
        elif (other := by_id.setdefault(rule.id, rule)) is not rule:
            yield file.error(f"id {rule.id} is also that of {other.path}", ("id",))
        for index, refined in enumerate(rule.refines):
            if refined not in names:
                hint = did_you_mean(refined, names)
                yield file.error(f"refines `{refined}`, which is no rule", ("refines", index), hint=hint)
    for rule, file in read:
        if circle := _circle(rule, by_name):
            yield file.error(f"refines itself: {' -> '.join(circle)}", ("refines",))


def _circle(rule: Rule, by_name: dict[str, Rule]) -> list[str]:
    """The way from a rule by ``refines`` back to it; empty where there is none."""
    ways = [[rule.name]]
    seen: set[str] = set()
    for way in ways:
        last = by_name.get(way[-1])
        for refined in last.refines if last else ():
            if refined == rule.name:
                return [*way, refined]
            if refined not in seen:
                seen.add(refined)
                ways.append([*way, refined])
    return []


def schema(event: type[Event]) -> Schema:
    """What a condition on this event may use: variable -> field -> type, values, documentation."""
    return {variable: _fields_of(view) for variable, view in variables(event).items()}


@cache
def _fields_of(view: type) -> dict[str, Field]:
    return {f.name: Field(type_of(f), f.metadata["values"] or None, f.metadata["doc"]) for f in fields(view)}


@cache
def _errno_names() -> frozenset[str]:
    return frozenset(load_data("errno")["errno"])


class _Reader:
    """Checks one rule file and collects what is wrong in it."""

    def __init__(self, file: YamlFile, path: Path) -> None:
        self._file = file
        self._path = path
        self._errors: list[Diagnostic] = []

    def rule(self) -> Rule:
        """The rule, if nothing is wrong."""
        if not self._keys((), (*_REQUIRED, *_OPTIONAL), _REQUIRED):
            raise DiagnosticsError("bad-rule", self._errors)
        event_name = self._choice(("event",), tuple(EVENTS))
        event = EVENTS.get(event_name, Event)
        condition = self._condition(event) if event_name in EVENTS else None
        rule_id, name = self._text(("id",)), self._text(("name",))
        if rule_id and not _ID.fullmatch(rule_id):
            self._error("an id is ES and three digits", ("id",))
        if name and name != self._path.stem:
            self._error(f"the file's name makes this rule `{self._path.stem}`", ("name",))
        severity = self._choice(("severity",), tuple(Severity))
        outcomes = self._outcomes(event)
        samples = self._samples()
        summary = self._summary(event)
        texts = {key: self._text((key,)) for key in ("title", "explanation", "fix")}
        refines, references = self._texts(("refines",)), self._texts(("references",))
        if self._errors or condition is None:
            told = sorted(dict.fromkeys(self._errors), key=lambda error: (error.line, error.column))
            raise DiagnosticsError("bad-rule", told)
        return Rule(
            id=rule_id,
            name=name,
            severity=Severity(severity),
            event=event_name,
            condition=condition.text,
            refines=refines,
            outcomes=outcomes,
            summary=summary,
            references=references,
            samples=samples,
            path=self._file.path,
            test=condition.test,
            explain_false=condition.explain_false,
            **texts,
        )

    def _error(self, message: str, path: KeyPath, hint: str = "", *, key: bool = False) -> None:
        self._errors.append(self._file.error(message, path, key=key, hint=hint))

    def _get(self, path: KeyPath) -> Any:
        """The value there; ``_MISSING`` where there is none, which is told where the key is required."""
        value: Any = self._file.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part, _MISSING)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                return _MISSING
        return value

    def _keys(self, path: KeyPath, allowed: tuple[str, ...], required: tuple[str, ...] = ()) -> bool:
        """Whether a mapping is there; unknown and missing keys are errors."""
        value = self._get(path)
        if not isinstance(value, dict):
            self._wants("a mapping", path)
            return False
        for key in value:
            if key not in allowed:
                hint = did_you_mean(key, allowed) or f"known keys: {', '.join(allowed)}"
                self._error(f"unknown key `{key}`", (*path, key), hint, key=True)
        for key in required:
            if key not in value:
                self._error(f"`{key}` is missing", path)
        return True

    def _text(self, path: KeyPath) -> str:
        value = self._get(path)
        if isinstance(value, str) and value.strip():
            return value.strip()
        self._wants("a text", path)
        return ""

    def _wants(self, what: str, path: KeyPath) -> None:
        """Note a value of the wrong kind; a missing one is told where its key is required."""
        if self._get(path) is not _MISSING:
            self._error(f"here should be {what}", path)

    def _texts(self, path: KeyPath) -> tuple[str, ...]:
        value = self._get(path)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wants("a list of texts", path)
            return ()
        return tuple(value)

    def _choice(self, path: KeyPath, choices: tuple[str, ...]) -> str:
        text = self._text(path)
        if text and text not in choices:
            hint = did_you_mean(text, choices) or f"one of {', '.join(choices)}"
            self._error(f"`{path[-1]}` is never '{text}'", path, hint)
        return text

    def _condition(self, event: type[Event]) -> Condition | None:
        text = self._text(("condition",))
        if not text:
            return None
        where = partial(self._file.where, ("condition",))
        try:
            return compile_condition(text, schema(event), where, event.name)
        except DiagnosticsError as error:
            self._errors.extend(error.diagnostics)
            return None

    def _summary(self, event: type[Event]) -> str:
        """A sentence with fields of the event in braces."""
        text = self._text(("summary",))
        known = schema(event) if event is not Event else {}
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            hint = "a brace of the text is written twice"
            self._error(f"its braces do not fit: {error}", ("summary",), hint)
            return ""
        for _, name, spec, conversion in parts:
            if name is None:
                continue
            variable, _, field = name.partition(".")
            if event is not Event and (field not in known.get(variable, {}) or conversion):
                possible = [f"{v}.{f}" for v, names in known.items() for f in names]
                self._error(f"the event has no `{name}`", ("summary",), did_you_mean(name, possible))
            elif spec not in _FORMATS:
                hint = "`:time` of seconds, `:times` of a count, `:.1f`"
                self._error(f"a field may not be followed by `:{spec}`", ("summary",), hint)
            elif spec and event is not Event and known[variable][field].type is not _FORMATS[spec]:
                self._error(f"`{name}` is no such number as `:{spec}` wants", ("summary",))
        return " ".join(text.split())

    def _outcomes(self, event: type[Event]) -> dict[str, Outcome]:
        if not self._keys(("outcomes",), SYSTEMS, SYSTEMS):
            return {}
        found: dict[str, Outcome] = {}
        for system in SYSTEMS:
            path = ("outcomes", system)
            if not self._keys(path, _OUTCOME_KEYS, ("evidence",)):
                continue
            evidence = self._choice((*path, "evidence"), tuple(Evidence))
            source = self._source(path)
            if source:
                found[system] = self._outcome(source, evidence, event)
        return found

    def _source(self, path: KeyPath) -> KeyPath:
        """Where the results of a system stand: with itself, or with the one that it is the same as."""
        same_as = self._get((*path, "same_as"))
        if same_as is _MISSING:
            return path
        source = ("outcomes", str(same_as))
        if same_as not in SYSTEMS or self._get((*source, "same_as")) is not _MISSING:
            self._error("`same_as` names another system that stands for itself", (*path, "same_as"))
            return ()
        return source

    def _outcome(self, path: KeyPath, evidence: str, event: type[Event]) -> Outcome:
        call = self._choice((*path, "call"), CALLS)
        calls, later = (self._results((*path, name), event) for name in ("calls", "later"))
        if call and call not in calls:
            self._error("`call` must be one of `calls`", (*path, "call"))
        signal: dict[str, str] = {}
        if self._get((*path, "signal")) is not _MISSING and self._keys((*path, "signal"), CALLS):
            signal = {name: self._text((*path, "signal", name)) for name in self._get((*path, "signal"))}
        known = evidence in tuple(Evidence)
        return Outcome(
            evidence=Evidence(evidence) if known else Evidence.NONE,
            calls=calls,
            later=later,
            signal=signal,
            call=call,
            fields=tuple(sorted({field for field in (*calls.values(), *later.values()) if "." in field})),
        )

    def _results(self, path: KeyPath, event: type[Event]) -> dict[str, str]:
        if self._get(path) is _MISSING or not self._keys(path, CALLS):
            return {}
        return {call: self._result((*path, call), event) for call in self._get(path)}

    def _result(self, path: KeyPath, event: type[Event]) -> str:
        """What a call gives: a word, an errno, or the event's field that holds one."""
        result = self._text(path)
        variable, _, name = result.partition(".")
        if name and name.endswith("errno") and (event is Event or name in schema(event).get(variable, {})):
            return result
        if result and result not in RESULTS and result not in _errno_names():
            hint = did_you_mean(result, (*RESULTS, *_errno_names()))
            self._error(f"`{result}` is no result of a call", path, hint)
        return result

    def _samples(self) -> tuple[Sample, ...]:
        value = self._get(("samples",))
        if not isinstance(value, list):
            self._wants("a list of samples", ("samples",))
            return ()
        samples = tuple(self._sample(("samples", index)) for index in range(len(value)))
        if not any(sample.expect.endpoint for sample in samples):
            self._error("no sample in which the rule fires", ("samples",))
        if all(sample.expect.endpoint for sample in samples):
            self._error(
                "no sample in which the rule stays silent", ("samples",), "add one with `expect: nothing`"
            )
        return samples

    def _sample(self, path: KeyPath) -> Sample:
        if not self._keys(path, _SAMPLE_KEYS, ("name", "expect")):
            return Sample("", "", "", Expectation())
        packets, capture = self._text((*path, "packets")), self._text((*path, "capture"))
        if ("packets" in self._get(path)) == ("capture" in self._get(path)):
            self._error("a sample has either `packets` or `capture`", path)
        return Sample(self._text((*path, "name")), packets, capture, self._expectation((*path, "expect")))

    def _expectation(self, path: KeyPath) -> Expectation:
        value = self._get(path)
        if value == "nothing" or not self._keys(path, _EXPECT_KEYS, ("endpoint",)):
            return Expectation()
        frames = value.get("frames", [])
        if not isinstance(frames, list) or not all(type(number) is int for number in frames):
            self._error("`frames` is a list of frame numbers", (*path, "frames"))
            frames = []
        endpoint = self._choice((*path, "endpoint"), SIDES)
        return Expectation(endpoint, tuple(frames), self._expected_errno((*path, "errno")))

    def _expected_errno(self, path: KeyPath) -> dict[str, str]:
        if self._get(path) is _MISSING or not self._keys(path, SYSTEMS):
            return {}
        expected = {system: self._text((*path, system)) for system in self._get(path)}
        for system, name in expected.items():
            if name and name not in _errno_names():
                self._error(f"`{name}` is no errno", (*path, system), did_you_mean(name, _errno_names()))
        return expected
