"""``--client-os --server-os --set``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.captures import sample
from tests.cli.test_cli import Capsys, told

EPIPE = sample("rst-after-fin-send-first")
TIMEOUT = sample("retransmission-timeout")
REFUSED = sample("connection-refused")


def verdict(capsys: Capsys, capture: Path, *options: str) -> dict[str, Any]:
    status, out, err = told(capsys, "analyze", capture, "-ojson", *options)
    assert (status, err) == (0, "")
    [flow] = json.loads(out)["flows"]
    [found] = flow["verdicts"]
    return dict(found)


@pytest.mark.parametrize("setting", ["client:tcp_retries2=3", "tcp_retries2=3", "net.ipv4.tcp_retries2=3"])
def test_a_known_setting_makes_sure(capsys: Capsys, setting: str) -> None:
    without = verdict(capsys, TIMEOUT)
    assert (without["confidence"], len(without["doubts"])) == ("likely", 1)
    known = verdict(capsys, TIMEOUT, "--set", setting)
    assert (known["confidence"], known["doubts"]) == ("certain", [])
    truth = json.loads(TIMEOUT.with_name("client.truth.json").read_text())["connections"][0]
    failed = next(call for call in truth["calls"]["client"] if call["result"] == known["errno"])
    assert known["time"] == pytest.approx(failed["t"], abs=0.1)


def test_the_setting_of_the_other_end_changes_nothing(capsys: Capsys) -> None:
    assert verdict(capsys, TIMEOUT, "--set", "server:tcp_retries2=3") == verdict(capsys, TIMEOUT)


def test_another_system_has_other_outcomes_and_numbers(capsys: Capsys) -> None:
    linux = verdict(capsys, EPIPE)
    freebsd = verdict(capsys, EPIPE, "--client-os", "freebsd")
    assert (linux["calls"]["recv"], freebsd["calls"]["recv"]) == ("EOF", "ECONNRESET")
    assert (linux["confidence"], freebsd["confidence"]) == ("certain", "likely")
    assert verdict(capsys, REFUSED)["number"] == 111
    assert verdict(capsys, REFUSED, "--client-os", "macos")["number"] == 61
    windows = verdict(capsys, REFUSED, "--client-os", "Windows")
    assert (windows["number"], windows["confidence"]) == (10061, "possible")


def test_what_is_not_known_of_an_end_is_no_absence_of_an_error(capsys: Capsys) -> None:
    both = sample("simultaneous-open-reset")
    out = " ".join(told(capsys, "analyze", both, "--client-os", "windows", "--server-os", "linux")[1].split())
    assert "client no error that this capture shows" not in out
    assert "what its program gets is not known of Windows" in out


def test_windows_has_names_and_numbers_of_its_own(capsys: Capsys) -> None:
    found = verdict(capsys, REFUSED, "--client-os", "windows")
    assert (found["errno"], found["number"]) == ("ECONNREFUSED", 10061)
    assert (found["platform"], found["platform_name"]) == ("windows", "WSAECONNREFUSED")
    words = " ".join(told(capsys, "analyze", REFUSED, "--client-os", "windows")[1].split())
    assert "The client's connect() failed with ECONNREFUSED (WSAECONNREFUSED, 10061)." in words
    assert "wsaerror" not in words
    assert "[Errno" not in words  # a line that no Windows program prints


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ([], 111),
        (["--platform", "linux/mips"], 146),
        (["--platform", "client:linux/alpha"], 61),
        (["--platform", "server:linux/alpha"], 111),
        (["--platform", "windows_crt"], 111),  # counts where an end turns out to run Windows
        (["--client-os", "windows", "--platform", "windows_crt"], 107),
        (["--client-os", "freebsd", "--platform", "linux/mips"], 61),
    ],
)
def test_numbers_by_platform(capsys: Capsys, options: list[str], number: int) -> None:
    assert verdict(capsys, REFUSED, *options)["number"] == number


def test_the_kernel_can_be_named(capsys: Capsys) -> None:
    status, out, _ = told(capsys, "analyze", REFUSED, "--client-os", "linux/5.10", "-ojson")
    assert status == 0
    document = json.loads(out)
    assert document["hosts"]["client"] == {"os": "linux", "settings": {}, "os_version": "5.10"}
    assert document["flows"][0]["client"]["os_version"] == "5.10"
    assert "Linux 5.10" in told(capsys, "analyze", REFUSED, "--client-os", "linux/5.10")[1]


def test_the_report_says_how_each_system_is_known(capsys: Capsys) -> None:
    [flow] = json.loads(told(capsys, "analyze", REFUSED, "-ojson")[1])["flows"]
    assert (flow["client"]["os"], flow["client"]["os_evidence"]) == ("linux", "signature")
    assert (flow["server"]["os"], flow["server"]["os_evidence"]) == ("linux", "none")
    given = told(capsys, "analyze", REFUSED, "--server-os", "freebsd", "-ojson")[1]
    assert json.loads(given)["flows"][0]["server"]["os_evidence"] == "given"
    words = " ".join(told(capsys, "analyze", REFUSED)[1].split())
    assert (
        "Both ends are taken to run Linux (the client's SYN looks like it; nothing tells what the server "
        "runs) with default settings." in words
    )


def test_a_setting_counts_where_the_end_turns_out_to_have_it(capsys: Capsys) -> None:
    known = verdict(capsys, TIMEOUT, "--set", "tcp_retries2=3", "--set", "keepcnt=4")
    assert known["confidence"] == "certain"
    words = " ".join(
        told(capsys, "analyze", TIMEOUT, "--set", "tcp_retries2=3", "--set", "keepcnt=4")[1].split()
    )
    assert "with tcp_retries2=3." in words


def test_what_is_not_known_of_a_system_gives_no_verdict(capsys: Capsys) -> None:
    out = told(capsys, "analyze", TIMEOUT, "--client-os", "windows", "-ojson")[1]
    assert [flow["verdicts"] for flow in json.loads(out)["flows"]] == [[]]
    words = " ".join(told(capsys, "analyze", TIMEOUT, "--client-os", "windows")[1].split())
    assert "1 of 1 TCP connection failed, with an error that is not known for its system." in words
    assert "What its program gets then is not known of Windows." in words


def test_reports_say_what_the_ends_were_taken_for(capsys: Capsys) -> None:
    options = ["--server-os", "freebsd", "--set", "client:tcp_user_timeout=3000", "--set", "keepcnt=4"]
    status, out, err = told(capsys, "analyze", EPIPE, *options)
    assert (status, err) == (0, "")
    words = " ".join(out.split())
    assert (
        "The client is taken to run Linux (its SYN looks like it) with tcp_user_timeout=3000, "
        "the server FreeBSD with keepcnt=4." in words
    )
    hosts = json.loads(told(capsys, "analyze", EPIPE, "-ojson", *options)[1])["hosts"]
    assert hosts == {
        "client": {"os": "auto", "settings": {"keepcnt": 4, "tcp_user_timeout": 3000}},
        "server": {"os": "freebsd", "settings": {"keepcnt": 4}},
    }


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (
            ["--set", "tcp_retries=3"],
            "no setting `tcp_retries` that is known here",
            "did you mean `tcp_retries2`?",
        ),
        (["--set", "zzz=3"], "no setting `zzz`", "known ones: tcp_retries2"),
        (["--set", "tcp_retries2"], "this is no setting", "client:tcp_retries2=8"),
        (["--set", "router:tcp_retries2=3"], "this is no setting", "server:tcp_retries2=8"),
        (["--set", "tcp_retries2="], "a whole number from 0 to 255", ""),
        (["--set", "tcp_retries2=-1"], "a whole number from 0 to 255", ""),
        (["--set", "tcp_retries2=" + "9" * 5000], "a whole number from 0 to 255", ""),
        (["--set", "tcp_user_timeout=x"], "in milliseconds", ""),
        (["--client-os", "macos", "--set", "client:tcp_retries2=3"], "on macos", "keepidle"),
        (["--client-os", "linux/new"], "'new' is no version", ""),
        (["--client-os", "macos/15"], "no versions of macos are told apart here", ""),
        (["--platform", "linux/mipsy"], "there is no such platform", "did you mean `linux/mips`?"),
        (["--platform", "router:linux"], "no such end", ""),
        (["--client-os", "macos", "--platform", "client:linux/mips"], "runs macos", ""),
        (["--client-os", "bsd"], "'bsd' is not one of 'linux', 'freebsd'", ""),
    ],
)
def test_wrong_values(capsys: Capsys, arguments: list[str], what: str, hint: str) -> None:
    status, out, err = told(capsys, "analyze", EPIPE, *arguments)
    assert (status, out) == (2, "")
    assert what in err
    assert hint in err
