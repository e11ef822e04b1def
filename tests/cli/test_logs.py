"""``analyze --log``: lines of a log beside a capture."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from analyzer.cli.main import run
from tests.captures import sample

FAILED = str(sample("rst-after-fin-send-first"))
LINES = """\
2026-11-21 07:56:20,001 INFO started
2026-11-21 07:56:23,690 ERROR upload to 10.9.1.2:8036 failed
Traceback (most recent call last):
BrokenPipeError: [Errno 32] Broken pipe
2026-11-21 07:56:23,700 ERROR read tcp 10.9.0.1:5->10.9.9.9:80: read: connection reset by peer
2026-11-21 07:56:23,800 ERROR upstream timed out (110: Connection timed out) while connecting to upstream
2026-11-21 07:56:23,900 ERROR java.net.SocketException: Socket closed
"""


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "app.log"
    path.write_text(LINES)
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = run(["analyze", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_people_are_told(capsys: pytest.CaptureFixture[str], log: str) -> None:
    status, out, err = told(capsys, FAILED, "--log", log)
    assert (status, err) == (0, "")
    section = " ".join(out[out.index("\nLogs\n") :].split())
    assert (
        f"{log}: 7 lines, 4 of a socket's failure; time zone +02:00, found out: 1 of 1 lines agree" in section
    )
    assert "Explained: 1 log line 4: BrokenPipeError: [Errno 32] Broken pipe" in section
    assert "10.9.0.1:50835 -> 10.9.1.2:8036 client's send(): EPIPE" in section
    assert "certain logged" in section
    assert "No kernel gave an errno, and nothing failed on the wire: 1 log line 7:" in section
    assert "nginx writes 110 itself" in section


def test_programs_are_told(capsys: pytest.CaptureFixture[str], log: str) -> None:
    _, out, _ = told(capsys, FAILED, "--log", log, "-o", "json")
    plain = json.loads(out)
    (clock,) = plain["log"]["logs"]
    assert (clock["zone"], clock["zone_from"], clock["lines"], clock["understood"]) == (
        "+02:00",
        "found",
        7,
        4,
    )
    first, second, third, last = plain["log"]["lines"]
    found = first["explained"]
    assert plain["flows"][found["flow"]]["client"]["port"] == 50835
    assert (found["endpoint"], found["rule"], found["sure"]) == ("client", "rst-after-fin", "certain")
    assert (first["number"], first["program"], first["results"]) == (4, "Python", ["EPIPE"])
    assert second["explained"] is third["explained"] is last["explained"] is None
    assert third["seen_through"] is last["seen_through"] is True
    assert second["why"]
    assert last["why"] is None


def test_without_a_log_there_is_no_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(told(capsys, FAILED, "-o", "json")[1])["log"] is None
    assert "\nLogs\n" not in told(capsys, FAILED)[1]


def test_a_log_does_not_change_the_rest(capsys: pytest.CaptureFixture[str], log: str) -> None:
    for path in (FAILED, str(sample("clean-request-response"))):
        bare, beside = (
            json.loads(told(capsys, path, *more, "-o", "json")[1]) for more in ((), ("--log", log))
        )
        assert beside | {"log": None} == bare


def test_a_filter_hides_the_flow_and_not_the_explanation(
    capsys: pytest.CaptureFixture[str], log: str
) -> None:
    plain = json.loads(told(capsys, FAILED, "--log", log, "--port", "1", "-o", "json")[1])
    assert plain["flows"] == []
    assert plain["log"]["lines"][0]["explained"]["flow"] is None
    assert plain["log"]["lines"][0]["explained"]["client"] == "10.9.0.1:50835"


def test_a_line_and_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Explained: 1 log line" in told(capsys, FAILED, "--log", "write EPIPE at once")[1]
    stdin = io.TextIOWrapper(io.BytesIO(LINES.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert "standard input: 7 lines" in told(capsys, FAILED, "--log", "-")[1]


def test_several_logs(capsys: pytest.CaptureFixture[str], log: str) -> None:
    _, out, _ = told(capsys, FAILED, "--log", log, "--log", "nothing of interest")
    assert f"{log}:4: BrokenPipeError" in " ".join(out.split())
    assert "the line given: 1 line, 0 of a socket's failure" in " ".join(out.split())


def test_several_lines_have_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ("--log", "write EPIPE at once", "--log", "nothing of interest")
    out = " ".join(told(capsys, FAILED, *lines)[1].split())
    assert "given line 1:1: write EPIPE at once" in out
    assert "given line 2: 1 line, 0 of a socket's failure" in out


@pytest.mark.parametrize(
    ("name", "port", "rule"),
    [
        ("connect-timeout", 8017, "connect-unanswered"),
        ("connect-timeout-default", 7018, "connect-timeout"),
        ("connection-refused", 8001, None),
    ],
)
@pytest.mark.parametrize("why", ["Couldn't connect to server", "Connection timed out"])
def test_a_timeout_of_curl_is_explained_by_an_attempt_without_an_answer(
    capsys: pytest.CaptureFixture[str], name: str, port: int, rule: str | None, why: str
) -> None:
    line = f"curl: (28) Failed to connect to 10.9.1.2 port {port} after 3052 ms: {why}"
    plain = json.loads(told(capsys, str(sample(name)), "--log", line, "-o", "json")[1])
    (event,) = plain["log"]["lines"]
    assert event["results"] == ["ETIMEDOUT", "BLOCKS"]
    assert (event["explained"] and event["explained"]["rule"]) == rule


def test_bad_use_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.log")
    status, out, err = told(capsys, FAILED, "--log", missing)
    assert (status, out) == (2, "")
    assert f"{missing}: No such file or directory\nhint: give a file" in err
    status, out, err = told(capsys, "-", "--log", "-")
    assert (status, out) == (2, "")
    assert "standard input can be read once only" in err
    status, _, err = told(capsys, FAILED, "--log", FAILED)
    assert status == 2
    assert "this is no log: it is not text" in err
