"""ARP and neighbour discovery that nobody answers."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from analyzer.flows.neighbours import Neighbours
from analyzer.model.columns import NEIGHBOUR
from analyzer.model.host import Host
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


@pytest.mark.parametrize(
    "scenario", ["clean-request-response", "clean-ipv6", "connect-timeout", "next-hop-announces-itself"]
)
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


def hardware_probe(frame: Frame) -> Frame:
    """From 0.0.0.0: it asks whether anybody has the address, and says nothing of its own."""
    return frame._replace(data=frame.data[:28] + bytes(4) + frame.data[32:])


def test_an_announcement_answers_and_a_probe_does_not(tmp_path: Path) -> None:
    *_, last = every = questions()
    router, gone = last.data[38:42], b"\x02\0\0\0\0\x77"
    own = last._replace(
        data=b"\xff" * 6 + gone + last.data[12:22] + gone + router + bytes(6) + router, time=last.time + 1000
    )
    assert told([*every, own], tmp_path) == []
    assert told([*every, own._replace(data=own.data[:20] + b"\0\x02" + own.data[22:])], tmp_path) == []
    assert len(told([*every, hardware_probe(own)], tmp_path)) == 1


def test_a_question_to_one_host_answers_that_host(tmp_path: Path) -> None:
    *_, last = every = questions()
    router, client, gone = last.data[38:42], last.data[28:32], b"\x02\0\0\0\0\x77"
    asks_back = last.data[6:12] + gone + last.data[12:22] + gone + router + bytes(6) + client
    assert told([*every, last._replace(data=asks_back, time=last.time + 1000)], tmp_path) == []


def test_a_solicitation_to_one_host_answers_that_host(tmp_path: Path) -> None:
    frames = frames_of(sample("next-hop-dead-ipv6").read_bytes())
    every = [frame for frame in frames if frame.data[12:14] == b"\x86\xdd" and frame.data[54] == 135]
    last = every[-1]
    client, gone = last.data[22:38], last.data[62:78]
    asks_back = (
        last.data[6:12] + b"\x02\0\0\0\0\x77" + last.data[12:22] + gone + client + last.data[54:62] + client
    )
    assert len(told(every, tmp_path)) == 1
    assert told([*every, last._replace(data=asks_back, time=last.time + 1000)], tmp_path) == []


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
        "likely",  # the message comes three seconds later, whether or not the program still waits
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
    heard = [
        frame for frame in frames if frame.data[12:14] == ARP and frame.data[28:32] != asks[0].data[28:32]
    ]
    kept = [frame for frame in frames if answered or frame not in heard]
    every = sorted([*kept, *(later(frame, -60) for frame in asks)], key=lambda frame: frame.time)
    [(rule, _)] = verdicts(every, folder)
    return rule


def test_what_was_sent_did_not_go_by_who_had_been_asked_for_in_vain(tmp_path: Path) -> None:
    assert asked_before(True, tmp_path) == "next-hop-dead"
    assert asked_before(False, tmp_path) == "retransmission-timeout"


def test_a_limit_that_is_known_makes_the_end_sure(tmp_path: Path) -> None:
    """Also where the capture ends with the last questions: with the next try it gives up."""
    frames = frames_of(sample("next-hop-dead-peer").read_bytes())
    last = max(place for place, frame in enumerate(frames) if is_question(frame))
    host = Host("linux", (("tcp_retries2", 6),))
    found = []
    for part in (frames, frames[: last + 1], frames[: last - 3]):
        path = tmp_path / "made.pcapng"
        path.write_bytes(write_pcapng(part))
        report = analyze(path, client=host)
        found.append([(v.rule, v.confidence.value) for flow in report.flows for v in flow.verdicts])
    assert found == [[("next-hop-dead", "certain")], [("next-hop-dead", "likely")], []]


def told_in_blocks(frames: list[Frame], folder: Path, max_frames: int) -> object:
    """All that depends on questions."""
    path = folder / "made.pcapng"
    path.write_bytes(write_pcapng(frames))
    report = analyze(path, max_frames=max_frames)
    verdicts = [(v.rule, v.errno, v.confidence, v.time, v.frames) for f in report.flows for v in f.verdicts]
    findings = [(f.rule, f.summary, f.time, f.frames) for flow in report.flows for f in flow.findings]
    return verdicts, findings, report.captures[0].problems


@pytest.mark.parametrize("seed", range(24))
def test_blocks_make_no_difference(seed: int, tmp_path: Path) -> None:
    """Questions and answers at random; packets of somebody else, so that the clock goes on in between."""
    chance = random.Random(seed)
    name = chance.choice(["peer", "router", "peer-stale", "peer-cut", "peer-send"])
    frames = frames_of(sample(f"next-hop-dead-{name}").read_bytes())
    asked = [frame for frame in frames if is_question(frame)]
    segment = next(frame for frame in frames if frame.data[12:14] == b"\x08\0" and frame.data[23] == 6)
    other = segment.data[:29] + bytes([segment.data[29] ^ 0x55]) + segment.data[30:]
    begin, end = frames[0].time, frames[-1].time + 5 * SECOND
    added = [
        *(later(chance.choice(asked), chance.uniform(0.1, 4)) for _ in range(chance.randint(1, 6))),
        *(
            later(answer_to(chance.choice(asked)), chance.uniform(0.05, 4))
            for _ in range(chance.randint(0, 3))
        ),
        *(segment._replace(data=other, time=chance.randint(begin, end)) for _ in range(40)),
    ]
    every = sorted([*frames, *added], key=lambda frame: frame.time)
    one, five, all_at_once = (told_in_blocks(every, tmp_path, most) for most in (1, 5, 16_384))
    assert one == five == all_at_once


def test_a_host_that_is_always_asked_for_does_not_hide_the_next_one() -> None:
    neighbours = Neighbours()
    count = 270_000  # more than are kept: three days and three hours
    for begin in range(0, count + 3, 1000):
        seconds = np.arange(begin, min(begin + 1000, count + 3)) + 1
        rows = np.zeros(len(seconds), NEIGHBOUR)
        rows["frame"], rows["clock"], rows["version"], rows["asks"] = seconds, seconds * SECOND, 4, True
        rows["asker_lo"], rows["target_lo"] = 0x0A000063, np.where(seconds <= count, 0x0A000001, 0x0A000002)
        neighbours.add(rows)
    [asked] = neighbours.in_vain("10.0.0.99", count * SECOND, (count + 4) * SECOND)
    assert asked.target == "10.0.0.2"
    assert [f"asked {count} times" in told for told in neighbours.problems()] == [True, False]


@pytest.mark.parametrize(
    ("syns", "rule"),
    [
        ([0, 1.02, 3.05, 7.1, 15.3, 31.4, 63.7], ("connect-timeout", "certain")),
        ([0, 1.01], ("next-hop-dead-during-connect", "possible")),
    ],
)
def test_only_who_may_still_try_asks_for_its_next_hop(
    syns: list[float], rule: tuple[str, str], tmp_path: Path
) -> None:
    """A program whose connect() has failed, or been given up, tries another address, which is dead.

    Where the next SYN was due just then, it looks as if that were the router.
    """
    frames = frames_of(sample("next-hop-of-others-dead").read_bytes())
    segments = (frame for frame in frames if frame.data[12:14] == b"\x08\0" and frame.data[23] == 6)
    syn = next(frame for frame in segments if frame.data[47] & 0x12 == 2)
    begin = syn.time
    asks = begin + round((syns[-1] + (65.5 if len(syns) > 2 else 2.0)) * SECOND)
    every = questions()
    asked = [frame._replace(time=frame.time - every[0].time + asks) for frame in every]
    other = syn.data[:29] + bytes([syn.data[29] ^ 0x55]) + syn.data[30:47] + b"\x10" + syn.data[48:]
    clock = syn._replace(data=other, time=asks + 120 * SECOND)
    sent = [later(syn, seconds) for seconds in syns]
    assert verdicts([*sent, *asked, clock], tmp_path) == [rule]


def test_who_is_refused_by_its_own_host_did_send_its_syn(tmp_path: Path) -> None:
    """From 127.0.0.1 to 127.0.0.1, refused by a rule for what comes in."""
    syn = next(f for f in frames_of(sample("connect-timeout").read_bytes()) if f.data[23] == 6)
    here = syn._replace(data=syn.data[:26] + b"\x7f\0\0\1" * 2 + syn.data[34:])
    quote = bytes([3, 3, 0, 0, 0, 0, 0, 0]) + here.data[14:]
    length = (20 + len(quote)).to_bytes(2)
    head = b"\x45\xc0" + length + b"\0\1\0\0\x40\1\0\0" + b"\x7f\0\0\1" * 2
    error = here.data[:14] + head + quote
    refused = here._replace(data=error, time=here.time + 50_000, original=len(error))
    assert verdicts([here, refused], tmp_path) == [("icmp-unreachable-during-connect", "likely")]
