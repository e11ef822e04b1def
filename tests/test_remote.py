"""Captures in object storage and on web servers: the answer is that of files, and failures are told clearly.

The drivers of storage and scapy must not share a process, so every run is a process of its own.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from analyzer.errors import UserError
from analyzer.sources import apart
from analyzer.sources.remote import Ahead, has_magic, hidden, is_url
from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.captures import ROOT, sample
from tests.storage import S3, failing_server, s3_server, web_server

EPIPE = sample("rst-after-fin-send-first")
UNREACHABLE = sample("icmp-host-unreachable-connect")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        server.put("bucket")
        for day, path in enumerate((EPIPE, UNREACHABLE), 1):
            server.put(f"bucket/captures/2026-11-0{day}/client.pcap", path.read_bytes())
        server.put("bucket/captures/2026-11-01/notes.txt", b"no capture")
        server.put("bucket/captures/2026-11-01/.hidden", b"nor this")
        yield server


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "analyzer", *arguments]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=env, timeout=120, check=False)


def report(*arguments: str, env: Mapping[str, str] | None = None) -> Any:
    """The JSON report, the captures in it by their last two names."""
    done = run("analyze", *arguments, "-o", "json", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    for capture in found["captures"]:
        capture["path"] = "/".join(capture["path"].split("/")[-2:])
    return found


def large(path: Path) -> Path:
    """A capture of several blocks."""
    path.parent.mkdir(exist_ok=True)
    generate(path, plan("realistic", 40_000, None, 1, 60.0))
    return path


def mirrored(folder: Path) -> Path:
    """The captures of the bucket in a folder."""
    for day, path in enumerate((EPIPE, UNREACHABLE), 1):
        copy = folder / f"captures/2026-11-0{day}/client.pcap"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    return folder / "captures"


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/captures",
        "s3://bucket/captures/",
        "s3://bucket/captures/2026-11-*/",
        "s3://bucket/**/*.pcap",
    ],
)
def test_object_storage_gives_the_report_of_files(s3: S3, url: str, tmp_path: Path) -> None:
    remote, local = report(url, env=s3.environment), report(str(mirrored(tmp_path)))
    notes = [] if url.endswith("pcap") else remote.pop("notes")
    assert all("notes.txt" in note and ".hidden" not in note for note in notes)
    remote.pop("notes", None)
    local.pop("notes", None)
    assert remote == local


def test_a_pattern_means_directories_too_as_a_shell_gives_them(tmp_path: Path) -> None:
    captures = mirrored(tmp_path)
    assert report(f"{captures}/2026-11-*/") == report(str(captures))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_object_is_read_in_blocks(s3: S3, compressed: bool, tmp_path: Path) -> None:
    path = large(tmp_path / "bench/large.pcap")
    local = report(str(path))
    data = path.read_bytes()
    assert len(data) > 3 * (8 << 20)
    s3.put("bucket/bench/large.pcap", gzip.compress(data, 1) if compressed else data)
    assert report("s3://bucket/bench/large.pcap", env=s3.environment) == local


def test_a_web_server_gives_the_report_of_files(tmp_path: Path) -> None:
    captures = mirrored(tmp_path)
    with web_server(tmp_path) as url:
        assert report(f"{url}/captures/") == report(str(captures))
        day = "captures/2026-11-01/client.pcap"
        assert report(f"{url}/{day}") == report(str(tmp_path / day))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://nobody/", "no such file, directory or bucket"),
        ("s3://nobody/a.pcap", "no such file, directory or bucket"),
        ("s3://bucket/captures/none.pcap", "no such file, directory or bucket"),
        ("s3://bucket/none-*", "no file matches this pattern"),
        ("s3://bucket/captures/2026-11-01/notes.txt", "the file is text, not a capture"),
    ],
)
def test_what_is_not_there_is_said(s3: S3, url: str, said: str) -> None:
    done = run("analyze", url, env=s3.environment)
    assert done.returncode == 2
    assert done.stderr.startswith(f"errnoscope: {url}: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_of_several_the_others_are_read(s3: S3) -> None:
    good = "s3://bucket/captures/2026-11-01/client.pcap"
    done = run("analyze", good, "s3://bucket/none.pcap", "-o", "json", env=s3.environment)
    assert done.returncode == 2
    assert "s3://bucket/none.pcap: there is no such file" in done.stderr
    assert json.loads(done.stdout)["flows"][0]["verdicts"]


def test_storage_that_does_not_answer() -> None:
    with failing_server() as url:
        closed = url
    done = run("analyze", f"{closed}/a.pcap")
    assert done.returncode == 2
    assert re.fullmatch(rf"errnoscope: {closed}/a.pcap: it cannot be read: .+\nhint: .+\n", done.stderr)


@pytest.mark.parametrize(
    ("status", "said"), [(403, "not permitted"), (500, "cannot be read"), (404, "no such")]
)
def test_a_web_server_that_refuses(status: int, said: str) -> None:
    with failing_server(status) as url:
        done = run("analyze", f"{url}/a.pcap")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_what_came_before_a_failure_is_kept(tmp_path: Path) -> None:
    data = large(tmp_path / "large.pcap").read_bytes()
    with failing_server(data=data, sent=len(data) - 80) as url:
        done = run("analyze", f"{url}/a.pcap", "-o", "json")
    assert done.returncode == 2
    assert re.search(rf"{url}/a.pcap: byte \d+: reading stopped: ", done.stderr)
    (capture,) = json.loads(done.stdout)["captures"]
    assert 20_000 < capture["packets"] < 40_000  # of the last request, what had come when it failed


@pytest.mark.parametrize(
    "url", ["sftp://me:s3cret@host/a.pcap", "https://:s3cret@[::1]:8443/captures/*.pcap"]
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    done = run("analyze", url)
    assert done.returncode == 2
    assert "password" in done.stderr
    assert url.replace("s3cret", "***") in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_a_driver_that_is_missing_is_named_with_the_command() -> None:
    code = (
        "import sys; sys.modules['fsspec'] = None; from analyzer.cli.main import run; "
        "sys.exit(run(['analyze', 's3://bucket/a.pcap']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "errnoscope: s3://bucket/a.pcap: what reads s3:// is not installed",
        "hint: pip install 'errnoscope[s3]'",
    ]


# Licences


def modules(code: str, env: Mapping[str, str] | None = None) -> list[str]:
    """What a process prints of itself."""
    line = [sys.executable, "-c", f"import sys\n{code}"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=env, check=True)
    return done.stdout.splitlines()[-1].split()


LOADED = "print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"


def test_a_process_that_reads_remote_captures_never_imports_scapy(s3: S3) -> None:
    url = "s3://bucket/captures/"
    code = f"from analyzer.cli.main import run; run(['analyze', {url!r}, '-o', 'html=/dev/null'])\n{LOADED}"
    loaded = modules(code, s3.environment)
    assert "botocore" in loaded
    assert not {"scapy", "pyshark"} & set(loaded)


def test_of_paths_nothing_remote_is_imported() -> None:
    loaded = modules(f"from analyzer.cli.main import run; run(['analyze', {str(EPIPE)!r}])\n{LOADED}")
    assert not {"fsspec", "s3fs", "aiohttp", "asyncio", "concurrent"} & set(loaded)


def test_scapy_and_the_drivers_are_not_loaded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_used", {})
    monkeypatch.setitem(sys.modules, "scapy", sys)
    with pytest.raises(UserError, match="processes of their own"):
        apart.use_without_scapy("s3://bucket")
    apart.use_scapy()
    monkeypatch.delitem(sys.modules, "scapy")
    apart.use_without_scapy("s3://bucket")
    with pytest.raises(UserError, match="s3://bucket: scapy's licence"):
        apart.use_scapy()


# Names


@pytest.mark.parametrize(
    ("name", "url", "magic"),
    [
        ("s3://bucket/a", True, False),
        ("S3://bucket/a?.pcap", True, True),
        ("https://host/a.pcap?signature=b", True, False),
        ("https://host/a*.pcap", True, True),
        ("/tmp/s3://a", False, False),
        ("a.pcap", False, False),
        ("C:/a.pcap", False, False),
    ],
)
def test_names(name: str, url: bool, magic: bool) -> None:
    assert (is_url(name), has_magic(name)) == (url, magic)


def test_hidden() -> None:
    assert hidden("s3://bucket/a/.b/c", "s3://bucket/a/")
    assert hidden("s3://bucket/a/.b", "s3://bucket/a")
    assert not hidden("s3://bucket/.a/b.c", "s3://bucket/.a/")


# Reading ahead


class File:
    """A remote file; at each place in ``failing`` it fails so many times."""

    def __init__(self, data: bytes, failing: dict[int, list[Exception]], size: int | None = -1) -> None:
        self.size = len(data) if size == -1 else size
        self.asked: list[int] = []
        self.closed = False
        self._data, self._failing, self._at = data, failing, 0

    def read(self, count: int) -> bytes:
        self.asked.append(count)
        if self._failing.get(self._at):
            raise self._failing[self._at].pop()
        part = self._data[self._at : self._at + count]
        self._at += len(part)
        return part

    def close(self) -> None:
        self.closed = True


def taken(stream: Ahead, piece: int) -> tuple[bytes, OSError | None]:
    """All that can be read in pieces, and how it ends."""
    found, buffer = b"", bytearray(piece)
    try:
        while count := stream.readinto(memoryview(buffer)):
            found += buffer[:count]
    except OSError as error:
        return found, error
    return found, None


DATA = os.urandom(20 << 20)


@pytest.mark.parametrize("piece", [100_000, 4 << 20, 32 << 20])
def test_all_bytes_come_in_their_order(piece: int) -> None:
    assert taken(Ahead(File(DATA, {})), piece) == (DATA, None)


def test_who_looks_at_the_beginning_reads_no_more() -> None:
    file = File(DATA, {})
    stream = Ahead(file)
    stream.readinto(memoryview(bytearray(4096)))
    stream.close()
    assert file.asked == [64 << 10]
    assert file.closed


@pytest.mark.parametrize("piece", [100_000, 32 << 20])
def test_a_block_is_asked_for_again(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.sources.remote._PAUSES", (0.0, 0.0))
    failing: dict[int, list[Exception]] = {0: [OSError("busy"), RuntimeError("slow down")]}
    assert taken(Ahead(File(DATA, failing)), piece) == (DATA, None)


@pytest.mark.parametrize(
    "error", [FileNotFoundError("it is gone"), ValueError("three times"), PermissionError(13, "no")]
)
def test_what_came_before_the_end_is_given(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.sources.remote._PAUSES", (0.0, 0.0))
    stream = Ahead(File(DATA, {8 << 20: [error] * 3}))
    found, failure = taken(stream, 32 << 20)
    assert found == DATA[: 8 << 20]
    assert failure is not None
    assert (failure.strerror or "") in (str(error), "no")
    assert taken(stream, 32 << 20)[1] is failure


def test_an_end_that_comes_too_early_is_none() -> None:
    found, failure = taken(Ahead(File(DATA, {}, size=len(DATA) + 1)), 32 << 20)
    assert found == DATA
    assert failure is not None
    assert "20,971,521 bytes" in str(failure)


def test_closing_ends_the_thread() -> None:
    file = File(DATA * 4, {})
    stream = Ahead(file)
    stream.readinto(memoryview(bytearray(2 << 20)))
    thread = stream._thread
    assert thread is not None
    stream.close()
    thread.join(20)
    assert not thread.is_alive()
    assert file.closed
