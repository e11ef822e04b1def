"""The expression language: what it accepts, what it refuses, and in which words."""

from __future__ import annotations

import pickle
import timeit
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.matching.condition import MAX_LENGTH, Condition, Field, compile_condition
from analyzer.matching.diagnostics import Diagnostic, DiagnosticsError, Where

STATES = ("SYN_SENT", "ESTABLISHED", "CLOSE_WAIT", "CLOSING", "LAST_ACK")
SCHEMA = {
    "socket": {"state": Field(str, STATES, "the state before the event"), "unread": Field(int)},
    "segment": {"accepted": Field(bool), "length": Field(int), "note": Field(str)},
    "retry": {"count": Field(int), "elapsed": Field(float)},
}
WHERE = Where("rules/rst-after-fin.yaml", 7, 12)
EVENT = SimpleNamespace(
    socket=SimpleNamespace(state="CLOSE_WAIT", unread=3),
    segment=SimpleNamespace(accepted=True, length=10, note="é"),
    retry=SimpleNamespace(count=2, elapsed=1.5),
)


def compiled(text: str, where: Where = WHERE) -> Condition:
    return compile_condition(text, SCHEMA, lambda: where, "reset_received")


def run(text: str) -> bool:
    return compiled(text).test(EVENT)


def refused(text: str, where: Where = WHERE) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticsError) as caught:
        compiled(text, where)
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("segment.accepted", True),
        ("not segment.accepted", False),
        ("socket.state == 'CLOSE_WAIT' and segment.accepted", True),
        ("socket.state != 'CLOSE_WAIT' or segment.length > 9", True),
        ("socket.state in ('CLOSING', 'LAST_ACK')", False),
        ("socket.state not in ('CLOSING', 'LAST_ACK')", True),
        ("socket.unread in (1, 2, 3)", True),
        ("retry.count < 2", False),
        ("1 <= retry.count <= 2", True),
        ("retry.count < segment.length < 5", False),
        ("retry.elapsed >= 1.5 and retry.elapsed < 2", True),
        ("retry.count <= retry.elapsed", False),
        ("segment.note == 'é' and socket.state == 'CLOSE_WAIT'", True),
        ("not (segment.length > 5 and (retry.count == 2 or socket.unread == 0))", False),
        ("  segment.accepted\nand\tretry.count == 2\n", True),
    ],
)
def test_accepted(text: str, expected: bool) -> None:
    assert run(text) is expected


def test_result_knows_its_text_and_fields() -> None:
    text = "socket.state == 'CLOSING' and segment.accepted and not segment.accepted"
    condition = compiled(text)
    assert condition.text == text
    assert condition.fields_used == {"socket.state", "segment.accepted"}


def test_a_variable_whose_fields_are_not_used_may_be_missing() -> None:
    assert compiled("segment.accepted").test(SimpleNamespace(segment=EVENT.segment)) is True


def test_message_is_the_documented_one() -> None:
    (diagnostic,) = refused("socket.state == 'CLOSEWAIT' and segment.accepted")
    assert str(diagnostic) == (
        "rules/rst-after-fin.yaml:7:28: error: `socket.state` is never 'CLOSEWAIT'\n"
        "    socket.state == 'CLOSEWAIT' and segment.accepted\n"
        "                    ^^^^^^^^^^^\n"
        "hint: did you mean `CLOSE_WAIT`? "
        "`errnoscope rules --fields reset_received` lists all names and values"
    )


