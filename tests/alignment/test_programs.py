"""Programs that really run, their logs, and what was captured meanwhile."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import analyzer
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.finding import Confidence
from analyzer.model.log_line import LogMatch, LogReport
from analyzer.recording import NotPermitted, Recording, own_network
from tests.logs.test_recognise import EVENTS, Server

RULES = load_rules(rules_folder())
AHEAD = 5 * 3600 + 1800
LOCAL = os.environ | {"TZ": "XXX-05:30", "LC_ALL": "C"}
"""Programs that log local time are half past five hours ahead of UTC, and nobody says so."""

GOT = {"reset": "ECONNRESET", "end": "", "refused": "ECONNREFUSED"}


@contextlib.contextmanager
def recorded(path: Path) -> Iterator[None]:
    """An empty loopback of our own, recorded; skips where that is not permitted."""
    try:
        with own_network():
            recording = Recording(path)
            recording.start()
            try:
                yield
            finally:
                recording.stop()
    except NotPermitted as reason:
        pytest.skip(str(reason))


@contextlib.contextmanager
def services() -> Iterator[dict[str, int]]:
    """Ports of servers that each end connections in one way."""
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(Server(EVENTS[name])).port for name in ("reset", "end")}
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        yield ports | {"refused": bound.getsockname()[1]}


def run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL, env=LOCAL
    )
    return done.stderr + done.stdout


def needs(*programs: str) -> None:
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    for program in programs:
        if not shutil.which(program, path=search):
            pytest.skip(f"{program} is not installed")


def explained(capture: Path, log: str) -> LogReport:
    report = analyzer.analyze(capture, rules=RULES, logs=[log.splitlines()])
    assert report.log
    return report.log


def agree(log: LogReport, ports: dict[str, int], sure: set[Confidence], written: str) -> None:
    """Each failure is explained by the connection to its server, whose client got what it says."""
    for event, port in ports.items():
        matches = [m for m in log.matches if m.explained and m.explained.result.flow.server.port == port]
        assert matches, (event, written, [(m.event.reading.line, m.why) for m in log.matches])
        found = [match.explained for match in matches if match.explained]
        assert {errno(match) for match in matches} == {GOT[event]}, written
        assert {one.sure for one in found} <= sure, (event, written)
        assert {one.side for one in found} == {0}


SURE = {Confidence.CERTAIN}
WELL = {Confidence.CERTAIN, Confidence.LIKELY}

PYTHON = """
import logging, sys, urllib.request
logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
for port in sys.argv[1:]:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/x", timeout=5).read()
    except OSError:
        logging.exception("http://127.0.0.1:%s/x failed", port)
"""

NODE = """
const http = require('http');
const next = (ports) => ports.length && http.get(`http://127.0.0.1:${ports[0]}/x`).on('error', e => {
  console.error(`${new Date().toISOString()} http://127.0.0.1:${ports[0]}/x`, e);
  setTimeout(next, 200, ports.slice(1));
});
next(process.argv.slice(1));
"""

JAVA = """
import java.io.IOException;
import java.net.*;
import java.util.logging.*;

