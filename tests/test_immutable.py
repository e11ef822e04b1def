"""What is immutable behaves as a frozen dataclass does."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

import pytest

from analyzer.model.immutable import immutable


class _Plain:
    """The same class twice: by the library, and by ours."""

    def __init__(self, make: Callable[..., Any]) -> None:
        @make(frozen=True, slots=True)
        class Base:
            """A value."""

            kind: ClassVar[str] = "base"
            number: int
            text: str = "none"
            seen: list[int] = field(default_factory=list)
            hidden: int = field(default=0, repr=False)
            beside: int = field(default=0, compare=False)

            def doubled(self) -> int:
                return self.number * 2

        @make(frozen=True, slots=True)
        class Derived(Base):
            """Another one."""

            more: tuple[int, ...] = ()

        @make(frozen=True, slots=True)
        class Nothing:
            """Without a field."""

        self.base, self.derived, self.nothing = Base, Derived, Nothing


@immutable(frozen=True, slots=True)
class Point:
    """Can be found by pickle."""

    x: int
    names: frozenset[str] = frozenset()


OURS, THEIRS = _Plain(immutable), _Plain(dataclass)


@pytest.mark.parametrize("name", ["base", "derived", "nothing"])
def test_a_class_is_as_the_library_makes_it(name: str) -> None:
    ours, theirs = getattr(OURS, name), getattr(THEIRS, name)
    assert [(f.name, f.type, f.repr, f.compare) for f in fields(ours)] == [
        (f.name, f.type, f.repr, f.compare) for f in fields(theirs)
    ]
    assert ours.__slots__ == theirs.__slots__
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__doc__ == theirs.__doc__
    assert not hasattr(ours(*[1][: len(fields(ours))]), "__dict__")


@pytest.mark.parametrize("name", ["base", "derived"])
def test_its_values_are_as_the_library_makes_them(name: str) -> None:
    ours, theirs = getattr(OURS, name), getattr(THEIRS, name)
    one, same, other = ours(1), ours(number=1, beside=5), ours(1, "some", [2], hidden=3)
    assert repr(other).split("(")[1] == repr(theirs(1, "some", [2], hidden=3)).split("(")[1]
    assert asdict(other) == asdict(theirs(1, "some", [2], hidden=3))
    assert one == same
    assert one != other
    assert one != theirs(1)
    assert one.seen is not same.seen
    assert replace(one, text="some", seen=[2], hidden=3) == other
    assert copy.copy(other) == copy.deepcopy(other) == other
    assert other.doubled() == 2
    with pytest.raises(TypeError, match="number"):
        ours()
    with pytest.raises(TypeError, match="unexpected"):
        ours(1, nothing=2)


def test_nothing_of_it_can_be_changed() -> None:
    one = Point(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        one.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del one.x
    assert one == Point(1)
    with pytest.raises(TypeError):
        immutable(frozen=False, slots=True)(Point)


def test_equal_ones_have_one_hash_and_survive_pickle() -> None:
    one = Point(1, frozenset("a"))
    assert {one, Point(1, frozenset("a")), Point(2)} == {one, Point(2)}
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(OURS.nothing()) == hash(OURS.nothing())
    assert OURS.nothing() == OURS.nothing()
