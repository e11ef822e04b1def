"""Wrong rule files: everything is told, once, and nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.errors import UserError
from analyzer.matching.diagnostics import DiagnosticsError
from analyzer.matching.load import load_rule, load_rules, rules_folder
from analyzer.model.event import EVENTS, Event, type_of, variables

RULE = yaml.safe_load((rules_folder() / "rst-after-fin.yaml").read_text())
ANYTHING: list[Any] = [
    None,
    True,
    -1,
    1.5,
    "",
    "x",
    "{",
    "{}",
    "{a.b!r}",
    "OK",
    [],
    [None],
    [["x"]],
    {},
    {"x": []},
]


def told(tmp_path: Path, rule: object) -> list[str]:
    """The errors of a rule file with this content."""
    path = tmp_path / "rst-after-fin.yaml"
    path.write_text(yaml.safe_dump(rule))
    try:
        load_rule(path)
    except DiagnosticsError as error:
        return [f"{one.line}: {one.message}" for one in error.diagnostics]
    return []


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a rule."""
    yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from places(below, (*path, index))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_wrong_value_is_told_and_told_once(tmp_path: Path, data: st.DataObject) -> None:
    rule = deepcopy(RULE)
    for _ in range(data.draw(st.integers(1, 3))):
        way = data.draw(st.sampled_from([place for place in places(rule) if place]))
        holder = rule
        for step in way[:-1]:
            holder = holder[step]
        if data.draw(st.booleans()):
            holder[way[-1]] = deepcopy(data.draw(st.sampled_from(ANYTHING)))
        elif isinstance(holder, dict):
            del holder[way[-1]]
    errors = told(tmp_path, rule)
    assert len(errors) == len(set(errors))


@pytest.mark.parametrize("content", [None, [], "text", 5])
def test_a_file_that_is_no_mapping_has_one_error(tmp_path: Path, content: object) -> None:
    assert told(tmp_path, content) == ["1: here should be a mapping"]


def test_a_missing_key_is_one_error(tmp_path: Path) -> None:
    for key in ("title", "condition", "outcomes", "samples"):
        errors = told(tmp_path, {name: value for name, value in RULE.items() if name != key})
        assert [error.partition(" ")[2] for error in errors] == [f"`{key}` is missing"]


def test_a_missing_system_is_one_error(tmp_path: Path) -> None:
    rule = deepcopy(RULE)
    del rule["outcomes"]["windows"]
    assert len(errors := told(tmp_path, rule)) == 1
    assert errors[0].endswith("`windows` is missing")


def test_a_key_without_a_value_is_an_error(tmp_path: Path) -> None:
    for key in RULE:
        assert told(tmp_path, RULE | {key: None}) != [], key


def test_what_another_system_is_the_same_as_is_told_once(tmp_path: Path) -> None:
    rule = deepcopy(RULE)
    rule["outcomes"]["freebsd"]["calls"]["recv"] = "ECONNRESTE"
    assert [error.partition(" ")[2] for error in told(tmp_path, rule)] == [
        "`ECONNRESTE` is no result of a call"
    ]


def write(folder: Path, name: str, number: int, *refines: str) -> None:
    rule = RULE | {"id": f"ES{number}", "name": name, "refines": list(refines)}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(rule))


def test_a_rule_cannot_refine_itself(tmp_path: Path) -> None:
    write(tmp_path, "one", 101, "one")
    with pytest.raises(UserError, match="refines itself: one -> one"):
        load_rules(tmp_path)


def test_rules_cannot_refine_each_other_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "one", 101, "two")
    write(tmp_path, "two", 102, "three")
    write(tmp_path, "three", 103, "one")
    write(tmp_path, "four", 104, "one")
    with pytest.raises(DiagnosticsError) as error:
        load_rules(tmp_path)
    circles = [one.message for one in error.value.diagnostics]
    assert "refines itself: one -> two -> three -> one" in circles
    assert len(circles) == 3  # the fourth is not in it


def test_a_rule_that_cannot_be_read_is_still_one_that_can_be_refined(tmp_path: Path) -> None:
    write(tmp_path, "one", 101, "two")
    (tmp_path / "two.yaml").write_text("id: 7\n")
    with pytest.raises(DiagnosticsError) as error:
        load_rules(tmp_path)
    assert not any("which is no rule" in one.message for one in error.value.diagnostics)


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_a_view_and_the_types_of_its_fields_are_those_of_the_annotations(event: type[Event]) -> None:
    hints = get_type_hints(event)
    views = {name: view for name, view in hints.items() if getattr(view, "__name__", "").endswith("View")}
    assert variables(event) == views
    for view in views.values():
        assert {f.name: type_of(f) for f in fields(view)} == get_type_hints(view)