@pytest.mark.parametrize(
    ("text", "marked", "message", "hint"),
    [
        ("socket.stat == 'CLOSING'", "stat", "`socket` has no field `stat`", "did you mean `state`?"),
        ("socket.xyzzy == 1", "xyzzy", "`socket` has no field `xyzzy`", "`socket` has `state`, `unread`"),
        ("sockt.state == 'CLOSING'", "sockt", "there is no variable `sockt`", "did you mean `socket`?"),
        ("qqq", "qqq", "there is no variable `qqq`", "there are `socket`, `segment`, `retry`"),
        ("socket", "socket", "`socket` alone", "`socket` has `state`"),
        ("socket.state == 'close_wait'", "'close_wait'", "is never 'close_wait'", "`CLOSE_WAIT`?"),
        ("socket.state == 'x'", "'x'", "is never 'x'", "can be `SYN_SENT`, `ESTABLISHED`"),
        ("socket.state in ('CLOSING', 'LASTACK')", "'LASTACK'", "is never 'LASTACK'", "`LAST_ACK`?"),
        ("socket.state == 5", "5", "`socket.state` is a text, 5 is a number", "can be"),
        ("retry.count == '5'", "'5'", "`retry.count` is a number, '5' is a text", ""),
        ("retry.count in (1, '5')", "(1, '5')", "is a number, (1, '5') has number and text", ""),
        ("retry.count == True", "True", "is a number, True has bool", ""),
        ("retry.count == socket.state", "socket.state", "is a number, socket.state is a text", ""),
        ("segment.accepted == True", "segment.accepted", "needs no comparison", "`not segment.accepted`"),
        ("retry.count == segment.accepted", "segment.accepted", "needs no comparison", ""),
        ("segment.accepted in (True,)", "segment.accepted", "needs no comparison", ""),
        ("socket.state", "socket.state", "`socket.state` is a text, not true or false", "compare it"),
        ("not retry.count", "retry.count", "is a number, not true or false", ""),
        ("segment.accepted and 'yes'", "'yes'", "the constant 'yes' is not a condition", ""),
        ("segment.accepted or True", "True", "the constant True is not a condition", ""),
        ("'CLOSING' == socket.state", "'CLOSING'", "a constant cannot stand on the left", ""),
        ("1 == 1", "1", "a constant cannot stand on the left", ""),
        ("retry.count < 5 < segment.length", "5", "a constant cannot stand on the left", ""),
        ("'CLOSING' in ('CLOSING',)", "'CLOSING'", "a constant cannot stand on the left", ""),
        ("socket.state < 'CLOSING'", "'CLOSING'", "texts have no order", ""),
        ("socket.state in 'CLOSING'", "'CLOSING'", "`in` wants constants", "`in ('A',)`"),
        ("socket.state in ('CLOSING')", "'CLOSING'", "`in` wants constants", "`in ('A',)`"),
        ("socket.state in segment.note", "segment.note", "`in` wants constants", ""),
        ("socket.state in ()", "()", "never true", ""),
        ("retry.count in (1, socket.unread)", "socket.unread", "`socket.unread` is not allowed here", ""),
        ("retry.count == (1, 2)", "(1, 2)", "can only follow `in`", ""),
        ("(segment.accepted, 1)", "(segment.accepted, 1)", "can only follow `in`", ""),
        ("socket.state is 'CLOSING'", "'CLOSING'", "`is` is not part", ""),
        ("socket.state == None", "None", "the constant None is not part", ""),
        ("socket.state == b'x'", "b'x'", "the constant b'x' is not part", ""),
        ("retry.count == 1j", "1j", "the constant 1j is not part", ""),
        ("retry.count == ...", "...", "the constant ... is not part", ""),
    ],
)
def test_refused_by_the_schema(text: str, marked: str, message: str, hint: str) -> None:
    (diagnostic,) = refused(text)
    begin = diagnostic.column - WHERE.column
    assert text[begin : begin + diagnostic.width] == marked
    assert diagnostic.offset == begin
    assert message in diagnostic.message
    assert hint in diagnostic.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("len(socket.state) > 3", "a call"),
        ("socket.state.startswith('C')", "a call"),
        ("segment.accepted and __import__('os').system('true')", "a call"),
        ("socket.__class__ == 'x'", "`socket` has no field `__class__`"),
        ("socket.state.__class__ == 'x'", "only one dot"),
        ("socket.__class__.__bases__ == 'x'", "only one dot"),
        ("''.__class__ == 'x'", "has no fields"),
        ("socket().state == 'CLOSING'", "a call has no fields"),
        ("__builtins__", "no variable"),
        ("__debug__", "no variable"),
        ("[x for x in (1, 2)]", "a comprehension"),
        ("{x for x in (1, 2)}", "a comprehension"),
        ("{x: x for x in (1, 2)}", "a comprehension"),
        ("retry.count == (x for x in (1, 2))", "a comprehension"),
        ("lambda: segment.accepted", "a lambda"),
        ("retry.count ** 99 > 1", "arithmetic"),
        ("retry.count + 1 > 2", "arithmetic"),
        ("retry.count == -1", "arithmetic"),
        ("retry.count == ~1", "arithmetic"),
        ("segment.accepted & segment.accepted", "arithmetic"),
        ("(x := segment.accepted)", "`:=`"),
        ("socket.state == f'{retry.count}'", "an f-string"),
        ("socket.state == f'x'", "an f-string"),
        ("socket['state'] == 'CLOSING'", "an index"),
        ("socket.state[0] == 'C'", "an index"),
        ("segment.accepted if retry.count else 1", "`if`"),
        ("retry.count in [1, 2]", "`in` wants constants in parentheses"),
        ("retry.count in (*socket,)", "`*`"),
        ("[segment.accepted]", "a list"),
        ("{segment.accepted}", "a set"),
        ("{}", "a dict"),
        ("await segment.accepted", "not allowed here"),
        ("(yield)", "not allowed here"),
    ],
)
def test_refused_syntax(text: str, message: str) -> None:
    assert message in refused(text)[0].message


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("socket.state = 'CLOSING'", 14, "`=` is not part", "write `==`"),
        ("socket.note == 'a=b' && segment.accepted", 22, "`&&` is not part", "write `and`"),
        ("segment.accepted || segment.accepted", 18, "`||` is not part", "write `or`"),
        ("!segment.accepted", 1, "`!` is not part", "write `not`"),
        ("segment.accepted and not", 25, "not an expression", ""),
        ("segment.accepted and", 21, "not an expression", ""),
        ("segment.accepted; 1", 17, "not an expression", ""),
        ("x = 1; import os", 3, "`=` is not part", ""),
        ("import os", 1, "not an expression", ""),
        ("segment.accepted)", 17, "not an expression", ""),
        ("segment.accepted # a comment", 18, "a comment", ""),
        ("segment.accepted and '''a'b''' # '", 32, "a comment", ""),
        ("segment.accepted and \\\n retry.count", 22, "the character", ""),
        ("socket.state == 'A\\x42'", 19, "the character", ""),
        ("retry.count == 1or segment.accepted", 16, "not an expression", ""),
        ("segment.accepted\x00", 17, "the character", ""),
        ("\ud800", 1, "the character", ""),
        ("(" * 300, 1, "not an expression", ""),
        ("", 1, "empty", ""),
        (" \n ", 1, "empty", ""),
        ("a" * 501, 1, "at most 500 characters, this one 501", ""),
    ],
)
def test_refused_text(text: str, column: int, message: str, hint: str) -> None:
    (diagnostic,) = refused(text)
    if "parentheses" not in diagnostic.message:
        assert diagnostic.column - WHERE.column + 1 == column
    assert message in diagnostic.message
    assert hint in diagnostic.hint


