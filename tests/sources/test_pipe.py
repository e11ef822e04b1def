"""Standard input and pipes."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from analyzer.sources import pipe
from analyzer.sources.open import open_capture

from . import build
from .build import Frame

ROOT = Path(__file__).resolve().parents[2]
FRAMES = [Frame(bytes([place]) * 60, 60, build.SECOND * place) for place in range(1, 40)]
DATA = build.pcap(FRAMES)
ANALYZE = [sys.executable, "-m", "analyzer", "analyze", "-"]


def analyze(data: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*ANALYZE, *options], input=data, capture_output=True, cwd=ROOT)


@pytest.mark.parametrize(
    "data", [DATA, gzip.compress(DATA), build.pcapng(FRAMES)], ids=["pcap", "gzip", "pcapng"]
)
def test_cat_to_the_command(tmp_path, data):
    path = tmp_path / "a"
    path.write_bytes(data)
    done = analyze(data, "-o", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    (capture,) = json.loads(done.stdout)["captures"]
    assert capture["path"] == "-"
    assert capture["packets"] == len(FRAMES)
    with path.open("rb") as file:
        again = subprocess.run([*ANALYZE, "-o", "json"], stdin=file, capture_output=True, cwd=ROOT)
    assert again.stdout == done.stdout


@pytest.mark.parametrize("data", [DATA, gzip.compress(DATA)], ids=["pcap", "gzip"])
def test_a_slow_pipe_to_the_command(data):
    with subprocess.Popen(
        [*ANALYZE, "-o", "json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for at in range(0, len(data), 1 + len(data) // 20):
            process.stdin.write(data[at : at + 1 + len(data) // 20])
            time.sleep(0.03)
        process.stdin.close()
        told = json.loads(process.stdout.read())
    assert process.returncode == 0
    assert told["captures"][0]["packets"] == len(FRAMES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "standard input: the file is empty"),
        (b"hello", "standard input: the file is text"),
        (DATA[:10], "standard input: the file ends after 10 bytes, inside the header"),
        (gzip.compress(b"hello", mtime=0), "standard input: decompressed (gzip), the file is text"),
    ],
)
def test_no_capture(data, message):
    done = analyze(data)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"errnoscope: {message}")


def test_damage():
    done = analyze(DATA + b"\xff" * 16)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"errnoscope: standard input: byte {len(DATA)}: record 40 claims")


def test_closed():
    line = f"{sys.executable} -m analyzer analyze - <&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("errnoscope: standard input: it is closed\nhint: ")


def test_a_terminal():
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(ANALYZE, stdin=theirs, capture_output=True, text=True, cwd=ROOT)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "errnoscope: standard input is a terminal; give a file or a pipe\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for at in range(0, len(DATA), 100):
                file.write(DATA[at : at + 100])
                time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    with open_capture(str(path), 0) as source:
        sizes = [len(block) for block in source.blocks()]
    writer.join()
    assert sum(sizes) == len(FRAMES)
    assert len(sizes) < 10


def test_a_pipe_that_does_not_wait():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    stream = pipe.Pipe(io.FileIO(reading, "rb"))

    def write() -> None:
        time.sleep(0.1)
        os.write(writing, b"abc")
        time.sleep(0.4)
        os.write(writing, b"de")
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    buffer, told = bytearray(10), b""
    while count := stream.readinto(memoryview(buffer)):
        told += bytes(buffer[:count])
    writer.join()
    stream.close()
    assert told == b"abcde"


class Stumbling:
    """A file that fails once it has given something."""

    def __init__(self) -> None:
        self.reads = 0

    def readinto(self, buffer) -> int:
        self.reads += 1
        if self.reads > 1:
            raise OSError(5, "Input/output error")
        buffer[:3] = b"abc"
        return 3

    def close(self) -> None:
        pass


def test_what_came_before_an_error_is_kept():
    stream = pipe.Pipe(Stumbling())
    buffer = memoryview(bytearray(10))
    assert stream.readinto(buffer) == 3
    with pytest.raises(OSError, match="Input/output"):
        stream.readinto(buffer)
