"""`errnoscope explain` of errnos, numbers, words and log lines."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.data import load
from analyzer.matching.load import load_rules, rules_folder
from analyzer.reports.log_text import rules_giving
from tests.cli.test_cli import Capsys, command, told

LINE = (
    "recv() failed (104: Connection reset by peer) while reading response header from upstream, "
    'client: 10.0.0.5, upstream: "http://10.0.0.1:8080/"'
)
RULES = load_rules(rules_folder())


@pytest.mark.parametrize("name", load("errno")["errno"])
def test_every_errno_is_explained(capsys: Capsys, name: str) -> None:
    status, out, err = told(capsys, "explain", name)
    assert (status, err) == (0, "")
    assert "\n   wire " in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["econnreset"], "ECONNRESET"),
        (["WSAECONNRESET"], "ECONNRESET"),
        (["104"], "ECONNRESET"),
        (["errno", "104"], "ECONNRESET"),
        (["errno=104"], "ECONNRESET"),
        (["os error 104"], "ECONNRESET"),
        (["WSA", "error", "10054"], "ECONNRESET"),
        (["10054"], "ECONNRESET"),
        (["54"], "ECONNRESET"),
        (["54", "--platform", "macos"], "ECONNRESET"),
        (["131", "--platform", "linux/mips"], "ECONNRESET"),
        (["Connection reset by peer"], "ECONNRESET"),
        (["Permission", "denied"], "EACCES"),
        (["ENOTSUP"], "EOPNOTSUPP"),
    ],
)
def test_an_errno_by_whatever_name(capsys: Capsys, words: list[str], name: str) -> None:
    status, out, err = told(capsys, "explain", *words)
    assert (status, err) == (0, "")
    assert f"{name}: {load('errno')['errno'][name]['text']}\n" in out


def test_several_are_explained_each(capsys: Capsys) -> None:
    status, out, err = told(capsys, "explain", "EPIPE,", "ECONNREFUSED", "rst-after-fin", "EPIPE")
    assert (status, err) == (0, "")
    assert out.startswith("EPIPE: Broken pipe\n")
    assert out.count("\nECONNREFUSED: Connection refused\n") == 1
    assert out.count("EPIPE: Broken pipe\n") == 1
    listed = json.loads(told(capsys, "explain", "EPIPE ECONNREFUSED", "-o", "json")[1])
    assert [each["name"] for each in listed] == ["EPIPE", "ECONNREFUSED"]


@pytest.mark.parametrize(
    ("word", "hint"), [("EFOO", "hint: "), ("rst-after-fn", "did you mean `rst-after-fin`?")]
)
def test_of_several_the_unknown_one_is_said(capsys: Capsys, word: str, hint: str) -> None:
    for words in (("ECONNRESET", word), (word, "ECONNRESET")):
        status, out, err = told(capsys, "explain", *words)
        assert status == 2
        assert out == told(capsys, "explain", "ECONNRESET")[1]
        assert err.startswith(f"errnoscope: {word}: neither a rule, nor an errno")
        assert hint in err
    status, out, _ = told(capsys, "explain", "ECONNRESET", word, "-o", "json")
    assert (status, [each["name"] for each in json.loads(out)]) == (2, ["ECONNRESET"])


@pytest.mark.parametrize("line", ["Connection reset by peer", "read ECONNRESET", "Error: write EPIPE"])
def test_words_without_quotation_marks_may_be_a_line(capsys: Capsys, line: str) -> None:
    assert told(capsys, "explain", *line.split()) == told(capsys, "explain", line)
    assert told(capsys, "explain", line)[0] == 0


def test_a_number_that_means_different_things(capsys: Capsys) -> None:
    out = told(capsys, "explain", "103")[1]
    assert out.startswith("103 is ECONNABORTED on Linux; EALREADY on Windows' C runtime\n")


def test_a_number_that_the_platform_does_not_have(capsys: Capsys) -> None:
    status, out, err = told(capsys, "explain", "111", "--platform", "windows")
    assert (status, err) == (0, "")
    first = "111 is ECONNREFUSED on Linux, and no error of sockets on Windows, where WSAECONNREFUSED is 10061"
    assert " ".join(out.split("\n\n")[0].split()) == first
    status, out, err = told(capsys, "explain", "9999", "--platform", "linux")
    assert (status, out) == (2, "")
    assert "9999: no system that is known has an error of sockets with this number" in err
    status, _, err = told(capsys, "explain", "54", "--platform", "mac")
    assert status == 2
    assert "did you mean `macos`?" in err


def test_a_number_and_a_name_tell_of_one_platform_alone(capsys: Capsys) -> None:
    for word in ("104", "ECONNRESET"):
        out = told(capsys, "explain", word, "--platform", "linux")[1]
        assert "\n   number   104 Linux\n" in out
    out = told(capsys, "explain", "104", "--platform", "windows")[1]
    assert "\n   number   10054 Windows\n" in out


@pytest.mark.parametrize(
    "words",
    [["ENOENT"], [str(errno.ENOENT)], [os.strerror(errno.ENOENT)], ["ENOENT", "--platform", "windows"]],
)
def test_an_errno_that_no_network_gives(capsys: Capsys, words: list[str]) -> None:
    status, out, err = told(capsys, "explain", *words)
    assert (status, err) == (0, "")
    assert out.startswith(f"ENOENT: {os.strerror(errno.ENOENT)}\n")
    assert "nothing that happens on a network makes connect()" in " ".join(out.split())
    plain = json.loads(told(capsys, "explain", *words, "-o", "json")[1])
    assert (plain["name"], list(plain["numbers"].values())) == ("ENOENT", [errno.ENOENT])


@pytest.mark.skipif(sys.platform != "linux", reason="numbers of Linux")
def test_a_number_that_another_system_has_for_a_network(capsys: Capsys) -> None:
    out = told(capsys, "explain", "54")[1]
    assert "54 is ECONNRESET on macOS, FreeBSD, Linux on alpha, Linux on sparc; EXFULL on Linux" in " ".join(
        out.split()
    )
    assert told(capsys, "explain", "54", "--platform", "linux")[1].startswith("EXFULL: ")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("java.net.SocketException: Too many open files", "EMFILE"),
        (f'open() "x" failed ({errno.ENOENT}: {os.strerror(errno.ENOENT)})', "ENOENT"),
    ],
)
def test_a_line_of_which_only_the_errno_is_known(capsys: Capsys, line: str, name: str) -> None:
    status, out, err = told(capsys, "explain", line)
    assert (status, out) == (2, "")
    assert err.endswith(f"hint: it speaks of {name}: errnoscope explain {name}\n")


def test_the_number_of_one_platform_alone(capsys: Capsys) -> None:
    assert "   number   54 macOS\n" in told(capsys, "explain", "ECONNRESET", "--platform", "macos")[1]
    out = told(capsys, "explain", "EPIPE", "--platform", "windows")[1]
    assert "   number   none: Windows does not have it; WSAESHUTDOWN (10058) stands for it\n" in out
    status, _, err = told(capsys, "explain", "rst-after-fin", "--platform", "windows")
    assert (status, err.split("\n")[0]) == (
        2,
        "errnoscope: --platform windows: a rule says what each system does",
    )


@pytest.mark.parametrize(
    "word", ["SIGPIPE", "141", "keepalive", "SO_KEEPALIVE", "GOAWAY", "accept", "RST", "FIN", "timeout"]
)
def test_other_words(capsys: Capsys, word: str) -> None:
    status, out, err = told(capsys, "explain", word)
    assert (status, err) == (0, "")
    assert len(out.splitlines()) > 3


def test_a_log_line(capsys: Capsys) -> None:
    status, out, err = told(capsys, "explain", LINE)
    assert (status, err) == (0, "")
    assert out.startswith(LINE)
    assert "   program  nginx\n   call     recv()\n   got      ECONNRESET (104, Linux" in out
    assert "reset-by-peer: The peer reset the connection" in out
    filter_ = "'((host 10.0.0.5 or host 10.0.0.1) and port 8080) or icmp or icmp6 or arp'"
    assert f"tcpdump -i any -w trace.pcap {filter_}\n" in out


def test_a_number_of_the_bsds_is_said_to_be_one(capsys: Capsys) -> None:
    for line, got in (
        ("(os error 54)", 'ECONNRESET (54, macOS and FreeBSD: "Connection reset by peer")'),
        (
            "TimeoutError: [Errno 60] Operation timed out",
            'ETIMEDOUT (60, macOS and FreeBSD: "Operation timed out")',
        ),
        (
            "ConnectionResetError: [Errno 54] x",
            'ECONNRESET (54, macOS and FreeBSD: "Connection reset by peer")',
        ),
    ):
        assert f"   got      {got}\n" in told(capsys, "explain", line)[1]


def test_the_command_to_capture_with_is_one(capsys: Capsys, tmp_path: Path) -> None:
    program = shutil.which("tcpdump", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        pytest.skip("tcpdump is not installed")
    for line in (
        LINE,
        "dial tcp [2001:db8::1]:443: connect: connection refused",
        "curl: (52) Empty reply from server",
    ):
        out = told(capsys, "explain", line)[1]
        (wanted,) = re.findall(r"tcpdump -i any -w trace.pcap '(.*)'", out)
        assert (
            subprocess.run(
                [program, "-d", "-y", "EN10MB", wanted], capture_output=True, check=False
            ).returncode
            == 0
        )


def test_a_timer_is_no_errno(capsys: Capsys) -> None:
    out = told(
        capsys, "explain", "upstream timed out (110: Connection timed out) while connecting to upstream"
    )[1]
    assert "the program's own timer, no errno" in out
    assert "nginx writes 110 itself" in out


def test_what_is_not_understood_says_what_to_try(capsys: Capsys) -> None:
    status, out, err = told(capsys, "explain", "all", "is", "well")
    assert (status, out) == (2, "")
    assert (
        "all is well: neither a rule, nor an errno, nor a log line that is known\nhint: quote the whole line"
        in err
    )
    assert "did you mean `ECONNRESET`?" in told(capsys, "explain", "ECONRESET")[2]


def test_a_hostile_line_does_not_rule_the_terminal(capsys: Capsys) -> None:
    out = told(capsys, "explain", "\x1b]0;owned\x07 Connection reset by peer\x1b[2J")[1]
    assert "\x1b" not in out
    assert "\x07" not in out


def test_lines_from_a_pipe() -> None:
    lines = f"{LINE}\nall is well\n{LINE}\n\ncurl: (52) Empty reply from server\n"
    done = command("explain", "-", input=lines)
    assert done.returncode == 0
    assert done.stdout.startswith(f"2 x  {LINE}")
    assert "\ncurl: (52) Empty reply from server\n" in done.stdout
    assert "1 of 4 lines say nothing that is known" in done.stderr
    assert command("explain", "-", input="all is well\n").returncode == 2


def test_json(capsys: Capsys) -> None:
    line = json.loads(told(capsys, "explain", LINE, "-o", "json")[1])
    assert (line["program"], line["calls"], line["number"]) == ("nginx", ["recv"], 104)
    assert line["results"][0]["name"] == "ECONNRESET"
    errno = json.loads(told(capsys, "explain", "ECONNRESET", "-o", "json")[1])
    assert errno["numbers"]["windows"] == 10054
    assert "reset-by-peer" in errno["rules"]
    rule = json.loads(told(capsys, "explain", "rst-after-fin", "-o", "json")[1])
    assert rule["id"] == "ES301"
    piped = json.loads(command("explain", "-", "-o", "json", input=f"{LINE}\n").stdout)
    assert piped[0]["count"] == 1


@pytest.mark.parametrize(
    ("errno", "calls", "rule"),
    [
        ("ECONNREFUSED", ["connect"], "connection-refused"),
        ("ECONNRESET", ["recv"], "reset-by-peer"),
        ("EPIPE", ["send"], "rst-after-fin"),
        ("ETIMEDOUT", ["connect"], "connect-timeout"),
        ("ETIMEDOUT", ["recv"], "retransmission-timeout"),
        ("EHOSTUNREACH", ["connect"], "icmp-unreachable-during-connect"),
        ("ENOPROTOOPT", ["connect"], "icmp-unreachable-during-connect"),
    ],
)
def test_rules_that_give_it(errno: str, calls: list[str], rule: str) -> None:
    assert rule in {found.name for found in rules_giving(errno, RULES, calls)}


@pytest.mark.parametrize(
    ("errno", "first", "later"),
    [
        ("EHOSTUNREACH", "icmp-unreachable-during-connect", "next-hop-dead-during-connect"),
        ("ECONNRESET", "reset-by-peer", "reset-from-between"),
        ("EPIPE", "rst-after-fin", "rst-in-accept-queue-after-fin"),
        ("ETIMEDOUT", "connect-timeout", "connect-answer-lost-timeout"),
    ],
)
def test_a_special_case_comes_after_what_it_is_one_of(errno: str, first: str, later: str) -> None:
    names = [found.name for found in rules_giving(errno, RULES)]
    assert names[0] == first
    assert later in names[1:]


@pytest.mark.parametrize(
    ("errno", "rule", "is_given"),
    [
        ("EHOSTUNREACH", "udp-icmp-error", True),
        ("EHOSTUNREACH", "udp-port-unreachable", False),
        ("ECONNREFUSED", "udp-port-unreachable", True),
        ("ECONNREFUSED", "udp-icmp-error", False),
        ("EMSGSIZE", "udp-message-too-long", True),
        ("EACCES", "udp-message-too-long", False),
    ],
)
def test_a_rule_for_some_icmp_messages_gives_their_errnos_only(
    errno: str, rule: str, *, is_given: bool
) -> None:
    assert (rule in {found.name for found in rules_giving(errno, RULES)}) is is_given


def test_the_numbers_of_one_platform(capsys: Capsys) -> None:
    errno = json.loads(told(capsys, "explain", "ECONNRESET", "-o", "json", "--platform", "macos")[1])
    assert errno["numbers"] == {"macos": 54}


def test_rules_that_do_not() -> None:
    assert "retransmission-timeout" not in {
        rule.name for rule in rules_giving("ETIMEDOUT", RULES, ["connect"])
    }
    assert rules_giving("EFAULT", RULES) == []
