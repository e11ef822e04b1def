"""How well a line and a candidate fit, time aside."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from analyzer.alignment.candidates import Basis, Candidate
from analyzer.model.flow import CLIENT, Endpoint
from analyzer.model.log_line import LogLine
from analyzer.model.rule import CALLS


class Said(IntEnum):
    """How the result of a call fits, the better the higher."""

    ELSEWHERE = 1
    """Another call returns it, or this one later."""
    CALL = 2
    HEADLINE = 3
    """It is what the program most probably met."""


class Ends(IntEnum):
    """How the addresses fit, the better the higher."""

    NONE = 0
    """The line has none."""
    PORT = 1
    ADDRESS = 2
    SERVICE = 3
    """Address and port of the server."""
    CLIENT = 4
    """Address and port of the client, which few connections share."""


class Fit(NamedTuple):
    """How well a line and a candidate fit."""

    ends: Ends
    said: Said
    basis: Basis


def fit(reading: LogLine, candidate: Candidate) -> Fit | None:
    """How well they fit; None where they contradict each other."""
    said = _said(reading, candidate)
    if said is None:
        return None
    ends = _of_peer(reading, candidate) if reading.peer is not None else _of_any(reading, candidate)
    return None if ends is None else Fit(ends, said, candidate.basis)


def _said(reading: LogLine, candidate: Candidate) -> Said | None:
    results = set(reading.results)
    calls = set(reading.calls) & set(CALLS) or set(CALLS)
    if "connect" in calls:
        calls.add("so_error")  # from there a program learns it that does not wait in connect()
    if candidate.headline in calls and candidate.calls.get(candidate.headline) in results:
        return Said.HEADLINE
    if any(candidate.calls.get(call) in results for call in calls):
        return Said.CALL
    if candidate.basis is Basis.WAIT:
        return None
    if "connect" in candidate.calls and calls <= {"accept", "recv", "send"}:
        return None  # it was never connected
    elsewhere = [*candidate.calls.values(), *candidate.later.values()]
    return Said.ELSEWHERE if results & set(elsewhere) else None


def _of_peer(reading: LogLine, candidate: Candidate) -> Ends | None:
    """The line says which of its addresses is the other end's."""
    ends = [_matches(endpoint, candidate.peer) for endpoint in reading.peer or ()]
    if not ends:
        return Ends.NONE
    best = max(ends)
    if best == _CLASH:
        return None
    own = _best(reading.endpoints, candidate.own) == _EXACT
    exact = Ends.CLIENT if own or candidate.side != CLIENT else Ends.SERVICE
    return exact if best == _EXACT else Ends.ADDRESS


_CLASH, _ADDRESS, _EXACT = 0, 1, 2


def _matches(endpoint: Endpoint, end: Endpoint) -> int:
    if endpoint.address != end.address:
        return _CLASH
    return _ADDRESS if not endpoint.port else _EXACT if endpoint.port == end.port else _CLASH


def _of_any(reading: LogLine, candidate: Candidate) -> Ends | None:
    flow = candidate.result.flow
    client, server = (_best(reading.endpoints, end) for end in (flow.client, flow.server))
    loose = set(reading.loose_ports)
    if loose and not loose & {flow.client.port, flow.server.port} and _EXACT not in (client, server):
        return None
    if reading.endpoints and client == server == _CLASH:
        return None
    if client == _EXACT:
        return Ends.CLIENT
    if server == _EXACT or (server == _ADDRESS and flow.server.port in loose):
        return Ends.SERVICE
    if reading.endpoints:
        return Ends.ADDRESS
    return Ends.PORT if flow.server.port in loose else Ends.NONE


def _best(endpoints: Iterable[Endpoint], end: Endpoint) -> int:
    return max((_matches(endpoint, end) for endpoint in endpoints), default=_CLASH)
