"""The list of the flows that failed, with a filter as one types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from analyzer.model.finding import FlowResult, News
from analyzer.reports.groups import is_warning
from analyzer.reports.printable import printable
from analyzer.view.doubts import Doubts
from analyzer.view.flow_screen import FlowScreen
from analyzer.view.keys import Key, Keys
from analyzer.view.source import Browsed
from analyzer.view.words import COLUMNS, haystack, row, sentences

Told = Callable[[Sequence[News], str], None]
"""Takes what changed, and how the capture stands."""


class _Flows(DataTable[Text]):
    """The list of the flows, whose footer says how one is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "open", key_display="enter")]


class Browser(App[None]):
    """Browses the flows of a report, or of a capture that goes on (``follow``, which blocks)."""

    TITLE = "errnoscope"
    CSS = """
    Screen { layers: base; }
    #title, #status { height: 1; padding: 0 1; text-style: bold; }
    #status { text-style: none; color: $text-muted; }
    #filter { height: 1; border: none; padding: 0 1; }
    _Flows { height: 1fr; }
    #told { height: 3; padding: 0 1; border-top: solid $primary; }
    #said { height: auto; max-height: 6; padding: 0 1; text-style: bold; }
    TabbedContent { height: 1fr; }
    TabPane { padding: 0; }
    #lines { height: 1fr; border: none; padding: 0; }
    #lines > .option-list--option { padding: 0; }
    #details { height: 2; padding: 0 1; background: $panel; }
    Plot { height: 1fr; padding: 0 1; }
    VerticalScroll { padding: 0 1; }
    #doubt { height: 1; padding: 0 1; color: $text-warning; text-wrap: nowrap; text-overflow: ellipsis; }
    AskFor, Keys, Doubts { align: center middle; }
    Doubts VerticalScroll {
        height: auto; max-height: 100%; border: solid $primary; padding: 0 1; background: $panel;
    }
    AskFor Vertical, Keys Vertical {
        height: auto; border: solid $primary; padding: 0 1; background: $panel;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter"),
        Binding("escape", "list", "list", show=False),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("question_mark", "keys", "keys"),
        Binding("d", "doubts", "doubts", show=False),
    ]
    ENABLE_COMMAND_PALETTE = False
    KEYS: ClassVar[Sequence[Key]] = (
        ("up down", "choose a connection, also pgup, pgdn, home, end"),
        ("enter", "open it: ladder, plot, why, the rule"),
        ("/", "filter as you type: address, port, errno, rule, words"),
        ("d", "doubts: what the captures cannot show"),
        ("esc", "from the filter to the list; there: no filter"),
        ("q", "quit"),
    )

    def __init__(
        self, browsed: Browsed, follow: Callable[[Told, Callable[[], bool]], None] | None = None
    ) -> None:
        super().__init__()
        self._browsed = browsed
        self._follow = follow
        self._shown: list[FlowResult] = []
        self._results: dict[int, FlowResult] = dict(enumerate(browsed.results))
        self._haystacks: dict[int, str] = {}
        self._words: list[str] = []
        self._over = False

    @property
    def failure(self) -> Exception | None:
        """What has ended the browser, if it was no user."""
        return self._exception

    def _fatal_error(self) -> None:
        """End without the library's traceback: who has it run tells of the failure."""
        self._close_messages_no_wait()

    def compose(self) -> ComposeResult:
        """Title, the first doubt, filter, list, the sentence of the chosen one, keys."""
        yield Static(Text(printable(self._browsed.title)), id="title")
        if doubts := self._browsed.doubts:
            more = f", {len(doubts) - 1} more" if len(doubts) > 1 else ""
            yield Static(Text(f"Doubt (d: in full{more}): {self._first_doubt()}"), id="doubt")
        yield Input(placeholder="filter: address, port, errno, rule, words", id="filter")
        yield _Flows(id="flows", cursor_type="row", cell_padding=0)
        yield Static(id="told")
        yield Footer()

    def _first_doubt(self) -> str:
        """A host that is not there may be all that failed."""
        return self._browsed.silence or self._browsed.doubts[0]

    def on_mount(self) -> None:
        """Fill the list, and follow what goes on."""
        names = (*COLUMNS, "in") if self._browsed.names else COLUMNS
        self._table.add_columns(*(f"{name} " for name in names))  # as wide as that where no row is
        self._fill()
        self._table.focus()
        if self._follow:
            self._read()

    @property
    def _table(self) -> DataTable[Text]:
        return self._list.query_one("#flows", DataTable)

    @property
    def _list(self) -> Screen[object]:
        """The list's screen, whatever stands above it."""
        return self.screen_stack[0]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Above the list there is no filter."""
        if action == "doubts" and not self._browsed.doubts:
            return False
        return action not in ("filter", "list", "doubts") or self.screen is self._list

    @work(thread=True)
    def _read(self) -> None:
        if self._follow:
            self._follow(
                lambda news, standing: self.call_from_thread(self._tell, news, standing), lambda: self._over
            )

    def _tell(self, news: Sequence[News], standing: str) -> None:
        self._list.query_one("#title", Static).update(Text(printable(f"{self._browsed.title}: {standing}")))
        for item in news:
            flow = item.result.flow.id
            self._haystacks.pop(flow, None)
            if item.result.verdicts or is_warning(item.result):
                self._results[flow] = item.result
            else:
                self._results.pop(flow, None)
        if news:
            self._fill()

    def on_unmount(self) -> None:
        """The capture ends with the browser."""
        self._over = True

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        self._words = event.value.lower().split()
        self._fill()

    def on_input_submitted(self) -> None:
        """To the list."""
        self.action_list()

    def action_filter(self) -> None:
        """To the filter."""
        self.query_one("#filter").focus()

    def action_keys(self) -> None:
        """Show all keys that do something here."""
        self.push_screen(Keys(FlowScreen.KEYS if isinstance(self.screen, FlowScreen) else self.KEYS))

    def action_doubts(self) -> None:
        """Show in full what the captures cannot show."""
        self.push_screen(Doubts(self._browsed.doubts))

    def action_list(self) -> None:
        """Back to the list; from there the filter is dropped."""
        if self.focused is self._table:
            self.query_one("#filter", Input).value = ""
        self._table.focus()

    def _passes(self, key: int, result: FlowResult) -> bool:
        if not self._words:
            return True
        if key not in self._haystacks:
            self._haystacks[key] = f"{haystack(result)} {self._browsed.place(result).lower()}"
        return all(word in self._haystacks[key] for word in self._words)

    def _fill(self) -> None:
        table = self._table
        at = table.cursor_row
        self._shown = [result for key, result in self._results.items() if self._passes(key, result)]
        table.clear()
        for result in self._shown:
            cells = (*row(result), self._browsed.place(result)) if self._browsed.names else row(result)
            table.add_row(*(Text(f"{printable(cell)} ") for cell in cells))
        if self._shown:
            table.move_cursor(row=min(at, len(self._shown) - 1))
        else:
            silence = self._browsed.silence
            nothing = f"No packet shows a failure, but {silence}." if silence else "Nothing has failed."
            said = "Nothing fits the filter." if self._results else nothing
            self._list.query_one("#told", Static).update(Text(said))

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Say what the chosen one got."""
        if event.cursor_row < len(self._shown):
            said = " ".join(sentences(self._shown[event.cursor_row]))
            self._list.query_one("#told", Static).update(Text(said))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open it."""
        if event.cursor_row < len(self._shown):
            self.push_screen(FlowScreen(self._shown[event.cursor_row], self._browsed))
