"""The tracker of arrays, against one that takes packet after packet; and against itself, cut differently."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.flows.copies import COPY_NS
from analyzer.flows.kinds import PATIENCE_NS
from analyzer.flows.splits import LINGER_NS
from analyzer.flows.tracker import MAX_QUIET, SIGNIFICANT, Tracker
from analyzer.model.columns import TCP, Flag
from analyzer.model.flow import FlowEnd, Kind, Segment, Totals
from analyzer.model.summary import summaries
from tests.flows.columns import batches_of
from tests.flows.conversations import SECOND, Action, actions, cuts, many_actions, packets_of
from tests.flows.scalar import Packet, Result, track

SETTINGS = settings(max_examples=60, deadline=None)
EVERYTHING = Kind.ALL


def run(packets: list[Packet], triggers: int, where: list[int]) -> Result:
    """What the tracker gives for packets cut into batches there."""
    tracker = Tracker(triggers)
    result = Result()
    for columns in batches_of(packets, where):
        tracked = tracker.feed(columns)
        for flow in tracked.flows:
            assert flow.id not in result.flows
            result.flows[flow.id] = flow
            result.segments[flow.id] = []
        for segment in tracked.segments:
            result.segments[segment.flow].append(meant(segment))
        note_ends(result, tracked.ended)
        note_summaries(result, tracker)
    note_ends(result, tracker.finish())
    note_summaries(result, tracker)
    return result


def note_summaries(result: Result, tracker: Tracker) -> None:
    for rows in tracker.take_summaries():
        for summary in summaries(rows):
            assert summary.flow not in result.summaries
            result.summaries[summary.flow] = summary


def note_ends(result: Result, ends: list[FlowEnd]) -> None:
    for end in ends:
        assert end.flow not in result.ends
        result.ends[end.flow] = replace(end, client=meant_totals(end.client), server=meant_totals(end.server))


def meant(segment: Segment) -> Segment:
    return segment._replace(client=meant_totals(segment.client), server=meant_totals(segment.server))


def meant_totals(totals: Totals) -> Totals:
    """Without the numbers that mean nothing."""
    return totals._replace(
        seq_end=totals.seq_end if totals.has_seq else 0, ack=totals.ack if totals.has_ack else 0
    )


def assert_same(got: Result, expected: Result) -> None:
    assert got.flows == expected.flows
    assert got.summaries == expected.summaries
    for flow, segments in expected.segments.items():
        assert [s.number for s in got.segments[flow]] == [s.number for s in segments]
        for one, other in zip(got.segments[flow], segments, strict=True):
            assert one._asdict() == other._asdict()
    assert got.ends == expected.ends


@SETTINGS
@given(actions(), st.data())
def test_all_flows_are_as_packet_by_packet(taken: list[Action], data: st.DataObject) -> None:
    packets = packets_of(taken)
    where = data.draw(cuts(len(packets)))
    assert_same(run(packets, EVERYTHING, where), track(packets, EVERYTHING))


@SETTINGS
@given(actions(), st.data())
def test_flows_with_a_reset_come_with_all_that_went_before(taken: list[Action], data: st.DataObject) -> None:
    packets = packets_of(taken)
    where = data.draw(cuts(len(packets)))
    expected = track(packets, Kind.RST)
    assert_same(run(packets, Kind.RST, where), expected)
    everything = track(packets, EVERYTHING)
    wanted = {
        flow for flow, segments in everything.segments.items() if any(s.kinds & Kind.RST for s in segments)
    }
    assert expected.flows.keys() == wanted
    assert expected.segments == {flow: everything.segments[flow] for flow in wanted}


@pytest.mark.parametrize("triggers", [EVERYTHING, Kind.RST, Kind.REPEATED | Kind.ICMP])
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_long_captures_are_as_packet_by_packet(triggers: int, size: int) -> None:
    """Small batches are more than pass between two sweeps."""
    for seed in range(2 if size == 1 else 6):
        packets = packets_of(many_actions(seed, 300))
        got = run(packets, triggers, list(range(0, len(packets), size)))
        assert_same(got, track(packets, triggers))


def test_segments_are_plain_values() -> None:
    packets = packets_of([Action(4, 0, "open", 0, 1), Action(4, 0, "reset", 0, 1)])
    [flow] = run(packets, Kind.RST, []).segments.values()
    for segment in flow:
        for value in (*segment[:-2], *segment.client, *segment.server):
            assert type(value) in (int, bool)


def kinds_of(taken: list[Action]) -> list[list[int]]:
    result = run(packets_of(taken), EVERYTHING, [])
    return [[s.kinds for s in segments] for segments in result.segments.values()]


def act(what: str, side: int = 0, gap: int = 1_000_000, size: int = 10) -> Action:
    return Action(0, side, what, gap, size)


def test_an_undisturbed_connection_shows_its_begin_and_end_only() -> None:
    taken = [act("open"), act("data"), act("ack", 1), act("data", 1), act("ack"), act("close")]
    assert kinds_of(taken) == [[Kind.SYN, Kind.SYN, Kind.FIN, Kind.FIN]]


def test_one_retransmission_is_nothing_to_look_at() -> None:
    taken = [act("open"), act("data"), act("resend", size=0), act("ack", 1)]
    assert kinds_of(taken) == [[Kind.SYN, Kind.SYN]]


def test_the_second_one_is_and_so_is_its_recovery() -> None:
    again = act("resend", size=0)
    taken = [act("open"), act("data"), again, again, again, act("ack", 1), act("data", 1), act("ack")]
    repeated = Kind.RESENT | Kind.REPEATED
    assert kinds_of(taken) == [[Kind.SYN, Kind.SYN, repeated, repeated, Kind.RECOVERED]]


def test_two_segments_sent_again_one_time_each_are_no_run() -> None:
    taken = [
        act("open"),
        act("data"),
        act("data"),
        act("resend", size=1),
        act("resend", size=0),
        act("ack", 1),
    ]
    assert kinds_of(taken) == [[Kind.SYN, Kind.SYN]]


def test_a_keepalive_is_no_retransmission() -> None:
    taken = [act("open"), act("data"), act("ack", 1), act("keepalive"), act("ack", 1)]
    assert kinds_of(taken) == [[Kind.SYN, Kind.SYN]]


def shown(taken: list[Action]) -> list[int]:
    """Kinds of the only flow's segments but the handshake's."""
    [found] = kinds_of(taken)
    assert found[:2] == [Kind.SYN, Kind.SYN]
    return found[2:]


@pytest.mark.parametrize("what", ["keepalive", "probe"])
def test_keepalives_matter_from_the_second_one_without_an_answer(what: str) -> None:
    asked = [act("open"), act("data"), act("ack", 1), *[act(what), act("ack", 1)] * 3]
    assert shown(asked) == []
    silent = Kind.PROBE | Kind.REPEATED
    assert shown([*asked, act(what), act(what), act(what)]) == [silent, silent]
    assert shown([*asked, act(what), act("probe", 1), act(what)]) == []  # the other end asks as well


def test_the_totals_tell_of_the_probes_before() -> None:
    taken = [act("open"), *[act("probe", gap=SECOND)] * 4, act("reset")]
    [segments] = run(packets_of(taken), EVERYTHING, [1, 3, 5]).segments.values()
    assert [s.client.probes for s in segments] == [0, 0, 1, 2, 3, 4]
    assert [s.client.probe_number for s in segments] == [0, 0, 4, 5, 6, 7]
    assert segments[2].time - segments[2].client.probe_time == SECOND


def test_nothing_is_a_probe_while_bytes_are_outstanding() -> None:
    assert shown([act("open"), act("data"), act("probe"), act("probe")]) == []


@pytest.mark.parametrize("what", ["probe", "window-probe"])
def test_a_closed_window_and_its_probes(what: str) -> None:
    taken = [act("open"), act("data"), act("ack", 1), act("zero", 1), *[act(what, size=1)] * 3]
    silent = Kind.PROBE | Kind.REPEATED
    assert shown(taken) == [Kind.ZERO_WINDOW, silent, silent]
    [segments] = run(packets_of(taken), EVERYTHING, [4, 6]).segments.values()
    assert [(s.server.window, s.server.window_number) for s in segments][-2:] == [(0, 6)] * 2


def test_the_first_byte_beyond_a_closed_window_again_and_again_is_no_retransmission() -> None:
    taken = [act("open"), act("zero", 1), act("window-probe", size=3)]  # new for the first time
    packets = packets_of([*taken, act("ack", 1)])
    again = [replace(packets[-2], time=packets[-2].time + n * SECOND) for n in (1, 2)]
    [segments] = run([*packets[:-1], *again], EVERYTHING, []).segments.values()
    silent = Kind.PROBE | Kind.REPEATED
    assert [s.kinds for s in segments] == [Kind.SYN, Kind.SYN, Kind.ZERO_WINDOW, silent, silent]


def test_only_the_first_of_several_closed_windows_counts() -> None:
    taken = [act("open"), act("zero", 1), act("zero", 1), act("zero"), act("data", 1), act("zero", 1)]
    assert shown(taken) == [Kind.ZERO_WINDOW] * 3


@pytest.mark.parametrize(
    ("taken", "unanswered"),
    [
        ([act("data"), act("fin", 1, size=3)], True),
        ([act("data"), act("reset", 1)], True),
        ([act("data"), act("ack", 1), act("fin", 1, size=3)], True),  # an acknowledgement is no answer
        ([act("data"), act("fin", 1, size=1)], False),  # the FIN brings the answer
        ([act("data"), act("data", 1), act("fin", 1, size=3)], False),
        ([act("data"), act("fin", size=3), act("fin", 1, size=3)], False),  # it was told that no more comes
        ([act("data"), act("fin", size=3), act("reset", 1)], False),
        ([act("data", 1), act("fin", 1, size=3)], False),
        ([act("fin", 1, size=3)], False),
        ([act("data"), act("fin", gap=PATIENCE_NS, size=3)], True),
        ([act("data"), act("reset", gap=PATIENCE_NS)], True),
        ([act("data"), act("fin", gap=PATIENCE_NS - 1, size=3)], False),
        ([act("data", gap=PATIENCE_NS), act("fin", gap=PATIENCE_NS, size=1)], False),  # what it brings is new
        ([act("data"), act("data", 1), act("fin", gap=PATIENCE_NS, size=3)], False),
        ([act("data"), act("fin", 1, size=1), act("fin", gap=PATIENCE_NS, size=3)], False),
        ([act("fin", 1, size=3), act("data"), act("reset", 1)], False),  # another story: rst-after-fin
    ],
)
def test_who_ends_while_an_answer_is_due(taken: list[Action], unanswered: bool) -> None:
    for found in ([act("open"), *taken], [act("open"), *taken, taken[-1]]):
        marked = [bool(kinds & Kind.UNANSWERED) for kinds in shown(found)]
        assert sum(marked) == unanswered, marked


def test_bytes_that_were_not_captured_show_in_the_acknowledgement() -> None:
    taken = [act("open"), act("far-ack", 1, size=4), act("reset")]
    [segments] = run(packets_of(taken), EVERYTHING, []).segments.values()
    assert [(s.server.unseen, s.server.unseen_number) for s in segments] == [(0, 0), (0, 0), (1, 4)]


@pytest.mark.parametrize(
    ("end", "begin", "flows"),
    [
        ("close", "open", 2),  # the port is used again
        ("reset", "open", 2),
        ("fin", "open", 2),  # one FIN is enough: nobody connects while the other end still talks
        ("data", "open", 2),  # without an end: acknowledged, therefore new
        ("data", "syn", 1),  # not acknowledged
        ("close", "data", 1),  # late
        ("reset", "syn-again", 1),  # the very SYN of the old one
    ],
)
def test_where_a_flow_ends(end: str, begin: str, flows: int) -> None:
    assert len(kinds_of([act("open"), act(end), act(begin)])) == flows


def packet(source: int, flags: int, seq: int, ack: int = 0, payload: int = 0) -> Packet:
    ends = ((0, 1), 40_000), ((0, 2), 443)
    (sender, sport), (receiver, dport) = ends if source == 0 else ends[::-1]
    values = {"seq": seq, "ack": ack, "flags": flags, "payload": payload, "window": 500}
    return Packet(0, TCP, sender, sport, receiver, dport, **values)  # type: ignore[arg-type]


OLD = [
    packet(0, Flag.SYN, 100),
    packet(1, Flag.SYN | Flag.ACK, 900, 101),
    packet(0, Flag.ACK, 101, 901, 50),
    packet(1, Flag.ACK, 901, 151),
]
SYN_AGAIN = packet(0, Flag.SYN, 70_000)
ANSWER = packet(1, Flag.SYN | Flag.ACK, 5_000, 70_001)


def total_after(*packets: Packet) -> Totals:
    """The client's, after the old connection and these."""
    timed = [replace(p, time=(n + 1) * SECOND) for n, p in enumerate((*OLD, *packets))]
    [end] = run(timed, EVERYTHING, []).ends.values()
    [expected] = track(timed, EVERYTHING).ends.values()
    assert end == expected
    return end.client


