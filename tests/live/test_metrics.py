"""Counts for Prometheus, asked for as Prometheus does."""

from __future__ import annotations

import socket
import urllib.request
from time import monotonic, sleep

import pytest

from analyzer.cli.main import run
from tests.captures import frames_of
from tests.live.running import ROOT, Running, live

DATA = (ROOT / "samples/connection-refused/client.pcap").read_bytes()


def served(running: Running) -> str:
    assert running.process.stderr is not None
    said = running.process.stderr.readline().decode()
    assert said.startswith("metrics: http://127.0.0.1:")
    return said.split()[1]


def ask(address: str, word: str) -> str:
    """The page once it has that word."""
    until = monotonic() + 20
    while monotonic() < until:
        page = urllib.request.urlopen(address, timeout=10).read().decode()
        if word in page:
            return str(page)
        sleep(0.05)
    raise AssertionError(page)


def test_what_is_told_is_counted() -> None:
    with live("-", "--metrics", "0", piped=True) as running:
        address = served(running)
        running.send(DATA)
        running.line_with("connection-refused")
        page = ask(address, 'errno="ECONNREFUSED"')
        status, _, _ = running.end(None)
    assert status == 0
    counted = [line for line in page.splitlines() if line.startswith("errnoscope_verdicts_total")]
    assert len(counted) == 1
    assert 'rule="connection-refused"' in counted[0]
    assert counted[0].endswith(" 1.0")
    assert f"errnoscope_packets_total {len(frames_of(DATA))}.0" in page
    assert "errnoscope_dropped_total 0.0" in page


def test_nothing_serves_any_more_when_it_has_ended() -> None:
    with live("-", "--metrics", "127.0.0.1:0", piped=True) as running:
        address = served(running)
        running.send(DATA)
        running.end(None)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=10)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(["live", "-i", "lo", "--metrics", place]) == 2
    said = capsys.readouterr().err
    assert f"--metrics {place}" in said
    assert "in use" in said
    assert "hint:" in said


def test_what_is_no_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["live", "-i", "lo", "--metrics", "somewhere"]) == 2
    assert "no port" in capsys.readouterr().err