def test_constants_may_contain_any_sign() -> None:
    assert run("segment.note != 'a # b = c && d'") is True


def test_the_longest_text_is_accepted() -> None:
    assert run("segment.accepted".ljust(MAX_LENGTH)) is True
    deep = "not " * ((MAX_LENGTH - 16) // 4) + "segment.accepted"
    assert run(deep) in (True, False)


def test_all_errors_are_told_in_the_order_of_the_text() -> None:
    found = refused("socket.stat == 'CLOSING' and segment.acepted and socket.state in ('A', 'B') and f(1)")
    assert [d.column - WHERE.column for d in found] == [7, 37, 66, 71, 80]


def test_error_prints_all_diagnostics_and_survives_pickling() -> None:
    with pytest.raises(DiagnosticsError) as caught:
        compiled("socket.a == 1 and socket.b == 2")
    assert str(caught.value).count(": error: ") == 2
    assert caught.value.where == "rules/rst-after-fin.yaml:7:19"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_columns_count_characters_not_bytes() -> None:
    (diagnostic,) = refused("segment.note == 'éé' and socket.stat == 'x'")
    assert diagnostic.column == WHERE.column + 32


def test_place_of_a_block_scalar_is_its_first_line() -> None:
    where = Where("a.yaml", 3, 5, exact=False)
    (diagnostic,) = refused("segment.accepted and\nsocket.stat == 'x'\n", where)
    assert str(diagnostic).splitlines()[:3] == [
        "a.yaml:3:5: error: `socket` has no field `stat`",
        "    segment.accepted and socket.stat == 'x'",
        "                                ^^^^",
    ]


def test_explain_false_names_each_false_part_and_its_values() -> None:
    condition = compiled("(segment.accepted and retry.count > 5) and socket.state == 'CLOSING'")
    assert condition.explain_false(EVENT) == (
        "`retry.count > 5` is false: retry.count is 2\n"
        "`socket.state == 'CLOSING'` is false: socket.state is 'CLOSE_WAIT'"
    )


def test_explain_false_of_another_expression_is_about_the_whole() -> None:
    condition = compiled("not segment.accepted or 3 < retry.count < socket.unread")
    assert condition.explain_false(EVENT) == (
        "`not segment.accepted or 3 < retry.count < socket.unread` is false: "
        "segment.accepted is True, retry.count is 2, socket.unread is 3"
    )


def test_explain_false_says_nothing_of_a_true_condition() -> None:
    assert compiled("segment.accepted and retry.count == 2").explain_false(EVENT) == ""


def test_evaluation_is_as_fast_as_python() -> None:
    test = compiled("socket.state == 'CLOSE_WAIT' and segment.accepted").test
    best = min(timeit.repeat(lambda: test(EVENT), number=10_000, repeat=5)) / 10_000
    assert best < 2e-6  # usually 0.15 µs; the margin is for a busy machine


_NAMES = [f"{variable}.{name}" for variable, fields in SCHEMA.items() for name in fields]
_WORDS = """
socket and or not in is == != < >= = := ( ) , . ' 'CLOSE_WAIT' 'x' 1 1.5 1j True None lambda if else for
f'{1}' [ ] { } * ** - # \\ é await yield __class__ : ; !
"""
_TOKENS = st.sampled_from([*_NAMES, *_WORDS.split(), "\n", "\x00", '"""'])


@given(
    st.one_of(
        st.text(max_size=600), st.lists(_TOKENS, max_size=40).map(" ".join), st.lists(_TOKENS).map("".join)
    )
)
@example("'''")
@example("0x1for x")
@example("'\\d'")
@example("-" * 500)
@example("retry.count == " + "9" * 480)
@example("retry.count == 0777")
def test_any_text_is_compiled_or_refused(text: str) -> None:
    try:
        result = compiled(text).test(EVENT)
    except DiagnosticsError as error:
        check_diagnostics(error, text)
    else:
        assert result in (True, False)
        assert bool(compiled(text).explain_false(EVENT)) is not result


def check_diagnostics(error: DiagnosticsError, text: str) -> None:
    assert str(error)
    for diagnostic in error.diagnostics:
        assert diagnostic.line == WHERE.line
        assert WHERE.column <= diagnostic.column <= WHERE.column + len(text)