def test_segments_out_of_order_are_a_gap_and_then_nothing_new() -> None:
    early, late = packet(0, Flag.ACK, 151, 901, 10), packet(0, Flag.ACK, 161, 901, 10)
    totals = total_after(late, early)
    assert (totals.gaps, totals.seq_end, totals.payload, totals.resent_seq) == (1, 171, 70, 151)
    assert totals.last_data_seq == 161
    assert total_after(early, late).gaps == 0


def test_what_overlaps_is_new_if_it_goes_beyond() -> None:
    longer = total_after(packet(0, Flag.ACK, 140, 901, 20))
    assert (longer.seq_end, longer.resent_number, longer.last_data_seq) == (160, 0, 140)
    inside = total_after(packet(0, Flag.ACK, 140, 901, 11))
    assert (inside.seq_end, inside.resent_number, inside.last_data_seq) == (151, 5, 101)


def story_of(*packets: Packet) -> list[tuple[int, list[int]]]:
    """Of each flow the number of packets and the frames that matter; in one batch, and cut everywhere."""
    timed = [replace(p, time=(n + 1) * SECOND) for n, p in enumerate(packets)]
    results = [run(timed, EVERYTHING, where) for where in ([], list(range(len(timed))))]
    one, other = (
        [(r.ends[flow].packets, [s.number for s in r.segments[flow]]) for flow in sorted(r.flows)]
        for r in results
    )
    assert one == other
    return one


