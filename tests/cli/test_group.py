"""``--group N``: one kind of failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.captures import sample
from tests.cli.test_cli import Capsys, told

CAPTURES = (sample("rst-after-fin-send-first"), sample("icmp-host-unreachable-connect"))


def test_one_kind_of_failure_alone(capsys: Capsys) -> None:
    whole = told(capsys, "analyze", *CAPTURES)[1]
    first, second = (told(capsys, "analyze", *CAPTURES, "--group", str(number))[1] for number in (1, 2))
    for rule in ("rst-after-fin", "icmp-unreachable-during-connect"):
        rule = f"errnoscope explain {rule}"
        assert rule in whole
        assert (rule in first) != (rule in second)


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
