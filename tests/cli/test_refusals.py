"""What is refused before any work is done, with a word of what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.captures import sample
from tests.cli.test_cli import Capsys, told

FAILED = sample("rst-after-fin-send-first")


NEEDS_APP = "--show-secrets: does nothing without --app\nhint: add --app, or leave it out.\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("analyze FAILED --show-secrets", NEEDS_APP),
        ("live - --show-secrets", NEEDS_APP),
        ("live - --quiet 3", "--quiet: does nothing without --follow DIR\nhint: add --follow DIR"),
        ("live -i lo --once", "--once: does nothing without --follow DIR"),
        ("live - --state file", "--state: does nothing without --follow DIR"),
        ("live --follow HERE -C 3", "-C: is for a capture of this process"),
        ("live --follow HERE -s 0", "-s: is for a capture of this process"),
        ("live - -s 0", "-s: what comes through a pipe was captured already\nhint: give it to"),
        ("analyze FAILED --resume", "--resume: does nothing without --engine dask"),
        ("analyze FAILED --scheduler a:1", "--scheduler: does nothing without --engine dask"),
        ("analyze FAILED --work HERE", "--work: does nothing without --engine dask\nhint: add --engine dask"),
        ("check FAILED --update --expect FAILED", "--update --expect: --update writes a file for each"),
        ("check FAILED --update --write-baseline HERE/b", "--update --write-baseline: each of the two"),
        ("check FAILED --write-baseline HERE/none/b", "--write-baseline HERE/none/b: cannot be written"),
        ("rules --fields --select reset-", "--fields --select: --select changes nothing there"),
        ("rules --fields --rule-dir HERE", "--fields --rule-dir: --rule-dir changes nothing there"),
        ("rules --new x --event end_of_file --ignore reset-", "--new --ignore: --ignore changes nothing"),
        (
            "live -i lo -w HERE/no/f",
            "No such file or directory\nhint: there is no directory HERE/no: mkdir -p HERE/no",
        ),
        ("analyze FAILED --decoder tshark --jobs 2", "--jobs 2: with --decoder tshark one process follows"),
        ("analyze FAILED --log=", '"": this is no name of a file\nhint: is it a variable'),
        ("check s3://bucket/a.pcap --update", "this is written to this machine only"),
        ("analyze FAILED --tls-keylog HERE/none", "--tls-keylog HERE/none: there is no such file\nhint: "),
        ("analyze FAILED --tls-keylog HERE", "--tls-keylog HERE: this is no file"),
    ],
)
def test_it_is_said_what_is_amiss(line: str, expected: str, capsys: Capsys, tmp_path: Path) -> None:
    here = line.replace("FAILED", str(FAILED)).replace("HERE", str(tmp_path))
    status, out, err = told(capsys, *here.split())
    assert (status, out) == (2, "")
    assert err.startswith("errnoscope: ")
    assert expected.replace("HERE", str(tmp_path)) in err
    assert list(tmp_path.iterdir()) == []


def closed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As if this user might not look into it (root may look everywhere)."""
    look = os.scandir

    def looks(path: Any) -> Any:
        if os.fspath(path) == str(folder):
            raise PermissionError(13, "Permission denied", str(folder))
        return look(path)

    monkeypatch.setattr(os, "scandir", looks)


@pytest.mark.parametrize("line", ["analyze DIR", "check DIR", "check ABOVE", "live --once --follow DIR"])
def test_a_directory_that_may_not_be_read_is_not_missing(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    (tmp_path / "open.pcap").write_bytes(FAILED.read_bytes())
    closed(monkeypatch, folder)
    places = {"DIR": str(folder), "ABOVE": str(tmp_path)}
    status, out, err = told(capsys, *(places.get(word, word) for word in line.split()))
    assert (status, out) == (2, "")
    assert err.startswith(f"errnoscope: {folder}: this directory cannot be opened\nhint: run as its owner")


def test_a_file_of_secrets_that_may_not_be_read(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "keys"
    secrets.write_text("")
    monkeypatch.setattr(os, "access", lambda path, _: path != str(secrets))
    status, _, err = told(capsys, "analyze", FAILED, "--tls-keylog", secrets)
    assert status == 2
    assert f"--tls-keylog {secrets}: reading it is not permitted" in err


def test_what_is_not_permitted_comes_with_a_hint(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("analyzer.cli.check.find_captures", refused)
    status, out, err = told(capsys, "check", tmp_path)
    assert (status, out) == (2, "")
    assert err.startswith(f"errnoscope: {tmp_path}: Permission denied\nhint: ")