def test_a_syn_that_is_acknowledged_begins_another_flow_with_it() -> None:
    """One end forgot the old connection; its frame is told with both."""
    assert story_of(*OLD, SYN_AGAIN, ANSWER, packet(0, Flag.ACK, 70_001, 5_001)) == [
        (5, [1, 2, 5]),
        (3, [5, 6]),
    ]
    again = [SYN_AGAIN, SYN_AGAIN, ANSWER]
    assert story_of(*OLD, *again) == [(6, [1, 2, 5, 6]), (2, [5, 7])]


def test_a_syn_that_is_refused_begins_another_flow_as_well() -> None:
    assert story_of(*OLD, SYN_AGAIN, packet(1, Flag.RST | Flag.ACK, 0, 70_001)) == [
        (5, [1, 2, 5]),
        (2, [5, 6]),
    ]


def test_a_syn_that_is_challenged_stays() -> None:
    challenge = packet(1, Flag.ACK, 901, 151)
    assert story_of(*OLD, SYN_AGAIN, challenge, packet(0, Flag.ACK, 151, 901, 9)) == [(7, [1, 2, 5])]


def test_after_the_challenge_and_the_reset_the_next_syn_begins_another_flow() -> None:
    """RFC 9293 section 3.5.1: how one end learns that the other one has forgotten it."""
    challenge, reset = packet(1, Flag.ACK, 901, 151), packet(0, Flag.RST, 151)
    assert story_of(*OLD, SYN_AGAIN, challenge, reset, SYN_AGAIN, ANSWER) == [(7, [1, 2, 5, 7]), (2, [8, 9])]


