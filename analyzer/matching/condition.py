"""The language of rule conditions: a small part of Python's expressions, checked before it is ever evaluated.

A condition compares fields of the event's variables, ``socket.state == 'CLOSE_WAIT' and segment.accepted``,
and knows

- fields, a variable and a name with one dot between them; bare where they are true or false;
- ``== != < <= > >=`` of a field with a constant or another field, also chained: ``1 <= retry.count < 5``;
- ``in`` and ``not in`` with constants in parentheses: ``socket.state in ('CLOSING', 'LAST_ACK')``;
- ``and``, ``or``, ``not`` and parentheses.

Everything else is refused, and so is a name, type or value that the schema does not have. What remains is
compiled by Python itself, so that an evaluation is as fast as handwritten code.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias, TypeVar

from analyzer.matching.diagnostics import Diagnostic, DiagnosticsError, Where, did_you_mean

MAX_LENGTH = 500

_Checked = TypeVar("_Checked")
FieldType: TypeAlias = type[bool] | type[int] | type[float] | type[str]


class Field(NamedTuple):
    """A field that conditions may use: its type, the texts it can have (None: any) and what it means."""

    type: FieldType
    values: tuple[str, ...] | None = None
    doc: str = ""


Schema: TypeAlias = Mapping[str, Mapping[str, Field]]
"""Variable (``socket``) -> name of a field (``state``) -> what it is."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that has been checked.

    ``test`` takes an event: an object whose attributes are the schema's variables. Every field used must
    have a value of its type, never None; a variable without a field in ``fields_used`` may be missing.
    """

    text: str
    fields_used: frozenset[str]
    test: Callable[[Any], bool] = field(compare=False, repr=False)

    def explain_false(self, event: Any) -> str:
        """Say which of the parts joined by ``and`` are false for this event: one a line."""
        source = _Source(self.text, partial(Where, ""), "")
        parts = [(source.segment(part), part) for part in _conjuncts(_parse(source))]
        false = [(text, part) for text, part in parts if not _compile(text, _variables(part))(event)]
        return "\n".join(f"`{text}` is false: {_say(part, event)}" for text, part in false)


def compile_condition(text: str, schema: Schema, where: Callable[[], Where], event: str = "") -> Condition:
    """Check and compile a condition; raise DiagnosticsError with all that is wrong.

    ``where`` says where it stands, asked only if something is wrong; ``event`` is only named in hints.
    """
    source = _Source(text, where, event)
    node = _parse(source)
    checker = _Checker(source, schema)
    checker.truth(node)
    source.raise_errors()
    test = _compile(source.code, {name.partition(".")[0] for name in checker.fields_used})
    return Condition(text, frozenset(checker.fields_used), test)


class _Source:
    """The text of a condition on one line, its place in the file, and the errors found in it."""

    def __init__(self, text: str, where: Callable[[], Where], event: str) -> None:
        self.text = re.sub(r"[\n\r\t\f\v]", " ", text)
        self.code = self.text.strip(" ")
        self.begin = len(self.text) - len(self.text.lstrip(" "))
        self.where = where
        self.all_names = (
            f"`errnoscope rules --fields{' ' + event if event else ''}` lists all names and values"
        )
        self.errors: list[Diagnostic] = []

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Return where a node begins and ends in the text; ``ast`` counts the bytes of the code."""
        raw = self.code.encode()
        ends = (node.col_offset, node.end_col_offset or node.col_offset)
        begin, end = (self.begin + len(raw[:offset].decode()) for offset in ends)
        return begin, end

    def segment(self, node: ast.expr) -> str:
        """Return the text of a node."""
        begin, end = self.span(node)
        return self.text[begin:end]

    def error(self, span: tuple[int, int], message: str, hint: str = "") -> None:
        """Note an error in a part of the text."""
        begin, width = span[0], max(1, span[1] - span[0])
        where = self.where()
        place = (where.path, where.line, where.column + (begin if where.exact else 0))
        self.errors.append(Diagnostic(*place, message, self.text, width, hint, begin))

    def raise_errors(self) -> None:
        """Raise what has been noted, in the order of the text."""
        if self.errors:
            self.errors.sort(key=lambda error: error.offset or 0)
            raise DiagnosticsError("condition-invalid", self.errors)


