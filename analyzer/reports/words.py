"""Sentences and numbers as people read them; shared by the text reports."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from analyzer.data import load
from analyzer.model.capture import Capture
from analyzer.model.finding import CallTable, FlowResult, Verdict
from analyzer.model.flow import SIDES
from analyzer.model.host import system_of
from analyzer.model.rule import RESULTS

_CALLS = {"so_error": "getsockopt(SO_ERROR)"}
_RESULTS = {"OK": "works", "EOF": "end of file", "BLOCKS": "does not return"}


def call_name(call: str) -> str:
    """``recv()``; SO_ERROR with the call that reads it."""
    return _CALLS.get(call, f"{call}()")


def result_name(result: str) -> str:
    """An errno's name, or words for the rest."""
    return _RESULTS.get(result, result)


def errno_name(errno: str, verdict: Verdict) -> str:
    """``EPIPE (32, "Broken pipe")``; ``ECONNRESET (WSAECONNRESET, 10054)`` where Winsock has its own."""
    known = load("errno")
    texts = known["errno"][errno]
    which = known["texts"].get(system_of(verdict.platform), "")
    parts = [
        verdict.platform_name if errno == verdict.errno != verdict.platform_name else "",
        "" if verdict.number is None else str(verdict.number),
        f'"{texts.get(which, texts["text"])}"' if which else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"{errno} ({told})" if told else errno


def headline(verdict: Verdict) -> str:
    """What the program at one end got, in a sentence."""
    table = verdict.table
    result = table.calls[table.call]
    others = [call for call in ("recv", "send") if call != table.call and table.calls.get(call) == result]
    either = f" (or {call_name(others[0])}, if that came first)" if others and table.call != "connect" else ""
    subject = f"The {SIDES[verdict.side]}'s {call_name(table.call)}{either}"
    if result in RESULTS:
        said = {"EOF": "returned 0 (end of file, no errno)", "BLOCKS": "never returned", "OK": "worked"}[
            result
        ]
        return f"{subject} {said}."
    signal = signal_of(table.call, result)
    ending = f" and the signal {signal}" if signal else ""
    return f"{subject} failed with {errno_name(result, verdict)}{ending}."


def short_headline(verdict: Verdict) -> str:
    """The same without a verb: ``recv(): ECONNRESET (104, "Connection reset by peer")``."""
    table = verdict.table
    result = table.calls[table.call]
    if result in RESULTS:
        return f"{call_name(table.call)}: {result_name(result)}"
    signal = signal_of(table.call, result)
    return f"{call_name(table.call)}: {errno_name(result, verdict)}{f' and {signal}' if signal else ''}"


def calls_in_words(table: CallTable) -> str:
    """What each call gives if it is the first one, equal results together."""
    return _table_in_words(table.calls)


def later_in_words(table: CallTable) -> str:
    """What each call gives once the error was delivered."""
    return _table_in_words(table.later)


def signal_of(call: str, result: str) -> str:
    """The signal that a call raises with this result, or nothing."""
    name: str = load("errno")["signals"].get(call, {}).get(result, "")
    return name


def _table_in_words(results: dict[str, str]) -> str:
    groups: dict[str, list[str]] = {}
    for call, result in results.items():
        words = "no error" if result == "OK" and call == "so_error" else result_name(result)
        if signal := signal_of(call, result):
            words += f" with {signal}"
        groups.setdefault(words, []).append(call_name(call))
    return "; ".join(f"{', '.join(calls)}: {words}" for words, calls in groups.items())


def moment(time: int) -> str:
    """A time in nanoseconds as date and time of day, to the millisecond, in UTC."""
    at = datetime.fromtimestamp(time // 10**9, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{time // 10**6 % 1000:03d} UTC"


def came(time: int, start: int) -> str:
    """When something came, as the ladder counts and in UTC: ``0.443 s, 05:56:23.685 UTC``.

    The day stands before it where it is not that of the start.
    """
    at = moment(time)
    return f"{(time - start) / 1e9:.3f} s, {at.split(' ', 1)[1] if at[:10] == moment(start)[:10] else at}"


def noun(flows: Iterable[FlowResult]) -> str:
    """What one of them is called."""
    return noun_of(result.flow.protocol for result in flows)


def noun_of(protocols: Iterable[str]) -> str:
    """What a flow of one of these protocols is called."""
    return {("udp",): "UDP flow", ("tcp", "udp"): "flow"}.get(tuple(sorted(set(protocols))), "connection")


def clock(time: int) -> str:
    """A time in nanoseconds as time of day in UTC, to the second."""
    return f"{datetime.fromtimestamp(time // 10**9, UTC):%H:%M:%S}"


def silence(captures: Iterable[Capture]) -> str:
    """``10.0.0.7 did not answer ARP``: hosts that are not there, or nothing; their problems say all of it."""
    hosts = list(dict.fromkeys(address for capture in captures for address in capture.silent))
    if not hosts:
        return ""
    asked = {"neighbour discovery" if ":" in host else "ARP" for host in hosts}
    more = f" and {count(len(hosts) - 1, 'more host')}" if len(hosts) > 1 else ""
    return f"{hosts[0]}{more} did not answer {' or '.join(sorted(asked))}"


def silence_means(silent: str) -> str:
    """What follows from such a silence, in a clause."""
    return f"{silent}: a connect() that waited for the answer would have failed, without a packet of its own"


def count(number: int, noun: str) -> str:
    """``1 frame``, ``2,000 frames``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
