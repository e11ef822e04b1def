"""A reset that answers a SYN which was not captured, and what only looks like one."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.finding import Confidence
from analyzer.pipeline.files import analyze

RULES = load_rules(rules_folder())
REFUSED = {"flags": "RA", "seq": 0, "ack": 77_001, "window": 0}


def verdicts(*segments: tuple[dict[str, object], int]) -> list[tuple[int, str, str, Confidence]]:
    """Side, errno, rule and confidence of what segments of a server (fields, TTL) do to a client."""
    packets = [
        Ether() / IP(ttl=ttl, src="10.9.1.2", dst="10.9.0.1") / TCP(**{"sport": 80, "dport": 40_000} | fields)
        for fields, ttl in segments
    ]
    for place, packet in enumerate(packets):
        packet.time = 1_700_000_000 + place
    report = analyze(packets, rules=RULES)
    return [
        (verdict.side, verdict.errno, verdict.rule, verdict.confidence)
        for result in report.flows
        for verdict in result.verdicts
    ]


def test_it_is_possible() -> None:
    assert verdicts((REFUSED, 64)) == [(0, "ECONNREFUSED", "refused-without-syn", Confidence.POSSIBLE)]


@pytest.mark.parametrize(
    ("ttl", "fields"),
    [
        (57, {}),  # from afar: it may answer a SYN that somebody else sent in this host's name
        (128, {}),
        (64, {"seq": 1}),  # answers no SYN, or comes from an end that took part
        (64, {"flags": "R"}),
        (64, {"window": 1}),
        (64, {"sport": 40_001, "dport": 40_000}),  # which end is the client is a guess, and this one says: it
    ],
)
def test_what_looks_like_it_is_silent(ttl: int, fields: dict[str, object]) -> None:
    assert verdicts((REFUSED | fields, ttl)) == []


def test_silent_once_its_sender_was_heard_of() -> None:
    data = {"flags": "A", "seq": 500, "ack": 77_001}
    assert verdicts((data, 64), (REFUSED, 64)) == []
