"""Reasons of resets; tests/test_score.py holds them against what the kernels' tracepoints said."""

from __future__ import annotations

import pytest

from analyzer.data import load
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.flow import SIDES
from analyzer.pipeline.tracing import trace

RULES = load_rules(rules_folder())

# include/net/rstreason.h of Linux 6.18
KNOWN = {
    "NO_SOCKET", "TCP_INVALID_ACK_SEQUENCE", "TCP_RFC7323_PAWS", "TCP_TOO_OLD_ACK", "TCP_ACK_UNSENT_DATA",
    "TCP_FLAGS", "TCP_OLD_ACK", "TCP_ABORT_ON_DATA", "TCP_TIMEWAIT_SOCKET", "INVALID_SYN",
    "TCP_ABORT_ON_CLOSE", "TCP_ABORT_ON_LINGER", "TCP_ABORT_ON_MEMORY", "TCP_STATE",
    "TCP_KEEPALIVE_TIMEOUT", "TCP_DISCONNECT_WITH_DATA",
}  # fmt: skip


def test_the_cases_name_known_reasons_and_three_at_most() -> None:
    for case in load("reset_reasons")["cases"]:
        assert 1 <= len(case["reasons"]) <= 3
        assert len(set(case["reasons"])) == len(case["reasons"])
        assert set(case["reasons"]) <= KNOWN


HANDSHAKE = """
client > server  S   0:0(0)
server > client  S.  0:0(0) ack 1
client > server  .   1:1(0) ack 1
"""


def reasons(packets: str) -> tuple[str, ...]:
    """Of the only finding about a reset."""
    results, _ = trace(RULES, packets=packets)
    found = {f.reset_reason for result in results for f in result.findings if f.reset_sender in SIDES}
    assert len(found) == 1, found
    return found.pop()


def test_a_device_between_has_no_kernels_reason() -> None:
    results, _ = trace(
        RULES,
        packets=HANDSHAKE.replace("ack 1\nclient", "ack 1 ttl 62\nclient")
        + "client > server P. 1:11(10) ack 1\nserver > client R 1:1(0) win 0 ttl 63",
    )
    findings = [f for result in results for f in result.findings]
    assert [(f.reset_sender, f.reset_reason) for f in findings] == [("middle", ())]


@pytest.mark.parametrize(
    ("packets", "first"),
    [
        ("client > server S 0:0(0)\nserver > client R. 0:0(0) ack 1 win 0", "NO_SOCKET"),
        (HANDSHAKE + "server > client R. 1:1(0) ack 1", "TCP_STATE"),
        (
            HANDSHAKE
            + "client > server P. 1:11(10) ack 1\n"
            + "server > client . 1:1(0) ack 11\nserver > client R. 1:1(0) ack 11",
            "TCP_ABORT_ON_CLOSE",
        ),
        (
            HANDSHAKE
            + "server > client F. 1:1(0) ack 1\n+1 client > server P. 1:11(10) ack 2\n"
            + "server > client R 2:2(0) win 0",
            "TCP_TIMEWAIT_SOCKET",
        ),
        (
            HANDSHAKE
            + "server > client F. 1:1(0) ack 1\nclient > server P. 1:11(10) ack 1\n"
            + "server > client R 1:1(0) win 0",
            "TCP_ABORT_ON_DATA",
        ),
    ],
)
def test_the_most_probable_reason(packets: str, first: str) -> None:
    assert reasons(packets)[0] == first
