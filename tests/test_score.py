"""The figures of `python -m tests.lab.score` over the samples are what is wanted of them."""

from __future__ import annotations

from functools import cache

import pytest

from analyzer.model.finding import Confidence
from tests.lab.score import SAMPLES, WANTED, WORDS, Score, score

DIFFER = {"nat-forgot-answer-untranslated": "the client's last packets never reach the server's side"}
"""Scenarios of which some place sees other packets, without which it cannot say the same."""


@cache
def samples() -> Score:
    return score(sorted(SAMPLES.glob("*/*.truth.json")))


def test_the_samples_are_many_and_a_quarter_of_them_is_clean() -> None:
    places: dict[str, set[str]] = {}
    ipv6 = set()
    for entry in samples().judged:
        places.setdefault(entry.scenario, set()).add(entry.vantage)
        if ":" in entry.connection["client"][0]:
            ipv6.add(entry.scenario)
    assert len(places) >= 80
    assert sum(name.startswith("clean-") for name in places) >= len(places) / 4
    assert len(ipv6) >= len(places) / 5
    assert sum(len(seen) > 1 for seen in places.values()) > 0.8 * len(places)


def test_errnos_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    made = samples()
    with capsys.disabled():
        print("", *made.lines(WANTED), sep="\n")
    assert made.errnos.total > 200
    assert made.errnos.percent >= WANTED["errnos"], made.errnos.misses
    assert made.wrong_certain == []


def test_what_later_calls_return_is_right() -> None:
    assert samples().later.total > 400
    assert samples().later.percent >= WANTED["later calls"], samples().later.misses


def test_there_is_no_false_alarm() -> None:
    assert samples().alarms.total > 500
    assert samples().alarms.misses == []


def test_the_reason_of_a_reset_is_among_the_candidates() -> None:
    made = samples()
    assert made.reasons.total > 100
    assert made.reasons.percent >= WANTED["reasons"], made.reasons.misses
    assert made.given.percent >= WANTED["reasons given"], made.given.misses


def test_the_place_of_the_capture_does_not_matter() -> None:
    assert samples().places.total > 250
    assert {miss.partition("/")[0] for miss in samples().places.misses} <= set(DIFFER), (
        samples().places.misses
    )


@pytest.mark.parametrize("word", list(Confidence))
def test_each_word_keeps_its_promise(word: Confidence) -> None:
    proven = samples().proven(word)
    assert proven.total > 30
    assert proven.percent >= WORDS[word]
