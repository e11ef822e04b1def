"""YAML with places: where everything stands, and what is refused."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UserError
from analyzer.matching.condition import Field, compile_condition
from analyzer.matching.diagnostics import Diagnostic, DiagnosticsError
from analyzer.matching.yaml_lines import MAX_BYTES, MAX_ERRORS, YamlFile, load_yaml, parse_yaml

RULE = """\
# a comment
id: ES301                        # never reused
condition: socket.state == 'CLOSEWAIT' and segment.accepted
outcomes:
  linux:
    evidence: measured
    calls: {recv: EOF, send: EPIPE}
refines: [reset-by-peer, "other"]
number: 5
explanation: |

  First line,
    second line.
title: 'it''s quoted'
empty:
"""


def refused(text: bytes | str) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticsError) as caught:
        parse_yaml(text, "x.yaml")
    return caught.value.diagnostics


def test_values_are_those_of_the_yaml_library() -> None:
    assert parse_yaml(RULE, "x.yaml").value == yaml.safe_load(RULE)


@pytest.mark.parametrize(
    ("path", "key", "line", "column", "width", "exact"),
    [
        (("id",), True, 2, 1, 2, True),
        (("id",), False, 2, 5, 5, True),
        (("condition",), False, 3, 12, 48, True),
        (("outcomes", "linux", "evidence"), False, 6, 15, 8, True),
        (("outcomes", "linux", "calls", "send"), True, 7, 24, 4, True),
        (("outcomes", "linux", "calls", "send"), False, 7, 30, 5, True),
        (("refines", 0), False, 8, 11, 13, True),
        (("refines", 1), False, 8, 27, 5, True),
        (("explanation",), False, 12, 3, 11, False),
        (("title",), False, 14, 9, 14, False),
        (("empty",), True, 15, 1, 5, True),
    ],
)
def test_places(
    path: tuple[str | int, ...], key: bool, line: int, column: int, width: int, exact: bool
) -> None:
    where = parse_yaml(RULE, "x.yaml").where(path, key=key)
    assert (where.line, where.column, where.width, where.exact) == (line, column, width, exact)
    assert where.path == "x.yaml"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: >-\n\n  one\n  two\n", 3, 3),
        ("a: |2\n    indented\n", 2, 5),
        ("a: |\n", 1, 4),
        ("a: one\n  two\n", 1, 4),
        ('a: "one\n  two"\n', 1, 5),
    ],
)
def test_place_of_text_on_several_lines_is_its_first_line(text: str, line: int, column: int) -> None:
    where = parse_yaml(text, "x.yaml").where(("a",))
    assert (where.line, where.column, where.exact) == (line, column, False)


def test_place_of_something_absent_is_that_of_what_should_hold_it() -> None:
    document = parse_yaml(RULE, "x.yaml")
    assert document.where(("outcomes", "linux", "later", "recv")).line == 6
    assert document.where(("outcomes", "linux", "later"), key=True).line == 5
    assert document.where(("nothing",)).line == 2
    assert parse_yaml("", "x.yaml").where(("nothing",)).line == 1


def test_error_points_at_the_line() -> None:
    document = parse_yaml(RULE, "x.yaml")
    assert str(
        document.error("unknown evidence", ("outcomes", "linux", "evidence"), hint="there are four")
    ) == (
        "x.yaml:6:15: error: unknown evidence\n"
        "    evidence: measured\n"
        "              ^^^^^^^^\n"
        "hint: there are four"
    )


def test_a_condition_in_a_file_gets_its_own_columns() -> None:
    document = parse_yaml(RULE, "rules/x.yaml")
    schema = {"socket": {"state": Field(str, ("CLOSE_WAIT",))}, "segment": {"accepted": Field(bool)}}
    with pytest.raises(DiagnosticsError) as caught:
        compile_condition(document.value["condition"], schema, lambda: document.where(("condition",)))
    assert str(caught.value).startswith("rules/x.yaml:3:28: error: `socket.state` is never 'CLOSEWAIT'")


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "`a` is given twice"),
        ("a: {b: 1, b: 2}\n", 1, 11, "`b` is given twice"),
        ("on: x\n", 1, 1, "YAML reads this as True"),
        ("a:\n  5: x\n", 2, 3, "YAML reads this as 5"),
        ("? [a]\n: b\n", 1, 3, "a key must be text"),
        ("a: &x 1\nb: *x\n", 2, 4, "aliases are not allowed"),
        ("a: &x [*x]\n", 1, 8, "aliases are not allowed"),
        ("a: !!python/object:os.system {}\n", 1, 4, "tags are not allowed"),
        ("a: !!str 5\n", 1, 4, "tags are not allowed"),
        ("!x a: 5\n", 1, 1, "tags are not allowed"),
        ("a: 0b_\n", 1, 4, "this number cannot be read"),
        ("a: [1, 2\n", 2, 1, "not valid YAML"),
        ("a: b: c\n", 1, 5, "mapping values are not allowed"),
        ("a: 'x\n", 2, 1, "not valid YAML"),
        ("\ta: x\n", 1, 1, "not valid YAML"),
        ("a: é\x01\n", 1, 5, "control characters are not allowed"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document"),
        ("a: " + "[" * 50, 1, 36, "nested deeper than 32 levels"),
        (b"a: 1\nb: \xff\n", 2, 4, "not UTF-8"),
    ],
)
def test_refused(text: bytes | str, line: int, column: int, message: str) -> None:
    (diagnostic,) = refused(text)
    assert message in diagnostic.message
    assert (diagnostic.line, diagnostic.column) == (line, column)


def test_all_errors_but_those_of_syntax_are_told_together() -> None:
    assert [d.line for d in refused("a: 1\na: 2\non: 3\nb: !!int 4\nc: *x\nd: [\n")] == [2, 3, 4, 5]


def test_no_more_than_twenty_errors_are_told() -> None:
    assert len(refused("a: 1\n" * 100)) == MAX_ERRORS


def test_a_duplicate_key_says_where_the_first_is() -> None:
    assert refused("a: 1\nb: 2\na: 3\n")[0].hint == "the first is in line 1"


def test_dates_and_times_stay_text() -> None:
    assert parse_yaml("a: 2024-02-30\nb: 1:30\nc: 0x10\nd: .5\n", "x").value == {
        "a": "2024-02-30",
        "b": "1:30",
        "c": 16,
        "d": 0.5,
    }


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeffa: 1\n", "a: 1\r\nb: 2\r\n"])
def test_odd_but_valid(text: str) -> None:
    assert parse_yaml(text, "x").value == yaml.safe_load(text)


def test_size_limit(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text("# " + "x" * MAX_BYTES)
    with pytest.raises(DiagnosticsError, match="larger than 256 KiB"):
        load_yaml(file)
    assert parse_yaml("#" * MAX_BYTES, "x").value is None


@pytest.mark.parametrize(
    "unit", ["[", "{", "- ", "? ", "a: [", "&a ", "'", '"', "|\n", "a:\n ", "\n", "!", "%", "[,", "{a,"]
)
def test_no_file_takes_long(unit: str) -> None:
    text = (unit * MAX_BYTES)[:MAX_BYTES]
    begin = time.process_time()
    with contextlib.suppress(DiagnosticsError):
        parse_yaml(text, "x.yaml")
    assert time.process_time() - begin < 5


def test_load_yaml_reads_a_file_and_names_it(tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"
    file.write_text(RULE, encoding="utf-8")
    assert load_yaml(file, "rules/rule.yaml").where(("id",)).path == "rules/rule.yaml"
    assert load_yaml(file).path == str(file)


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_yaml(tmp_path / "absent.yaml")


_WORDS = "a b : - [ ] { } , ' | > &x *x !!int # ? --- ... %YAML 1.1 1 0x true << = ~ \\ é 1:2"
_PIECES = st.sampled_from([*_WORDS.split(), '"', " ", "\n", "\n  ", ": ", "- ", "\t", "\x00", "\x85"])


@given(st.one_of(st.text(), st.binary(), st.lists(_PIECES).map("".join)))
def test_any_bytes_are_read_or_refused(text: bytes | str) -> None:
    try:
        document = parse_yaml(text, "x.yaml")
    except DiagnosticsError as error:
        check_diagnostics(error)
    else:
        assert isinstance(document, YamlFile)
        for path in {**document.values, **document.keys}:
            for key in (False, True):
                assert 1 <= document.where(path, key=key).line <= len(document.lines), path


def check_diagnostics(error: DiagnosticsError) -> None:
    assert str(error)
    for diagnostic in error.diagnostics:
        assert diagnostic.line >= 1
        assert diagnostic.column >= 1
