"""`errnoscope check` as a build meets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli.check import find_captures
from analyzer.reports.formats import CHECK_FORMATS
from tests.captures import SAMPLES, record_offsets, sample
from tests.cli.test_cli import Capsys, command, told

FAILED = sample("rst-after-fin-send-first")
CLEAN = sample("clean-request-response")
STORM = sample("retransmission-storm-cut")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two captures in a directory, one of which has a failure."""
    (tmp_path / "sub").mkdir()
    shutil.copy(FAILED, tmp_path / "sub" / "bad.pcap")
    shutil.copy(CLEAN, tmp_path / "good.pcap")
    return tmp_path


def test_nothing_found_is_0(capsys: Capsys) -> None:
    status, out, err = told(capsys, "check", CLEAN)
    assert (status, err) == (0, "")
    assert out.endswith("1 capture checked: all passed\n")


def test_a_failure_is_1(capsys: Capsys) -> None:
    status, out, err = told(capsys, "check", FAILED)
    assert (status, err) == (1, "")
    assert "client send EPIPE" in out
    assert max(map(len, out.splitlines()[1:])) <= 80


def test_each_capture_is_judged_by_itself(capsys: Capsys, folder: Path) -> None:
    status, out, _ = told(capsys, "check", folder)
    assert status == 1
    assert f"passed  {folder}/good.pcap: nothing found" in out
    assert f"failed  {folder}/sub/bad.pcap: 1 problem" in out
    assert "2 captures checked: 1 failed" in out


@pytest.mark.parametrize(("level", "status"), [("info", 1), ("warning", 1), ("error", 0)])
def test_fail_on(capsys: Capsys, level: str, status: int) -> None:
    assert told(capsys, "check", STORM, "--fail-on", level)[0] == status


# 2: nothing passes silently


