"""What the ends were taken for, and why, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analyzer.data import load
from analyzer.model.finding import FlowResult
from analyzer.model.flow import CLIENT, SERVER
from analyzer.model.host import Host, Likeness, System, taken_for, version_text
from analyzer.model.report import Report
from analyzer.reports.words import count, noun

SYSTEM_NAMES = {"linux": "Linux", "freebsd": "FreeBSD", "macos": "macOS", "windows": "Windows"}
_OPENINGS = ("SYN", "SYN+ACK")


def systems_text(report: Report) -> str:
    """A sentence about the systems and settings of client and server in the flows that are told of."""
    told = [result for result in report.flows if result.findings] or list(report.flows)
    what = noun(told)
    seen = [_taken(report, told, side) for side in (CLIENT, SERVER)]
    known = [_settings(host, list(taken)) for host, taken in zip(report.hosts, seen, strict=True)]
    alike = known[CLIENT] == known[SERVER]
    if alike and (both := _of_both(*map(list, seen)) or _of_all(seen[CLIENT], seen[SERVER], what)):
        return f"Both ends are taken to run {both} with {known[CLIENT]}."
    client, server = (_side(taken, side, what) for side, taken in enumerate(seen))
    if alike:
        return f"The client is taken to run {client}, the server {server}, both with {known[CLIENT]}."
    return (
        f"The client is taken to run {client} with {known[CLIENT]}, the server {server} with {known[SERVER]}."
    )


def elsewhere_text(text: str, system: str) -> str:
    """What the settings and commands of Linux that a text names are on another system; empty: nothing to say.

    ``On FreeBSD, for net.core.somaxconn: kern.ipc.soacceptqueue. Not known there: TCP_USER_TIMEOUT.``
    """
    named = [(name, there) for name, there in load("elsewhere")["names"].items() if name in text]
    if system == "linux" or not named:
        return ""
    known = [f"{name}: {there[system]}" for name, there in named if system in there]
    missing = [name for name, there in named if system not in there]
    parts = [f"On {SYSTEM_NAMES[system]}, for {'; for '.join(known)}."] if known else []
    if missing:
        parts.append(f"Not known of {SYSTEM_NAMES[system]}: {', '.join(missing)}.")
    return " ".join(parts)


def _taken(report: Report, told: Sequence[FlowResult], side: int) -> Counter[System]:
    """What that end was taken for, and in how many flows."""
    seen = Counter(result.systems[side] for result in told)
    return seen or Counter([taken_for(report.hosts[side])])


def _settings(host: Host, seen: list[System]) -> str:
    """The settings of those systems that it is taken to run."""
    names = {name for system in seen for name in load(f"profiles/{system.name}")["settings"]["names"]}
    settings = ", ".join(f"{name}={value:g}" for name, value in host.settings if name in names)
    return settings or "default settings"


def _name(system: System) -> str:
    name = SYSTEM_NAMES[system.name]
    return f"{name} {version_text(system.version)}" if system.version else name


def _of_both(clients: list[System], servers: list[System]) -> str:
    """What both ends run in all flows, and why they are taken to; empty where that is not the same."""
    if len(clients) > 1 or len(servers) > 1 or _name(clients[0]) != _name(servers[0]):
        return ""
    client, server = clients[0], servers[0]
    likenesses = {client.likeness, server.likeness}
    if likenesses <= {Likeness.SIGNATURE, Likeness.OPTIONS}:
        return f"{_name(client)} (their SYNs look like it)"
    if likenesses == {Likeness.NONE}:
        return f"{_name(client)} (nothing tells what they run)"
    reasons = [_reason(client, "the client"), _reason(server, "the server")]
    told = "; ".join(reason for reason in reasons if reason)
    return f"{_name(client)} ({told})" if told else _name(client)


def _of_all(clients: Counter[System], servers: Counter[System], what: str) -> str:
    """One system at both ends of all flows, although not everywhere for the same reason; else empty."""
    names = {_name(system) for system in (*clients, *servers)}
    likenesses = {system.likeness for system in (*clients, *servers)}
    if len(names) > 1 or not likenesses <= {Likeness.SIGNATURE, Likeness.OPTIONS, Likeness.NONE}:
        return ""
    silent = max(
        sum(n for s, n in seen.items() if s.likeness is Likeness.NONE) for seen in (clients, servers)
    )
    of = f"{silent:,} of {count(clients.total(), what)}"
    return f"{names.pop()} (their SYNs look like it; in {of} nothing tells what an end runs)"


def _side(seen: Counter[System], side: int, what: str) -> str:
    """``Linux (its SYN looks like it)``; where it differs from flow to flow, each with how often."""
    texts = [f"{_name(system)}{_in_brackets(system, side)}" for system, _ in seen.most_common()]
    if len(texts) == 1:
        return texts[0]
    parts = [
        f"{text} in {count(number, what)}"
        for text, (_, number) in zip(texts, seen.most_common(), strict=True)
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _in_brackets(system: System, side: int) -> str:
    reason = _reason(system, "it", _OPENINGS[side])
    return f" ({reason})" if reason else ""


def _reason(system: System, end: str, opening: str = "") -> str:
    """Why ``end`` (the client, the server, it) is taken to run this system."""
    owner = "its" if end == "it" else f"{end}'s"
    its = f"{owner} {opening or _OPENINGS[end == 'the server']}"
    return {
        Likeness.GIVEN: "",
        Likeness.SIGNATURE: f"{its} looks like it",
        Likeness.OPTIONS: f"by the options of {its}",
        Likeness.TTL: "a guess by its TTL alone",
        Likeness.OTHER: f"{its} is that of a system which is not known here",
        Likeness.NONE: f"nothing tells what {end} runs",
    }[system.likeness]
