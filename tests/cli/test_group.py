"""``--group N``: one kind of failure."""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from analyzer.reports.text import write as write_text
from tests.captures import sample
from tests.cli.test_cli import Capsys, told
from tests.crowd import crowd, write

CAPTURES = (sample("rst-after-fin-send-first"), sample("icmp-host-unreachable-connect"))


def test_one_kind_of_failure_alone(capsys: Capsys) -> None:
    whole = told(capsys, "analyze", *CAPTURES)[1]
    first, second = (told(capsys, "analyze", *CAPTURES, "--group", str(number))[1] for number in (1, 2))
    for rule in ("rst-after-fin", "icmp-unreachable-during-connect"):
        rule = f"errnoscope explain {rule}"
        assert rule in whole
        assert (rule in first) != (rule in second)


def test_the_report_says_how_to_get_there(capsys: Capsys, tmp_path: Path) -> None:
    """By a line that can be pasted, or where the command is long, or has options that matter, in words."""
    capture = write(tmp_path / "one crowd.pcap", crowd(400))
    next_lines = [line for line in told(capsys, "analyze", capture)[1].splitlines() if " --group " in line]
    assert len(next_lines) == 1
    command, _, _ = next_lines[0].partition("  #")
    assert shlex.split(command)[:3] == ["errnoscope", "analyze", str(capture)]
    assert told(capsys, *shlex.split(command)[1:])[0] == 0
    long = tmp_path / f"{'x' * 200}.pcap"
    long.write_bytes(capture.read_bytes())
    for others in (["--client-os", "freebsd"], [str(long)]):
        assert "   the same command with --group " in told(capsys, "analyze", capture, *others)[1]


def next_lines(report: Report) -> list[str]:
    """The lines of ``Next`` that name a group."""
    out = io.StringIO()
    write_text(report, out)
    return [line.strip() for line in out.getvalue().splitlines() if " --group " in line]


def test_of_a_stream_the_kept_file_is_named_if_there_is_one(tmp_path: Path) -> None:
    report = analyze(write(tmp_path / "crowd.pcap", crowd(400)))
    (capture,) = report.captures

    def of(path: str, kept: str = "", only: Filter = EVERYTHING) -> list[str]:
        return next_lines(replace(report, captures=(replace(capture, path=path, kept=kept),), only=only))

    assert of("no-such-interface", "my lb.pcap")[0].startswith("errnoscope analyze 'my lb.pcap' --group ")
    (line,) = of("no-such-interface", "lb.pcap", only=Filter(ports=((1, 65535),)))
    assert re.fullmatch(r"errnoscope analyze lb.pcap --group \d+   # with the options of this .*", line)
    (line,) = of("no-such-interface")
    assert re.fullmatch(r"errnoscope analyze FILE --group \d+   # nothing was kept .* -w FILE", line)
    assert of("-", "lb.pcap")[0].startswith("errnoscope analyze lb.pcap --group ")
    assert of("-") == of("/dev/null") == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--group", "3"], "--group 3: no kind of failure has this number: there are 1 to 2"),
        (["--group", "0"], "Invalid value for '--group'"),
        (["--group", "x"], "Invalid value for '--group'"),
        (["--group", "1", "-o", "json"], "--group 1: is for the text report"),
    ],
)
def test_wrong_numbers(capsys: Capsys, arguments: list[str], what: str) -> None:
    status, out, err = told(capsys, "analyze", *CAPTURES, *arguments)
    assert (status, out) == (2, "")
    assert what in err


def test_other_formats_beside_it_are_whole(capsys: Capsys, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    status, _, _ = told(capsys, "analyze", *CAPTURES, "--group", "1", "-o", "text", "-o", f"json={file}")
    assert status == 0
    assert len(json.loads(file.read_text())["flows"]) == 2
