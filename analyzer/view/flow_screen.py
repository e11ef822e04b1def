"""One flow: its ladder, its plot, why and what to do, and the rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, Input, OptionList, Static, TabbedContent, TabPane
from textual.widgets.option_list import Option

from analyzer.errors import UserError
from analyzer.model.finding import FlowResult, LadderLine
from analyzer.model.flow import SIDES, Kind
from analyzer.model.picture import Picture, Seen
from analyzer.reports.ladder_text import is_own, ladder_line, more_digits
from analyzer.reports.plot_text import LEGEND, Span, plot_lines, whole
from analyzer.reports.printable import printable
from analyzer.view.keys import Key
from analyzer.view.source import Browsed
from analyzer.view.words import details, page, rule_page, sentences

_LEFT = 19
"""Columns of a line of the ladder before its arrow, and the two at the right that a list needs."""
_NARROW = 40


class FlowScreen(Screen[None]):
    """Shows a flow; what takes a second reading of the capture comes when it is there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "back"),
        Binding("1", "show('ladder')", "ladder"),
        Binding("2", "show('plot')", "plot"),
        Binding("3", "show('why')", "why"),
        Binding("4", "show('rule')", "rule"),
        Binding("e", "export", "export ..."),
    ]
    KEYS: ClassVar[Sequence[Key]] = (
        ("1", "the ladder; up and down: more of a segment"),
        ("2", "the plot; + - zoom, left right: earlier, later,"),
        ("", "0: all of it, s: what the other end sent"),
        ("3", "why, and what to do"),
        ("4", "the rule"),
        ("e", "write its packets into a capture of its own"),
        ("esc q", "back to the list"),
    )

    def __init__(self, result: FlowResult, browsed: Browsed) -> None:
        super().__init__()
        self._result = result
        self._browsed = browsed
        self._picture: Picture | None = None
        self._deciding = {
            (result.flow.capture if not item.frame_captures else item.frame_captures[index], number)
            for item in result.verdicts or result.findings
            for index, number in enumerate(item.frames)
        }

    def compose(self) -> ComposeResult:
        """The sentences, four leaves, and the keys."""
        flow, place = self._result.flow, self._browsed.place(self._result)
        where = f"{flow.client} -> {flow.server}{f' in {place}' if place else ''}"
        heads = [where, *sentences(self._result)]
        yield Static(Text("\n".join(map(printable, heads))), id="said")
        with TabbedContent(initial="ladder"):
            with TabPane("1 Ladder", id="ladder"):
                yield OptionList(id="lines")
                yield Static(id="details")
            with TabPane("2 Plot", id="plot"):
                yield Plot()
            with TabPane("3 Why", id="why"), VerticalScroll():
                yield Static(_text(page(self._result)))
            with TabPane("4 Rule", id="rule"), VerticalScroll():
                yield Static(_text(rule_page(self._result, self._browsed.rules)))
        yield Footer()

    def on_mount(self) -> None:
        """Show what is known already, and read on."""
        self._fill()
        self.query_one("#lines").focus()
        self._read()

    @work(thread=True, exclusive=True)
    def _read(self) -> None:
        try:
            picture = self._browsed.picture(self._result)
        except UserError as error:
            self.app.call_from_thread(self._say, str(error))
            return
        if picture:
            self.app.call_from_thread(self._drawn, picture)

    def _drawn(self, picture: Picture) -> None:
        self._picture = picture
        self._fill()
        self.query_one(Plot).show(picture)

    @property
    def _lines(self) -> Sequence[LadderLine | Seen]:
        return self._picture or self._result.ladder

    def _fill(self) -> None:
        """The ladder; the cursor on the first segment that decides."""
        lines = self.query_one("#lines", OptionList)
        width = max(_NARROW, self.app.size.width - _LEFT - 3)
        more = more_digits(self._lines)
        lines.clear_options()
        lines.add_options([Option(self._line(line, width, more)) for line in self._lines])
        places = [index for index, line in enumerate(self._lines) if self._decides(line)]
        if self._lines:
            lines.highlighted = places[0] if places else 0

    def _line(self, line: LadderLine | Seen, width: int, more: int) -> Text:
        seconds = (line.time - self._result.flow.start) / 1e9
        decides = self._decides(line)
        own = is_own(line, self._result.flow)
        text = ladder_line(line, seconds, decides=decides, own=own, width=width, more=more)
        if isinstance(line, Seen) and line.skipped:
            text = f"{f'... {line.skipped:,} not shown':^{width + _LEFT - 2}}\n{text}"
        return Text(printable_lines(text), style=_style(line, decides=decides), no_wrap=True)

    def _decides(self, line: LadderLine | Seen) -> bool:
        capture = self._result.flow.capture if line.capture is None else line.capture
        return (capture, line.number) in self._deciding

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say all of the segment under the cursor."""
        at = event.option_index
        before = self._lines[at - 1] if at else None
        said = details(self._lines[at], before, self._result)
        self.query_one("#details", Static).update(Text(printable(said)))

    def action_show(self, name: str) -> None:
        """Turn to a leaf."""
        self.query_one(TabbedContent).active = name
        chosen: Mapping[str, str] = {"ladder": "#lines", "plot": "Plot"}
        self.query_one(chosen.get(name, f"#{name} VerticalScroll")).focus()

    def action_export(self) -> None:
        """Write the flow into a capture of its own."""
        if self._browsed.export is None:
            self._say("What comes from an interface cannot be exported: live -w keeps it.")
            return
        try:
            suggested = self._browsed.file_name(self._result)
        except UserError as error:
            self._say(str(error))
        else:
            self.app.push_screen(AskFor("Write its packets into this new file:", suggested), self._write)

    def _write(self, name: str | None) -> None:
        if not name or self._browsed.export is None:
            return
        try:
            self._browsed.export(self._result, name)
        except UserError as error:
            self._say(str(error))
        else:
            self._say(f"Written: {name}", severity="information")

    def _say(self, text: str, *, severity: SeverityLevel = "warning") -> None:
        """A file name in it is no markup."""
        self.notify(printable_lines(text), severity=severity, markup=False)


class AskFor(ModalScreen[str]):
    """Asks for a text, of which the user gets a suggestion; None where it is not wanted after all."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel")]

    def __init__(self, question: str, suggestion: str) -> None:
        super().__init__()
        self._question, self._suggestion = question, suggestion

    def compose(self) -> ComposeResult:
        """The question, the line for the answer, the keys."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Input(self._suggestion, select_on_focus=False)
            yield Static("enter: write   esc: cancel", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """It is no filter of the list."""
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """That is the answer."""
        event.stop()
        self.dismiss(event.value.strip())

    def action_cancel(self) -> None:
        """There is none."""
        self.dismiss(None)


class Plot(Static, can_focus=True):
    """The time-sequence plot."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(0.5)", "zoom in"),
        Binding("minus", "zoom(2)", "out"),
        Binding("left", "move(-0.25)", "earlier", show=False),
        Binding("right", "move(0.25)", "later", show=False),
        Binding("0", "whole", "all"),
        Binding("s", "side", "other end"),
    ]

    def __init__(self) -> None:
        super().__init__("It takes a second reading of the capture.")
        self._picture: Picture = ()
        self._side = 0
        self._span = Span(0, 1)

    def show(self, picture: Picture) -> None:
        """Show this one, of the end that sent more."""
        sent = [sum(seen.payload for seen in picture if seen.side == side) for side in (0, 1)]
        self._picture, self._span, self._side = picture, whole(picture), int(sent[1] > sent[0])
        self._draw()

    def on_resize(self) -> None:
        """Fit."""
        self._draw()

    def action_zoom(self, factor: float) -> None:
        """Around the middle."""
        middle = sum(self._span) // 2
        half = max(500, int((self._span.end - self._span.begin) / 2 * factor))
        self._span = Span(middle - half, middle + half)
        self._draw()

    def action_move(self, part: float) -> None:
        """By a part of what is shown."""
        by = int((self._span.end - self._span.begin) * part)
        self._span = Span(self._span.begin + by, self._span.end + by)
        self._draw()

    def action_whole(self) -> None:
        """All of it."""
        if self._picture:
            self._span = whole(self._picture)
            self._draw()

    def action_side(self) -> None:
        """What the other end sent."""
        self._side = 1 - self._side
        self._draw()

    def _draw(self) -> None:
        if not self._picture or self.size.height < 4:
            return
        title = f"What the {SIDES[self._side]} sent, sequence number over time"
        width, height = self.size.width, self.size.height - 3
        lines = plot_lines(self._picture, self._side, width, height, self._span)
        self.update(Text("\n".join([title, *lines, LEGEND[:width]]), no_wrap=True))


def _style(line: LadderLine | Seen, *, decides: bool) -> str:
    kinds = line.kinds if isinstance(line, Seen) else 0
    if line.reporter:
        colour = "magenta"
    elif kinds & Kind.RST or "RST" in line.label:
        colour = "red"
    elif kinds & Kind.COPY:
        colour = "dim"
    else:
        colour = "yellow" if kinds & (Kind.RESENT | Kind.PROBE) else ""
    return f"{'bold ' if decides else ''}{colour}".strip()


def printable_lines(text: str) -> str:
    """Line by line."""
    return "\n".join(map(printable, text.split("\n")))


def _text(lines: Iterable[str]) -> Text:
    return Text("\n".join(map(printable, lines)))
