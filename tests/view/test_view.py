"""The browser in a terminal of 80 columns and 24 lines."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList

import analyzer
from analyzer.cli.rule_options import RuleOptions
from analyzer.cli.view import _names, browsed
from analyzer.errors import UserError
from analyzer.model.finding import News
from analyzer.view.app import Browser, Told
from analyzer.view.flow_screen import AskFor, FlowScreen, Plot
from analyzer.view.keys import Keys
from analyzer.view.source import Browsed
from tests.captures import SAMPLES, sample
from tests.cli.test_cli import Capsys, told
from tests.crowd import crowd, write

Play = Callable[[Pilot[None], Browser], Awaitable[None]]
FAILED = sample("rst-after-fin-send-first")
ZERO = sample("zero-window-timeout")


def shown(app: Browser) -> list[str]:
    """The lines on the screen, as the terminal gets them."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def of(*captures: Path) -> Browsed:
    return browsed(analyzer.analyze(*captures), RuleOptions((), (), ()).load())


def play(given: Browsed, act: Play, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = Browser(given)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await act(pilot, app)

    asyncio.run(run())


async def settled(pilot: Pilot[None], app: Browser) -> None:
    """What reads the capture once more is done."""
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


def written(line: str) -> str:
    """Without the decoration of the library, which another version may draw in another way."""
    return line.rstrip(" ▇▄▎▅▂▆▃▁") if not set(line) & set("━╸╺") else ""


def test_list_ladder_plot_why_and_rule_fit_the_screen(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SAMPLES.parent)
    leaves: dict[str, list[str]] = {}

    async def act(pilot: Pilot[None], app: Browser) -> None:
        leaves["list"] = shown(app)
        await pilot.press("enter")
        await settled(pilot, app)
        for key, name in (("1", "ladder"), ("2", "plot"), ("3", "why"), ("4", "rule")):
            await pilot.press(key)
            await settled(pilot, app)
            leaves[name] = shown(app)
        await pilot.press("escape")
        await pilot.pause()
        assert shown(app)[2:20] == leaves["list"][2:20]

    play(of(ZERO.relative_to(SAMPLES.parent)), act)
    assert all(len(line) <= 80 for lines in leaves.values() for line in lines)
    text = "".join(
        f"== {name}\n" + "\n".join(map(written, lines[:-1])) + "\n" for name, lines in leaves.items()
    )
    stored = Path(__file__).parent / "screens.txt"
    if request.config.getoption("--update-snapshots"):
        stored.write_text(text)
    assert text == stored.read_text()


def test_the_filter_works_as_one_types(tmp_path: Path) -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        table = app.query_one(DataTable)
        everything = table.row_count
        await pilot.press("slash", *"econnre 10.0.8.15")
        await pilot.pause()
        assert 0 < table.row_count < everything
        await pilot.press(*" nonsense")
        await pilot.pause()
        assert table.row_count == 0
        assert "Nothing fits the filter." in "\n".join(shown(app))
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert app.query_one(Input).value == ""
        assert table.row_count == everything

    play(of(write(tmp_path / "crowd.pcap", crowd(400))), act)


def test_the_segment_under_the_cursor_is_told_in_full() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        await pilot.press("enter")
        await settled(pilot, app)
        lines = app.screen.query_one(OptionList)
        assert lines.option_count == 15
        assert lines.highlighted == 13
        assert "*    16    0.443  --- PSH data 49:65, 16 bytes, ack 50 -" in "\n".join(shown(app))
        await pilot.press("down")
        await pilot.pause()
        assert "+0.044 ms, server, RST, seq 50, 0 bytes" in "\n".join(shown(app))

    play(of(FAILED), act)


def test_zoom_and_the_other_end() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        await pilot.press("enter", "2")
        await settled(pilot, app)
        assert isinstance(app.focused, Plot)
        before = shown(app)
        await pilot.press("plus", "left")
        await pilot.pause()
        assert shown(app) != before
        await pilot.press("0")
        await pilot.pause()
        assert shown(app) == before
        await pilot.press("s")
        await pilot.pause()
        assert "What the server sent" in "\n".join(shown(app))
        await pilot.press(*["plus"] * 12)  # to where nothing was sent
        await pilot.pause()
        (axis,) = (line for line in shown(app) if re.fullmatch(r" +-?[\d.]+ s +-?[\d.]+ s *", line))
        first, last = re.findall(r"[\d.]+", axis)
        assert float(first) < float(last)

    play(of(FAILED), act)


def test_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = of(FAILED)
    monkeypatch.chdir(tmp_path)

    async def act(pilot: Pilot[None], app: Browser) -> None:
        await pilot.press("enter", "e")
        await settled(pilot, app)
        assert isinstance(app.screen, AskFor)
        await pilot.press("escape")
        assert list(tmp_path.iterdir()) == []
        await pilot.press("e", "enter")
        await settled(pilot, app)
        assert isinstance(app.screen, FlowScreen)
        (path,) = tmp_path.iterdir()
        assert path.name == "10.9.0.1-50835_10.9.1.2-8036_EPIPE_rst-after-fin.pcapng"
        assert [v.errno for flow in analyzer.analyze(path).flows for v in flow.verdicts] == ["EPIPE"]
        await pilot.press("e", "enter")  # it is there already
        await settled(pilot, app)
        assert [note.severity for note in app._notifications] == ["information", "warning"]
        assert [note.message for note in app._notifications] == [
            f"Written: {path.name}",
            f"{path.name}: there is such a file already\nhint: choose another name.",
        ]
        await pilot.press("e", *["backspace"] * len(".pcapng"), *"-2.pcapng", "enter")
        await settled(pilot, app)
        assert len(list(tmp_path.iterdir())) == 2

    play(given, act)


def test_hostile_names_are_no_markup_and_end_nothing() -> None:
    name = "[/bold][red]x[@click=app.quit]y[/]\x1b[2J"
    result = analyzer.analyze(FAILED).flows[0]
    endless = replace(result, flow=replace(result.flow, tunnel=name))
    said: list[str] = []

    async def act(pilot: Pilot[None], app: Browser) -> None:
        said.append(shown(app)[0])
        await pilot.press("enter", "e", "x", "enter")
        await settled(pilot, app)
        said.extend(note.message for note in app._notifications)
        assert isinstance(app.screen, FlowScreen)

    def export(_: object, path: str) -> None:
        raise UserError("unwritable", name, "cannot be written")

    play(Browsed(name, results=[endless], export=export), act)
    assert len(said) == 2
    assert all("[/bold][red]x[@click=app.quit]y[/]\\x1b[2J" in line for line in said)


def test_a_bug_shows_no_traceback(capsys: Capsys) -> None:
    browser = Browser(Browsed("broken", results=[None]))  # type: ignore[list-item]
    browser.run(headless=True)
    assert isinstance(browser.failure, AttributeError)
    assert "Traceback" not in "".join(capsys.readouterr())


def test_one_connection_in_several_captures_is_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.pcap", tmp_path / "b" / "x.pcap"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(FAILED.read_bytes())

    async def act(pilot: Pilot[None], app: Browser) -> None:
        assert [line.split()[-1] for line in shown(app)[2:5]] == ["in", "a/x.pcap", "b/x.pcap"]
        await pilot.press("slash", *"b/x")
        await pilot.pause()
        assert app.query_one(DataTable).row_count == 1
        await pilot.press("enter", "enter")
        await settled(pilot, app)
        assert "10.9.1.2:8036 in b/x.pcap" in shown(app)[0]

    play(of(*paths), act)
    assert _names(["x.pcap"]) == []
    assert _names(["a/x.pcap", "a/y.pcap"]) == ["x.pcap", "y.pcap"]
    assert _names(["a/x.pcap", "x.pcap"]) == ["a/x.pcap", "x.pcap"]


def test_keys_are_shown_and_hidden() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        for keys in (Browser.KEYS, FlowScreen.KEYS):
            assert "? keys" in shown(app)[-1]
            await pilot.press("question_mark")
            await settled(pilot, app)
            below = app.screen_stack[-2]
            assert isinstance(app.screen, Keys)
            said = "\n".join(shown(app))
            assert all(f"{key:<11} {what}" in said for key, what in (*keys, ("ctrl+c", "quit")))
            for key in ("question_mark", "escape", "q", "enter"):
                await pilot.press(key)
                await settled(pilot, app)
                assert app.screen is below
                await pilot.press("question_mark")
                await settled(pilot, app)
                assert isinstance(app.screen, Keys)
            await pilot.press("escape", "enter")
            await settled(pilot, app)

    play(of(FAILED), act)


def test_an_interrupt_ends_it_from_everywhere() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        await pilot.press("enter", "e")
        await settled(pilot, app)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app._exit

    play(of(FAILED), act)


def test_the_columns_of_an_empty_list_stand_apart() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        assert "what from to when sure" in "\n".join(shown(app))

    play(Browsed("nothing"), act)


def test_what_goes_on_is_followed_also_below_an_open_flow() -> None:
    failed = analyzer.analyze(FAILED).flows[0]
    other = analyzer.analyze(ZERO).flows[0]
    tell: list[Told] = []

    def follow(told: Told, is_over: Callable[[], bool]) -> None:
        tell.append(told)

    async def run() -> None:
        app = Browser(Browsed("eth0"), follow)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot, app)
            await asyncio.to_thread(tell[0], [News(failed, ended=False)], "17 packets, 1 open")
            await pilot.pause()
            assert "eth0: 17 packets, 1 open" in shown(app)[0]
            assert "client send EPIPE" in "\n".join(shown(app))
            await pilot.press("enter")
            await settled(pilot, app)
            assert isinstance(app.screen, FlowScreen)
            late = News(replace(other, flow=replace(other.flow, id=7)), ended=True)
            await asyncio.to_thread(tell[0], [late], "40 packets, 2 open")
            await pilot.press("escape")
            await pilot.pause()
            assert app.query_one(DataTable).row_count == 2

    asyncio.run(run())


