"""Every ICMP error, through the whole pipeline, against what Linux 6.18.44 was measured to do."""

from __future__ import annotations

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.finding import FlowResult
from analyzer.pipeline.tracing import trace

RULES = load_rules(rules_folder())

EFFECTS = {
    4: {
        (3, 0): ("ENETUNREACH", "recverr"),
        (3, 1): ("EHOSTUNREACH", "recverr"),
        (3, 2): ("ENOPROTOOPT", "hard"),
        (3, 3): ("ECONNREFUSED", "hard"),
        (3, 5): ("EOPNOTSUPP", "recverr"),
        (3, 6): ("ENETUNREACH", "hard"),
        (3, 7): ("EHOSTDOWN", "hard"),
        (3, 8): ("ENONET", "hard"),
        (3, 9): ("ENETUNREACH", "hard"),
        (3, 10): ("EHOSTUNREACH", "hard"),
        (3, 11): ("ENETUNREACH", "recverr"),
        (3, 12): ("EHOSTUNREACH", "recverr"),
        (3, 13): ("EHOSTUNREACH", "hard"),
        (3, 14): ("EHOSTUNREACH", "hard"),
        (3, 15): ("EHOSTUNREACH", "hard"),
        (11, 0): ("EHOSTUNREACH", "recverr"),
        (12, 0): ("EPROTO", "hard"),
        (12, 1): ("EPROTO", "hard"),
        (12, 2): ("EPROTO", "hard"),
    },
    6: {
        (1, 0): ("ENETUNREACH", "recverr"),
        (1, 1): ("EACCES", "hard"),
        (1, 2): ("EHOSTUNREACH", "recverr"),
        (1, 3): ("EHOSTUNREACH", "recverr"),
        (1, 4): ("ECONNREFUSED", "hard"),
        (1, 5): ("EACCES", "hard"),
        (1, 6): ("EACCES", "hard"),
        (1, 7): ("EPROTO", "hard"),
        (3, 0): ("EHOSTUNREACH", "recverr"),
        (3, 1): ("EHOSTUNREACH", "recverr"),
        (4, 0): ("EPROTO", "hard"),
        (4, 1): ("EPROTO", "hard"),
        (4, 2): ("EPROTO", "hard"),
    },
}
"""By IP version, type and code: the errno, and whether a connected UDP socket gets it unless it asks."""

NO_EFFECT = {4: [(3, 4), (3, 16), (4, 0), (5, 0), (5, 1), (11, 1)], 6: [(2, 0)]}
"""Those that say nothing to a TCP program: of path MTU, of routes, of fragments, or without a meaning."""

EVERY = [(version, *code, *effect) for version, codes in EFFECTS.items() for code, effect in codes.items()]
SILENT = [(version, *code) for version, codes in NO_EFFECT.items() for code in codes]

ATTEMPT = "client > server S 0:0(0)"
OPEN = "client > server S 0:0(0)\nserver > client S. 0:0(0) ack 1\nclient > server . 1:1(0) ack 1"
LOST = "client > server P. 1:11(10) ack 1"
ALL_OF_THEM = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 120, 120, 120, 120, 120)
"""When Linux sends lost data again with default settings: tcp_retries2=15."""


def told(version: int, *lines: str) -> FlowResult | None:
    """What is found in these packets, which are of one flow."""
    results, _ = trace(RULES, packets="\n".join([*(["ipv6"] if version == 6 else []), *lines]), name="test")
    return results[0] if results else None


@pytest.mark.parametrize(("version", "icmp_type", "code", "errno", "datagram"), EVERY)
def test_it_ends_connect(version: int, icmp_type: int, code: int, errno: str, datagram: str) -> None:
    result = told(version, ATTEMPT, f"+0.5 router > client icmp {icmp_type}/{code} [0:0(0)]", "+200 end")
    assert result is not None
    [verdict] = result.verdicts
    assert (verdict.rule, verdict.errno) == ("icmp-unreachable-during-connect", errno)
    assert verdict.table.calls["connect"] == errno
    assert verdict.confidence.value == "certain"


@pytest.mark.parametrize(("version", "icmp_type", "code", "errno", "datagram"), EVERY)
def test_it_takes_the_place_of_a_timeout(
    version: int, icmp_type: int, code: int, errno: str, datagram: str
) -> None:
    again = [f"+{gap} {LOST}" for gap in ALL_OF_THEM]
    icmp = f"router > client icmp {icmp_type}/{code} [1:11(10)]"
    result = told(version, OPEN, LOST, *again[:9], icmp, *again[9:], "+300 end")
    assert result is not None
    [verdict] = result.verdicts
    assert (verdict.rule, verdict.errno) == ("icmp-unreachable-soft", errno)


@pytest.mark.parametrize(("version", "icmp_type", "code", "errno", "datagram"), EVERY)
def test_it_reaches_a_connected_udp_socket(
    version: int, icmp_type: int, code: int, errno: str, datagram: str
) -> None:
    icmp = f"+0.1 router > client icmp {icmp_type}/{code} [udp (10)]"
    result = told(version, "client > server udp (10)", icmp)
    errnos = [verdict.errno for verdict in result.verdicts] if result else []
    assert errnos == ([errno] if datagram == "hard" else [])


@pytest.mark.parametrize(("version", "icmp_type", "code"), SILENT)
def test_it_ends_nothing(version: int, icmp_type: int, code: int) -> None:
    icmp = f"+0.1 router > client icmp {icmp_type}/{code} [0:0(0)]"
    assert told(version, ATTEMPT, icmp, "server > client S. 0:0(0) ack 1") is None
    icmp = f"+0.1 router > client icmp {icmp_type}/{code} [1:11(10)]"
    assert told(version, OPEN, LOST, icmp, "server > client . 1:1(0) ack 11") is None
