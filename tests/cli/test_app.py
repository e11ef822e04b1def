"""``--app``: what programs of failing connections had said, by tshark."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli.main import run
from analyzer.recording import NotPermitted, Recording
from analyzer.sources.secrets import without_secrets
from tests.live.running import live

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

CLIENT, SERVER = "10.0.0.1", "10.0.0.5"


def conversation(
    sport: int, dport: int, messages: Sequence[tuple[bool, bytes]], *, start: float, end: str = "R"
) -> list[Any]:
    """Packets of a connection: (client sends, bytes) in turn, then the server's reset or FIN."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    seq = {True: 1000, False: 5000}
    ports = {True: (sport, dport), False: (dport, sport)}
    hosts = {True: (CLIENT, SERVER), False: (SERVER, CLIENT)}
    packets: list[Any] = []

    def send(client: bool, flags: str, data: bytes = b"") -> None:
        own, peer = seq[client], seq[not client]
        (source, target), (src, dst) = ports[client], hosts[client]
        tcp = TCP(sport=source, dport=target, seq=own, ack=peer if "A" in flags else 0, flags=flags)
        packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=src, dst=dst) / tcp
        packets.append(packet / Raw(data) if data else packet)
        packets[-1].time = start + len(packets) / 1000
        seq[client] += len(data) + ("S" in flags) + ("F" in flags)

    send(True, "S")
    send(False, "SA")
    send(True, "A")
    for client, data in messages:
        send(client, "PA", data)
        send(not client, "A")
    send(False, end)
    return packets


def frame(kind: int, stream: int, body: bytes, flags: int = 0) -> bytes:
    """An HTTP/2 frame (RFC 9113 section 4.1)."""
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