def test_the_footer_says_how_a_flow_is_opened() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        assert "enter open" in shown(app)[-1]

    play(of(FAILED), act)


def test_nothing_failed_and_a_large_terminal() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        assert "Nothing has failed." in "\n".join(shown(app))
        await pilot.press("enter")
        await pilot.pause()

    play(of(sample("clean-request-response")), act, (200, 60))


def test_a_host_that_is_not_there_is_said_where_nothing_else_failed() -> None:
    async def act(pilot: Pilot[None], app: Browser) -> None:
        lines = shown(app)
        assert lines[1].startswith(" Doubt (d: in full): 10.9.0.254 did not answer ARP: a connect()")
        assert "No packet shows a failure, but 10.9.0.254 did not answer ARP" in " ".join(lines[-4:])
        await pilot.press("d")
        await pilot.pause()
        assert "got EHOSTUNREACH" in "\n".join(shown(app))
        await pilot.press("d")
        await pilot.pause()
        assert "got EHOSTUNREACH" not in "\n".join(shown(app))

    play(of(sample("next-hop-dead")), act)


def test_it_needs_a_terminal(capsys: Capsys) -> None:
    status, _, err = told(capsys, "view", FAILED)
    assert status == 2
    assert "needs a terminal" in err


def test_an_interface_is_no_capture(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert told(capsys, "view", "lo", "tcp")[::2] == (
        2,
        "errnoscope: lo: an interface is named with -i\nhint: errnoscope view -i lo tcp\n",
    )


def test_other_commands_do_without_it() -> None:
    code = (
        "import sys; from analyzer.cli.main import run; "
        "run(['analyze', sys.argv[1], '-o', 'json=/dev/null']); "
        "print(sorted({'textual', 'rich', 'cryptography'} & set(sys.modules)))"
    )
    line = [sys.executable, "-c", code, str(FAILED)]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "[]\n"