def test_a_stray_syn_does_not_disturb_the_numbers_of_the_old_flow() -> None:
    timed = [replace(p, time=n) for n, p in enumerate([*OLD, SYN_AGAIN, packet(0, Flag.RST, 151)], 1)]
    [segments] = run(timed, EVERYTHING, []).segments.values()
    assert (segments[-1].client.seq_end, segments[-1].client.last_number) == (151, 3)


def test_both_ends_may_open_at_once() -> None:
    """RFC 9293 section 3.5: a SYN each, and each is acknowledged."""
    syn, other = packet(0, Flag.SYN, 100), packet(1, Flag.SYN, 900)
    both = [packet(0, Flag.SYN | Flag.ACK, 100, 901), packet(1, Flag.SYN | Flag.ACK, 900, 101)]
    assert story_of(syn, other, *both) == [(4, [1, 2, 3, 4])]


def test_a_connection_that_began_before_the_capture_is_split_as_well() -> None:
    assert story_of(*OLD[2:], SYN_AGAIN, ANSWER) == [(3, [3]), (2, [3, 4])]


@pytest.mark.parametrize(
    ("end", "pause", "flows"),
    [
        ("close", LINGER_NS, 1),
        ("close", LINGER_NS + 1, 2),
        ("reset", LINGER_NS + 1, 2),
        ("fin", LINGER_NS + 1, 1),  # half closed: may stay so
        ("data", 100 * LINGER_NS, 1),
    ],
)
def test_a_pause_ends_what_is_closed(end: str, pause: int, flows: int) -> None:
    """``data`` from the server would belong to the old connection, were it not for the pause."""
    taken = [act("open"), act(end), act("fin", 1, gap=pause)]
    assert len(kinds_of(taken)) == flows


