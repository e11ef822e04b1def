"""Rule files become rules; every error of every file is told in one go, with its line and column."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from analyzer.data import load as load_data
from analyzer.errors import UserError
from analyzer.matching.condition import Condition, Field, Schema, compile_condition
from analyzer.matching.diagnostics import Diagnostic, DiagnosticsError, did_you_mean
from analyzer.matching.yaml_lines import KeyPath, YamlFile, load_yaml
from analyzer.model.event import EVENTS, Event, variables
from analyzer.model.flow import SIDES
from analyzer.model.rule import (
    CALLS,
    RESULTS,
    SYSTEMS,
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
_OPTIONAL = ("refines", "summary", "references")
_OUTCOME_KEYS = ("evidence", "calls", "later", "signal", "call", "same_as")
_SAMPLE_KEYS = ("name", "packets", "capture", "expect")
_EXPECT_KEYS = ("endpoint", "frames", "errno")
_ID = re.compile(r"ES\d{3}")


def rules_folder() -> Path:
    """Where the catalogue is: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "rules"
    return installed if installed.is_dir() else package.parent / "rules"


def load_rules(folder: Path) -> list[Rule]:
    """All rules of a folder, sorted by name; raise UserError with everything that is wrong in them."""
    rules: list[Rule] = []
    errors: list[Diagnostic] = []
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not files:
        raise UserError("no-rules", str(folder), "no rule files (*.yaml) here", "reinstall errnoscope")
    for path in files:
        try:
            rules.append(load_rule(path))
        except DiagnosticsError as error:
            errors.extend(error.diagnostics)
    errors.extend(_across_files(rules))
    if errors:
        raise DiagnosticsError("bad-rule", errors)
    return rules


def load_rule(path: Path) -> Rule:
    """One rule; raise DiagnosticsError with everything that is wrong in its file."""
    return _Reader(load_yaml(path, f"{path.parent.name}/{path.name}"), path).rule()


def _across_files(rules: list[Rule]) -> Iterable[Diagnostic]:
    names = {rule.name: rule for rule in rules}
    by_id: dict[str, Rule] = {}
    for rule in rules:
        other = by_id.setdefault(rule.id, rule)
        if other is not rule:
            yield Diagnostic(rule.path, 1, 1, f"id {rule.id} is also that of {other.path}")
        for refined in rule.refines:
            if refined not in names:
                hint = did_you_mean(refined, names)
                yield Diagnostic(rule.path, 1, 1, f"refines `{refined}`, which is no rule", hint=hint)


def schema(event: type[Event]) -> Schema:
    """What a condition on this event may use: variable -> field -> type, values, documentation."""
    return {
        variable: {
            f.name: Field(get_type_hints(view)[f.name], f.metadata["values"] or None, f.metadata["doc"])
            for f in fields(view)
        }
        for variable, view in variables(event).items()
    }


@cache
def _errno_names() -> frozenset[str]:
    return frozenset(load_data("errno")["errno"])