def _parse(source: _Source) -> ast.expr:
    """Return the syntax tree of anything that Python could read as one expression."""
    if len(source.text) > MAX_LENGTH:
        source.error((0, 1), f"a condition has at most {MAX_LENGTH} characters, this one {len(source.text)}")
    elif not source.code:
        source.error((0, 1), "the condition is empty")
    elif sign := _FORBIDDEN.search(source.text):
        source.error(sign.span(), f"the character {sign[0]!r} is not part of the language")
    source.raise_errors()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            node = ast.parse(source.code, mode="eval").body
        _refuse_comment(source)
    except _UNREADABLE as error:
        _syntax_error(source, error)
    source.raise_errors()
    return node


def _refuse_comment(source: _Source) -> None:
    if "#" not in source.code:
        return
    for token in tokenize.generate_tokens(io.StringIO(source.code).readline):
        if token.type == tokenize.COMMENT:
            span = (source.begin + token.start[1], source.begin + token.end[1])
            source.error(span, "a comment is not part of the condition", "put it elsewhere in the file")


_UNREADABLE = (SyntaxError, Warning, ValueError, tokenize.TokenError, MemoryError, RecursionError)
_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f\ud800-\udfff]")
_FOREIGN = re.compile(r"""'[^']*'|"[^"]*"|==|!=|<=|>=|:=|(?P<sign>&&|\|\||=|!)""")
_OURS = {"=": "==", "&&": "and", "||": "or", "!": "not"}


def _syntax_error(source: _Source, error: Exception) -> None:
    """Note what Python could not read, in words of this language where it is a sign of other languages."""
    for match in _FOREIGN.finditer(source.text):
        if sign := match["sign"]:
            source.error(match.span(), f"`{sign}` is not part of the language", f"write `{_OURS[sign]}`")
            return
    at, reason = 0, "it cannot be read"
    if isinstance(error, SyntaxError):
        at = (
            error.offset - 1 if error.offset else len(source.code)
        )  # Python says 0 where the text ends too early
        at, reason = source.begin + min(at, len(source.code)), error.msg
    source.error((at, at + 1), f"not an expression: {reason}", _ALLOWED)


_ALLOWED = "a condition has fields, constants, comparisons, `in (...)`, `and`, `or`, `not`"
_REFUSED: dict[type[ast.expr], str] = {
    ast.Call: "a call",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "`:=`",
    ast.Subscript: "an index",
    ast.BinOp: "arithmetic",
    ast.UnaryOp: "arithmetic",
    ast.IfExp: "`if`",
    ast.List: "a list",
    ast.Set: "a set",
    ast.Dict: "a dict",
    ast.Starred: "`*`",
}
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class _Operand(NamedTuple):
    """One side of a comparison: its text, its kind, and the field that it is or the constants."""

    node: ast.expr
    name: str
    kind: str  # "bool", "number" or "text"; of different constants: "number and text"
    field: Field | None = None
    constants: tuple[ast.Constant, ...] = ()


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """A part of the condition that is not allowed: where it is, what is wrong, what to do."""

    def __init__(self, span: tuple[int, int], message: str, hint: str = "") -> None:
        super().__init__(message)
        self.span = span
        self.message = message
        self.hint = hint


