"""The text report, word for word: `pytest --update-snapshots` writes anew what is compared here."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from analyzer import UserError, analyze
from analyzer.cli.main import run
from analyzer.reports import text
from tests.crowd import BEGIN, SECOND, Ends, checked, crowd, outage, paused, refused, served, write

SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
NAMES = sorted(path.stem for path in (SNAPSHOTS / "captures").iterdir())

ENDS = [Ends("10.0.0.1", 4000 + number, "10.0.0.2", 80) for number in range(3)]
CHECKS = [Ends("10.0.0.4", 2000 + number, "10.0.9.31", 8080) for number in range(40)]
HOSTS = [Ends("fd00::1", 4000 + number, f"fd00:0:0:1:20c:29ff:fe9c:{number}", 80) for number in range(40)]
MADE = {
    "made-three-refused": [refused(ends, BEGIN + number * SECOND) for number, ends in enumerate(ENDS)],
    "made-outage": outage(300),
    "made-crowd": crowd(400),
    "made-health-checks": [checked(ends, BEGIN + number * SECOND) for number, ends in enumerate(CHECKS)],
    "made-retried": [refused(ENDS[0], BEGIN), served(ENDS[1], BEGIN + SECOND)],
    "made-long-silence": [paused(ENDS[0], BEGIN, pause=300 * SECOND)],
    "made-many-kinds": [refused(ends, BEGIN + number * SECOND) for number, ends in enumerate(HOSTS)],
}
"""Captures that are made for it: what takes many connections."""

WIDTH = 80
TO_BE_COPIED = ("wireshark ", "errnoscope ", "tshark ")
"""What begins so is one line for a shell, however long."""


def captures(name: str) -> list[str]:
    return [f"captures/{one}.pcap" for one in (NAMES if name == "all" else [name])]


def check(name: str, out: str, request: pytest.FixtureRequest) -> None:
    stored = SNAPSHOTS / f"{name}.txt"
    if request.config.getoption("--update-snapshots"):
        stored.write_text(out)
    assert stored.exists(), "run pytest --update-snapshots"
    assert _without_count(out) == _without_count(stored.read_text())


def _without_count(text: str) -> str:
    """A new rule changes how many there are, and nothing else of a report."""
    return re.sub(r"\(\d+ rules:", "(all rules:", text)


@pytest.mark.parametrize("name", [*NAMES, "all"])
def test_text_report(
    name: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(SNAPSHOTS)
    assert run(["analyze", *captures(name)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    check(name, out, request)


@pytest.mark.parametrize("name", MADE)
def test_text_report_of_many_connections(
    name: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path(f"{name}.pcap"), MADE[name])
    assert run(["analyze", f"{name}.pcap"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    check(name, out, request)


def test_text_report_of_a_damaged_file(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(Path("made-damaged.pcap"), MADE["made-three-refused"])
    path.write_bytes(path.read_bytes() + b"\xff" * 400)
    assert run(["analyze", path.name]) == 2
    check("made-damaged", capsys.readouterr().out, request)


def test_text_report_of_one_kind(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = analyze(write(Path("made-crowd.pcap"), MADE["made-crowd"]))
    out = io.StringIO()
    text.write(report, out, group=2)
    check("made-crowd-group", out.getvalue(), request)
    with pytest.raises(UserError, match="there are 1 to 3"):
        text.write(report, out, group=4)


OTHERS = ("all", "made-damaged", "made-crowd-group")


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == {*NAMES, *MADE, *OTHERS}


@pytest.mark.parametrize("name", [*NAMES, *MADE, *OTHERS])
def test_reports_fit_eighty_columns(name: str) -> None:
    lines = (SNAPSHOTS / f"{name}.txt").read_text().splitlines()
    long = [line for line in lines if len(line) > WIDTH and not any(word in line for word in TO_BE_COPIED)]
    assert long == []


def test_ci_never_writes_snapshots(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeconftest((SNAPSHOTS.parent / "conftest.py").read_text())
    pytester.makepyfile("def test_nothing(): pass")
    monkeypatch.setenv("CI", "true")
    done = pytester.runpytest("--update-snapshots")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*not for CI*"])
    monkeypatch.delenv("CI")
    assert pytester.runpytest("--update-snapshots").ret == pytest.ExitCode.OK
