"""The packaged facts: complete, consistent, and true on the system that runs the tests."""

from __future__ import annotations

import errno
import os
import platform
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer.data import load
from analyzer.model.host import SYSTEMS

ERRNO = load("errno")
LINUX = load("profiles/linux")
LOGS = load("logs")

ON_GENERIC_LINUX = sys.platform == "linux" and not re.match("alpha|mips|parisc|sparc", platform.machine())


def test_load_is_cached() -> None:
    assert load("errno") is ERRNO


@pytest.mark.skipif(not ON_GENERIC_LINUX, reason="numbers of generic Linux")
@pytest.mark.parametrize(
    "name", [name for name, entry in ERRNO["errno"].items() if "linux" in entry["numbers"]]
)
def test_numbers_and_texts_are_those_of_this_linux(name: str) -> None:
    entry = ERRNO["errno"][name]
    assert entry["numbers"]["linux"] == getattr(errno, name)
    if platform.libc_ver()[0] == "glibc":
        assert entry["text"] == os.strerror(entry["numbers"]["linux"])


@pytest.mark.parametrize("name", ERRNO["errno"])
def test_each_errno_has_numbers_of_known_platforms(name: str) -> None:
    entry = ERRNO["errno"][name]
    assert set(entry) <= {"text", "bsd_text", "numbers"}
    assert set(entry["numbers"]) <= set(ERRNO["platforms"])
    assert all(isinstance(number, int) and number > 0 for number in entry["numbers"].values())


@pytest.mark.parametrize("name", ERRNO["platforms"])
def test_a_platform_uses_each_number_once(name: str) -> None:
    numbers = [entry["numbers"][name] for entry in ERRNO["errno"].values() if name in entry["numbers"]]
    assert len(numbers) == len(set(numbers)) >= 30


def test_winsock_numbers_are_those_of_winsock() -> None:
    for name, entry in ERRNO["errno"].items():
        assert entry["numbers"].get("windows", 10000) >= 10000, name
    assert ERRNO["errno"]["ECONNRESET"]["numbers"]["windows"] == 10054
    assert not any("windows" in ERRNO["errno"][name]["numbers"] for name in ("EPIPE", "EPROTO", "ENONET"))


HEADERS = {
    "linux": "/usr/include",
    "linux/alpha": "/usr/alpha-linux-gnu/include",
    "linux/mips": "/usr/mips-linux-gnu/include",
    "linux/parisc": "/usr/hppa-linux-gnu/include",
    "linux/sparc": "/usr/sparc64-linux-gnu/include",
}
"""Where Debian keeps the kernel's headers for other machines (linux-libc-dev-*-cross)."""


def defined(header: Path, include: Path) -> dict[str, str]:
    """What a header and those that it includes define, from the last definition."""
    found: dict[str, str] = {}
    for line in header.read_text().splitlines():
        if included := re.match(r"#\s*include\s*<(asm(?:-generic)?/errno[\w-]*\.h)>", line):
            found |= defined(include / included[1], include)
        elif define := re.match(r"#\s*define\s+(E[A-Z0-9]+)\s+(\w+)", line):
            found[define[1]] = define[2]
    return {name: found.get(value, value) for name, value in found.items()}


@pytest.mark.parametrize("name", HEADERS)
def test_numbers_are_those_of_the_c_headers(name: str) -> None:
    include = Path(HEADERS[name])
    header = include / ("asm-generic" if name == "linux" else "asm") / "errno.h"
    if not header.exists():
        pytest.skip(f"{header} is not installed (Debian: linux-libc-dev-*-cross)")
    numbers = defined(header, include)
    ours = {
        errno: entry["numbers"][name] for errno, entry in ERRNO["errno"].items() if name in entry["numbers"]
    }
    assert ours == {errno: int(numbers[errno]) for errno in ours}


def test_aliases_name_known_errors() -> None:
    for aliases in ERRNO["aliases"].values():
        assert set(aliases.values()) <= set(ERRNO["errno"])


# What was measured: type/code of a message -> errno.
V4 = {
    "0 6 9 11": "ENETUNREACH",
    "1 10 12 13 14 15": "EHOSTUNREACH",
    "2": "ENOPROTOOPT",
    "3": "ECONNREFUSED",
    "5": "EOPNOTSUPP",
    "7": "EHOSTDOWN",
    "8": "ENONET",
}
V4_ROWS = {f"3/{code}": name for codes, name in V4.items() for code in codes.split()} | {
    "3/4": "EMSGSIZE",
    "3/16": None,
    "3/255": None,
    "4/0": None,
    "5/0": None,
    "5/3": None,
    "11/0": "EHOSTUNREACH",
    "11/1": None,
    "12/0": "EPROTO",
    "12/1": "EPROTO",
    "12/2": "EPROTO",
}
V6_ROWS = {
    "1/0": "ENETUNREACH",
    "1/1": "EACCES",
    "1/2": "EHOSTUNREACH",
    "1/3": "EHOSTUNREACH",
    "1/4": "ECONNREFUSED",
    "1/5": "EACCES",
    "1/6": "EACCES",
    "1/7": "EPROTO",
    "1/255": "EPROTO",
    "2/0": "EMSGSIZE",
    "3/0": "EHOSTUNREACH",
    "3/1": "EHOSTUNREACH",
    "4/0": "EPROTO",
    "4/1": "EPROTO",
    "4/2": "EPROTO",
}
RECVERR = {
    "v4": {"3/0", "3/1", "3/5", "3/11", "3/12", "11/0"},
    "v6": {"1/0", "1/2", "1/3", "3/0", "3/1"},
}