def test_no_capture_is_2(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no capture")
    status, out, err = told(capsys, "check", tmp_path)
    assert (status, out) == (2, "")
    assert "there is no capture in this directory\nhint: " in err


def test_no_argument_is_2(capsys: Capsys) -> None:
    assert told(capsys, "check")[0] == 2


def test_a_missing_capture_is_2_beside_others(capsys: Capsys, tmp_path: Path) -> None:
    status, out, err = told(
        capsys, "check", FAILED, tmp_path / "missing.pcap", "-o", "text", "-o", "json=/dev/null"
    )
    assert status == 2
    assert "client send EPIPE" in out
    assert f"unreadable  {tmp_path}/missing.pcap" in out
    assert "missing.pcap" in err


def test_a_damaged_capture_is_2(capsys: Capsys, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(CLEAN.read_bytes() + b"\xff" * 64)
    status, out, _ = told(capsys, "check", bad)
    assert status == 2
    assert f"damaged  {bad}" in out


@pytest.mark.parametrize("option", ["--expect", "--baseline", "--suppress"])
def test_a_missing_file_of_the_check_is_2(capsys: Capsys, tmp_path: Path, option: str) -> None:
    status, out, err = told(capsys, "check", CLEAN, option, tmp_path / "missing")
    assert (status, out) == (2, "")
    assert "missing" in err


def test_an_unknown_format_is_2(capsys: Capsys) -> None:
    status, _, err = told(capsys, "check", CLEAN, "-o", "sarf")
    assert status == 2
    assert "did you mean `sarif`?" in err


# Which files


def test_a_directory_is_searched_for_captures(tmp_path: Path) -> None:
    names = ["a.pcap", "b.pcapng", "c.cap", "d.pcap.gz", "e.pcap.zst", "f.pcap3", "sub/G.PCAP"]
    for name in [*names, "h.txt", "pcap", "i.pcap.expect.yaml", "j.gz"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert find_captures([str(tmp_path)]) == [str(tmp_path / name) for name in names]


def test_a_capture_that_is_named_twice_is_read_once(folder: Path) -> None:
    good = str(folder / "good.pcap")
    again = f"{folder}/../{folder.name}/{Path(good).name}"
    assert find_captures([good, str(folder), good, again]) == [good, str(folder / "sub" / "bad.pcap")]


# Expectations


def test_update_writes_what_the_next_check_expects(capsys: Capsys, folder: Path) -> None:
    assert told(capsys, "check", folder)[0] == 1
    status, out, err = told(capsys, "check", folder, "--update")
    assert status == 0
    written = folder / "sub" / "bad.expect.yaml"
    assert f"wrote {written}" in err
    assert not (folder / "good.expect.yaml").exists()
    assert "errno: EPIPE" in written.read_text()
    status, out, err = told(capsys, "check", folder)
    assert (status, err) == (0, "")
    assert "1 expected" in out
    before = written.read_text()
    told(capsys, "check", folder, "--update")
    assert written.read_text() == before


def test_an_expectation_that_is_not_met_fails_a_clean_capture(capsys: Capsys, folder: Path) -> None:
    (folder / "good.expect.yaml").write_text("must:\n  - errno: ECONNREFUSED\n    why: the port is closed\n")
    status, out, _ = told(capsys, "check", folder / "good.pcap")
    assert status == 1
    assert f"expectation not met: {folder}/good.expect.yaml:2" in out
    assert "expected  at least 1: errno ECONNREFUSED" in out
    assert "found     none, and nothing else either" in out
    assert "the port is closed" in out


def test_a_folder_has_expectations_for_captures_without_their_own(capsys: Capsys, folder: Path) -> None:
    (folder / "sub" / "expect.yaml").write_text("may: [{errno: EPIPE}]")
    assert told(capsys, "check", folder)[0] == 0
    (folder / "sub" / "bad.expect.yaml").write_text("must_not: [{errno: EPIPE}]")
    assert told(capsys, "check", folder)[0] == 1


def test_errors_of_an_expectation_file_are_all_told(capsys: Capsys, folder: Path) -> None:
    file = folder / "good.expect.yaml"
    file.write_text("must:\n  - errnoo: EPIPE\n    side: left\n")
    status, out, err = told(capsys, "check", folder / "good.pcap")
    assert (status, out) == (2, "")
    assert f"{file}:2:5: error: unknown key `errnoo`" in err
    assert "did you mean `errno`?" in err
    assert f"{file}:3:11: error: 'left' is not known here" in err


# Baseline and suppressions


def test_a_baseline_from_writing_to_what_is_new(capsys: Capsys, folder: Path) -> None:
    baseline = folder / "baseline.json"
    status, _, err = told(capsys, "check", folder, "--write-baseline", baseline)
    assert status == 0
    assert "1 problem" in err
    status, out, _ = told(capsys, "check", folder, "--baseline", baseline)
    assert status == 0
    assert "1 in the baseline" in out
    shutil.copy(sample("connection-refused"), folder / "new.pcap")
    status, out, _ = told(capsys, "check", folder, "--baseline", baseline)
    assert status == 1
    assert "connection-refused" in out
    assert "client send EPIPE" not in out
    (folder / "sub" / "bad.pcap").unlink()
    status, out, _ = told(capsys, "check", folder / "good.pcap", "--baseline", baseline)
    assert status == 0
    assert "gone since the baseline was written (1 problem):\n  rst-after-fin client send EPIPE" in out


def test_a_suppression_says_why(capsys: Capsys, folder: Path) -> None:
    file = folder / "quiet.yaml"
    file.write_text("suppress: [{errno: EPIPE, reason: the old client, until: 9999-12-31}]")
    status, out, _ = told(capsys, "check", folder, "--suppress", file)
    assert status == 0
    assert "the old client" in out


# Outputs


def test_several_formats_at_once(capsys: Capsys, folder: Path) -> None:
    files = {name: folder / f"out.{name}" for name in CHECK_FORMATS}
    outputs = [word for name, file in files.items() for word in ("-o", f"{name}={file}")]
    status, out, err = told(capsys, "check", folder, *outputs)
    assert (status, out, err) == (1, "", "")
    assert all("EPIPE" in file.read_text() for file in files.values())


def test_json(capsys: Capsys, folder: Path) -> None:
    _, out, _ = told(capsys, "check", folder, "-o", "json")
    content = json.loads(out)
    assert content["schema"] == "errnoscope.check/1"
    assert not content["passed"]
    assert [capture["state"] for capture in content["captures"]] == ["passed", "failed"]
    bad = content["captures"][1]
    (problem,) = bad["problems"]
    assert (problem["endpoint"], problem["call"], problem["errno"]) == ("client", "send", "EPIPE")
    assert bad["report"]["flows"][problem["flow"]]["verdicts"][0]["errno"] == "EPIPE"


def test_in_a_pipe_of_its_own_process(folder: Path) -> None:
    done = command("check", folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.isascii()


def test_many_of_one_kind_are_told_once(capsys: Capsys, tmp_path: Path) -> None:
    data = sample("connection-refused").read_bytes()
    header, records = data[:24], data[24:]
    packets, at = [], 0
    while at < len(records):
        length = int.from_bytes(records[at + 8 : at + 12], "little")
        packets.append(records[at : at + 16 + length])
        at += 16 + length
    refused = tmp_path / "refused.pcap"
    copies = [b"".join(_other_port(packet, 30000 + copy) for packet in packets) for copy in range(100)]
    refused.write_bytes(header + b"".join(copies))
    status, out, _ = told(capsys, "check", refused)
    assert status == 1
    assert "100 problems" in out
    assert "and 99 more like it" in out
    assert len(out.splitlines()) < 10
    _, out, _ = told(capsys, "check", refused, "-o", "github")
    assert out.count("::error") == 1
    assert len(json.loads(told(capsys, "check", refused, "-o", "gitlab")[1])) == 1
    sarif = json.loads(told(capsys, "check", refused, "-o", "sarif")[1])
    assert len(sarif["runs"][0]["results"]) == 100


def _other_port(record: bytes, port: int) -> bytes:
    """A record of the sample as of another connection: the client's port and its sequence numbers differ.

    Checksums are not looked at.
    """
    ip = 16 + 14  # behind the record's and Ethernet's headers
    if record[ip - 2 : ip] != b"\x08\x00":
        return record
    by_client = record[ip + 12 : ip + 16] == bytes([10, 9, 0, 1])
    changed, tcp = bytearray(record), ip + 20
    place, numbers = (tcp, tcp + 4) if by_client else (tcp + 2, tcp + 8)
    number = int.from_bytes(record[numbers : numbers + 4], "big") + port * 1_000_003
    changed[place : place + 2] = port.to_bytes(2, "big")
    changed[numbers : numbers + 4] = (number % (1 << 32)).to_bytes(4, "big")
    return bytes(changed)


def test_a_capture_without_a_connection_says_so(capsys: Capsys, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(CLEAN.read_bytes()[:24])
    status, out, _ = told(capsys, "check", empty)
    assert status == 0
    assert "there is no connection in it, so nothing was judged" in " ".join(out.split())


def test_a_host_that_is_not_there_fails_nothing_and_is_said(capsys: Capsys) -> None:
    status, out, _ = told(capsys, "check", sample("next-hop-dead"))
    assert status == 0
    assert "so nothing was judged; but 10.9.0.254 did not answer ARP" in " ".join(out.split())
    assert max(map(len, out.replace(str(sample("next-hop-dead")), "").splitlines())) <= 80
    for kind in ("junit", "markdown", "json", "github"):
        assert (
            "10.9.0.254 did not answer ARP" in told(capsys, "check", sample("next-hop-dead"), "-o", kind)[1]
        )


# Files of a rotation


def test_a_failure_that_spans_files_is_told_of_in_one_of_them(capsys: Capsys) -> None:
    files = sorted((SAMPLES / "rst-after-fin-rotated" / "client").glob("*.pcap"))
    status, out, _ = told(capsys, "check", *files, "-o", "json")
    captures = json.loads(out)["captures"]
    assert status == 1
    assert [capture["state"] for capture in captures] == ["passed"] * 4 + ["failed"]
    (problem,) = captures[-1]["problems"]
    assert (problem["rule"], problem["errno"], problem["confidence"]) == ("rst-after-fin", "EPIPE", "certain")
    assert problem["frames"] == [1, 2]
    assert [capture["carries_on"] for capture in captures] == [None, *map(str, files[:-1])]
    assert f"1 problem (carries on {files[-2]})" in told(capsys, "check", *files)[1]


@pytest.mark.parametrize(
    "scenario", ["reset-by-peer-sending", "retransmission-timeout", "clean-request-response"]
)
def test_pieces_have_the_problems_of_the_whole_once(capsys: Capsys, tmp_path: Path, scenario: str) -> None:
    data = sample(scenario).read_bytes()
    offsets = record_offsets(data)
    cuts = [offsets[0], offsets[len(offsets) // 3], offsets[2 * len(offsets) // 3], len(data)]
    for number, (begin, end) in enumerate(pairwise(cuts)):
        (tmp_path / f"trace.pcap{number}").write_bytes(data[:24] + data[begin:end])
    pieces = json.loads(told(capsys, "check", tmp_path, "-o", "json")[1])["captures"]
    (whole,) = json.loads(told(capsys, "check", sample(scenario), "-o", "json")[1])["captures"]
    assert len(pieces) == 3

    def keys(*captures: dict[str, Any]) -> list[str]:
        return [problem["key"] for capture in captures for problem in capture["problems"]]

    assert keys(*pieces) == keys(whole)


def test_captures_of_one_moment_are_not_taken_for_a_rotation(capsys: Capsys, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"trace{number}.pcap").write_bytes(FAILED.read_bytes())
    captures = json.loads(told(capsys, "check", tmp_path, "-o", "json")[1])["captures"]
    assert [len(capture["problems"]) for capture in captures] == [1, 1, 1]
    assert {capture["carries_on"] for capture in captures} == {None}


def test_an_error_is_said_once_where_both_go_to_one_place(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "analyzer", "check", str(tmp_path / "none.pcap")]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert (done.returncode, done.stdout.count("there is no such file")) == (2, 1)
    assert "hint: look for a typing error in the path." in done.stdout
    assert done.stdout.endswith("1 capture checked: 1 could not be read\n")
    apart = subprocess.run(line, capture_output=True, text=True, check=False)
    assert apart.stdout == done.stdout
    assert "there is no such file" in apart.stderr


def test_lines_fit_a_terminal(capsys: Capsys) -> None:
    _, out, _ = told(capsys, "check", *sorted(SAMPLES.glob("retransmission*/client.pcap")))
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    assert any("[fd00:" in line for line in lines)
    assert max(map(len, lines)) < 80


def test_it_says_how_far_it_is(capsys: Capsys, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int]] = []

    def show(_: object, done: int, size: int, doing: str, __: str) -> None:
        if doing == "reading":  # not what is read together once more, to see whether it is a rotation
            shown.append((done, size))

    monkeypatch.setattr("analyzer.cli.progress.Progress.show", show)
    assert told(capsys, "check", folder)[0] == 1
    size = sum(path.stat().st_size for path in folder.rglob("*.pcap"))
    assert {of for _, of in shown} == {size}
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)
    assert shown[-1] == (size, size)


def test_what_a_capture_cannot_show_is_said_where_it_passes(capsys: Capsys, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(CLEAN.read_bytes()[:-7])
    status, out, _ = told(capsys, "check", cut)
    assert status == 0
    assert out.startswith(f"passed  {cut}: nothing found\n  doubt    The file ends inside a record:")
    assert "  doubt" not in told(capsys, "check", CLEAN)[1]
