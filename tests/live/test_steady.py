"""A clock that is set during the capture."""

from __future__ import annotations

import pytest

from analyzer.sources.steady import Steady
from tests.helpers import block_of

SECOND = 10**9
START = 1_700_000_000 * SECOND


def steadied(true: list[int], shown: list[int], size: int) -> tuple[list[int], list[str]]:
    """Frames at these true times (seconds), with the times that the clock showed, in blocks of that size."""
    now = [0]
    steady = Steady(lambda: now[0])
    told = []
    for at in range(0, len(true), size):
        now[0] = true[min(at + size, len(true)) - 1] * SECOND
        times = [START + second * SECOND for second in shown[at : at + size]]
        told += steady.steadied(block_of([b"x"] * len(times), times=times)).times.tolist()
    return [(time - START) // SECOND for time in told], list(steady.problems())


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_a_step_back_is_undone(size: int) -> None:
    shown = [0, 1, 2, 3 - 3600, 4 - 3600, 5 - 3600]
    told, (problem,) = steadied(list(range(6)), shown, size)
    assert told == [0, 1, 2, 2, 3, 4]  # how long it took meanwhile is not known
    assert "set back by 3,599.0 s" in problem


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_step_ahead_is_undone(size: int) -> None:
    shown = [0, 1, 2, 3, 4 + 3600, 5 + 3600, 6 + 3600]
    told, problems = steadied(list(range(7)), shown, size)
    assert told == list(range(7))
    assert len(problems) == 1


def test_a_quiet_line_is_no_step() -> None:
    assert steadied([0, 1, 5000, 5001], [0, 1, 5000, 5001], 1) == ([0, 1, 5000, 5001], [])
