"""Every sample: what errnoscope says against what the real programs got."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.data import load
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.finding import Confidence
from analyzer.model.flow import SIDES
from analyzer.model.host import Host
from analyzer.pipeline.files import analyze
from tests.truth import End, ends, load_truth

SAMPLES = rules_folder().parent / "samples"
RULES = load_rules(rules_folder())
TRUTHS = sorted(SAMPLES.glob("*/*.truth.json"))

UNDECIDABLE = {
    "port-reused-reset-dropped": "SYNs that stop early may as well mean that the program itself gave up",
    "port-reused-reset-dropped-ipv6": "SYNs that stop early may as well mean that the program itself gave up",
    "port-reused-time-wait-unanswered": "SYNs that stop early may mean that the program itself gave up",
    "reset-after-half-close": "close() and shutdown() look the same until more data is acknowledged",
    "data-after-shutdown-both-ways": "shutdown(SHUT_RDWR) looks like close(): nobody left to tell",
    "connect-timeout": "SYNs that stop early may as well mean that the program itself gave up",
    "syn-ack-never-arrives-stopped": "the same, seen at the server as well",
    "udp-host-unreachable-recverr": "whether a program set IP_RECVERR is not on the wire",
    "accept-queue-full-syn-dropped": "SYNs that stop early may as well mean that the program itself gave up",
    "next-hop-of-others-dead": "SYNs that stop early may as well mean that the program itself gave up",
    "next-hop-dead": "connect() fails before anything but ARP is on the wire",
    "next-hop-dead-ipv6": "connect() fails before anything but neighbour discovery is on the wire",
}
"""Failures that their captures cannot show from any place, and why."""

NOT_YET: dict[str, str] = {}
"""Failures that are not found yet, and why."""

BLIND = {
    "keepalive-timeout": {"server"},
    "one-way-loss": {"client", "server"},
    "one-way-loss-ipv6": {"client", "server"},
    "reset-by-firewall-established": {"server"},
    "reset-forged-both-ends": {"client", "middle", "server"},
    "reset-forged-both-ends-ipv6": {"client", "middle", "server"},
    "reset-forged-client-only": {"server"},
    "tls-hello-reset-by-filter": {"server"},
    "reset-forged-same-ttl": {"client", "middle", "server"},
    "retransmission-default": {"server"},
    "retransmission-icmp-soft-error": {"server"},
    "retransmission-timeout": {"server"},
    "retransmission-timeout-send-first": {"server"},
    "retransmission-timeout-server": {"client", "middle"},
    "retransmission-timeout-so-error-first": {"server"},
    "retransmission-user-timeout": {"server"},
}
"""Places that the packets which decide never reached, for one of the two ends."""

OUGHT = {
    "closed-without-answer": "premature-eof",
    "gave-up-before-answer": "gave-up-waiting",
    "gave-up-waiting": "gave-up-waiting",
    "gave-up-waiting-aborts": "gave-up-waiting",
    "gave-up-waiting-ipv6": "gave-up-waiting",
    "gave-up-waiting-unacknowledged": "gave-up-waiting",
    "gave-up-zero-window": "gave-up-sending",
    "keepalive-icmp": "keepalive-timeout",
    "keepalive-reset": "server-restarted",
    "keepalive-timeout": "keepalive-timeout",
    "keepalive-timeout-ipv6": "keepalive-timeout",
    "keepalive-user-timeout": "keepalive-timeout",
    "nat-forgot-passes-on": "server-restarted",
    "nat-forgot-resets": "reset-from-between",
    "premature-eof-client-hello": "tls-handshake-refused",
    "premature-eof-idle-close": "premature-eof",
    "premature-eof-mid-answer": "eof-in-message",
    "eof-in-tls-record": "eof-in-tls-record",
    "tls-alert-unrecognized-name": "tls-handshake-refused",
    "premature-eof-ipv6": "premature-eof",
    "premature-eof-second-request": "premature-eof",
    "server-killed": "rst-after-fin",
    "server-restarted": "server-restarted",
    "server-restarted-two-sends": "server-restarted",
    "server-restarted-waiting": "server-restarted",
    "udp-connection-refused": "udp-port-unreachable",
    "udp-connection-refused-ipv6": "udp-port-unreachable",
    "udp-connection-refused-later": "udp-port-unreachable",
    "udp-connection-refused-waiting": "udp-port-unreachable",
}
"""The rule that the client's verdict ought to come from, as soon as there is one of that name: calls cannot
tell where no errno is due, or where two rules give the same."""

HARMLESS = {
    "port-scan": "a scan gets what it wanted to know: it is counted, and silent",
}
"""Errors that harmed nobody, and are not told."""

AT_MOST_POSSIBLE = {
    "clean-notification-then-close": "a last message and one without an answer are the same packets",
    "clean-upload-server-closes": "an upload and a request without an answer are the same packets",
    "udp-refused-unconnected": "whether a UDP socket is connected is not on the wire",
}
"""No failures, but their packets cannot be told from one: a verdict may be possible, not more."""

NOT_YET_OUGHT: dict[str, str] = {
    "gave-up-waiting-unacknowledged": "the request may never have arrived: no answer was due for certain",
}
"""What OUGHT says and is not so yet, though there is a rule of that name, and why."""

WITHOUT_ERRNO = {
    "closed-without-answer": "premature-eof",
    "gave-up-before-answer": "gave-up-waiting",
    "gave-up-waiting": "gave-up-waiting",
}
"""Failures of which no call tells an errno, and the rule that finds each from every place."""

WITH_LIMITS = {
    "connect-timeout": "connect-timeout",
    "syn-ack-never-arrives-stopped": "connect-timeout",
    "accept-queue-full-syn-dropped": "connect-timeout",
    "retransmission-timeout": "retransmission-timeout",
    "retransmission-user-timeout": "retransmission-timeout",
}
"""Failures that are certain for the client once its limits are said, and their rule."""

THE_PATTERNS = {
    "connection-refused",
    "reset-by-peer",
    "rst-after-fin",
    "rst-in-accept-queue",
    "retransmission-storm",
    "retransmission-timeout",
    "icmp-unreachable-during-connect",
    "keepalive-timeout",
    "premature-eof",
    "gave-up-waiting",
}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.truth.json')}"


def judged(path: Path) -> list[tuple[End, str]]:
    truth = load_truth(path)
    report = analyze(path.with_name(truth["capture"]), rules=RULES)
    return [(end, end.judge()) for end in ends(truth, report)]


def limits(said: dict[str, int]) -> Host:
    """What of a truth's settings can be said of a host."""
    known = load("profiles/linux")["settings"]["names"]
    return Host(settings=tuple((key.lower(), value) for key, value in said.items() if key.lower() in known))