@pytest.mark.parametrize("where", [[], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("others", [0, 1, 40])
def test_the_last_word_about_a_flow(where: list[int], others: int) -> None:
    """A closed flow has ended by itself once it was silent for long, however many batches came after it."""
    taken = [act("open", gap=0), act("close", gap=SECOND), *[act("other", gap=10 * SECOND)] * others]
    packets = packets_of(taken)
    begin = packets[0].time
    [end] = run(packets, EVERYTHING, where).ends.values()
    assert (end.packets, end.end) == (6, begin + SECOND)
    assert end.closed == (others == 40)
    assert end.clock == (begin + SECOND + (LINGER_NS if others == 40 else others * 10 * SECOND))


def test_a_flow_goes_on_beside_others_of_another_ip_version() -> None:
    """Nothing that stands beside a row in its batch has to do with which flow it belongs to."""
    packets = packets_of([act("open"), act("data"), Action(4, 0, "open", 1, 1), act("close")])
    for where in ([], [3], [4], [5], list(range(len(packets)))):
        result = run(packets, EVERYTHING, where)
        assert [end.packets for end in result.ends.values()] == [7, 3]


def copies_in(packets: list[Packet]) -> int:
    tracker = Tracker(EVERYTHING)
    for columns in batches_of(packets, []):
        tracker.feed(columns)
    return tracker.copies


def copied(packets: list[Packet], after: int = 100_000) -> list[Packet]:
    """Each packet once more, as behind a router."""
    return [one for p in packets for one in (p, replace(p, time=p.time + after, ttl=p.ttl - 1))]


def of_one_stack(packets: list[Packet], *, ids: bool) -> list[Packet]:
    """With IP IDs that do not repeat, or with timestamps of a tick each."""
    tick = 10**6
    return [
        replace(p, ip_id=500 + n) if ids else replace(p, ip_id=0, has_ts=True, ts=(p.time // tick % 2**32, 0))
        for n, p in enumerate(packets)
    ]


COPIED = [
    *(act("open"), act("data"), act("data"), act("ack", 1), act("data", 1), act("resend", size=0)),
    *(act("zero", 1), act("probe", gap=SECOND), act("probe", gap=SECOND)),
    *(act("icmp", gap=SECOND), act("reset"), act("reset", gap=SECOND)),
]


@pytest.mark.parametrize("where", [[], list(range(15))])
@pytest.mark.parametrize("after", [0, 100_000, COPY_NS - 1])
def test_copies_change_nothing(where: list[int], after: int) -> None:
    plain = of_one_stack(packets_of(COPIED), ids=True)
    [once], [twice] = (
        run(packets, EVERYTHING, where).segments.values() for packets in (plain, copied(plain, after))
    )
    assert [s.kinds for s in once] == [s.kinds for s in twice]
    assert [(s.client.payload, s.server.payload, s.client.probes) for s in once] == [
        (s.client.payload, s.server.payload, s.client.probes) for s in twice
    ]
    assert copies_in(copied(plain, after)) == len(plain)


def test_a_copy_may_come_after_other_packets() -> None:
    plain = of_one_stack(packets_of(COPIED[:4]), ids=True)
    late = [replace(p, time=plain[-1].time) for p in plain]
    [segments] = run([*plain, *late], EVERYTHING, []).segments.values()
    assert [s.kinds for s in segments] == [Kind.SYN, Kind.SYN]


def test_what_comes_later_or_with_another_id_is_sent_again() -> None:
    syn = of_one_stack(packets_of([act("syn")]), ids=True)[0]
    for other in (replace(syn, time=syn.time + COPY_NS), replace(syn, time=syn.time + 1, ip_id=9)):
        [segments] = run([syn, other], EVERYTHING, []).segments.values()
        assert [s.kinds for s in segments] == [Kind.SYN, Kind.SYN | Kind.RESENT | Kind.REPEATED]


def kinds_without_ids(packets: list[Packet]) -> tuple[list[int], int]:
    """Kinds of all segments sent again or with SYN or RST, and the number of copies."""
    tracker = Tracker(EVERYTHING)
    segments = [s for c in batches_of(packets, []) for s in tracker.feed(c).segments]
    return [s.kinds for s in segments], tracker.copies


def test_without_ids_the_timestamps_tell_copies() -> None:
    same_tick = act("data", gap=10)
    plain = of_one_stack(packets_of([act("open"), same_tick, same_tick, act("reset", 1)]), ids=False)
    assert kinds_without_ids([*plain[:5], *plain[3:], plain[-1]]) == (
        [Kind.SYN, Kind.SYN, Kind.RST | Kind.UNANSWERED],
        3,
    )


def test_without_ids_a_fast_retransmission_in_the_same_tick_is_no_copy() -> None:
    """What was asked for by the other end in between was sent again."""
    taken = [act("open"), act("data", gap=10), act("data", gap=10), act("ack", 1, gap=10, size=1)]
    plain = of_one_stack(packets_of(taken), ids=False)
    [data, *_] = plain[3:]
    again = [replace(data, time=plain[-1].time + n) for n in (10, 20, 30)]
    assert kinds_without_ids([*plain, again[0]])[1] == 0
    assert kinds_without_ids([*plain, *again])[1] == 2  # of the one that was sent again


def test_without_ids_equal_acknowledgements_are_taken_as_two() -> None:
    plain = of_one_stack(packets_of([act("open"), act("data"), act("ack", 1)]), ids=False)
    assert kinds_without_ids([*plain, plain[-1], plain[-1]])[1] == 0


def test_counts() -> None:
    packets = packets_of([act("open"), Action(1, 1, "data", 0, 5), act("udp"), act("other"), act("far-ack")])
    tracker = Tracker(Kind.RST)
    for columns in batches_of(packets, [2]):
        tracker.feed(columns)
    assert (tracker.tcp_flows, tracker.udp_flows, tracker.guessed_flows, tracker.unseen) == (2, 1, 1, 1)


def counted(packets: list[Packet], triggers: int, where: list[int]) -> Tracker:
    tracker = Tracker(triggers)
    for columns in batches_of(packets, where):
        tracker.feed(columns)
    tracker.finish()
    return tracker


@pytest.mark.parametrize("where", [[], list(range(90))])
def test_what_was_not_kept_of_a_quiet_flow_is_told(where: list[int]) -> None:
    def shortened(fins: int) -> int:
        taken = [act("open"), *[act("fin", 1, size=3)] * fins, act("reset"), act("reset")]
        return counted(packets_of(taken), Kind.RST, where[: fins + 4]).shortened_flows

    assert shortened(MAX_QUIET - 2) == 0
    assert shortened(MAX_QUIET - 1) == 1


@pytest.mark.parametrize(
    ("taken", "one_sided"),
    [
        ([act("data"), act("data"), act("data")], 1),
        ([act("data", 1), act("data", 1), act("fin", 1), act("other")], 1),
        ([act("data"), act("data")], 0),  # what was left
        ([act("data"), act("data"), act("data"), act("ack", 1)], 0),
        ([act("syn"), act("syn-again"), act("syn-again")], 0),  # nobody there
        ([act("udp"), act("udp"), act("udp")], 0),
    ],
)
def test_connections_of_which_one_end_only_was_heard(taken: list[Action], one_sided: int) -> None:
    packets = packets_of(taken)
    for where in ([], [1, 2]):
        assert counted(packets, EVERYTHING, where).one_sided_flows == one_sided


def test_every_kind_but_a_single_retransmission_or_probe_is_significant() -> None:
    assert SIGNIFICANT == EVERYTHING & ~(Kind.RESENT | Kind.PROBE)


@example(first=0xFFFF_FFFF, second=0)
@settings(max_examples=40, deadline=None)
@given(first=st.integers(0, 0xFFFF_FFFF), second=st.integers(0, 0xFFFF_FFFF))
def test_the_turn_of_the_circle_changes_nothing(first: int, second: int) -> None:
    """The same conversation with any initial sequence numbers has the same kinds and counts."""
    taken = [act("open"), act("data"), act("data", 1), act("ack"), act("resend", 1, size=0), act("close", 1)]

    def shape(by: tuple[int, int]) -> list[tuple[object, ...]]:
        moved = []
        for packet in packets_of(taken):
            own, other = by if packet.dport == 443 else by[::-1]
            ack = (packet.ack + other) % 2**32 if packet.flags & Flag.ACK else 0
            moved.append(replace(packet, seq=(packet.seq + own) % 2**32, ack=ack))
        [segments] = run(moved, EVERYTHING, []).segments.values()
        moved_names = ("seq_end", "ack", "last_data_seq", "resent_seq")
        return [
            (
                s.kinds,
                s.number,
                [
                    (name, getattr(totals, name))
                    for totals in (s.client, s.server)
                    for name in Totals._fields
                    if name not in moved_names
                ],
            )
            for s in segments
        ]

    assert shape((first, second)) == shape((0, 0))


def test_long_captures_have_all_that_they_promise() -> None:
    """So that the comparisons above compare something."""
    seen: Counter[str] = Counter()
    names = [name for name in vars(Kind) if name.isupper() and getattr(Kind, name) <= Kind.UNANSWERED]
    for seed in range(8):
        result = track(packets_of(many_actions(seed, 300)), EVERYTHING)
        for segment in (s for segments in result.segments.values() for s in segments):
            seen.update(name for name in names if segment.kinds & getattr(Kind, name))
            seen["unseen"] += bool(segment.server.unseen)
        seen["copies"] += copies_in(packets_of(many_actions(seed, 300)))
        seen["closed"] += sum(end.closed for end in result.ends.values())
        seen["open"] += sum(not end.closed for end in result.ends.values())
        seen["guessed"] += sum(flow.client_guessed for flow in result.flows.values())
        for summary in result.summaries.values():
            seen["survived"] += summary.survived > 0
            seen["fatal"] += max(summary.fatal) > 0
            seen["unacknowledged"] += any(summary.unacknowledged)
            seen["legs"] += summary.first_leg > 0
            seen["again"] += summary.again
            seen["idle_close"] += summary.idle_close > 0
            seen["reset_ttl"] += any(summary.reset_ttl)
    also = ("unseen", "copies", "closed", "open", "guessed", "survived", "fatal", "unacknowledged", "legs")
    also += ("again", "reset_ttl")
    assert seen["idle_close"] > 3
    assert all(seen[name] > 5 for name in (*names, *also)), seen


@pytest.mark.parametrize("where", [[], list(range(8))])
def test_a_pause_is_survived_once_both_ends_went_on(where: list[int]) -> None:
    taken = [
        act("open"),
        act("data", gap=30 * SECOND),
        act("ack", 1),
        act("data", 1, gap=90 * SECOND),
        act("resend", 1, gap=300 * SECOND, size=0),  # no idle time, it waits for an acknowledgement
        act("reset"),
    ]
    [summary] = run(packets_of(taken), Kind.RST, where).summaries.values()
    assert summary.survived == 30 * SECOND
    assert summary.fatal == (0, 90 * SECOND)
    assert summary.largest == (10, 10)
    assert summary.unacknowledged == (False, True)
    assert summary.reset == (True, False)
    assert 0 < summary.start <= summary.answered <= summary.completed


def test_packets_here_are_rows_there() -> None:
    """The helper leaves no column of this test's packets out."""
    names = {f.name for f in fields(Packet)}
    assert {"has_ts", "mss", "scale", "reporter"} <= names
    [columns] = batches_of([Packet(1, TCP, ttl=9)], [])
    assert int(columns.ttl[0]) == 9


def test_of_too_many_open_flows_those_silent_longest_are_let_go() -> None:
    packets = packets_of([act("open"), act("udp"), act("data")])
    tracker = Tracker(EVERYTHING, max_flows=1)
    gone: list[int] = []
    for columns in batches_of(packets, []):
        tracker.feed(columns)
        gone += [summary.flow for rows in tracker.take_summaries() for summary in summaries(rows)]
    assert gone == [1]  # the datagram's: data came after it in the first connection
    assert tracker.evicted_flows == 1
    assert [end.closed for end in tracker.finish()] == [False]


def test_a_flow_that_was_let_go_begins_anew() -> None:
    packets = packets_of([act("udp"), act("open"), act("udp")])
    tracker = Tracker(EVERYTHING, max_flows=1)
    for columns in batches_of(packets, list(range(1, len(packets)))):
        tracker.feed(columns)
    tracker.finish()
    assert (tracker.udp_flows, tracker.evicted_flows) == (2, 2)
