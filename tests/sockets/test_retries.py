"""Runs of retransmissions against what was measured: the times in the data of the profile."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.data import load
from analyzer.sockets.profiles import profile
from analyzer.sockets.retries import (
    SECOND,
    Run,
    gives_up_at,
    is_exhausted,
    looks_orphaned,
    missing_at,
    next_interval,
)

START = 1_700_000_000 * SECOND
MEASURED: dict[str, Any] = load("profiles/linux")["retry"]
SCHEDULE = profile("linux").retry

DATA = [0.0, *MEASURED["data"]["retransmitted_at_s"]]
SYN = MEASURED["connect"]["syn_at_s"]
SYN_OLD = MEASURED["connect"]["without_linear"]["syn_at_s"]
GAVE_UP = {
    "data": MEASURED["data"]["gives_up_measured_s"],
    "syn": MEASURED["connect"]["gives_up_measured_s"],
    "old": MEASURED["connect"]["without_linear"]["gives_up_model_s"],
}


def run_of(what: str, times: list[float]) -> Run:
    """Transmissions at these seconds; frames are numbered from 1."""
    run = Run(what, 1000, START, 1)
    for number, at in enumerate(times[1:], 2):
        run.again(START + round(at * SECOND), number)
    return run


def seconds(time: int) -> float:
    return (time - START) / SECOND


def prefixes(times: list[float], least: int = 2) -> list[int]:
    return list(range(least, len(times) + 1))


@pytest.mark.parametrize("count", prefixes(DATA[:-1]))
def test_when_data_is_due_again(count: int) -> None:
    run = run_of("data", DATA[:count])
    assert seconds(run.last + next_interval(run, SCHEDULE)) == pytest.approx(DATA[count], rel=0.07)


@pytest.mark.parametrize("count", [c for c in prefixes(SYN[:-1]) if c not in (2, 6)])
def test_when_a_syn_is_due_again(count: int) -> None:
    run = run_of("syn", SYN[:count])
    assert seconds(run.last + next_interval(run, SCHEDULE)) == pytest.approx(SYN[count], rel=0.05)


@pytest.mark.parametrize("count", prefixes(SYN_OLD[:-1]))
def test_when_a_syn_of_an_older_system_is_due_again(count: int) -> None:
    run = run_of("syn", SYN_OLD[:count])
    assert seconds(run.last + next_interval(run, SCHEDULE)) == pytest.approx(SYN_OLD[count], rel=0.05)


@pytest.mark.parametrize(
    ("what", "times"),
    [("data", DATA), ("syn", SYN), ("syn", SYN_OLD), ("syn-ack", MEASURED["accept"]["synack_at_s"])],
)
def test_what_was_measured_is_never_called_missing(what: str, times: list[float]) -> None:
    for count in prefixes(times[:-1]):
        assert seconds(missing_at(run_of(what, times[:count]), SCHEDULE)) > times[count]


@pytest.mark.parametrize(("what", "times"), [("data", DATA), ("syn", SYN_OLD)])
def test_silence_is_missed_before_it_lasts_as_long_as_two_retransmissions(
    what: str, times: list[float]
) -> None:
    for count in prefixes(times, 4):
        run = run_of(what, times[:count])
        assert run.last < missing_at(run, SCHEDULE) <= run.last + 2 * next_interval(run, SCHEDULE)


@pytest.mark.parametrize("count", prefixes(DATA))
def test_when_data_is_given_up(count: int) -> None:
    run = run_of("data", DATA[:count])
    assert seconds(gives_up_at(run, SCHEDULE)) == pytest.approx(GAVE_UP["data"], rel=0.02)


@pytest.mark.parametrize("count", prefixes(SYN))
def test_when_connecting_is_given_up(count: int) -> None:
    run = run_of("syn", SYN[:count])
    assert seconds(gives_up_at(run, SCHEDULE)) == pytest.approx(GAVE_UP["syn"], rel=0.04)


@pytest.mark.parametrize("count", prefixes(MEASURED["accept"]["synack_at_s"]))
def test_when_accepting_is_given_up(count: int) -> None:
    """The timer after the last one is twice the interval before."""
    times = MEASURED["accept"]["synack_at_s"]
    run = run_of("syn-ack", times[:count])
    assert seconds(gives_up_at(run, SCHEDULE)) == pytest.approx(2 * times[-1] + 1, rel=0.04)
    assert is_exhausted(run, SCHEDULE) == (count == len(times))


@pytest.mark.parametrize("count", prefixes(SYN_OLD, 3))
def test_when_connecting_is_given_up_by_an_older_system(count: int) -> None:
    run = run_of("syn", SYN_OLD[:count])
    assert seconds(gives_up_at(run, SCHEDULE)) == pytest.approx(GAVE_UP["old"], rel=0.01)


@pytest.mark.parametrize(("what", "times"), [("data", DATA), ("syn", SYN), ("syn", SYN_OLD)])
def test_exhausted_is_the_last_one_and_no_other(what: str, times: list[float]) -> None:
    exhausted = [count for count in prefixes(times) if is_exhausted(run_of(what, times[:count]), SCHEDULE)]
    assert exhausted == [len(times)]


@pytest.mark.parametrize("rtt", [0.3, 0.5, 1.0, 3.0])
def test_the_first_interval_scales_the_schedule(rtt: float) -> None:
    """tcp_retries2 counts model time: a longer first timeout means fewer retransmissions, not more time."""
    times, interval = [0.0], rtt
    while times[-1] < rtt + MEASURED["data"]["gives_up_model_s"]:
        times.append(times[-1] + interval)
        interval = min(interval * 2, MEASURED["rto_max_s"])
    *sent, given_up = times
    for count in prefixes(sent):
        run = run_of("data", sent[:count])
        assert seconds(gives_up_at(run, SCHEDULE)) == pytest.approx(given_up)
        assert is_exhausted(run, SCHEDULE) == (count == len(sent))


def test_only_as_many_as_a_closed_socket_sends_look_like_one() -> None:
    orphaned = [count for count in prefixes(DATA) if looks_orphaned(run_of("data", DATA[:count]), SCHEDULE)]
    last = MEASURED["orphan"]["last_retransmission_s"]
    assert DATA.index(last) + 1 in orphaned
    assert all(abs(count - 1 - MEASURED["orphan_retries"]) <= 1 for count in orphaned)


def test_eight_quick_ones_are_no_closed_socket() -> None:
    assert not looks_orphaned(run_of("data", [n * 0.2 for n in range(9)]), SCHEDULE)


def test_a_run_counts_and_remembers() -> None:
    run = run_of("data", DATA[:4])
    assert (run.count, run.elapsed, run.frames) == (3, round(1.5 * SECOND), (1, 2, 3, 4))
    assert run.first_interval == round(0.2 * SECOND)
    assert run.last_interval == round(0.9 * SECOND)


def test_a_run_whose_first_transmission_is_unknown() -> None:
    run = Run("data", 1, START, 0)
    run.again(START + SECOND, 5)
    assert run.frames == (5,)


def test_a_run_remembers_the_first_and_the_last_frames_only() -> None:
    run = run_of("data", [n * 1.0 for n in range(1000)])
    assert run.frames[0] == 1
    assert run.frames[-1] == 1000
    assert len(run.frames) <= 33


@pytest.mark.parametrize("what", ["data", "fin", "syn", "syn-ack"])
@pytest.mark.parametrize("times", [[0.0, 0.01], [0.0, 0.01, 0.02], [0.0, 1e6], [0.0, 1e-2, 1e6]])
def test_odd_intervals_do_no_harm(what: str, times: list[float]) -> None:
    """Less than a hundredth of a second apart are copies, which belong to no run."""
    run = run_of(what, times)
    assert next_interval(run, SCHEDULE) > 0
    assert missing_at(run, SCHEDULE) > run.last
    assert gives_up_at(run, SCHEDULE) >= run.last
    assert is_exhausted(run, SCHEDULE) in (True, False)
    assert looks_orphaned(run, SCHEDULE) in (True, False)
