"""Numbers that options take, and what is said of what is none."""

from __future__ import annotations

from typing import Any

import click


class Whole(click.IntRange):
    """A whole number, from ``min`` on and up to ``max`` if given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter with the range in words, whatever is wrong."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            return self.fail(f"{value!r} is no whole number {_range(self)}", param, ctx)

    def _describe_range(self) -> str:
        """What the help says of it."""
        return _range(self)


class Number(click.FloatRange):
    """A number with or without a fraction, as Whole."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter with the range in words, whatever is wrong."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            return self.fail(f"{value!r} is no number {_range(self)}", param, ctx)

    def _describe_range(self) -> str:
        """What the help says of it."""
        return _range(self)


def _range(numbers: click.IntRange | click.FloatRange) -> str:
    begin = f"from {numbers.min:g}"
    return f"{begin} on" if numbers.max is None else f"{begin} to {numbers.max:g}"
