"""How the text report stands on the page: widths, wrapping, labels."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable

WIDTH = 78
_LABEL = 9
INDENT = "   "

Style = Callable[[str], str]


def wrapped(text: str, width: int, hanging: str = "") -> list[str]:
    """A text in lines; words are never broken."""
    return textwrap.wrap(
        " ".join(text.split()),
        width,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def indented(text: str) -> list[str]:
    """A text in lines below a heading."""
    return [INDENT + line for line in wrapped(text, WIDTH - len(INDENT))]


def labelled(label: str, text: str, *, whole: bool = False) -> Iterable[str]:
    """Text with a hanging indent behind a label; ``whole``: one line, to be copied or searched for."""
    lines = [text] if whole else wrapped(text, WIDTH - len(INDENT) - _LABEL)
    for index, line in enumerate(lines):
        yield f"{INDENT}{(label if index == 0 else ''):<{_LABEL}}{line}"
