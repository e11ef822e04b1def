"""``-o FORMAT[=FILE]``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from analyzer.cli.output import Target, opened
from analyzer.errors import UserError
from analyzer.reports.formats import FORMATS, writer
from tests.captures import ROOT, sample
from tests.cli.test_cli import Capsys, told

FAILED = sample("rst-after-fin-send-first")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_its_module(name: str) -> None:
    assert callable(writer(FORMATS[name]))
    assert FORMATS[name].doc


def test_several_outputs_at_once(capsys: Capsys, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in FORMATS}
    outputs = [f"-o{name}={path}" for name, path in files.items()]
    assert told(capsys, "analyze", FAILED, *outputs) == (0, "", "")
    for name, path in files.items():
        assert told(capsys, "analyze", FAILED, "-o", name) == (0, path.read_text(), "")
    assert sorted(tmp_path.iterdir()) == sorted(files.values())  # nothing temporary is left


def test_stdout_by_its_other_names(capsys: Capsys) -> None:
    expected = told(capsys, "analyze", FAILED, "-o", "json")
    assert told(capsys, "analyze", FAILED, "-o", "json=-") == expected
    assert told(capsys, "analyze", FAILED, "-o", "json=/dev/stdout") == expected


@pytest.mark.parametrize(
    ("outputs", "what", "hint"),
    [
        (["text", "json"], "two reports cannot go to stdout", "-o json=FILE"),
        (["text=a", "json=./a"], "two reports cannot go to ./a", "-o json=FILE"),
        (["jsn"], "there is no format `jsn`", "did you mean `json`?"),
        (["zzz"], "there is no format `zzz`", "there are text, json, json-lines"),
        (["json="], "the name of the file is missing", ""),
        (["json=no/such/file"], "cannot be written: No such file or directory", "/no: mkdir -p"),
        (["json=/proc/x.json"], "No such file or directory", "hint: no file can be made in /proc: choose an"),
        (["json=."], "cannot be written: Is a directory", "hint: that is a directory: name a file in it."),
    ],
)
def test_wrong_outputs(
    capsys: Capsys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outputs: list[str],
    what: str,
    hint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = told(capsys, "analyze", "-", *[f"-o{output}" for output in outputs])
    assert (status, out) == (2, "")
    assert what in err
    assert hint in err
    assert list(tmp_path.iterdir()) == []


def test_a_capture_is_never_overwritten(capsys: Capsys, tmp_path: Path) -> None:
    capture = tmp_path / "trace.pcap"
    capture.write_bytes(FAILED.read_bytes())
    status, out, err = told(capsys, "analyze", capture, "-o", f"json={tmp_path}/./trace.pcap")
    assert (status, out) == (2, "")
    assert "is one of the captures that are read" in err
    assert capture.read_bytes() == FAILED.read_bytes()


def test_what_fails_leaves_the_old_file(capsys: Capsys, tmp_path: Path) -> None:
    old = tmp_path / "report.json"
    old.write_text("old")
    assert told(capsys, "analyze", "nowhere.pcap", "-o", f"json={old}")[0] == 2
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_an_output_keeps_its_mode_and_a_link_stays_a_link(capsys: Capsys, tmp_path: Path) -> None:
    file, link = tmp_path / "report.json", tmp_path / "latest.json"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file.name)
    assert told(capsys, "analyze", FAILED, "-o", f"json={link}") == (0, "", "")
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert json.loads(file.read_text())["schema"] == "errnoscope.report/1"


def test_a_pipe_is_written_as_it_is(capsys: Capsys, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    assert told(capsys, "analyze", FAILED, "-o", f"json={pipe}") == (0, "", "")
    reader.join(timeout=30)
    assert json.loads(got[0])["totals"]["tcp_flows"] == 1
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_file_that_is_write_protected_is_told_with_a_hint(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.html"
    path.write_text("mine")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write all
    status, out, err = told(capsys, "analyze", FAILED, "-o", f"html={path}")
    assert (status, out, path.read_text()) == (2, "", "mine")
    assert "cannot be written: it is write-protected\nhint: choose a place where you may write" in err


def test_a_full_disk_is_told_in_a_line(capsys: Capsys) -> None:
    status, out, err = told(capsys, "analyze", FAILED, "-o", "json=/dev/full")
    assert (status, out) == (2, "")
    hint = "hint: there is no room left: make some, or choose another place."
    assert err == f"errnoscope: /dev/full: No space left on device\n{hint}\n"


def test_a_file_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    with opened([Target("text", str(path), FORMATS["text"])]):
        assert not path.exists()
    assert path.exists()


def test_json_lines_are_the_verdicts_and_the_totals(capsys: Capsys) -> None:
    captures = [FAILED, sample("icmp-host-unreachable-connect"), sample("clean-request-response")]
    document = json.loads(told(capsys, "analyze", *captures, "-o", "json")[1])
    lines = [
        json.loads(line) for line in told(capsys, "analyze", *captures, "-o", "json-lines")[1].splitlines()
    ]
    verdicts, last = lines[:-1], lines[-1]
    assert {line["schema"] for line in lines} == {"errnoscope.lines/1"}
    assert [line["type"] for line in lines] == ["verdict", "verdict", "totals"]
    assert [line["verdict"] for line in verdicts] == [v for f in document["flows"] for v in f["verdicts"]]
    assert [line["capture"] for line in verdicts] == [str(captures[0]), str(captures[1])]
    assert [line["finding"]["rule"] for line in verdicts] == [line["verdict"]["rule"] for line in verdicts]
    assert {key: last[key] for key in ("totals", "captures", "incidents")} == {
        key: document[key] for key in ("totals", "captures", "incidents")
    }


def test_a_page_of_what_the_own_decoder_cannot_open_shows_what_was_kept(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise UserError("not-a-capture", "trace.snoop", "this is no capture")

    monkeypatch.setattr("analyzer.pipeline.pictures.pictures", cannot)
    page = tmp_path / "page.html"
    assert told(capsys, "analyze", FAILED, "-o", f"html={page}") == (0, "", "")
    assert "rst-after-fin" in page.read_text()


def test_files_are_written_though_nobody_reads_stdout(tmp_path: Path) -> None:
    """As for ``errnoscope check ... | head -1``."""
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "analyzer", "check", str(FAILED), "-o", "text", "-o", f"json={path}"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
    assert json.loads(path.read_text())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_is_not_finished_is_removed_when_it_is_ended(name: str, tmp_path: Path) -> None:
    number = signal.Signals[name]
    command = [sys.executable, "-m", "analyzer", "analyze", "-", "-o", f"json={tmp_path / 'report.json'}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as started:
        while not list(tmp_path.iterdir()):  # it is there once the capture is being read
            assert started.poll() is None
            time.sleep(0.02)
        started.send_signal(number)
        _, said = started.communicate(timeout=30)
    assert (started.returncode, said, list(tmp_path.iterdir())) == (128 + number, b"", [])
