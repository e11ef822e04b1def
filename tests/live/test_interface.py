"""Capturing on an interface, and all that can go wrong there, with the real thing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from analyzer.pipeline import analyze
from tests.lab.network import run
from tests.live.place import MISSING, PORT, Place, place
from tests.live.running import LIVE, ROOT, live

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"live capture needs: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def there() -> Iterator[Place]:
    with place() as made:
        yield made


def started(process: subprocess.Popen[bytes], there: Place, programs: int = 1) -> int:
    """Waits until it captures: the process id of the first program that does."""
    for _ in range(300):
        children = there.children(process.pid)
        if len(children) == programs and all(map(there.captures, children)):
            return children[0]
        assert process.poll() is None
        sleep(0.05)
    raise AssertionError("no capture began")


def gone(pid: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_refused_connection_and_a_signal(there: Place, tmp_path: Path, number: int) -> None:
    kept, told = tmp_path / "kept.pcap", tmp_path / "told.json"
    arguments = ("-i", "v0", "-w", str(kept), "-o", "text", "-o", f"json={told}")
    with live(*arguments, before=there.before) as running:
        program = started(running.process, there)
        there.connect()
        assert f":{PORT}  client connect(): ECONNREFUSED" in running.line_with("connection-refused")
        status, rest, said = running.end(number)
    assert (status, said) == (0, "")
    assert "1 of 1 TCP connection failed" in rest
    assert gone(program)
    report = analyze(kept)
    (flow,) = json.loads(told.read_text())["flows"]
    assert [v.rule for v in report.flows[0].verdicts] == [v["rule"] for v in flow["verdicts"]]
    assert report.totals.packets == 2


def test_json_lines_while_it_runs(there: Place) -> None:
    with live("-i", "v0", "-o", "json-lines", before=there.before) as running:
        started(running.process, there)
        there.connect()
        line = json.loads(running.line_with('"live"'))
        assert (line["state"], line["verdict"]["rule"]) == ("told", "connection-refused")
        _, rest, _ = running.end()
    assert [json.loads(text)["type"] for text in rest.splitlines()] == ["verdict", "totals"]


def test_several_interfaces_and_count(there: Place, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    arguments = ("-i", "v0", "-i", "lo", "-c", "4", "-o", f"json={told}")
    with live(*arguments, before=there.before) as running:
        started(running.process, there, programs=2)
        there.connect()
        there.python("import socket; socket.socket().connect_ex(('127.0.0.1', 9))")
        assert running.process.wait(30) == 0
    report = json.loads(told.read_text())
    assert {flow["server"]["address"] for flow in report["flows"]} == {"10.8.0.2", "127.0.0.1"}
    assert report["captures"][0]["packets"] == 4


def test_any_interface_and_a_filter(there: Place) -> None:
    with live("-i", "any", "tcp", "port", "9", before=there.before) as running:
        started(running.process, there)
        there.connect()
        there.connect(9)
        assert ":9  client" in running.line_with("connection-refused")
        _, rest, _ = running.end()
    assert "1 of 1 TCP connection failed" in rest


def test_the_interface_vanishes(tmp_path: Path) -> None:
    with place() as own, live("-i", "v0", before=own.before) as running:
        program = started(running.process, own)
        own.connect()
        running.line_with("connection-refused")
        run(["ip", "-n", own.here, "link", "delete", "v0"])
        status, rest, said = running.end(None)
    assert status == 2
    assert "errnoscope: v0: the capture ended: " in said
    assert "1 of 1 TCP connection failed" in rest
    assert gone(program)


def test_the_capture_program_is_killed(there: Place) -> None:
    with live("-i", "v0", before=there.before) as running:
        program = started(running.process, there)
        there.connect()
        running.line_with("connection-refused")
        os.kill(program, signal.SIGKILL)
        status, rest, said = running.end(None)
    assert status == 2
    assert "was ended by SIGKILL" in said
    assert "1 of 1 TCP connection failed" in rest


def test_no_such_interface(there: Place) -> None:
    with live("-i", "eth7", before=there.before) as running:
        status, _, said = running.end(None)
    assert status == 2
    assert said == "errnoscope: -i eth7: there is no such interface\nhint: there are lo, v0, any\n"


def test_a_wrong_filter(there: Place) -> None:
    with live("-i", "v0", "tcp and foo bar", before=there.before) as running:
        status, _, said = running.end(None)
    assert status == 2
    assert "filter `tcp and foo bar`: " in said
    assert "syntax error" in said


def test_no_permission(there: Place) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
    with live("-i", "v0", before=there.command(*nobody)) as running:
        status, _, said = running.end(None)
    assert status == 2
    assert "CAP_NET_RAW" in said
    assert "setcap cap_net_raw,cap_net_admin=eip /" in said


def test_nobody_reads_stdout_any_more(there: Place) -> None:
    command = [*there.before, *LIVE, "-i", "v0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        program = started(process, there)
        there.connect()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""
    assert gone(program)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_the_disk_is_full_for_failures(there: Place, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(small)])
    kept = small / "failed.pcapng"
    try:
        with live("-i", "v0", "--write-failures", str(kept), before=there.before) as running:
            started(running.process, there)
            for _ in range(40):
                there.connect()
            for _ in range(40):
                running.line_with("connection-refused")
            status, rest, said = running.end()
        report = analyze(kept)
    finally:
        run(["umount", str(small)])
    assert status == 0
    assert said.count("No space left on device: no more failures are written") == 1
    assert "40 of 40 TCP connections failed" in rest
    assert report.captures[0].damage is None
    assert 0 < report.captures[0].packets < 80


def test_the_disk_is_full(there: Place, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(small)])
    try:
        kept = small / "kept.pcap"
        with live("-i", "v0", "-w", str(kept), before=there.before) as running:
            started(running.process, there)
            for _ in range(40):
                there.connect()
            last = PORT + 1
            there.connect(last)
            running.line_with(f":{last}  client")
            status, rest, said = running.end()
        assert status == 0
        assert said.count("No space left on device: nothing more is written") == 1
        assert "41 of 41 TCP connections failed" in rest
        report = analyze(kept)
        assert report.captures[0].problems == []
        assert report.totals.packets > 2
    finally:
        run(["umount", str(small)])


def test_silence_is_decided_by_the_clock() -> None:
    """No packet comes any more when the time is over."""
    with place() as own:
        own.silent()
        with live("-i", "v0", before=own.before) as running:
            started(running.process, own)
            own.connect()
            assert "was due at" in running.line_with("  connect-stopped")
            running.end()


def test_interfaces_are_listed(there: Place) -> None:
    with live("-D", before=there.before) as running:
        status, rest, _ = running.end(None)
    assert (status, rest.split()) == (0, ["lo", "v0", "any"])
