"""``-o pcapng=FILE``: the capture with its findings as comments, as other programs read it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.captures import frames_of, sample
from tests.cli.test_cli import Capsys, told
from tests.sources.build import read

FAILED = sample("rst-after-fin-send-first")
CLEAN = sample("clean-request-response")

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def tshark(path: Path, *fields: str) -> list[list[str]]:
    line = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t"]
    line += [part for name in fields for part in ("-e", name)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    return [row.split("\t") for row in done.stdout.splitlines()]


@needs_tshark
def test_tshark_shows_the_comments(capsys: Capsys, tmp_path: Path) -> None:
    copy = tmp_path / "annotated.pcapng"
    assert told(capsys, "analyze", FAILED, "-o", f"pcapng={copy}") == (0, "", "")
    comments = {int(number): text for number, text in tshark(copy, "frame.number", "frame.comment") if text}
    assert list(comments) == [16, 17]
    assert "decided by frame 17" in comments[16]
    assert "rst-after-fin (certain)" in comments[17]
    assert "The client's send() failed with EPIPE (32" in comments[17]
    assert "What to do: When recv() returns 0, stop writing." in comments[17]
    fields = ("frame.time_epoch", "frame.len", "frame.cap_len", "tcp.seq_raw", "tcp.checksum")
    assert tshark(copy, *fields) == tshark(FAILED, *fields)


@needs_tshark
@pytest.mark.skipif(shutil.which("capinfos") is None, reason="capinfos is not installed")
def test_the_section_says_what_failed(capsys: Capsys, tmp_path: Path) -> None:
    copy = tmp_path / "annotated.pcapng"
    told(capsys, "analyze", FAILED, "-o", f"pcapng={copy}")
    done = subprocess.run(
        ["capinfos", "-k", str(copy)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "1 of 1 TCP connection failed." in done.stdout
    assert "rst-after-fin; frames 16 17" in done.stdout


def test_compressed_captures_and_several_outputs(capsys: Capsys, tmp_path: Path) -> None:
    packed, copy = tmp_path / "trace.pcap.gz", tmp_path / "copy.pcapng"
    packed.write_bytes(gzip.compress(FAILED.read_bytes()))
    status, out, err = told(capsys, "analyze", packed, "-o", f"pcapng={copy}", "-o", "text")
    assert (status, err) == (0, "")
    assert "1 of 1 TCP connection failed." in out
    assert read(copy.read_bytes()).frames == frames_of(FAILED.read_bytes())


def test_the_own_comments_do_not_stand_before_the_verdict(capsys: Capsys, tmp_path: Path) -> None:
    copy = tmp_path / "annotated.pcapng"
    told(capsys, "analyze", FAILED, "-o", f"pcapng={copy}")
    out = told(capsys, "analyze", str(copy))[1]
    comments = [
        line for line in out.partition("1 of 1 TCP connection failed.")[0].splitlines() if line[:3].isspace()
    ]
    assert [line.split()[:2] for line in comments] == [["comment", "errnoscope"]]


def test_a_clean_capture_has_one_comment(capsys: Capsys, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    assert told(capsys, "analyze", CLEAN, "-o", f"pcapng={copy}") == (0, "", "")
    assert copy.read_bytes().count(b"errnoscope") == 1
    assert b"0 of 1 TCP connection failed." in copy.read_bytes()


def test_what_cannot_be_copied_is_told_before_anything_is_read(capsys: Capsys, tmp_path: Path) -> None:
    pipe, copy = tmp_path / "pipe", tmp_path / "copy"
    os.mkfifo(pipe)
    for captures, what in (
        ([FAILED, CLEAN], "is a copy of one capture"),
        (["-"], "the capture is read twice, so it must be a file"),
        ([pipe], "the capture is read twice, so it must be a file"),
    ):
        status, out, err = told(capsys, "analyze", *captures, "-o", f"pcapng={copy}")
        assert (status, out) == (2, "")
        assert what in err
        assert "hint: " in err
    assert not copy.exists()


def test_the_copy_of_a_damaged_capture_has_what_was_read(capsys: Capsys, tmp_path: Path) -> None:
    broken, copy = tmp_path / "broken.pcap", tmp_path / "copy.pcapng"
    broken.write_bytes(FAILED.read_bytes() + b"\xff" * 40)
    status, _, err = told(capsys, "analyze", broken, "-o", f"pcapng={copy}")
    assert status == 2
    assert "claims" in err
    assert read(copy.read_bytes()).frames == frames_of(FAILED.read_bytes())


def test_stdout_gets_the_bytes() -> None:
    line = [sys.executable, "-m", "analyzer", "analyze", str(FAILED), "-o", "pcapng"]
    done = subprocess.run(line, capture_output=True, check=True, timeout=60)
    assert read(done.stdout).frames == frames_of(FAILED.read_bytes())


@pytest.mark.parametrize("form", ["pcapng", "html"])
def test_what_nobody_can_read_is_not_written_to_a_terminal(
    capsys: Capsys, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, out, err = told(capsys, "analyze", FAILED, "-o", form)
    assert (status, out) == (2, "")
    assert err.endswith(
        f"-o {form}: stdout is a terminal, and this is not to be read in one\nhint: -o {form}=FILE\n"
    )
