"""Log lines of many programs, and lines that must not be taken for any."""

from __future__ import annotations

import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.data import load
from analyzer.logs.errnos import by_number, by_text, platforms_of
from analyzer.logs.recognise import recognise
from analyzer.model.rule import CALLS

HERE = Path(__file__).resolve().parent
CASES = [line.split("|", 3) for line in (HERE / "lines.txt").read_text().splitlines()]
"""Program, a result, a call (or nothing), and the line."""


@pytest.mark.parametrize(("program", "result", "call", "line"), CASES, ids=[case[3][:60] for case in CASES])
def test_a_line_is_recognised(program: str, result: str, call: str, line: str) -> None:
    reading = recognise(line)
    assert reading
    assert (reading.program, result in reading.results) == (program, True)
    assert call in reading.calls if call else reading.calls == ()


def test_enough_programs_are_known() -> None:
    assert len(CASES) >= 60
    assert len({program for program, *_ in CASES if program}) >= 15


def test_a_line_that_goes_on_is_recognised() -> None:
    for program, *_, line in CASES:
        around = recognise(f"2026-11-21T05:58:23.242Z host app[77]: {line}")
        assert around
        assert around.program == program


# Lines of programs that are well


def test_lines_of_programs_that_are_well_say_nothing() -> None:
    chance = random.Random(7)
    templates = (HERE / "well.txt").read_text().splitlines()
    lines = [
        chance.choice(templates).format(
            date=f"2026-11-{chance.randint(10, 30)} 10:00:{chance.uniform(10, 59):.3f}",
            n=chance.randint(1, 60000),
            b=chance.choice([n for n in range(1, 250) if n != 141]),
        )
        for _ in range(1000)
    ]
    assert len(set(lines)) > 950
    assert {line: reading for line in lines if (reading := recognise(line))} == {}


@pytest.mark.parametrize(
    "line", ["", " ", "\x00", "E" * 100_000, "(" * 5000, "ERROR", "1" * 5000, "errno " + "9" * 400]
)
def test_odd_lines_are_no_trouble(line: str) -> None:
    assert recognise(line) is None


def test_a_number_depends_on_the_platform() -> None:
    for platform, number in (
        ("linux", 104),
        ("freebsd", 54),
        ("macos", 54),
        ("windows", 10054),
        ("linux/mips", 131),
    ):
        reading = recognise(f"errno {number}", platform)
        assert reading
        assert reading.results == ("ECONNRESET",)
        assert by_number(number, platform) == "ECONNRESET"
    assert recognise("errno 54", "linux") is None
    assert platforms_of(54)["macos"] == "ECONNRESET"
    assert "linux" not in platforms_of(54)


@pytest.mark.parametrize(
    ("line", "number", "platform"),
    [
        ("Connection reset by peer (os error 54)", 54, "macos"),
        ("TimeoutError: [Errno 60] Operation timed out", 60, "macos"),
        ("OSError: [Errno 65] No route to host", 65, "macos"),
        ("ConnectionResetError: [Errno 54] Connection reset by peer", 54, "macos"),
        ("ConnectionResetError(104, 'Connection reset by peer')", 104, "linux"),
        ("BrokenPipeError: [Errno 32] Broken pipe", 32, "linux"),
        ("Connection reset by peer (os error 131)", 131, "linux/mips"),
        ("Connection refused (os error 107)", 107, "windows_crt"),
        ("Transport endpoint is not connected (os error 107)", 107, "linux"),
    ],
)
def test_the_commonest_platform_that_fits_is_taken(line: str, number: int, platform: str) -> None:
    reading = recognise(line)
    assert reading
    assert (reading.number, reading.platform) == (number, platform)


def test_a_number_that_contradicts_its_words_tells_no_platform() -> None:
    reading = recognise("ConnectionResetError: [Errno 9999] Connection reset by peer")
    assert reading
    assert (reading.results, reading.number, reading.platform) == (("ECONNRESET",), None, "")
    told = recognise("ConnectionResetError: [Errno 54] Connection reset by peer", "freebsd")
    assert told
    assert (told.number, told.platform) == (54, "freebsd")


def test_a_timeout_of_curl_is_no_refusal() -> None:
    for line in (line for *_, line in CASES if line.startswith("curl: (28)")):
        reading = recognise(line)
        assert reading
        assert set(reading.results) <= {"BLOCKS", "ETIMEDOUT"}
    own = recognise("curl: (28) Failed to connect to 127.0.0.1 port 7300 after 1001 ms: Timeout was reached")
    assert own
    assert own.results == ("BLOCKS",)


def test_only_errno_0_of_openssl_is_the_end_of_the_stream() -> None:
    for line in (line for *_, line in CASES if "SSL_ERROR_SYSCALL" in line and "errno" in line):
        reading = recognise(line)
        assert reading
        assert ("EOF" in reading.results) is line.endswith("errno 0")
    unknown = recognise("curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL, errno 9999")
    assert unknown is None


