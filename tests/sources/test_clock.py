"""Time stamps that cannot be right are told of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources import clock
from analyzer.sources.clock import Clock

from . import build
from .build import SECOND, Frame

NOW = 1_700_000_000 * SECOND


def told(times: list[int], size: int = 1000) -> list[str]:
    found = Clock()
    for begin in range(0, len(times), size):
        found.note(np.array(times[begin : begin + size], np.int64))
    assert (found.first, found.last) == (min(times), max(times))
    return list(found.problems())


def test_times_in_order_are_no_problem() -> None:
    assert told([NOW, NOW, NOW + 5, NOW + SECOND]) == []


def test_a_little_disorder_is_no_problem() -> None:
    assert told([NOW, NOW + 9_000_000, NOW + 1, NOW + SECOND]) == []


def test_times_that_run_backwards() -> None:
    (problem,) = told([NOW, NOW - SECOND, NOW - 3 * SECOND // 2, NOW + SECOND, NOW])
    assert "3 packets have an earlier time than one before them, by up to 1.5 s:" in problem
    (problem,) = told([NOW, NOW - 12 * 86_400 * SECOND, NOW])
    assert "1 packet has an earlier time than one before it, by 12 days:" in problem


@given(st.lists(st.integers(NOW - SECOND, NOW + SECOND), min_size=1, max_size=30), st.integers(1, 7))
def test_blocks_do_not_matter(times: list[int], size: int) -> None:
    assert told(times, size) == told(times)


@pytest.mark.parametrize("write", [build.pcap, build.pcapng])
def test_a_clock_that_was_not_set(monkeypatch: pytest.MonkeyPatch, write) -> None:
    monkeypatch.setattr(clock, "EARLIEST", 631_152_000 * SECOND)
    (problem,) = build.read(write([Frame(b"frame", 5, 3 * SECOND)])).capture.problems
    assert "begin on 1970-01-01" in problem
    assert build.read(write([Frame(b"frame", 5, NOW)])).capture.problems == []
    (untimed,) = build.read(
        build.section() + build.interface() + build.simple_packet(b"frame")
    ).capture.problems
    assert "no time stamp" in untimed