class _Checker:
    """Walks the syntax tree and notes everything that is not allowed."""

    def __init__(self, source: _Source, schema: Schema) -> None:
        self.source = source
        self.schema = schema
        self.fields_used: set[str] = set()

    def truth(self, node: ast.expr) -> None:
        """Check a node that is used as true or false."""
        match node:
            case ast.BoolOp(values=operands):
                for operand in operands:
                    self.truth(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.truth(operand)
            case ast.Compare():
                self._comparison(node)
            case _:
                self._attempt(self._bare, node)

    def _attempt(self, check: Callable[..., _Checked], *arguments: Any) -> _Checked | None:
        """Return what the check returns; note what it refuses."""
        try:
            return check(*arguments)
        except _Refused as refused:
            self.source.error(refused.span, refused.message, refused.hint)
            return None

    def _bare(self, node: ast.expr) -> None:
        """Check a node that stands alone where true or false is wanted."""
        operand = self._operand(node)
        if operand.field is None:
            raise self._refused(
                node, f"the constant {operand.name} is not a condition", "compare it with a field"
            )
        if operand.kind != "bool":
            raise self._refused(
                node, f"`{operand.name}` is a {operand.kind}, not true or false", "compare it"
            )

    def _comparison(self, node: ast.Compare) -> None:
        """Check a comparison; in a chain the first operand may be a constant."""
        sides = [self._attempt(self._operand, node.left)]
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            check = self._choice if isinstance(op, ast.In | ast.NotIn) else self._operand
            sides.append(self._attempt(check, comparator))
        for index, (op, (left, right)) in enumerate(zip(node.ops, pairwise(sides), strict=True)):
            if left and right:
                may_be_constant = index == 0 and len(node.ops) > 1
                self._attempt(self._pair, op, left, right, may_be_constant)

    def _choice(self, node: ast.expr) -> _Operand:
        """Return the constants in parentheses that follow ``in``."""
        if not isinstance(node, ast.Tuple):
            hint = "write `in ('A', 'B')`, and for a single one `in ('A',)`"
            raise self._refused(node, "`in` wants constants in parentheses", hint)
        if not node.elts:
            raise self._refused(node, "`in ()` is never true")
        operands = [self._constant(element) for element in node.elts]
        kinds = " and ".join(sorted({operand.kind for operand in operands}))
        constants = tuple(constant for operand in operands for constant in operand.constants)
        return _Operand(node, self.source.segment(node), kinds, None, constants)

    def _operand(self, node: ast.expr) -> _Operand:
        """Return a field or a constant."""
        match node:
            case ast.Attribute():
                return self._field(node)
            case ast.Name(id=name):
                self._variable(node)
                raise self._refused(node, f"`{name}` alone is nothing to test", self._names(name))
            case ast.Tuple():
                raise self._refused(node, "constants in parentheses can only follow `in` or `not in`")
        return self._constant(node)

    def _constant(self, node: ast.expr) -> _Operand:
        if not isinstance(node, ast.Constant):
            what = _REFUSED.get(type(node), f"`{self.source.segment(node)}`")
            raise self._refused(node, f"{what} is not allowed here", _ALLOWED)
        kinds: dict[type, str] = {bool: "bool", int: "number", float: "number", str: "text"}
        name = self.source.segment(node)
        if type(node.value) not in kinds:
            raise self._refused(node, f"the constant {name} is not part of the language", _ALLOWED)
        return _Operand(node, name, kinds[type(node.value)], None, (node,))

    def _variable(self, node: ast.expr) -> str:
        """Return the name of a variable that the schema has."""
        if not isinstance(node, ast.Name):
            if isinstance(node, ast.Attribute):
                raise self._refused(node, "a name has only one dot", _ALLOWED)
            raise self._refused(node, f"{_REFUSED.get(type(node), 'this')} has no fields", _ALLOWED)
        if node.id not in self.schema:
            hint = did_you_mean(node.id, self.schema) or f"there are {_list(self.schema)};"
            raise self._refused(node, f"there is no variable `{node.id}`", self._and_all_names(hint))
        return node.id

    def _field(self, node: ast.Attribute) -> _Operand:
        """Return the field that an attribute names."""
        variable = self._variable(node.value)
        fields = self.schema[variable]
        if node.attr not in fields:
            near = did_you_mean(node.attr, fields)
            hint = self._and_all_names(near) if near else self._names(variable)
            end = self.source.span(node)[1]
            raise _Refused((end - len(node.attr), end), f"`{variable}` has no field `{node.attr}`", hint)
        found = fields[node.attr]
        kind = {bool: "bool", str: "text"}.get(found.type, "number")
        name = f"{variable}.{node.attr}"
        self.fields_used.add(name)
        return _Operand(node, name, kind, found)

    def _pair(self, op: ast.cmpop, left: _Operand, right: _Operand, may_be_constant: bool) -> None:
        """Check two operands that are compared."""
        if isinstance(op, ast.Is | ast.IsNot):
            raise self._refused(right.node, "`is` is not part of the language", "write `==` or `!=`")
        if left.field is None and not may_be_constant:
            raise self._refused(left.node, "a constant cannot stand on the left", "write the field first")
        for side in (left, right):
            if side.field and side.kind == "bool":
                hint = f"write `{side.name}` or `not {side.name}`"
                raise self._refused(
                    side.node, f"`{side.name}` is true or false and needs no comparison", hint
                )
        self._same_kind(left, right)
        if isinstance(op, _ORDER) and left.kind == "text":
            raise self._refused(right.node, "texts have no order", "use `==`, `!=` or `in`")
        self._known_values(left, right)
        self._known_values(right, left)

    def _same_kind(self, left: _Operand, right: _Operand) -> None:
        if left.kind == right.kind:
            return
        owner, other = (left, right) if left.field else (right, left)
        be = f"is a {other.kind}" if other.kind in ("number", "text") else f"has {other.kind}"
        hint = self._values(owner) or "compare numbers with numbers and texts with texts"
        raise self._refused(other.node, f"`{owner.name}` is a {owner.kind}, {other.name} {be}", hint)

    def _known_values(self, owner: _Operand, other: _Operand) -> None:
        """Check that a field can have the texts that it is compared with."""
        if owner.field is None or owner.field.values is None:
            return
        for constant in other.constants:
            if constant.value not in owner.field.values:
                near = did_you_mean(str(constant.value), owner.field.values)
                hint = self._and_all_names(near) if near else self._values(owner)
                message = f"`{owner.name}` is never {self.source.segment(constant)}"
                self.source.error(self.source.span(constant), message, hint)

    def _names(self, variable: str) -> str:
        return self._and_all_names(f"`{variable}` has {_list(self.schema[variable])};")

    def _values(self, operand: _Operand) -> str:
        values = operand.field and operand.field.values
        return self._and_all_names(f"`{operand.name}` can be {_list(values)};") if values else ""

    def _and_all_names(self, hint: str) -> str:
        return f"{hint} {self.source.all_names}"

    def _refused(self, node: ast.expr, message: str, hint: str = "") -> _Refused:
        return _Refused(self.source.span(node), message, hint)


def _list(names: Iterable[str]) -> str:
    """Return a few names, with dots where there are more."""
    all_names = list(names)
    shown = ", ".join(f"`{name}`" for name in all_names[:12])
    return f"{shown}, ..." if len(all_names) > 12 else shown


def _conjuncts(node: ast.expr) -> list[ast.expr]:
    """Return the parts that must all be true."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _conjuncts(value)]
    return [node]


def _say(part: ast.expr, event: Any) -> str:
    """Return what the fields of a checked expression are, each once, in the order of the text."""
    names = [n for n in ast.walk(part) if isinstance(n, ast.Attribute)]
    names.sort(key=lambda name: name.col_offset)
    fields = dict.fromkeys(ast.unparse(name) for name in names)
    return ", ".join(f"{name} is {attrgetter(name)(event)!r}" for name in fields)


def _variables(node: ast.expr) -> set[str]:
    """Return the variables that a checked expression uses."""
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _compile(code: str, variables: Iterable[str]) -> Callable[[Any], bool]:
    """Return a function of an event; the expression, which uses these variables, has been checked before.

    Each variable is taken from the event once, and is a local one from then on.
    """
    taken = "".join(f" {name} = event.{name}\n" for name in sorted(variables))
    made: dict[str, Any] = {"__builtins__": {}}
    exec(f"def test(event):\n{taken} return ({code})", made)  # noqa: S102 - fields, constants, operators only
    test: Callable[[Any], bool] = made["test"]
    return test
