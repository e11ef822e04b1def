"""The shadow sockets against simulated endpoints whose states are known."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.flows.tracker import Tracker
from analyzer.model.columns import Flag
from analyzer.model.event import ResetReceived, Withdrawn
from analyzer.model.flow import CLIENT, SERVER, SIDES, Kind
from analyzer.model.host import Host
from analyzer.model.seq import distance
from analyzer.model.socket import State
from analyzer.sockets.shadow import ShadowFlow
from tests.flows.columns import batches_of
from tests.sockets.endpoints import BEGIN, Met, Seen, simulate

SETTINGS = settings(max_examples=150, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def resets_told(seen: list[Seen]) -> dict[int, ResetReceived]:
    """The events of resets that were not withdrawn, by number of the frame."""
    tracker = Tracker(Kind.ALL)
    shadows: dict[int, ShadowFlow] = {}
    left: dict[str, ResetReceived] = {}
    host = Host("linux")

    def take(told: object) -> None:
        if isinstance(told, Withdrawn):
            left.pop(told.key, None)
        elif isinstance(told, ResetReceived):
            left[told.key] = told

    for columns in batches_of([one.packet for one in seen], []):
        tracked = tracker.feed(columns)
        assert len(tracked.flows) == 1
        for flow in tracked.flows:
            shadows[flow.id] = ShadowFlow(flow, host, host)
        for segment in tracked.segments:
            for told in shadows[segment.flow].receive(segment):
                take(told)
    for end in tracker.finish():
        for told in shadows[end.flow].finish(end):
            take(told)
    return {event.frames[-1]: event for event in left.values()}


def story(seen: list[Seen]) -> str:
    """For reading when a test fails."""
    return "\n".join(
        f"{number:3} {(one.time - BEGIN) / 1e6:8.1f} ms {SIDES[one.segment.side]} "
        f"flags {one.segment.flags:02x} {one.segment.seq}:{one.segment.end} ack {one.segment.ack} "
        f"{one.segment.met or ''}"
        for number, one in enumerate(seen, 1)
    )


def resets_received(seen: list[Seen], side: int) -> list[tuple[int, Met]]:
    """Frame of the resets that this end got, and what they met there."""
    return [
        (number, one.segment.met)
        for number, one in enumerate(seen, 1)
        if one.segment.flags & Flag.RST and one.segment.side != side and one.segment.met
    ]


def highest_sent(seen: list[Seen], side: int, before: int) -> int | None:
    """The highest number that this end had sent before a frame, as far as it was captured."""
    top = None
    for one in seen[: before - 1]:
        sent = one.segment
        if sent.side == side and not sent.flags & Flag.RST and (top is None or distance(top, sent.end) > 0):
            top = sent.end
    return top


@pytest.mark.parametrize("side", [CLIENT, SERVER])
@SETTINGS
@given(seed=seeds)
def test_states_are_true_where_nothing_is_lost(side: int, seed: int) -> None:
    seen = simulate(seed, side, loss=0)
    told = resets_told(seen)
    for number, met in resets_received(seen, side):
        if met.state in (State.CLOSED, State.TIME_WAIT):
            assert number not in told or not told[number].segment.accepted, f"{number}\n{story(seen)}"
        else:
            assert number in told, f"{number}\n{story(seen)}"
            event = told[number]
            got = (event.socket.state, event.segment.accepted)
            assert got == (met.state, met.acted), f"{number}\n{story(seen)}"


@pytest.mark.parametrize("side", [CLIENT, SERVER])
@SETTINGS
@given(seed=seeds)
def test_no_reset_is_said_to_be_believed_that_was_not(side: int, seed: int) -> None:
    """Segments are lost before and behind the capture, which is taken at the receiver of the reset.

    Where it misses some of the bytes that are older than the reset, see
    test_shadow.test_a_reset_behind_lost_bytes_is_challenged.
    """
    seen = simulate(seed, side, loss=0.15)
    if not seen:
        return
    told = resets_told(seen)
    for number, met in resets_received(seen, side):
        if highest_sent(seen, 1 - side, number) != met.expected:
            continue
        if number in told and told[number].segment.accepted:
            assert met.acted, f"{number}\n{story(seen)}"


@SETTINGS
@given(seed=seeds, vantage=st.sampled_from([0.0, 0.3, 0.5, 1.0]), loss=st.sampled_from([0.0, 0.2, 0.5]))
def test_no_capture_of_any_place_does_harm(seed: int, vantage: float, loss: float) -> None:
    seen = simulate(seed, vantage, loss=loss)
    if seen:
        resets_told(seen)


def test_the_simulation_comes_to_every_state() -> None:
    """So that the comparisons above compare something."""
    count: Counter[tuple[str, bool]] = Counter()
    for seed in range(600):
        for side in (CLIENT, SERVER):
            seen = simulate(seed, side, loss=0)
            count.update((met.state.value, met.acted) for _, met in resets_received(seen, side))
    for state in ("ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "LAST_ACK", "CLOSING"):
        assert count[state, False] > 0, count
    for state in ("ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "LAST_ACK", "CLOSING"):
        assert count[state, True] > 0, count
