"""``--host --port --errno --since --until --select --ignore`` of analyze."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli.filter_options import _moment
from analyzer.model.filter import Moment
from tests.captures import sample
from tests.cli.test_cli import Capsys, told

EPIPE = sample("rst-after-fin-send-first")
UNREACHABLE = sample("icmp-host-unreachable-connect")
CAPTURES = (EPIPE, UNREACHABLE)


def report(capsys: Capsys, *options: str, captures: tuple[Path, ...] = CAPTURES) -> dict[str, Any]:
    status, out, err = told(capsys, "analyze", *captures, "-ojson", *options)
    assert (status, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    return document


def errnos(document: dict[str, Any]) -> list[str]:
    return [verdict["errno"] for flow in document["flows"] for verdict in flow["verdicts"]]


@pytest.fixture
def whole(capsys: Capsys) -> dict[str, Any]:
    return report(capsys)


def test_without_a_filter_nothing_is_left_out(whole: dict[str, Any]) -> None:
    assert whole["filter"] is None
    assert errnos(whole) == ["EPIPE", "EHOSTUNREACH"]


def test_by_errno(capsys: Capsys, whole: dict[str, Any]) -> None:
    for name in ("EPIPE", "epipe", "WSAEPIPE", "EPIPE,ECONNRESET"):
        document = report(capsys, "--errno", name)
        assert document["flows"] == whole["flows"][:1]
        assert document["filter"]["left_out"] == {"failed": 1, "other": 0}
        assert [incident["errno"] for incident in document["incidents"]] == ["EPIPE"]
    assert errnos(report(capsys, "--errno", "EPIPE", "--errno", "EHOSTUNREACH")) == errnos(whole)
    assert report(capsys, "--errno", "none")["flows"] == []


def test_totals_stay_those_of_the_captures(capsys: Capsys, whole: dict[str, Any]) -> None:
    document = report(capsys, "--errno", "EPIPE")
    assert document["captures"] == whole["captures"]
    for name in ("packets", "tcp_flows", "udp_flows", "undecoded_packets"):
        assert document["totals"][name] == whole["totals"][name]


def test_by_port(capsys: Capsys, whole: dict[str, Any]) -> None:
    first, second = (flow["server"]["port"] for flow in whole["flows"])
    assert errnos(report(capsys, "--port", str(first))) == ["EPIPE"]
    assert errnos(report(capsys, "--port", f"{second}-{second}")) == ["EHOSTUNREACH"]
    assert errnos(report(capsys, "--port", f"{first},{second}")) == errnos(whole)
    assert errnos(report(capsys, "--port", "0-1023")) == []


def test_by_host(capsys: Capsys, whole: dict[str, Any]) -> None:
    addresses = [flow["server"]["address"] for flow in whole["flows"]]
    assert addresses[0] == "10.9.1.2"
    assert errnos(report(capsys, "--host", "10.9.0.0/16")) == errnos(whole)
    assert errnos(report(capsys, "--host", "::/0")) == []
    assert errnos(report(capsys, "--host", addresses[0]))[:1] == ["EPIPE"]


def test_by_time(capsys: Capsys, whole: dict[str, Any]) -> None:
    first, second = (flow["verdicts"][0]["time"] for flow in whole["flows"])
    assert second < first  # in another capture
    assert errnos(report(capsys, "--since", str(first))) == ["EPIPE"]
    assert errnos(report(capsys, "--until", str(second))) == ["EHOSTUNREACH"]
    assert errnos(report(capsys, "--since", str(second), "--until", str(first))) == errnos(whole)
    begin = min(capture["first"] for capture in whole["captures"])
    assert errnos(report(capsys, "--until", "+1s")) == ["EHOSTUNREACH"]
    assert report(capsys, "--until", "+1s")["filter"]["until"] == pytest.approx(begin + 1)
    assert errnos(report(capsys, "--since", "+1s")) == ["EPIPE"]


def test_by_rule(capsys: Capsys, whole: dict[str, Any]) -> None:
    document = report(capsys, "--select", "rst-")
    assert document["flows"] == whole["flows"][:1]
    assert all(rule.startswith("rst-") for rule in document["filter"]["rules"])
    assert errnos(report(capsys, "--ignore", "ES301")) == ["EHOSTUNREACH"]


def test_a_rule_that_is_ignored_does_not_give_way_to_a_wider_one(capsys: Capsys) -> None:
    document = report(capsys, "--ignore", "rst-after-fin", captures=(EPIPE,))
    assert document["flows"] == []
    assert document["filter"]["left_out"]["failed"] == 1


def test_the_text_says_what_was_left_out(capsys: Capsys) -> None:
    assert "1 more failed outside of the filter." in told(capsys, "analyze", *CAPTURES, "--errno", "EPIPE")[1]
    out = told(capsys, "analyze", EPIPE, "--errno", "ECONNRESET")[1]
    assert "Nothing passes the filter; 1 of 1 TCP connection failed outside of it." in out
    assert "No failure found" not in out


NS = 10**9


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0", Moment(0)),
        ("1795240583.242123456", Moment(1795240583242123456)),
        ("2026-11-21T05:56:23Z", Moment(1795240583 * NS)),
        ("2026-11-21T06:56:23.242+01:00", Moment(1795240583242 * 10**6)),
        ("2026-11-21 05:56:23.242 UTC", Moment(1795240583242 * 10**6)),
        ("+5m", Moment(300 * NS, relative=True)),
        ("+90s", Moment(90 * NS, relative=True)),
        ("+0.5s", Moment(NS // 2, relative=True)),
        ("+1h30m", Moment(5400 * NS, relative=True)),
        ("+2d1s", Moment((2 * 86400 + 1) * NS, relative=True)),
    ],
)
def test_times(text: str, moment: Moment) -> None:
    assert _moment("--since", text) == moment


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["--host", "example.com"], "--host example.com: this is no address", "names are not looked up"),
        (["--host", "10.0.0.0/33"], "this is no address and no network", "10.9.0.0/16"),
        (["--port", "0x50"], "--port 0x50: this is no port", "8000-8100"),
        (["--port", "65536"], "this is no port", ""),
        (["--port", "90-80"], "this is no port and no range", ""),
        (["--errno", "ECONRESET"], "there is no errno of this name", "did you mean `ECONNRESET`?"),
        (["--errno", "104"], "there is no errno of this name", "numbers differ between systems"),
        (["--errno", ""], "there is no errno of this name", "none: no errno"),
        (["--since", "yesterday"], "--since yesterday: this is no time", "+1h30m"),
        (["--since", "+"], "this is no time", ""),
        (["--since", "+5"], "this is no time", "+5m"),
        (["--until", "2026-11-21T05:56:23"], "the time zone is missing", "write 2026-11-21T05:56:23Z"),
        (["--since", "2026-11-21"], "the time zone is missing", ""),
        (["--since", "+5m", "--until", "+4m"], "it ends before it begins", "exchange"),
        (["--select", "reset-by-pier"], "no rule has a name", "did you mean `reset-by-peer`?"),
    ],
)
def test_wrong_values(capsys: Capsys, arguments: list[str], what: str, hint: str) -> None:
    status, out, err = told(capsys, "analyze", EPIPE, *arguments)
    assert (status, out) == (2, "")
    assert what in err
    assert hint in err
