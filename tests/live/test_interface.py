"""Capturing on an interface, and all that can go wrong there, with the real thing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from analyzer.pipeline.files import analyze
from tests.lab.network import run
from tests.live.place import MISSING, PORT, Place, place
from tests.live.running import LIVE, ROOT, Running, live

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


@pytest.fixture
def dumpcap(tmp_path: Path) -> tuple[str, ...]:
    """What has errnoscope find dumpcap and nothing else."""
    program = shutil.which("dumpcap")
    if program is None:
        pytest.skip("dumpcap is not installed")
    (tmp_path / "dumpcap").symlink_to(program)
    return "env", f"PATH={tmp_path}"


def connect_until_told(running: Running, there: Place) -> None:
    """When these programs begin to capture does not show from outside."""
    assert any(there.connect() or running.says("connection-refused", 1.0) for _ in range(40))


def test_dumpcap_captures_where_no_tcpdump_is(there: Place, dumpcap: tuple[str, ...]) -> None:
    with live("-i", "v0", before=there.command(*dumpcap)) as running:
        connect_until_told(running, there)
        (program,) = there.children(running.process.pid)
        status, rest, said = running.end()
    assert (status, said) == (0, "")
    assert "TCP connection" in rest
    assert gone(program)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("eth7",), "-i eth7: there is no such interface\nhint: there are lo, v0, any\n"),
        (("v0", "foo bar"), "filter `foo bar`: Invalid capture filter"),
    ],
)
def test_what_is_wrong_for_dumpcap(
    there: Place, dumpcap: tuple[str, ...], words: tuple[str, ...], expected: str
) -> None:
    with live("-i", *words, before=there.command(*dumpcap)) as running:
        status, _, said = running.end(None)
    assert status == 2
    assert expected in said


def test_no_permission_for_dumpcap(there: Place, dumpcap: tuple[str, ...]) -> None:
    weak = (shutil.which("setpriv") or "setpriv", "--bounding-set=-all")
    with live("-i", "v0", before=there.command(*dumpcap, *weak)) as running:
        status, _, said = running.end(None)
    assert status == 2
    assert "CAP_NET_RAW" in said
    assert "sudo setcap" in said or "sudo usermod -aG" in said


NO_PROGRAM = ("env", "PATH=/nowhere")
"""Neither tcpdump nor dumpcap is found: scapy captures."""


def test_scapy_captures_where_no_program_is(there: Place) -> None:
    with live("-i", "v0", before=there.command(*NO_PROGRAM)) as running:
        connect_until_told(running, there)
        status, rest, said = running.end()
    assert (status, said) == (0, "")
    assert "TCP connection" in rest


def test_no_permission_for_scapy(there: Place) -> None:
    """Root without capabilities, who may start Python wherever it is."""
    weak = (shutil.which("setpriv") or "setpriv", "--bounding-set=-all")
    with live("-i", "v0", before=there.command(*NO_PROGRAM, *weak)) as running:
        status, _, said = running.end(None)
    assert status == 2
    assert "CAP_NET_RAW" in said
    assert "hint: install tcpdump" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [(("eth7",), "there are lo, v0, any"), (("v0", "foo bar"), "filter `foo bar`: ")],
)
def test_what_is_wrong_for_scapy(there: Place, words: tuple[str, ...], expected: str) -> None:
    with live("-i", *words, before=there.command(*NO_PROGRAM)) as running:
        status, _, said = running.end(None)
    assert status == 2
    assert expected in said
    assert "Traceback" not in said


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
        assert "nothing more is written, the capture goes on" in " ".join(rest.split())
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


def test_the_interface_goes_down_and_up_again() -> None:
    with place() as own, live("-i", "v0", before=own.before) as running:
        started(running.process, own)
        own.connect()
        running.line_with("connection-refused")
        run(["ip", "-n", own.here, "link", "set", "v0", "down"])
        assert running.process.stderr is not None
        assert b"v0: the interface went down at " in running.process.stderr.readline()
        run(["ip", "-n", own.here, "link", "set", "v0", "up"])
        own.connect(PORT + 1)
        running.line_with(f":{PORT + 1}  client")
        status, rest, said = running.end()
    assert (status, said) == (0, "")
    assert "2 of 2 TCP connections failed" in rest
    assert "the interface went down at " in " ".join(rest.split())


STEPS_BACK = '''#!{python}
"""tcpdump, whose clock is set back by an hour after the first two packets."""
import os, signal, struct, subprocess, sys
real = subprocess.Popen(["{tcpdump}", *sys.argv[1:]], stdout=subprocess.PIPE)
for number in (signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: real.send_signal(number))
out, count = real.stdout, 0
sys.stdout.buffer.write(out.read(24))
while len(head := out.read(16)) == 16:
    seconds, rest, size, original = struct.unpack("<4I", head)
    count += 1
    seconds -= 3600 * (count > 2)
    sys.stdout.buffer.write(struct.pack("<4I", seconds, rest, size, original) + out.read(size))
    sys.stdout.buffer.flush()
sys.exit(real.wait())
'''


def test_the_clock_is_set_back(there: Place, tmp_path: Path) -> None:
    """The times of real packets are changed on their way: setting the clock would set it for everybody."""
    program = tmp_path / "tcpdump"
    program.write_text(STEPS_BACK.format(python=sys.executable, tcpdump=shutil.which("tcpdump")))
    program.chmod(0o755)
    path = ("env", f"PATH={tmp_path}:{os.environ['PATH']}")
    with live("-i", "v0", before=there.command(*path)) as running:
        wait_for_grandchild(running.process, there)
        there.connect()
        before = running.line_with("connection-refused")
        there.connect(PORT + 1)
        after = running.line_with(f":{PORT + 1}  client")
        status, rest, said = running.end()
    assert (status, said) == (0, "")
    assert before[:5] <= after[:5]  # hours and minutes go on
    assert "The clock of this machine was set back by 3," in " ".join(rest.split())
    assert "2 of 2 TCP connections failed" in rest


def wait_for_grandchild(process: subprocess.Popen[bytes], there: Place) -> None:
    for _ in range(300):
        if any(there.captures(pid) for child in there.children(process.pid) for pid in there.children(child)):
            return
        sleep(0.05)
    raise AssertionError("no capture began")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_whole_files_and_no_process(
    there: Place, tmp_path: Path, number: int
) -> None:
    kept, failed, told = tmp_path / "kept.pcap", tmp_path / "failed.pcapng", tmp_path / "told.json"
    arguments = ("-i", "v0", "-w", str(kept), "--write-failures", str(failed), "-o", f"json={told}")
    with live(*arguments, "--metrics", "0", before=there.before) as running:
        assert running.process.stderr is not None
        running.process.stderr.readline()  # the address of the metrics
        for _ in range(300):
            children = there.children(running.process.pid)
            if any(map(there.captures, children)):
                break
            sleep(0.05)
        for turn in range(20):
            there.connect(PORT + turn)
        running.process.send_signal(number)
        assert running.process.wait(30) == 0
    assert all(gone(pid) for pid in children)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failed.pcapng", "kept.pcap", "told.json"]
    report = json.loads(told.read_text())
    for path in (kept, failed):
        capture = analyze(path).captures[0]
        assert capture.damage is None
        assert capture.problems == []
    assert analyze(kept).totals.packets == report["captures"][0]["packets"]


def test_killed_it_leaves_files_that_can_be_read(there: Place, tmp_path: Path) -> None:
    """SIGKILL: what was written by then is whole, and no report is half there."""
    kept, failed, told = tmp_path / "kept.pcap", tmp_path / "failed.pcapng", tmp_path / "told.json"
    arguments = (
        "-i",
        "v0",
        "-w",
        str(kept),
        "--write-failures",
        str(failed),
        "-o",
        f"json={told}",
        "-o",
        "text",
    )
    with live(*arguments, before=there.before) as running:
        program = started(running.process, there)
        for turn in range(20):
            there.connect(PORT + turn)
        running.line_with(f":{PORT + 19}  client")
        running.process.kill()
        running.process.wait(30)
        there.connect()  # the capture program meets a pipe that nobody reads
        assert gone(program)
    assert not told.exists()
    for path in (kept, failed):
        report = analyze(path)
        assert report.captures[0].damage is None
        assert report.totals.packets == 40
