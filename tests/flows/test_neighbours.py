"""ARP and neighbour discovery that nobody answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.pipeline.files import analyze
from tests.captures import SAMPLES, frames_of, sample
from tests.sources.build import SECOND, Frame
from tests.sources.build import pcapng as write_pcapng

ASKED = {
    "next-hop-dead": "10.9.0.254",
    "next-hop-dead-stale": "10.9.0.254",
    "next-hop-dead-ipv6": "fd00:9::77",
}
ARP = b"\x08\x06"


def told(frames: list[Frame], folder: Path, max_frames: int = 1000) -> list[str]:
    """What is said of hosts that did not answer."""
    path = folder / "made.pcapng"
    path.write_bytes(write_pcapng(frames))
    [capture] = analyze(path, max_frames=max_frames).captures
    return [problem for problem in capture.problems if "did not answer" in problem]


def questions() -> list[Frame]:
    """The ARP requests of the client for a router that is gone: three, a second apart."""
    return [frame for frame in frames_of(sample("next-hop-dead").read_bytes()) if frame.data[12:14] == ARP]


def later(frame: Frame, seconds: float) -> Frame:
    return frame._replace(time=frame.time + round(seconds * SECOND))


def answer_to(frame: Frame) -> Frame:
    """The router's reply."""
    hardware, body = b"\x02\0\0\0\0\x77", frame.data
    reply = hardware + body[38:42] + body[22:28] + body[28:32]
    answer = body[6:12] + hardware + body[12:20] + b"\0\x02" + reply
    return frame._replace(data=answer, time=frame.time + 1000)


@pytest.mark.parametrize("scenario", ASKED)
def test_real_captures_say_who_is_silent(scenario: str) -> None:
    [capture] = analyze(sample(scenario)).captures
    [problem] = [problem for problem in capture.problems if "did not answer" in problem]
    assert problem.startswith(f"{ASKED[scenario]} did not answer ")
    assert "EHOSTUNREACH" in problem


@pytest.mark.parametrize("scenario", ["clean-request-response", "clean-ipv6", "connect-timeout"])
def test_who_answers_is_not_told_of(scenario: str) -> None:
    [capture] = analyze(sample(scenario)).captures
    assert not any("did not answer" in problem for problem in capture.problems)


@pytest.mark.parametrize("max_frames", [1, 2, 1000])
def test_three_questions_in_a_row_are_a_failure(max_frames: int, tmp_path: Path) -> None:
    [problem] = told(questions(), tmp_path, max_frames)
    assert "10.9.0.254 did not answer ARP: 10.9.0.1 asked 3 times" in problem


def test_what_a_program_got_is_said(tmp_path: Path) -> None:
    [problem] = told(questions(), tmp_path)
    assert "2026-11-28 15:12:51 UTC" in problem
    assert "got EHOSTUNREACH (No route to host) 3.1 s after the first question" in problem


def test_copies_of_one_question_are_no_further_ones(tmp_path: Path) -> None:
    first, _, _ = questions()
    assert told([first, later(first, 0.0001), later(first, 0.0002)], tmp_path) == []


def test_a_question_to_one_host_alone_asks_whether_it_is_still_there(tmp_path: Path) -> None:
    alone = [f._replace(data=b"\x02\0\0\0\0\x77" + f.data[6:]) for f in questions()]
    assert told(alone, tmp_path) == []


def test_an_answer_to_the_last_question_is_in_time(tmp_path: Path) -> None:
    every = questions()
    assert told([*every, answer_to(every[-1])], tmp_path) == []


def test_who_asks_is_there_itself(tmp_path: Path) -> None:
    first, second, third = questions()
    body = second.data
    back = body[:28] + body[38:42] + body[32:38] + body[28:32]
    assert told([first, second._replace(data=back), third], tmp_path) == []


def test_two_questions_are_not(tmp_path: Path) -> None:
    assert told(questions()[:2], tmp_path) == []


def test_questions_far_apart_are_not(tmp_path: Path) -> None:
    first, second, third = questions()
    assert told([first, second, later(third, 60)], tmp_path) == []


def test_an_answer_in_between_begins_anew(tmp_path: Path) -> None:
    first, second, third = questions()
    assert told([first, second, answer_to(second), third], tmp_path) == []


def test_in_a_vlan(tmp_path: Path) -> None:
    tagged = [f._replace(data=f.data[:12] + b"\x81\0\0\x07" + f.data[12:]) for f in questions()]
    assert len(told(tagged, tmp_path)) == 1


def test_announcements_and_probes_of_an_own_address_are_no_questions(tmp_path: Path) -> None:
    own = [f._replace(data=f.data[:38] + f.data[28:32]) for f in questions()]
    probes = [f._replace(data=f.data[:28] + bytes(4) + f.data[32:]) for f in questions()]
    assert told(own, tmp_path) == []
    assert told(probes, tmp_path) == []