public class Ask {
    public static void main(String[] ports) throws Exception {
        for (String port : ports) {
            URL url = new URL("http://127.0.0.1:" + port + "/x");
            try {
                url.openStream().readAllBytes();
            } catch (IOException error) {
                Logger.getLogger("x").log(Level.SEVERE, url + " failed", error);
            }
            Thread.sleep(1200);
        }
    }
}
"""


def test_python(tmp_path: Path) -> None:
    with recorded(tmp_path / "a.pcap"), services() as ports:
        written = run(sys.executable, "-c", PYTHON, *map(str, ports.values()))
    log = explained(tmp_path / "a.pcap", written)
    assert (log.clocks[0].zone, log.clocks[0].found, log.clocks[0].agree) == (AHEAD, True, 3)
    agree(log, ports, SURE, written)


def test_node(tmp_path: Path) -> None:
    needs("node")
    with recorded(tmp_path / "a.pcap"), services() as ports:
        written = run("node", "-e", NODE, "--", *map(str, ports.values()))
    log = explained(tmp_path / "a.pcap", written)
    assert (log.clocks[0].stated, log.clocks[0].agree) == (True, 3)
    agree(log, ports, WELL, written)
    hung = [match for match in log.matches if "socket hang up" in match.event.reading.line]
    assert [match.seen_through for match in hung] == [True]


def test_java(tmp_path: Path) -> None:
    needs("java", "javac")
    (tmp_path / "Ask.java").write_text(JAVA)
    with recorded(tmp_path / "a.pcap"), services() as ports:
        written = run("java", str(tmp_path / "Ask.java"), *map(str, ports.values()))
    log = explained(tmp_path / "a.pcap", written)
    assert (log.clocks[0].zone, log.clocks[0].found) == (AHEAD, True)
    agree(log, ports, WELL, written)


def test_curl(tmp_path: Path) -> None:
    """It writes no times: its addresses, and what it says, have to do."""
    needs("curl")
    with recorded(tmp_path / "a.pcap"), services() as ports:
        written = "".join(
            run("curl", "-sS", "-m", "5", f"http://127.0.0.1:{port}/") for port in ports.values()
        )
    log = explained(tmp_path / "a.pcap", written)
    agree(log, ports, {Confidence.LIKELY, Confidence.POSSIBLE}, written)


def test_strace(tmp_path: Path) -> None:
    """The calls themselves, with their times."""
    needs("strace")
    with recorded(tmp_path / "a.pcap"), services() as ports:
        code = PYTHON.replace("logging.exception", "(lambda *_: None)")
        written = run(
            "strace", "-ttt", "-e", "trace=network", sys.executable, "-c", code, *map(str, ports.values())
        )
    if "strace: " in written and "ptrace" in written:
        pytest.skip("strace may not trace here")
    log = explained(tmp_path / "a.pcap", written)
    told = {event: port for event, port in ports.items() if event != "end"}  # which is no error of a call
    agree(log, told, WELL, written)


NGINX = """
daemon off; master_process off; pid {place}/pid; error_log {place}/error.log info;
events {{}}
http {{
  access_log off; proxy_read_timeout 1s;
  client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
  uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
  server {{ listen 127.0.0.1:{own}; {locations} }}
}}
"""


def test_nginx(tmp_path: Path) -> None:
    needs("nginx")
    with recorded(tmp_path / "a.pcap"), services() as ports, Server(lambda _: time.sleep(3)) as silent:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            own = free.getsockname()[1]
        every = ports | {"silent": silent.port}
        places = " ".join(f"location /{e} {{ proxy_pass http://127.0.0.1:{p}; }}" for e, p in every.items())
        (tmp_path / "conf").write_text(NGINX.format(place=tmp_path, own=own, locations=places))
        nginx = subprocess.Popen(
            ["nginx", "-c", str(tmp_path / "conf"), "-p", str(tmp_path)],
            env=LOCAL | {"PATH": f"{os.environ['PATH']}:/usr/sbin"},
            stderr=subprocess.PIPE,
        )
        try:
            for event in every:
                ask(own, event)
                time.sleep(0.3)
        finally:
            nginx.terminate()
            nginx.communicate()
    written = (tmp_path / "error.log").read_text()
    log = explained(tmp_path / "a.pcap", written)
    assert (log.clocks[0].zone, log.clocks[0].found) == (AHEAD, True)
    agree(log, ports, SURE, written)
    timer = [match for match in log.matches if "upstream timed out" in match.event.reading.line]
    assert [own_timer(match, silent.port) for match in timer] == [True], written


def own_timer(match: LogMatch, port: int) -> bool:
    """The line says 110, and the connection shows that nginx itself gave up."""
    found = match.explained
    return bool(match.seen_through and found and found.result.flow.server.port == port and not errno(match))


def errno(match: LogMatch) -> str:
    """What the client got."""
    assert match.explained
    return "".join(verdict.errno for verdict in match.explained.result.verdicts if verdict.side == 0)


def ask(port: int, path: str) -> None:
    """A request of HTTP, and its answer to the end."""
    until = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as asked:
                asked.sendall(f"GET /{path} HTTP/1.0\r\n\r\n".encode())
                while asked.recv(65536):
                    pass
                return
        except ConnectionRefusedError:  # it has not begun to listen yet
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_redis(tmp_path: Path) -> None:
    """A replica that cannot reach its master."""
    needs("redis-server")
    with recorded(tmp_path / "a.pcap"), services() as ports, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own, master = free.getsockname()[1], ports["refused"]
        command = f"redis-server --port {own} --save '' --dir {tmp_path} --replicaof '127.0.0.1 {master}'"
        free.close()
        redis = subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, text=True, env=LOCAL)
        assert redis.stdout
        lines = []
        for line in redis.stdout:
            lines.append(line)
            if "Connection refused" in line:
                break
        redis.terminate()
        lines += redis.communicate()[0].splitlines(keepends=True)
    log = explained(tmp_path / "a.pcap", "".join(lines))
    assert (log.clocks[0].zone, log.clocks[0].found) == (AHEAD, True)
    agree(log, {"refused": master}, WELL, "".join(lines))
