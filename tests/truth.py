"""What real programs got, held against what errnoscope says of the same connections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.model.finding import Verdict
from analyzer.model.flow import SIDES, Flow
from analyzer.model.report import Report

NO_ERROR = ("OK", "EOF")
TELLS = ("connect", "accept", "recv", "send", "so_error")
"""The calls that a verdict speaks of: shutdown() fails on a socket that is dead already."""
SLACK_S = 0.002
"""A call that returned so near to the error may have begun, and been decided, before it."""
UNDER_WAY_S = 0.02
"""A call that succeeded so shortly after the error had begun before it."""
TIMER_SLACK = 0.6
"""Part of a silence by which its end may come early: TCP_USER_TIMEOUT may strike at any moment between two
retransmissions, and the shadow names the latest one."""


@dataclass(frozen=True)
class End:
    """One end of one connection: what its program got, and the verdict (None: none was given)."""

    side: str
    calls: list[dict[str, Any]]
    verdict: Verdict | None

    @property
    def first_error(self) -> dict[str, Any] | None:
        """The first call that got an errno."""
        failed = (call for call in self.calls if call["result"] not in NO_ERROR and call["call"] in TELLS)
        return next(failed, None)

    def after(self, verdict: Verdict) -> list[dict[str, Any]]:
        """The calls that the verdict speaks of, made from its time on."""
        since = verdict.time / 1e9 - self._slack(verdict)
        calls = [call for call in self.calls if call["t"] >= since and call["call"] in verdict.table.calls]
        while calls and _under_way(calls[0], verdict) and _had_begun(calls[0], verdict):
            del calls[0]
        return [call for call in calls if not is_buffered(call)]

    def _slack(self, verdict: Verdict) -> float:
        """Silence is measured, a reset is seen."""
        if not verdict.rule.endswith(("timeout", "soft")):
            return SLACK_S
        began = min(call["t"] for call in self.calls)
        return float(TIMER_SLACK * (verdict.time / 1e9 - began))

    def judge(self) -> str:
        """``right``, ``unproven``, ``missed``, ``false alarm: ...``, ``wrong: ...`` or ``quiet``."""
        error, verdict = self.first_error, self.verdict
        if verdict is None:
            return "missed" if error else "quiet"
        after = self.after(verdict)
        if not after:
            return "unproven"
        if not verdict.errno and _agrees(verdict, after) and _met(verdict, after):
            return "right"  # an end of file where an answer was due
        if error is None and _agrees(verdict, after):
            return "unproven"  # what it met so far is what the verdict says of those calls
        if error is None:
            return f"false alarm: {verdict.errno} by {verdict.rule}, the program got none"
        told = [f"{c['call']}={c['result']}" for c in after]
        return "right" if _agrees(verdict, after) else f"wrong: {verdict.table} against {told}"


def is_buffered(call: dict[str, Any]) -> bool:
    """Data that had arrived before is read first, which says nothing about the error."""
    return bool(call["call"] == "recv" and call["result"] == "OK")


def _under_way(call: dict[str, Any], verdict: Verdict) -> bool:
    """It returned shortly after the error; or a send(), which waits for nothing but room, was made before."""
    when = verdict.time / 1e9
    sent_before = call["call"] == "send" and call.get("began", when) < when
    return bool(call["t"] < when + UNDER_WAY_S or sent_before)


def _had_begun(call: dict[str, Any], verdict: Verdict) -> bool:
    """It succeeded, and not as the verdict says."""
    headline = not verdict.errno and call["call"] == verdict.table.call
    return call["result"] in NO_ERROR and not (
        headline and call["result"] == verdict.table.calls[call["call"]]
    )


def _met(verdict: Verdict, after: list[dict[str, Any]]) -> bool:
    """The program made the call of the headline, and got what it says."""
    table = verdict.table
    return any(call["call"] == table.call and call["result"] == table.calls[table.call] for call in after)


def _agrees(verdict: Verdict, after: list[dict[str, Any]]) -> bool:
    """Every call gave what ``calls`` says until one delivered the errno, then what ``later`` says."""
    table = verdict.table
    delivered = False
    for call in after:
        name, result = call["call"], call["result"]
        expected = (table.later if delivered else table.calls).get(name)
        if expected is not None and result != expected:
            return False
        delivered = delivered or result not in NO_ERROR
    return True


def ends(truth: dict[str, Any], report: Report) -> Iterator[End]:
    """Every observed end of every connection of a truth file."""
    found: dict[tuple[int, str], Verdict] = {}
    for result in report.flows:
        number = _connection(truth, result.flow)
        for verdict in result.verdicts:
            found.setdefault((number, SIDES[verdict.side]), verdict)
    for number, connection in enumerate(truth["connections"]):
        for side, calls in connection["calls"].items():
            if calls is not None:
                yield End(side, calls, found.get((number, side)))


def _connection(truth: dict[str, Any], flow: Flow) -> int:
    """The number of the connection that this flow is; a port may be used again. -1: none of them."""
    here = (_key(flow.client), _key(flow.server))
    same = [
        (_began(connection), number)
        for number, connection in enumerate(truth["connections"])
        if (tuple(connection["client"]), tuple(connection["server"])) == here
    ]
    before = [number for began, number in same if began <= flow.start / 1e9 + SLACK_S]
    return before[-1] if before else same[0][1] if same else -1


def _began(connection: dict[str, Any]) -> float:
    """When the client made its first call."""
    calls = connection["calls"]["client"] or connection["calls"]["server"]
    return float(calls[0].get("began", calls[0]["t"]) if calls else 0.0)


def _key(endpoint: Any) -> tuple[str, int]:
    return (endpoint.address, endpoint.port)


def load_truth(path: Path) -> dict[str, Any]:
    """A truth file."""
    truth: dict[str, Any] = json.loads(path.read_text())
    return truth
