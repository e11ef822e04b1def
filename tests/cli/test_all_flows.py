"""``--all-flows``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.pipeline.files import analyze
from tests.captures import sample
from tests.cli.test_cli import Capsys, told

CLEAN = sample("clean-request-response")
REFUSED = sample("connection-refused-then-retried")
TIMEOUT = sample("retransmission-timeout")
IPV6 = sample("reset-by-peer-ipv6")
CAPTURES = (REFUSED, IPV6, TIMEOUT, CLEAN)


def report(capsys: Capsys, *options: str, captures: tuple[Path, ...] = CAPTURES) -> dict[str, Any]:
    status, out, err = told(capsys, "analyze", *captures, "-ojson", *options)
    assert (status, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    return document


def test_every_flow_is_there_once(capsys: Capsys) -> None:
    some, every = report(capsys), report(capsys, "--all-flows")
    assert every["totals"] == some["totals"]
    assert len(every["flows"]) == some["totals"]["tcp_flows"] + some["totals"]["udp_flows"]
    ends = [(f["protocol"], *f["client"].values(), *f["server"].values(), f["start"]) for f in every["flows"]]
    assert len(set(ends)) == len(ends)
    assert [flow for flow in every["flows"] if flow["findings"]] == some["flows"]
    for flow in every["flows"]:
        assert flow["packets"] > 0
        assert flow["start"] <= flow["end"]


def test_incidents_point_at_the_same_flows(capsys: Capsys) -> None:
    some, every = report(capsys), report(capsys, "--all-flows")
    assert [[every["flows"][index] for index in incident["examples"]] for incident in every["incidents"]] == [
        [some["flows"][index] for index in incident["examples"]] for incident in some["incidents"]
    ]


@pytest.mark.parametrize("max_frames", [1, 7])
def test_batches_do_not_matter(max_frames: int) -> None:
    for capture in CAPTURES:
        whole = analyze(capture, all_flows=True)
        assert analyze(capture, all_flows=True, max_frames=max_frames).flows == whole.flows


def test_filters_hold_for_flows_without_a_finding(capsys: Capsys) -> None:
    clean = report(capsys, "--all-flows", captures=(CLEAN,))["flows"][0]
    port = str(clean["client"]["port"])
    assert report(capsys, "--all-flows", "--port", port)["flows"] == [clean | {"capture": 3}]
    assert report(capsys, "--all-flows", "--errno", "EPIPE", captures=(CLEAN,))["flows"] == []
    assert report(capsys, "--all-flows", "--since", str(clean["end"] + 1), captures=(CLEAN,))["flows"] == []
    assert report(capsys, "--all-flows", "--until", str(clean["start"] + 1), captures=(CLEAN,))["flows"] == [
        clean
    ]


def test_the_text_has_a_table(capsys: Capsys) -> None:
    out = told(capsys, "analyze", *CAPTURES, "--all-flows")[1]
    table = out[out.index("\n\n6 flows, and what was found in them\n") :].splitlines()[3:]
    assert max(map(len, table)) <= 80
    assert [line.split()[1] for line in table[1:]].count("udp") == 1
    for errno in ("ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"):
        assert sum(line.endswith(errno) for line in table) == 1
