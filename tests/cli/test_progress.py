"""The bar on a terminal: what is being done, in lines that fit."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from analyzer.cli import progress
from analyzer.cli.main import run
from tests.captures import sample

FAILED = sample("premature-eof-mid-answer")


class Terminal(io.StringIO):
    """A stderr that is one."""

    def isatty(self) -> bool:
        """What is asked before a bar is shown."""
        return True

    @property
    def text(self) -> str:
        """What was shown, without what moves or hides the cursor."""
        return re.sub(r"\x1b\[\??\d*[A-Za-z]", "", self.getvalue())


def terminal(monkeypatch: pytest.MonkeyPatch, least: int = 1) -> Terminal:
    """Stderr from now on (pytest sets its own as a test begins); files of ``least`` bytes have a bar."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(progress, "_FROM", least)
    return shown


def bars(shown: Terminal) -> list[str]:
    """What each bar that was shown is for, in order, each of which ended at 100 %."""
    ended = re.findall(r"(\w[\w ]*?)  \[#+\]  100%", shown.text)
    assert {*re.findall(r"(\w[\w ]*?)  \[", shown.text)} == {*ended}
    return list(dict.fromkeys(ended))


def test_each_reading_of_the_capture_says_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = terminal(monkeypatch)
    files = ["-o", f"html={tmp_path}/page.html", "-o", f"pcapng={tmp_path}/copy.pcapng"]
    assert run(["analyze", str(FAILED), *files, "--carve", f"{tmp_path}/carved"]) == 0
    assert bars(shown) == ["reading", "reading again", "drawing", "copying", "carving"]
    assert shown.text.endswith("packets and index.json were written\n")


def test_of_several_captures_there_is_one_bar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    captures = [tmp_path / f"{number}.pcap" for number in range(3)]
    for capture in captures:
        capture.write_bytes(FAILED.read_bytes())
    for command in ("analyze", "check"):
        shown = terminal(monkeypatch)
        run([command, *map(str, captures), "-o", f"json={tmp_path}/report.json"])
        assert bars(shown) == ["reading"]
        assert shown.text.count("  again 100%") >= len(captures)  # and yet one sees that it goes on
        assert re.split(r"[\r\n]+", shown.text.strip())[-1].rstrip().endswith("]  100%")


def test_it_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (40, 60, 200):
        shown = terminal(monkeypatch)
        monkeypatch.setattr(progress, "columns", lambda width=width: width)
        with progress.Progress() as bar:
            for done in range(0, 5010, 10):
                bar.show(done, 5000, "reading again")
        lines = re.split(r"[\r\n]", shown.text)
        assert bars(shown) == ["reading again"]
        assert max(map(len, lines)) < min(width, 80)


def test_what_is_short_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch, 5000)
    with progress.Progress() as bar:
        bar.show(1, 4999)
    assert shown.text == ""