def covers(key: str, message: str) -> bool:
    """Whether a key of an ICMP table covers the type and code of a message."""
    kind, _, codes = key.partition("/")
    message_kind, _, code = message.partition("/")
    if kind != message_kind or codes == "*":
        return kind == message_kind
    first, _, last = codes.partition("-")
    return int(first) <= int(code) <= int(last or first)


def row(version: str, message: str) -> dict[str, Any]:
    (found,) = [entry for key, entry in LINUX["icmp"][version].items() if covers(key, message)]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("version", "message", "name"),
    [("v4", *item) for item in V4_ROWS.items()] + [("v6", *item) for item in V6_ROWS.items()],
)
def test_icmp_table_has_what_was_measured(version: str, message: str, name: str | None) -> None:
    entry = row(version, message)
    assert set(entry) == {"meaning", "errno", "syn_sent", "established", "udp"}
    assert entry["errno"] == name
    tcp = name not in (None, "EMSGSIZE")
    assert entry["syn_sent"] == ("fatal" if tcp else "none")
    assert entry["established"] == ("soft" if tcp else "none")
    udp = "none" if name is None else "recverr" if message in RECVERR[version] else "hard"
    assert entry["udp"] == udp


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_icmp_table_covers_each_message_once(version: str) -> None:
    table = LINUX["icmp"][version]
    assert all(re.fullmatch(r"\d+/(\*|\d+(-\d+)?)", key) for key in table)
    for message in (f"{kind}/{code}" for kind in range(16) for code in (*range(20), 255)):
        assert sum(covers(key, message) for key in table) <= 1, message
    assert set(LINUX["icmp"]["syn_rcvd_dropped_by"][version]) <= set(table)


def test_retry_model_times_follow_from_the_defaults() -> None:
    retry = LINUX["retry"]
    steps = [min(retry["rto_min_s"] * 2**n, retry["rto_max_s"]) for n in range(retry["tcp_retries2"] + 1)]
    assert sum(steps) == pytest.approx(retry["data"]["gives_up_model_s"])
    linear = [retry["rto_initial_s"]] * retry["tcp_syn_linear_timeouts"]
    doubled = [retry["rto_initial_s"] * 2**n for n in range(retry["tcp_syn_retries"] + 1)]
    assert sum(linear + doubled) == pytest.approx(retry["connect"]["gives_up_model_s"])
    assert sum(doubled) == pytest.approx(retry["connect"]["without_linear"]["gives_up_model_s"])
    assert len(retry["connect"]["syn_at_s"]) == len(linear + doubled)
    assert len(retry["data"]["retransmitted_at_s"]) == retry["tcp_retries2"]
    assert len(retry["accept"]["synack_at_s"]) == retry["synack_retries"] + 1


def test_each_synchronized_state_has_an_answer_to_every_reset() -> None:
    checks = LINUX["reset"]["checks"]
    assert {check["result"] for check in checks} == {"reset", "challenge_ack", "dropped"}
    assert checks[-1]["seq"] == "other"
    for state in ("SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK"):
        assert state in checks[-1]["states"]


def log_lines() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for call, results in LOGS.items():
        for result, lines in results.items():
            for line in lines:
                yield call, result, line


def test_log_lines_are_complete() -> None:
    assert set(LOGS) == {"connect", "recv", "send", "accept"}
    for _, _, line in log_lines():
        assert {"program", "text", "evidence"} <= set(line)
        assert set(line) <= {"program", "text", "evidence", "when", "trap", "os", "protocol"}
        assert line["program"] in {"Python", "Java", "Node", "Go", "curl", "nginx"}
        assert line["evidence"] in {"measured", "source", "report"}
        assert line.get("os", "linux") in ERRNO["platforms"]
        used = {field for _, field, _, _ in string.Formatter().parse(line["text"]) if field is not None}
        assert used <= {"number", "text", "address", "port", "local", "n"}


def errno_names(value: object) -> Iterator[str]:
    """Yield each errno that a data file names, as key or as value."""
    if isinstance(value, dict):
        yield from (name for pair in value.items() for part in pair for name in errno_names(part))
    elif isinstance(value, list):
        yield from (name for part in value for name in errno_names(part))
    elif isinstance(value, str) and re.fullmatch("E[A-Z]{3,}", value) and value != "ESTABLISHED":
        yield value


@pytest.mark.parametrize("name", [*(f"profiles/{system}" for system in SYSTEMS), "logs", "errno_notes"])
def test_every_errno_named_is_known(name: str) -> None:
    names = set(errno_names(load(name)))
    assert len(names) >= 3
    assert names <= set(ERRNO["errno"])


def test_log_results_are_errnos_or_words_of_the_report() -> None:
    assert {result for _, result, _ in log_lines()} <= {*ERRNO["errno"], "EOF", "BLOCKS"}


def test_timers_are_complete() -> None:
    timers = load("timers")["timers"]
    assert len({timer["name"] for timer in timers}) == len(timers) > 20
    for timer in timers:
        assert set(timer) == {"name", "seconds", "for", "source"}
        assert timer["for"] in {"answer", "idle"}
        assert timer["seconds"] > 0
        assert len(timer["source"]) > 20


def test_idle_limits_are_complete() -> None:
    limits = load("idle_limits")["limits"]
    assert len({limit["name"] for limit in limits}) == len(limits) > 10
    for limit in limits:
        assert set(limit) == {"name", "seconds", "then", "source"}
        assert limit["then"] in {"reset", "silence", "fin"}
        assert limit["seconds"] >= 20
        assert len(limit["source"]) > 20
