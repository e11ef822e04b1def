"""The profiles of the systems, and what settings change in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from analyzer.data import load
from analyzer.model.host import SYSTEMS
from analyzer.sockets.profiles import numbers, profile
from analyzer.sockets.retries import SECOND, Run, gives_up_at, is_exhausted, limit_that_fits, next_timer

MEASURED = [
    (what, row)
    for what, rows in yaml.safe_load(Path(__file__).with_name("measured_limits.yaml").read_text()).items()
    for row in rows
]
START = 1_700_000_000 * SECOND


def run_of(what: str, *times: float) -> Run:
    run = Run(what, 1000, START, 1)
    for number, at in enumerate(times, 2):
        run.again(START + round(at * SECOND), number)
    return run


def seconds(time: int) -> float:
    return (time - START) / SECOND


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_has_a_profile(system: str) -> None:
    known = profile(system)
    assert known.name == system
    assert known.ttl in (64, 128)
    assert known.reset_result("next", "ESTABLISHED") == "reset"
    assert known.reset_result("other", "ESTABLISHED") == "dropped"
    assert known.icmp_effect(4, 3, 4).fatal is False  # the path's MTU only


@pytest.mark.parametrize("system", [name for name in SYSTEMS if name != "linux"])
def test_only_linux_was_measured(system: str) -> None:
    data = load(f"profiles/{system}")
    assert data["measured_on"] is None
    assert data["icmp"]["evidence"] in ("source", "report")


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_setting_replaces_a_value(system: str) -> None:
    data = load(f"profiles/{system}")
    for name, known in data["settings"]["names"].items():
        *way, last = known["of"]
        holder: Any = data
        for key in way:
            holder = holder[key]
        assert last in holder or last == "user_timeout_s", name  # off by default
        assert known["least"] < known["most"]
        for value in (known["least"], known["most"]):
            assert profile(system, ((name, value),)).name == system


def test_the_time_until_data_is_given_up_follows_from_the_retries() -> None:
    documented = load("profiles/linux")["retry"]["data"]["gives_up_model_s"]
    assert profile("linux").retry.data_limit == pytest.approx(documented)
    limits = {n: profile("linux", (("tcp_retries2", n),)).retry.data_limit for n in (0, 3, 8, 9, 10, 15)}
    # ip-sysctl.rst: 8 are 100 seconds at the least, 15 are 924.6
    assert limits == pytest.approx({0: 0.2, 3: 3.0, 8: 102.2, 9: 204.6, 10: 324.6, 15: 924.6})


def test_zero_orphan_retries_are_eight() -> None:
    assert profile("linux", (("tcp_orphan_retries", 0),)).retry.orphan_retries == 8


def test_a_user_timeout_ends_data_between_two_retransmissions() -> None:
    schedule = profile("linux", (("tcp_user_timeout", 3000),)).retry
    run = run_of("data", 0.2, 0.6, 1.5)
    assert seconds(gives_up_at(run, schedule)) == pytest.approx(3.2)  # as measured
    assert seconds(next_timer(run, schedule)) == pytest.approx(3.2)
    assert is_exhausted(run, schedule)
    syn = run_of("syn", 1.0, 2.1, 3.1)
    assert seconds(gives_up_at(syn, profile("linux", (("tcp_user_timeout", 4000),)).retry)) == pytest.approx(
        4.0
    )


@pytest.mark.parametrize(("what", "row"), MEASURED, ids=lambda value: str(value)[:60])
def test_limits_that_were_set_end_it_when_they_really_did(what: str, row: dict[str, Any]) -> None:
    """The last retransmission is known to be, and no other; of SYNs each one tells the end."""
    schedule, again, end = profile("linux", tuple(row["settings"].items())).retry, row["again"], row["end"]
    for count in range(1 if what == "syn" else 2, len(again) + 1):
        run = run_of(what, *again[:count])
        if what == "syn" or count == len(again):  # timers of data are late, and their sum is near to a limit
            assert seconds(gives_up_at(run, schedule)) == pytest.approx(end, rel=0.06), again[:count]
        assert is_exhausted(run, schedule) == (count == len(again)), again[:count]


def test_which_limit_would_have_ended_it() -> None:
    linux = profile("linux").retry
    rows = [row for what, row in MEASURED if what == "syn" and len(row["settings"]) == 1]
    assert len(rows) == 5
    for row in rows:
        assert limit_that_fits(run_of("syn", *row["again"]), linux) == row["settings"]["tcp_syn_retries"]
    assert limit_that_fits(run_of("syn", 1, 2, 3), linux) == 0
    assert limit_that_fits(run_of("syn", 1, 2, 3, 4, 5, 7), linux) == 0
    assert limit_that_fits(run_of("syn", 1, 3, 7), linux) == 3  # an older kernel, which doubles at once
    assert limit_that_fits(run_of("syn", 1), linux) is None  # of which kind it is cannot be told
    assert limit_that_fits(run_of("syn", 1, 3, 7), profile("freebsd").retry) is None


def test_bsd_ends_a_connection_attempt_after_75_seconds() -> None:
    run = run_of("syn", 1, 3, 7, 15, 31, 63)
    schedule = profile("freebsd").retry
    assert seconds(gives_up_at(run, schedule)) == pytest.approx(75)
    assert seconds(next_timer(run, schedule)) == pytest.approx(75)
    assert is_exhausted(run, schedule)
    assert not is_exhausted(run_of("syn", 1, 3, 7, 15), schedule)


def test_bsd_counts_the_retransmissions_of_data() -> None:
    schedule = profile("freebsd").retry
    times, interval = [0.23], 0.23
    while len(times) < 12:
        interval = min(interval * 2, 64)
        times.append(times[-1] + interval)
    assert is_exhausted(run_of("data", *times), schedule)
    assert not is_exhausted(run_of("data", *times[:-1]), schedule)


def test_windows_fails_a_connection_attempt_after_21_seconds() -> None:
    assert seconds(gives_up_at(run_of("syn", 3, 9), profile("windows").retry)) == pytest.approx(21)


def test_what_icmp_does_differs() -> None:
    prohibited = {name: profile(name).icmp_effect(4, 3, 13) for name in SYSTEMS}
    assert {name: (effect.errno, effect.fatal) for name, effect in prohibited.items()} == {
        "linux": ("EHOSTUNREACH", True),
        "freebsd": ("ECONNREFUSED", True),
        "macos": ("ECONNREFUSED", True),
        "windows": ("", False),
    }
    unreachable = profile("freebsd").icmp_effect(4, 3, 1)
    assert (unreachable.fatal, unreachable.kept, unreachable.soft) == (False, True, False)


def test_which_resets_are_believed_differs() -> None:
    believed = {name: profile(name).reset_result("before_next", "CLOSE_WAIT") for name in SYSTEMS}
    assert believed == {"linux": "reset", "freebsd": "dropped", "macos": "reset", "windows": "dropped"}


def test_older_kernels_differ() -> None:
    data = load("profiles/linux")
    befores = [numbers(row["before"]) for row in data["versions"]]
    assert befores == sorted(befores, reverse=True)
    assert max(befores) < numbers(data["measured_on"])
    before, since = profile("linux", version=(6, 4)).retry, profile("linux", version=(6, 5)).retry
    assert (before.syn_linear, since.syn_linear) == (0, 4)
    assert profile("linux", version=(6, 18)) == profile("linux")
    believed = {
        version: [profile("linux", version=version).reset_result(*seen) for seen in SEEN]
        for version in ((3, 5), (4, 7), (4, 10), (4, 11), (6, 18))
    }
    assert believed == {
        (3, 5): ["dropped", "dropped", "reset"],
        (4, 7): ["dropped", "dropped", "challenge_ack"],
        (4, 10): ["dropped", "reset", "challenge_ack"],
        (4, 11): ["reset", "reset", "challenge_ack"],
        (6, 18): ["reset", "reset", "challenge_ack"],
    }


SEEN = (("before_next", "CLOSE_WAIT"), ("sack_right_edge", "ESTABLISHED"), ("in_window", "ESTABLISHED"))


@pytest.mark.parametrize(
    ("version", "times", "end"),
    [
        ((6, 4), (1, 3, 7), 127),  # as tcp(7) says
        ((5, 10), (1,), 127),  # nothing shows yet that the steps double
        ((), (1, 3, 7), 127),  # the steps show that the kernel is older, or its linear ones turned off
        ((), (1, 2, 3, 4, 5, 7), 131),
        ((3, 6), (1, 3, 7), 63),  # 5 retries
    ],
)
def test_when_connect_gives_up_by_kernel(version: tuple[int, ...], times: tuple[int, ...], end: int) -> None:
    schedule = profile("linux", version=version).retry
    assert seconds(gives_up_at(run_of("syn", *times), schedule)) == pytest.approx(end, abs=0.2)


def test_a_setting_of_another_system_changes_nothing() -> None:
    assert profile("freebsd", (("tcp_retries2", 3),)) == profile("freebsd")


def test_which_number_counts_behind_data() -> None:
    assert [name for name in SYSTEMS if profile(name).reset_at_last_ack] == ["freebsd", "macos"]
