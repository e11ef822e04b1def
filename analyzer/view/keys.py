"""All keys that do something, over what they do it to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

Key = tuple[str, str]
"""What is pressed, and what it does."""

_EVERYWHERE: Sequence[Key] = (("ctrl+c", "quit"), ("?", "these keys; any of ? esc q enter closes them"))


class Keys(ModalScreen[None]):
    """Says what the keys of the screen below do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "app.pop_screen", "close"),
    ]

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__()
        self._keys = (*keys, *_EVERYWHERE)

    def compose(self) -> ComposeResult:
        """A line a key."""
        with Vertical():
            yield Static("\n".join(f"{key:<11} {what}" for key, what in self._keys), markup=False)
