"""Captures of others that come through a pipe."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from analyzer.cli.main import run
from tests.captures import frames_of, record_offsets
from tests.live.running import LIVE, ROOT, live
from tests.sources.build import pcapng

REFUSED = ROOT / "samples/connection-refused/client.pcap"
DATA = REFUSED.read_bytes()


@pytest.mark.parametrize("data", [DATA, pcapng(frames_of(DATA))], ids=["pcap", "pcapng"])
def test_a_finding_comes_while_the_stream_runs(data: bytes) -> None:
    with live("-", piped=True) as running:
        running.send(data)
        line = running.line_with("connection-refused")
        assert "client connect(): ECONNREFUSED" in line
        assert running.process.poll() is None
        status, rest, said = running.end(None)
    assert (status, said) == (0, "")
    assert "failed" in rest


def test_a_signal_ends_it_with_the_report() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with live("-", piped=True) as running:
            running.send(DATA)
            running.line_with("connection-refused")
            status, rest, said = running.end(number)
        assert (status, said) == (0, "")
        assert "failed" in rest


def test_a_closed_terminal_ends_it_with_the_report(tmp_path: Path) -> None:
    """The kernel says so, and the shell once more; what is written to the terminal fails."""
    ours, theirs = pty.openpty()
    report = tmp_path / "report.json"
    with subprocess.Popen(
        [*LIVE, "-", "-o", f"json={report}"], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, cwd=ROOT
    ) as running:
        os.close(theirs)
        assert running.stdin
        running.stdin.write(DATA)
        running.stdin.flush()
        shown = b""
        while b"connection-refused" not in shown:
            shown += os.read(ours, 1 << 16)
        os.close(ours)
        for _ in range(20):
            if running.poll() is None:
                running.send_signal(signal.SIGHUP)
                time.sleep(0.01)
        assert running.wait(60) == 0
    assert json.loads(report.read_text())["totals"]["tcp_flows"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_what_the_caller_ignores_does_not_end_it() -> None:
    """As nohup has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with live("-", piped=True) as running:
            running.send(DATA)
            running.line_with("connection-refused")
            running.process.send_signal(signal.SIGHUP)
            assert not running.says("failed", 1.0)
            status, rest, _ = running.end(None)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert status == 0
    assert "failed" in rest


def test_in_the_background_of_a_script_it_hears_an_interrupt() -> None:
    """A shell without job control has SIGINT ignored there."""
    with live("-", before=("sh", "-c", 'trap "" INT; exec "$@"', "sh"), piped=True) as running:
        running.send(DATA)
        running.line_with("connection-refused")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 0
        assert "1 of 1 TCP connection failed" in running.end(None)[1]


def test_the_report_is_that_of_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["analyze", str(REFUSED), "-o", "json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    with live("-", "-o", f"json={tmp_path / 'live.json'}", piped=True) as running:
        running.send(DATA)
        assert running.end(None)[0] == 0
    got = json.loads((tmp_path / "live.json").read_text())
    assert got["captures"][0].pop("path") == "-"
    del expected["captures"][0]["path"]
    assert got == expected


def test_a_stream_that_ends_inside_a_record_ends_well(tmp_path: Path) -> None:
    with live("-", "-o", f"json={tmp_path / 'live.json'}", piped=True) as running:
        running.send(DATA[:-5])
        assert running.end(None)[0] == 0
    (capture,) = json.loads((tmp_path / "live.json").read_text())["captures"]
    assert capture["packets"] == len(record_offsets(DATA)) - 2  # one is the end
    assert capture["problems"] == []


def test_count_ends_it(tmp_path: Path) -> None:
    with live("-", "-c", "1", "-o", f"json={tmp_path / 'live.json'}", piped=True) as running:
        running.send(DATA)
        assert running.process.wait(30) == 0
    (capture,) = json.loads((tmp_path / "live.json").read_text())["captures"]
    assert capture["packets"] == 1


def test_what_is_no_capture_is_said() -> None:
    with live("-", piped=True) as running:
        running.send(b"GET / HTTP/1.1\r\n\r\n" * 100)
        status, _, said = running.end(None)
    assert status == 2
    assert "the file is text, not a capture" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "no interface is given"),
        (["-", "-i", "lo"], "not both"),
        (["-", "port", "80"], "a pipe cannot be filtered"),
    ],
)
def test_bad_use_is_said(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["live", *arguments]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["lo"], "lo: an interface is named with -i\nhint: errnoscope live -i lo\n"),
        (["lo", "port", "80"], "hint: errnoscope live -i lo port 80\n"),
        (["look"], "look: an interface is named with -i; there is lo\nhint: errnoscope live -i lo\n"),
        ([str(REFUSED)], f"hint: errnoscope analyze {REFUSED}\n"),
        (["tcp", "port", "80"], "hint: errnoscope live -i any tcp port 80; -D lists"),
    ],
)
def test_what_may_have_been_meant_without_i(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["live", *words]) == 2
    assert expected in capsys.readouterr().err


def test_what_was_kept_is_whole_and_named(tmp_path: Path) -> None:
    """Frames of a pipe were cut by whoever captured them, if at all: no reader is to cut them once more."""
    for option, name in (("-w", "kept.pcap"), ("--write-failures", "failed.pcapng")):
        kept = tmp_path / name
        with live("-", option, str(kept), "-o", "text", piped=True) as running:
            running.send(DATA)
            status, out, _ = running.end(None)
        assert status == 0
        assert f"wireshark {kept} -Y" in out
    snaplen = int.from_bytes((tmp_path / "kept.pcap").read_bytes()[16:20], "little")
    assert snaplen == 262_144