def test_a_frame_that_was_cut_is_no_question(tmp_path: Path) -> None:
    assert told([f._replace(data=f.data[:40]) for f in questions()], tmp_path) == []


def test_many_are_counted(tmp_path: Path) -> None:
    every = [
        frame._replace(data=frame.data[:38] + bytes([10, 9, 0, number]), time=frame.time + number)
        for frame in questions()
        for number in range(100, 110)
    ]
    problems = told(every, tmp_path)
    assert len(problems) == 4
    assert problems[-1].startswith("7 more addresses did not answer")


STALE = frames_of(sample("next-hop-dead-peer-stale").read_bytes())
"""SYNs to a neighbour that vanished, then questions for it."""


def verdicts(frames: list[Frame], folder: Path) -> list[tuple[str, str]]:
    """Rule and confidence of all verdicts."""
    path = folder / "made.pcapng"
    path.write_bytes(write_pcapng(frames))
    report = analyze(path)
    return [(v.rule, v.confidence.value) for flow in report.flows for v in flow.verdicts]


def is_question(frame: Frame) -> bool:
    return frame.data[12:14] == ARP and frame.data[:6] == b"\xff" * 6


def test_questions_in_the_place_of_syns_are_a_verdict(tmp_path: Path) -> None:
    assert verdicts(STALE, tmp_path) == [("next-hop-dead-during-connect", "certain")]


def test_questions_of_another_host_are_none(tmp_path: Path) -> None:
    """A mirror port shows those of all hosts."""
    other = [
        f._replace(data=f.data[:28] + bytes([10, 9, 0, 5]) + f.data[32:]) if is_question(f) else f
        for f in STALE
    ]
    assert verdicts(other, tmp_path) == []


def test_a_capture_that_ends_with_the_last_question_is_less_sure(tmp_path: Path) -> None:
    last = max(place for place, frame in enumerate(STALE) if is_question(frame))
    assert verdicts(STALE[: last + 1], tmp_path) == [("next-hop-dead-during-connect", "likely")]
    assert verdicts(STALE[:last], tmp_path) == []


def test_an_answer_to_the_last_question_in_time_is_no_verdict(tmp_path: Path) -> None:
    last = max(place for place, frame in enumerate(STALE) if is_question(frame))
    reply = answer_to(STALE[last])
    assert verdicts([*STALE[: last + 1], reply, *STALE[last + 1 :]], tmp_path) == []


def test_a_scan_of_the_network_changes_nothing(tmp_path: Path) -> None:
    """Of a thousand addresses, each asked for twice, half a second apart: no more is kept of them."""
    [first, *_] = [frame for frame in STALE if is_question(frame)]
    scan = [
        frame._replace(
            data=frame.data[:38] + bytes([10, 9, 4 + number // 250, number % 250]),
            time=frame.time + number * SECOND // 1000,
        )
        for number in range(1000)
        for frame in (later(first, -8), later(first, -7.4))
    ]
    every = sorted([*STALE, *scan], key=lambda frame: frame.time)
    assert verdicts(every, tmp_path) == [("next-hop-dead-during-connect", "certain")]
    assert len(told(every, tmp_path)) == 1


@pytest.mark.parametrize("scenario", ["next-hop-dead-any", "next-hop-dead-any-ipv6"])
def test_a_host_that_tells_itself_needs_no_syn(scenario: str) -> None:
    [flow] = analyze(SAMPLES / scenario / "client.pcapng").flows
    [verdict] = flow.verdicts
    assert (verdict.rule, verdict.errno, verdict.confidence.value) == (
        "own-host-unreachable",
        "EHOSTUNREACH",
        "certain",
    )
    assert not flow.flow.client_guessed


def test_another_host_that_tells_of_a_syn_which_was_not_captured_leaves_it_open(tmp_path: Path) -> None:
    """Whether the connection was open by then, only its own host knows."""
    frames = frames_of(sample("icmp-host-unreachable-connect").read_bytes())
    alone = [frame for frame in frames if frame.data[12:14] == b"\x08\0" and frame.data[23] == 1]
    assert verdicts(alone[:1], tmp_path) == []


def asked_before(answered: bool, folder: Path) -> str:
    """The rule, where somebody is asked for in vain before a connection, and again when its data vanishes."""
    frames = frames_of(sample("next-hop-dead-router").read_bytes())
    asks = [frame for frame in frames if is_question(frame)][-3:]
    replies = [frame for frame in frames if frame.data[12:14] == ARP and frame.data[21] == 2]
    kept = [frame for frame in frames if answered or frame not in replies]
    every = sorted([*kept, *(later(frame, -60) for frame in asks)], key=lambda frame: frame.time)
    [(rule, _)] = verdicts(every, folder)
    return rule


def test_what_was_sent_did_not_go_by_who_had_been_asked_for_in_vain(tmp_path: Path) -> None:
    assert asked_before(True, tmp_path) == "next-hop-dead"
    assert asked_before(False, tmp_path) == "retransmission-timeout"
