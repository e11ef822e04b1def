"""What is wrong in a rule file, and where it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analyzer.errors import UserError

_MAX_SHOWN = 160  # characters of a source line that are shown
_UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


class Where(NamedTuple):
    """A place in a file; lines and columns count from 1.

    ``exact`` is false where the text is not in the file letter by letter as the program sees it (block
    scalars, several lines, escapes): the place is then that of its beginning, whatever part of it is meant.
    """

    path: str
    line: int = 1
    column: int = 1
    width: int = 1
    exact: bool = True


class Diagnostic(NamedTuple):
    """One error in a file, printed with the line that it is in.

    ``source_line`` is the text shown below the message (empty: none), ``width`` the number of carets and
    ``offset`` the number of characters before them, ``column - 1`` unless given.
    """

    path: str
    line: int
    column: int
    message: str
    source_line: str = ""
    width: int = 1
    hint: str = ""
    offset: int | None = None

    def __str__(self) -> str:
        lines = [f"{self.path}:{self.line}:{self.column}: error: {_printable(self.message)}"]
        if self.source_line.strip():
            lines += self._excerpt()
        if self.hint:
            lines.append(f"hint: {_printable(self.hint)}")
        return "\n".join(lines)

    def _excerpt(self) -> list[str]:
        """Return the source line, cut to a readable length, and the line of carets."""
        offset = min(self.column - 1 if self.offset is None else self.offset, len(self.source_line))
        begin = max(0, offset - _MAX_SHOWN // 2) if len(self.source_line) > _MAX_SHOWN else 0
        shown = _printable(self.source_line)[begin : begin + _MAX_SHOWN].rstrip()
        indent = 0 if begin else len(shown) - len(shown.lstrip())
        before = max(0, offset - begin - indent)
        carets = max(1, min(self.width, len(shown) - indent - before))
        return [f"    {shown[indent:]}", f"    {' ' * before}{'^' * carets}"]


class DiagnosticsError(UserError):
    """One or more errors in one file, all of which are told."""

    def __init__(self, reference: str, diagnostics: Sequence[Diagnostic]) -> None:
        first = diagnostics[0]
        super().__init__(reference, f"{first.path}:{first.line}:{first.column}", first.message, first.hint)
        self.args = (reference, diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


def did_you_mean(word: str, possible: Iterable[str], least: float = 0.6) -> str:
    """Return the question that ends with the nearest of the possible words, or nothing if none is near.

    ``least`` is how alike they must be, 1 is the same: short words are alike by chance.
    """
    import difflib  # for mistakes only

    by_folded = {name.casefold(): name for name in possible}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=least)
    return f"did you mean `{by_folded[near[0]]}`?" if near else ""


def _printable(text: str) -> str:
    return re.sub(_UNPRINTABLE, " ", text)