class _Reader:
    """Checks one rule file and collects what is wrong in it."""

    def __init__(self, file: YamlFile, path: Path) -> None:
        self._file = file
        self._path = path
        self._errors: list[Diagnostic] = []
        self._value: dict[str, Any] = file.value if isinstance(file.value, dict) else {}

    def rule(self) -> Rule:
        """The rule, if nothing is wrong."""
        self._keys((), (*_REQUIRED, *_OPTIONAL), _REQUIRED)
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
            raise DiagnosticsError("bad-rule", self._errors)
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
            test=_tester(condition),
            explain_false=_explainer(condition),
            **texts,
        )

    def _error(self, message: str, path: KeyPath, hint: str = "", *, key: bool = False) -> None:
        self._errors.append(self._file.error(message, path, key=key, hint=hint))

    def _get(self, path: KeyPath) -> Any:
        value: Any = self._value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                return None
        return value

    def _keys(self, path: KeyPath, allowed: tuple[str, ...], required: tuple[str, ...] = ()) -> bool:
        """Whether a mapping is there; unknown and missing keys are errors."""
        value = self._get(path)
        if not isinstance(value, dict):
            self._error("here should be a mapping", path)
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
        if value is not None:
            self._error("here should be a text", path)
        return ""

    def _texts(self, path: KeyPath) -> tuple[str, ...]:
        value = self._get(path)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._error("here should be a list of texts", path)
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
        try:
            return compile_condition(text, schema(event), self._file.where(("condition",)), event.name)
        except DiagnosticsError as error:
            self._errors.extend(error.diagnostics)
            return None

    def _summary(self, event: type[Event]) -> str:
        """A sentence with fields of the event in braces."""
        text = self._text(("summary",))
        known = schema(event) if event is not Event else {}
        for _, name, spec, conversion in string.Formatter().parse(text):
            if name is None:
                continue
            variable, _, field = name.partition(".")
            if field not in known.get(variable, {}) or conversion:
                possible = [f"{v}.{f}" for v, names in known.items() for f in names]
                self._error(f"the event has no `{name}`", ("summary",), did_you_mean(name, possible))
            elif spec not in ("", ".1f"):
                self._error("a field may only be followed by `:.1f`", ("summary",))
        return " ".join(text.split())

    def _outcomes(self, event: type[Event]) -> dict[str, Outcome]:
        if not self._keys(("outcomes",), SYSTEMS, SYSTEMS):
            return {}
        found: dict[str, Outcome] = {}
        for system in SYSTEMS:
            path = ("outcomes", system)
            if not self._keys(path, _OUTCOME_KEYS, ("evidence",)):
                continue
            same_as = self._get((*path, "same_as"))
            source = ("outcomes", same_as) if same_as else path
            if same_as and (same_as not in SYSTEMS or self._get((*source, "same_as"))):
                self._error("`same_as` names another system that stands for itself", (*path, "same_as"))
                continue
            evidence = self._choice((*path, "evidence"), tuple(Evidence))
            found[system] = self._outcome(source, evidence, event)
        return found

    def _outcome(self, path: KeyPath, evidence: str, event: type[Event]) -> Outcome:
        call = self._get((*path, "call")) or ""
        calls = self._results((*path, "calls"), event)
        if call and call not in calls:
            self._error("`call` must be one of `calls`", (*path, "call"))
        signal = self._get((*path, "signal")) or {}
        known = evidence in tuple(Evidence)
        return Outcome(
            evidence=Evidence(evidence) if known else Evidence.NONE,
            calls=calls,
            later=self._results((*path, "later"), event),
            signal=dict(signal) if isinstance(signal, dict) else {},
            call=call,
        )

    def _results(self, path: KeyPath, event: type[Event]) -> dict[str, str]:
        if self._get(path) is None:
            return {}
        if not self._keys(path, CALLS):
            return {}
        value: dict[str, Any] = self._get(path)
        for call, result in value.items():
            variable, _, name = str(result).partition(".")
            if name and name.endswith("errno") and name in schema(event).get(variable, {}):
                continue
            if result not in RESULTS and result not in _errno_names():
                hint = did_you_mean(str(result), (*RESULTS, *_errno_names()))
                self._error(f"`{result}` is no result of a call", (*path, call), hint)
        return {call: str(result) for call, result in value.items()}

    def _samples(self) -> tuple[Sample, ...]:
        value = self._get(("samples",))
        if not isinstance(value, list):
            self._error("here should be a list of samples", ("samples",))
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
        self._keys(path, _SAMPLE_KEYS, ("name", "expect"))
        packets, capture = self._text((*path, "packets")), self._text((*path, "capture"))
        if bool(packets) == bool(capture):
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
        errno = value.get("errno", {})
        if errno and self._keys((*path, "errno"), SYSTEMS):
            for system, name in errno.items():
                if name not in _errno_names():
                    self._error(f"`{name}` is no errno", (*path, "errno", system))
        return Expectation(endpoint, tuple(frames), dict(errno) if isinstance(errno, dict) else {})


def _tester(condition: Condition) -> Callable[[Event], bool]:
    names, test = condition.variables, condition.test
    return lambda event: test(*[getattr(event, name) for name in names])


def _explainer(condition: Condition) -> Callable[[Event], str]:
    names = condition.variables
    return lambda event: condition.explain_false({name: getattr(event, name) for name in names})