HTTP = b"GET /x?token=abc123&page=2 HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer s3cr3t\r\n\r\n"
QUERY = b"SELECT 1 WHERE password = 'hunter2'\0"
POSTGRES = b"Q" + (len(QUERY) + 4).to_bytes(4, "big") + QUERY
REDIS = b"*2\r\n$4\r\nAUTH\r\n$6\r\nhidden\r\n"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, b"")
HEADERS = frame(1, 1, bytes([0x82, 0x84, 0x86]), 0x05)  # GET, /, http: indices of HPACK's static table
RST_STREAM = frame(3, 1, (7).to_bytes(4, "big"))
GOAWAY = frame(7, 0, (1).to_bytes(4, "big") + (11).to_bytes(4, "big"))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from scapy.utils import wrpcap

    path = tmp_path_factory.mktemp("app") / "app.pcap"
    fine = [(True, b"GET /fine HTTP/1.1\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]
    hostile = b"GET /\x1b[31m<script> HTTP/1.1\r\nHost: evil\r\n\r\n"
    failing = [
        (40001, 8080, [(True, HTTP)]),
        (40002, 5432, [(True, POSTGRES)]),
        (40003, 6379, [(True, REDIS)]),
        (
            40004,
            80,
            [(True, HTTP2 + HEADERS), (False, frame(4, 0, b"")), (False, RST_STREAM), (False, GOAWAY)],
        ),
        (40005, 8080, [(True, hostile)]),
    ]
    packets = [
        packet
        for number, (sport, dport, messages) in enumerate(failing)
        for packet in conversation(sport, dport, messages, start=1_700_000_000 + number)
    ]
    wrpcap(str(path), [*conversation(40000, 8080, fine, start=1_699_999_999, end="FA"), *packets])
    return path


def told(capture: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[int, list[dict[str, Any]]]:
    """Messages by the client's port."""
    assert run(["analyze", str(capture), "-o", "json", *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return {flow["client"]["port"]: flow.get("messages", []) for flow in json.loads(out)["flows"]}


def test_requests_of_failing_connections(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capture, capsys, "--app")
    assert 40000 not in said
    assert [message["text"] for message in said[40001]] == ["GET shop.example/x?token=***&page=2"]
    assert said[40001][0] | {"frame": 0} == {
        "from": "client",
        "protocol": "http",
        "kind": "request",
        "text": "GET shop.example/x?token=***&page=2",
        "frame": 0,
        "capture": 0,
    }
    assert said[40002][0]["text"] == "SELECT 1 WHERE password = ***"
    assert said[40003][0]["text"] == "AUTH ***"


def test_frames_are_those_of_the_capture(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scapy.utils import rdpcap

    packets = rdpcap(str(capture))
    for messages in told(capture, capsys, "--app").values():
        assert messages
        for message in messages:
            assert len(packets[message["frame"] - 1]["TCP"].payload) > 0


def test_resets_of_http2_streams_are_no_tcp_resets(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = [message["text"] for message in told(capture, capsys, "--app")[40004]]
    assert any("RST_STREAM REFUSED_STREAM" in text and "no TCP reset" in text for text in notes)
    assert any("GOAWAY ENHANCE_YOUR_CALM" in text for text in notes)


def test_secrets_are_shown_if_asked_for(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capture, capsys, "--app", "--show-secrets")
    assert said[40001][0]["text"] == "GET shop.example/x?token=abc123&page=2"
    assert said[40003][0]["text"] == "AUTH hidden"


def test_text_is_harmless(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", str(capture), "--app", "--port", "40005"]) == 0
    out, _ = capsys.readouterr()
    assert "client: GET evil/" in out
    assert "\x1b" not in out


def test_nothing_is_asked_without_the_option(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(told(capture, capsys).values())


def test_packets_in_memory_are_not_dissected(capture: Path) -> None:
    from scapy.utils import rdpcap

    from analyzer import analyze
    from analyzer.model.application import Dissection

    report = analyze(rdpcap(str(capture)), dissection=Dissection())
    assert any("5 connections said was not looked at" in note for note in report.notes)


def test_live_tells_it_in_the_report(capture: Path) -> None:
    with live("-", "--app", "-o", "json", piped=True) as running:
        running.send(capture.read_bytes())
        status, told, said = running.end(None)
    assert (status, said) == (0, "")
    flows = json.loads("\n".join(running.lines) + told)["flows"]
    texts = {flow["client"]["port"]: [one["text"] for one in flow.get("messages", [])] for flow in flows}
    assert texts[40001] == ["GET shop.example/x?token=***&page=2"]
    frames = [one["frame"] for flow in flows if flow["client"]["port"] == 40003 for one in flow["messages"]]
    ours = json.loads(json_of(capture))["flows"]
    assert frames == [
        one["frame"] for flow in ours if flow["client"]["port"] == 40003 for one in flow["messages"]
    ]


def json_of(capture: Path) -> str:
    command = [sys.executable, "-m", "analyzer", "analyze", str(capture), "--app", "-o", "json"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_without_tshark(
    capture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(["analyze", str(capture), "--app"]) == 2
    assert "tshark is not installed" in capsys.readouterr().err


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for this test alone, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=lab", *files]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_encrypted_requests_with_the_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*self_signed(tmp_path))
    asking = ssl.create_default_context()
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    asking.keylog_filename = str(tmp_path / "keys.log")
    recording = Recording(tmp_path / "tls.pcap")
    try:
        recording.start()
    except NotPermitted as reason:
        pytest.skip(str(reason))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            with served.wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.recv(100)
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        server = threading.Thread(target=serve)
        server.start()
        with asking.wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname="shop.example"
        ) as client:
            client.sendall(b"GET /secret-place HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            with contextlib.suppress(OSError):
                client.recv(100)
        server.join()
    recording.stop()
    keys = ["--tls-keylog", str(tmp_path / "keys.log"), "--port", str(port)]
    (said,) = told(recording.path, capsys, *keys).values()
    reading, writing = os.pipe()  # as bash's <(...) gives it
    os.write(writing, (tmp_path / "keys.log").read_bytes())
    os.close(writing)
    (piped,) = told(
        recording.path, capsys, "--tls-keylog", f"/dev/fd/{reading}", "--port", str(port)
    ).values()
    os.close(reading)
    (blind,) = told(recording.path, capsys, "--app", "--port", str(port)).values()
    assert "GET shop.example/secret-place" in [message["text"] for message in said]
    assert piped == said
    assert [message["text"] for message in blind] == ["TLS ClientHello for shop.example"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET h/p?a=1&password=x&b=2", "GET h/p?a=1&password=***&b=2"),
        ("GET h/p?access_token=x#y", "GET h/p?access_token=***#y"),
        ("postgres://bob:pw@db/x", "postgres://bob:***@db/x"),
        ("ALTER ROLE bob PASSWORD 'x y'", "ALTER ROLE bob PASSWORD ***"),
        ("CREATE USER bob IDENTIFIED BY 'x'", "CREATE USER bob IDENTIFIED BY ***"),
        ("host=db user=bob password=x port=1", "host=db user=bob password=*** port=1"),
        ("AUTH bob x", "AUTH ***"),
        ("SELECT * FROM tokens WHERE id = 5", "SELECT * FROM tokens WHERE id = 5"),
        ("GET h/author?page=2", "GET h/author?page=2"),
    ],
)
def test_what_looks_like_a_secret(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
