"""Frozen dataclasses with slots, as the values between the rooms are, that are quick to define and to make.

``dataclasses`` compiles six methods of each class one by one (before Python 3.13), which takes half a
millisecond: of an analysis of a small capture, which imports a hundred classes, an eighth of its time. Only
``__init__`` has to be compiled; the others are the same functions for all classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["immutable"]

_Class = TypeVar("_Class", bound=type)
_NOT_GIVEN = object()

if TYPE_CHECKING:
    from dataclasses import dataclass as immutable
else:

    def immutable(*, frozen: bool, slots: bool) -> Callable[[_Class], _Class]:
        """As ``dataclass(frozen=True, slots=True)``; there is no other kind, and no ``__post_init__``."""
        if not (frozen and slots):
            raise TypeError("what is immutable is frozen, and here it has slots")
        return _made


def _made(cls: _Class) -> _Class:
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    compared = [field.name for field in fields(made) if field.compare]
    made._compared = staticmethod(attrgetter(*compared) if compared else lambda _: ())
    made.__init__ = _init(fields(made))
    for name, method in _METHODS.items():
        setattr(made, name, method)
    done: _Class = made
    return done


def _init(known: tuple[Field[Any], ...]) -> Callable[..., None]:
    """``__init__``, with the defaults and their factories in its globals."""
    around: dict[str, Any] = {"_put": object.__setattr__, "_not_given": _NOT_GIVEN}
    parameters, lines = ["self"], [" pass"]
    for field in known:
        name, default = field.name, f"_default_{field.name}"
        given = name
        if field.default is not MISSING:
            around[default] = field.default
            parameters.append(f"{name}={default}")
        elif field.default_factory is not MISSING:
            around[default] = field.default_factory
            parameters.append(f"{name}=_not_given")
            given = f"{default}() if {name} is _not_given else {name}"
        else:
            parameters.append(name)
        lines.append(f" _put(self, {name!r}, {given})")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), around)  # noqa: S102  (names of fields)
    made: Callable[..., None] = around["__init__"]
    return made


def _repr(self: Any) -> str:
    told = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(told)})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self._compared(self) == self._compared(other)


def _hash(self: Any) -> int:
    return hash(self._compared(self))


def _refuse_to_set(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, content in zip(fields(self), state, strict=True):
        object.__setattr__(self, field.name, content)


_METHODS: dict[str, Callable[..., Any]] = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}
