"""The text report, word for word: `pytest --update-snapshots` writes anew what is compared here."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.cli.main import run

SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
NAMES = sorted(path.stem for path in (SNAPSHOTS / "captures").iterdir())

WIDTH = 80
TO_BE_COPIED = ("wireshark ", "errnoscope ", "tshark ")
"""What begins so is one line for a shell, however long."""


def captures(name: str) -> list[str]:
    return [f"captures/{one}.pcap" for one in (NAMES if name == "all" else [name])]


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
    stored = SNAPSHOTS / f"{name}.txt"
    if request.config.getoption("--update-snapshots"):
        stored.write_text(out)
    assert stored.exists(), "run pytest --update-snapshots"
    assert out == stored.read_text()


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == {*NAMES, "all"}


@pytest.mark.parametrize("name", [*NAMES, "all"])
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