def test_addresses_and_ports_of_a_line() -> None:
    reading = recognise(
        "read tcp 10.0.0.5:41000->[2001:db8::1]:443: read: connection reset by peer, port 8080"
    )
    assert reading
    assert reading.addresses == ("10.0.0.5", "2001:db8::1")
    assert reading.ports == (41000, 443, 8080)


def test_data_is_complete() -> None:
    lines, notes, known = load("log_lines"), load("errno_notes"), load("errno")["errno"]
    assert set(notes["errno"]) == set(known)
    assert set(notes["results"]) == {"EOF", "BLOCKS", "OWN"}
    assert set(lines["texts"]) <= set(known)
    for entry in lines["patterns"]:
        assert set(entry) <= {
            "program",
            "pattern",
            "result",
            "results",
            "call",
            "means",
            "trap",
            "evidence",
            "from_windows_text",
            "peer",
        }
        assert entry["evidence"] in {"measured", "source", "report"}
        assert (
            {entry["result"]}
            if "result" in entry
            else set(entry.get("results", [])) <= {*known, "EOF", "BLOCKS", "OWN"}
        )
        assert set(entry.get("call", [])) <= set(CALLS)
        groups = set(re.compile(entry["pattern"]).groupindex)
        assert groups <= {"number", "name", "text", "windows"}
        assert groups or {"result", "results", "from_windows_text"} & set(entry)
    for number in lines["windows"].values():
        assert by_number(number, "windows")
    for entry in [*notes["errno"].values(), *notes["results"].values()]:
        assert set(entry) <= {"title", "calls", "wire", "host", "books", "apart"}
        assert entry["wire"] or entry.get("host")
        assert len(entry["wire"]) < 2 or "apart" in entry, entry
        assert set(entry["calls"]) <= {*CALLS, "bind", "listen", "setsockopt", "getsockopt", "any"}
    assert by_text("Operation timed out") == by_text("connection timed out.") == "ETIMEDOUT"


# What programs really print


class Server:
    """A server that ends each connection in the way that ``end`` says, after reading once."""

    def __init__(self, end: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._end = end
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            with accepted:
                accepted.settimeout(5)
                accepted.recv(65536)
                self._end(accepted)


def reset(accepted: socket.socket) -> None:
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def finish(_: socket.socket) -> None:
    """close() follows."""


def cut(accepted: socket.socket) -> None:
    accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


PROGRAMS = {
    "curl": ["curl", "-sS", "-m", "5", "http://127.0.0.1:{port}/"],
    "Python": [
        sys.executable,
        "-c",
        "import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/', timeout=5).read()",
    ],
    "Node": [
        "node",
        "-e",
        "require('http').get('http://127.0.0.1:{port}/', r => r.resume().on('error', e => {{throw e}}))",
    ],
    "OpenSSL": ["openssl", "s_client", "-connect", "127.0.0.1:{port}"],
    "PostgreSQL": ["psql", "-w", "host=127.0.0.1 port={port} user=x sslmode=disable"],
}
EVENTS: dict[str, Callable[[socket.socket], None]] = {"reset": reset, "end": finish, "cut": cut}
SAID = {
    ("curl", "reset"): "ECONNRESET",
    ("curl", "end"): "EOF",
    ("curl", "cut"): "EOF",
    ("curl", "refused"): "ECONNREFUSED",
    ("Python", "reset"): "ECONNRESET",
    ("Python", "end"): "EOF",
    ("Python", "cut"): "EOF",
    ("Python", "refused"): "ECONNREFUSED",
    ("Node", "reset"): "ECONNRESET",
    ("Node", "end"): "EOF",
    ("Node", "cut"): "EOF",
    ("Node", "refused"): "ECONNREFUSED",
    ("OpenSSL", "reset"): "ECONNRESET",
    ("OpenSSL", "refused"): "ECONNREFUSED",
    ("PostgreSQL", "end"): "EOF",
    ("PostgreSQL", "refused"): "ECONNREFUSED",
}


@pytest.mark.parametrize(("program", "event"), SAID)
def test_what_a_program_really_prints(program: str, event: str) -> None:
    name, *words = PROGRAMS[program]
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    if event == "refused":
        with socket.socket() as bound:  # bound, but not listening
            bound.bind(("127.0.0.1", 0))
            printed = run([name, *words], bound.getsockname()[1])
    else:
        with Server(EVENTS[event]) as server:
            printed = run([name, *words], server.port)
    results = {result for line in printed if (reading := recognise(line)) for result in reading.results}
    assert SAID[program, event] in results, printed


def run(words: list[str], port: int) -> list[str]:
    line = [word.format(port=port) for word in words]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return (done.stderr + done.stdout).splitlines()
