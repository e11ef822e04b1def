"""``--carve DIR``: each failing flow in a capture of its own."""

from __future__ import annotations

import json
import re
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import analyzer
from analyzer.cli import copies
from analyzer.reports import carve_index, new_folder
from tests import crowd
from tests.captures import CAPTURES, capture_name, sample
from tests.cli.test_cli import Capsys, told
from tests.sources.build import Frame, read

FAILED = sample("rst-after-fin-send-first")
CLEAN = sample("clean-request-response")


def index_of(folder: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((folder / "index.json").read_text())
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["index.json", *(entry["file"] for entry in index["files"])]
    )
    return index


def in_nanoseconds(path: Path) -> list[Frame]:
    found = read(path.read_bytes())
    assert found.damage == ""
    return found.frames


def told_of(capture: Path) -> list[tuple[str, str, str]]:
    flows = analyzer.analyze(capture).flows
    return [(v.endpoint, v.errno, v.rule) for flow in flows for v in flow.verdicts]


def test_one_failure(capsys: Capsys, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "failed"
    said = f"errnoscope: {folder}: 1 capture of 15 packets and index.json were written\n"
    assert told(capsys, "analyze", FAILED, "--carve", folder, "-o", "json=/dev/null") == (0, "", said)
    (entry,) = index_of(folder)["files"]
    assert entry["file"] == "10.9.0.1-50835_10.9.1.2-8036_EPIPE_rst-after-fin.pcapng"
    assert entry["packets"] == 15
    assert entry["verdicts"][0]["frames"] == [16, 17]
    carved, whole = in_nanoseconds(folder / entry["file"]), in_nanoseconds(FAILED)
    assert carved == [whole[number] for number in range(17) if number not in (0, 1)]  # ARP
    assert told_of(folder / entry["file"]) == told_of(FAILED)


def test_icmp_and_tunnels_come_along(capsys: Capsys, tmp_path: Path) -> None:
    for scenario in ("icmp-host-unreachable-connect", "connection-refused-vxlan", "connection-refused-ipv6"):
        folder = tmp_path / scenario
        told(capsys, "analyze", sample(scenario), "--carve", folder, "-o", "json=/dev/null")
        for entry in index_of(folder)["files"]:
            assert told_of(folder / entry["file"]) == [
                (v["endpoint"], v["errno"], v["rule"]) for v in entry["verdicts"]
            ]


def test_each_of_many_flows_has_its_packets_only(capsys: Capsys, tmp_path: Path) -> None:
    capture = crowd.write(tmp_path / "crowd.pcap", crowd.crowd(1000))
    folder = tmp_path / "failed"
    told(capsys, "analyze", capture, "--carve", folder, "-o", "json=/dev/null")
    index, report = index_of(folder), analyzer.analyze(capture)
    assert index["alike_and_left_out"] == 0
    assert len(index["files"]) == sum(bool(flow.verdicts) for flow in report.flows)
    for entry in index["files"]:
        assert entry["packets"] == report.flows[entry["flow"]].packets
        assert len(in_nanoseconds(folder / entry["file"])) == entry["packets"]


def test_of_a_kind_only_some_get_a_file(capsys: Capsys, tmp_path: Path) -> None:
    capture = crowd.write(tmp_path / "outage.pcap", crowd.outage(130))
    _, _, err = told(capsys, "analyze", capture, "--carve", tmp_path / "failed", "-o", "json=/dev/null")
    index = index_of(tmp_path / "failed")
    assert f"{index['alike_and_left_out']} connections that failed alike left out" in err
    assert len(index["files"]) + index["alike_and_left_out"] == 130
    assert index["alike_and_left_out"] > 0


def test_two_captures_and_a_clean_one(capsys: Capsys, tmp_path: Path) -> None:
    other = sample("icmp-host-unreachable-connect")
    told(capsys, "analyze", FAILED, CLEAN, other, "--carve", tmp_path / "a", "-o", "json=/dev/null")
    assert len(index_of(tmp_path / "a")["files"]) == 2
    _, _, err = told(capsys, "analyze", CLEAN, "--carve", tmp_path / "b", "-o", "json=/dev/null")
    assert "nothing failed: only index.json was written" in err
    assert index_of(tmp_path / "b")["files"] == []


def test_nothing_is_written_over(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for folder, capture, what in (
        ("full", FAILED, "there is something in this directory"),
        ("file", FAILED, "this is no directory"),
        ("new", "-", "captures are read twice for it"),
        ("file/below", FAILED, "cannot be written"),
    ):
        status, _, err = told(capsys, "analyze", capture, "--carve", tmp_path / folder)
        assert status == 2
        assert what in err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "file", "full"]


@pytest.mark.parametrize("option", ["--carve", "-o"])
def test_where_nothing_can_be_written_nothing_is_read(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr("analyzer.cli.analyze._here", lambda *_, **__: pytest.fail("it was read"))
    folder = tmp_path / "protected"
    folder.mkdir()
    forbidden = PermissionError(13, "Permission denied")
    monkeypatch.setattr(new_folder, "TemporaryFile", Mock(side_effect=forbidden))
    for name in ("", "made/for/it"):
        path = folder / name
        given = f"parquet={path}" if option == "-o" else str(path)
        status, out, err = told(capsys, "analyze", FAILED, option, given)
        assert (status, out) == (2, "")
        assert err.endswith(f"{option} {given}: cannot be written: Permission denied\n")
    assert list(folder.iterdir()) == []


def test_a_directory_that_was_made_goes_with_the_report(capsys: Capsys, tmp_path: Path) -> None:
    status, _, err = told(capsys, "analyze", tmp_path / "none.pcap", "--carve", tmp_path / "a" / "b")
    assert (status, list(tmp_path.iterdir())) == (2, [])
    assert "there is no such file" in err


def test_two_kinds_of_files_need_two_directories(capsys: Capsys, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    status, _, err = told(capsys, "analyze", FAILED, "--carve", folder, "-o", f"parquet={tmp_path}/./one")
    assert (status, list(tmp_path.iterdir())) == (2, [])
    assert "each needs a directory of its own" in err


def anonymous(capsys: Capsys, folder: Path, *captures: Path) -> list[dict[str, Any]]:
    status, out, err = told(
        capsys, "analyze", *captures, "--carve", folder, "--anonymize", "-o", "json=/dev/null"
    )
    assert (status, out) == (0, "")
    assert "ERRNOSCOPE_ANONYMIZE_KEY=" in err
    return list(index_of(folder)["files"])


def originals(capture: Path) -> set[str]:
    flows = analyzer.analyze(capture).flows
    ends = {end.address for flow in flows for end in (flow.flow.client, flow.flow.server)}
    return ends | {finding.icmp.reporter for flow in flows for finding in flow.findings if finding.icmp}


BY_PAYLOAD = {
    "tls-hello-reset",
    "eof-in-message",
    "eof-in-tls-record",
    "tls-handshake-refused",
    "premature-eof",
    "gave-up-waiting",
}
"""Rules that rest on what was said, which an anonymous flow lacks."""


@pytest.mark.parametrize("path", CAPTURES[1::4], ids=capture_name)
def test_anonymous_flows_have_the_same_verdicts(capsys: Capsys, tmp_path: Path, path: Path) -> None:
    plain, hidden = tmp_path / "plain", tmp_path / "hidden"
    told(capsys, "analyze", path, "--carve", plain, "-o", "json=/dev/null")
    for before, after in zip(index_of(plain)["files"], anonymous(capsys, hidden, path), strict=True):
        known = told_of(plain / before["file"])
        assert {rule for _, _, rule in known} & BY_PAYLOAD or told_of(hidden / after["file"]) == known
        assert after["packets"] == before["packets"]
        assert after["verdicts"] == before["verdicts"]
    whole = b"".join(found.name.encode() + found.read_bytes() for found in hidden.iterdir())
    for address in originals(path):
        assert ip_address(address).packed not in whole
        # Not as a part of another one: 10.9.0.1 may well become 10.9.0.101.
        assert not re.search(rb"(?<![0-9a-f:.])" + re.escape(address.encode()) + rb"(?![0-9a-f])", whole)
    assert str(path).encode() not in whole  # nor the names of files


def test_anonymous_packets_are_headers_with_good_checksums(capsys: Capsys, tmp_path: Path) -> None:
    for scenario in (
        "rst-after-fin-send-first",
        "icmp-host-unreachable-connect",
        "udp-connection-refused-ipv6",
    ):
        folder = tmp_path / scenario
        (entry,) = anonymous(capsys, folder, sample(scenario))
        for frame in in_nanoseconds(folder / entry["file"]):
            scapy = import_module("scapy.layers.l2").Ether(
                frame.data + bytes(frame.original - len(frame.data))
            )
            fresh = scapy.copy()
            for layer in ("IP", "TCP", "UDP", "ICMP", "ICMPv6DestUnreach"):
                if layer in fresh:
                    assert scapy[layer].fields.get("chksum", scapy[layer].fields.get("cksum")) is not None
                    for name in {"chksum", "cksum"} & set(fresh[layer].fields):
                        del fresh[layer].fields[name]
            assert bytes(fresh) == bytes(scapy)


def test_the_key_comes_from_the_environment(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERRNOSCOPE_ANONYMIZE_KEY", "5a" * 32)
    for name in ("a", "b"):
        run = told(
            capsys, "analyze", FAILED, "--carve", tmp_path / name, "--anonymize", "-o", "json=/dev/null"
        )
        said = f"errnoscope: {tmp_path / name}: 1 capture of 15 packets and index.json were written\n"
        assert run == (0, "", said)
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("a", "b"))
    assert one == other
    monkeypatch.setenv("ERRNOSCOPE_ANONYMIZE_KEY", "secret")
    status, _, err = told(capsys, "analyze", FAILED, "--carve", tmp_path / "c", "--anonymize")
    assert status == 2
    assert "64 hexadecimal digits" in err
    status, _, err = told(capsys, "analyze", FAILED, "--anonymize")
    assert status == 2
    assert "is for what --carve writes" in err


def test_what_is_not_finished_leaves_nothing(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(carve_index, "index_text", Mock(side_effect=full))
    status, _, err = told(capsys, "analyze", FAILED, "--carve", tmp_path / "failed")
    assert (status, list(tmp_path.iterdir())) == (2, [])
    assert "cannot be written: No space left on device\nhint: there is no room left" in err
    monkeypatch.setattr(carve_index, "index_text", Mock(side_effect=KeyboardInterrupt))
    assert told(capsys, "analyze", FAILED, "--carve", tmp_path / "failed")[0] == 130
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_removed_keeps_no_other(tmp_path: Path) -> None:
    (tmp_path / "stays").mkdir()
    (tmp_path / "goes").write_text("")
    copies._remove([tmp_path / "stays", tmp_path / "goes"])
    assert [path.name for path in tmp_path.iterdir()] == ["stays"]


@pytest.mark.parametrize("option", ["--carve {}", "-o parquet={}"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_report_may_stand_beside_what_is_written(
    capsys: Capsys, tmp_path: Path, option: str, is_there: bool
) -> None:
    folder = tmp_path / "d"
    if is_there:
        folder.mkdir()
    report = ["-o", f"json={folder}/report.json"]
    status = told(capsys, "analyze", FAILED, *option.format(folder).split(), *report)[0]
    assert status == 0
    assert json.loads((folder / "report.json").read_text())["flows"]
    assert len(list(folder.iterdir())) > 1


def test_the_index_is_not_missed_where_the_captures_are_read(capsys: Capsys, tmp_path: Path) -> None:
    folder = tmp_path / "failed"
    assert told(capsys, "analyze", FAILED, "--carve", folder)[0] == 0
    for names in ([folder], sorted(folder.iterdir()), [f"{folder}/*"]):
        status, out, err = told(capsys, "analyze", *names)
        assert (status, err) == (0, "")
        assert "index.json" not in out
        assert "1 of 1 TCP connection failed" in out
    assert told(capsys, "analyze", folder / "index.json")[0] == 2
    (folder / "notes.json").write_text("{}")
    assert "No captures, so skipped: " in " ".join(told(capsys, "analyze", folder)[1].split())
