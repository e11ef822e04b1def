"""What the captures cannot show, in full, over the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


class Doubts(ModalScreen[None]):
    """Says all of it; longer than the screen it scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,d,enter", "app.pop_screen", "close")]

    def __init__(self, doubts: Sequence[str]) -> None:
        super().__init__()
        self._doubts = doubts

    def compose(self) -> ComposeResult:
        """A paragraph a doubt."""
        with VerticalScroll():
            yield Static("\n\n".join(["Doubt: what the captures cannot show", *self._doubts]), markup=False)