@pytest.mark.parametrize("path", [path for path in TRUTHS if "settings" in load_truth(path)], ids=name)
def test_verdicts_are_true_with_the_limits_that_were_set(path: Path) -> None:
    truth = load_truth(path)
    client, server = (limits(truth["settings"].get(side, {})) for side in SIDES)
    report = analyze(path.with_name(truth["capture"]), rules=RULES, client=client, server=server)
    found = list(ends(truth, report))
    assert [end.side for end in found if end.judge().startswith(("wrong", "false"))] == []
    if path.parent.name in WITH_LIMITS and truth["vantage"] != "server":
        told = [end.verdict for end in found if end.side == "client"]
        assert [(verdict.rule, verdict.confidence) for verdict in told if verdict] == [
            (WITH_LIMITS[path.parent.name], Confidence.CERTAIN)
        ]


@pytest.mark.parametrize("path", TRUTHS, ids=name)
def test_verdicts_are_true(path: Path) -> None:
    """A verdict agrees with every call that the program made after it; a program without error has none."""
    wrong = [(end, word) for end, word in judged(path) if word.startswith(("wrong", "false"))]
    if path.parent.name in AT_MOST_POSSIBLE:
        wrong = [
            (end, word)
            for end, word in wrong
            if end.verdict and end.verdict.confidence != Confidence.POSSIBLE
        ]
    assert [(end.side, word) for end, word in wrong] == []


@pytest.mark.parametrize("path", TRUTHS, ids=name)
def test_no_failure_is_missed(path: Path) -> None:
    """... but what the tables above name, and all of that: what is found by now must leave them."""
    scenario, vantage = path.parent.name, path.name.split(".")[0]
    excused = scenario in UNDECIDABLE | NOT_YET | HARMLESS or vantage in BLIND.get(scenario, set())
    missed = [end.side for end, word in judged(path) if word == "missed"]
    assert bool(missed) == excused, missed


@pytest.mark.parametrize("scenario", sorted(OUGHT))
def test_the_right_rule_decides(scenario: str) -> None:
    """Seen from the client; a rule that does not exist yet decides nothing."""
    ought = OUGHT[scenario]
    verdicts = [
        end.verdict for end, _ in judged(SAMPLES / scenario / "client.truth.json") if end.side == "client"
    ]
    decided = [verdict.rule for verdict in verdicts if verdict] == [ought]
    exists = ought in {rule.name for rule in RULES}
    assert decided == (exists and scenario not in NOT_YET_OUGHT), verdicts


@pytest.mark.parametrize("path", [p for p in TRUTHS if p.parent.name in WITHOUT_ERRNO], ids=name)
def test_failures_without_an_errno_are_found(path: Path) -> None:
    report = analyze(path.with_name(load_truth(path)["capture"]), rules=RULES)
    found = {(v.endpoint, v.rule, v.errno) for result in report.flows for v in result.verdicts}
    assert ("client", WITHOUT_ERRNO[path.parent.name], "") in found


@pytest.mark.parametrize("path", [p for p in TRUTHS if p.parent.name.startswith("clean-")], ids=name)
def test_clean_captures_have_no_verdict(path: Path) -> None:
    report = analyze(path.with_name(load_truth(path)["capture"]), rules=RULES)
    verdicts = [verdict for result in report.flows for verdict in result.verdicts]
    if path.parent.name in AT_MOST_POSSIBLE:
        assert {(verdict.errno, verdict.confidence) for verdict in verdicts} <= {("", Confidence.POSSIBLE)}
    else:
        assert verdicts == []


def test_every_pattern_is_found_in_a_real_capture() -> None:
    found = set()
    for path in TRUTHS:
        report = analyze(path.with_name(load_truth(path)["capture"]), rules=RULES)
        found |= {finding.rule for result in report.flows for finding in result.findings}
    assert found >= THE_PATTERNS


def test_enough_is_certain() -> None:
    """Confidence is not bought by doubting everything: with all that decides in sight, most are certain."""
    words = [
        end.verdict.confidence
        for path in TRUTHS
        if path.name.startswith("client.")
        for end, word in judged(path)
        if end.verdict and word == "right" and end.side == "client"
    ]
    assert words.count(Confidence.CERTAIN) > len(words) / 2
