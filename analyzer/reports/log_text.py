"""What a log line, an errno or another word means, for people; and the same as plain values."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from analyzer.data import load
from analyzer.model.checked import FIRST_LOCAL_PORT
from analyzer.model.log_line import LogLine
from analyzer.model.rule import CALLS, Rule
from analyzer.reports.layout import INDENT, labelled, wrapped
from analyzer.reports.printable import printable
from analyzer.reports.words import call_name

_PLATFORMS = {"linux": "Linux", "freebsd": "FreeBSD", "macos": "macOS", "windows": "Windows"}
FOREIGN = (
    "nothing that happens on a network makes connect(), accept(), recv() or send() of a TCP or UDP socket "
    "return it: it comes from a file, a Unix socket, another process, or a wrong call"
)
_OTHER = {"OK", "EOF", "BLOCKS", "OWN"}
_RULES = 8


def rules_giving(result: str, rules: Sequence[Rule], calls: Sequence[str] = ()) -> list[Rule]:
    """The rules by which a program on Linux gets this result, from one of these calls if any are named.

    In the order of their ids, which follow the life of a connection; a special case of others comes after
    all that are none, and after these.
    """
    found = {r.name: r for r in rules if r.severity.value == "error" and _gives(r, result, calls)}

    def depth(rule: Rule) -> int:
        return max((1 + depth(found[name]) for name in rule.refines if name in found), default=0)

    return sorted(found.values(), key=lambda rule: (depth(rule), rule.id))


def _gives(rule: Rule, result: str, calls: Sequence[str]) -> bool:
    outcome = rule.outcomes["linux"]
    if result in _OTHER:  # beside an errno that another call gets it is no failure of its own
        errnos = [value for value in outcome.calls.values() if value not in _OTHER]
        return result in outcome.calls.values() and (not errnos or result == outcome.calls.get(outcome.call))
    by_icmp = _can_be(rule.condition, result)
    found = {c for c, value in outcome.calls.items() if value == result or (by_icmp and _is_icmps(value))}
    return bool(found & set(calls) if set(calls) & set(CALLS) else found)


def _is_icmps(value: str) -> bool:
    """Whether an outcome is a field that holds an ICMP message's errno."""
    return value.startswith("icmp.") or value.endswith("soft_errno")


def _can_be(condition: str, errno: str) -> bool:
    """Whether an ICMP message that a condition lets pass can have this errno, as far as it names meanings."""
    tables = load("profiles/linux")["icmp"]
    entries = [entry for version in ("v4", "v6") for entry in tables[version].values()]
    meanings = {entry["meaning"] for entry in entries if entry.get("errno") == errno}
    whole = ast.parse(condition.strip(), mode="eval").body
    for part in whole.values if isinstance(whole, ast.BoolOp) and isinstance(whole.op, ast.And) else [whole]:
        if isinstance(part, ast.Compare) and ast.unparse(part.left) == "icmp.meaning":
            told = ast.literal_eval(part.comparators[0])
            named = {told} if isinstance(told, str) else set(told)
            excludes = isinstance(part.ops[0], (ast.NotEq, ast.NotIn))
            meanings = meanings - named if excludes else meanings & named
    return bool(meanings)


def line_lines(reading: LogLine, rules: Sequence[Rule]) -> Iterable[str]:
    """A log line in full."""
    yield printable(reading.line.strip())
    yield ""
    yield from labelled("program", reading.program or "any: the line does not tell")
    if calls := [call_name(call) for call in reading.calls if call != "any"]:
        yield from labelled("call", " or ".join(calls))
    yield from labelled("got", " or ".join(_result(result, reading) for result in reading.results))
    if reading.means:
        yield from labelled("means", reading.means)
    if reading.trap:
        yield from labelled("beware", reading.trap)
    for result in reading.results:
        yield from _behind(result, rules, reading.calls, heading=len(reading.results) > 1)
    yield from _capture(reading)


def _result(result: str, reading: LogLine) -> str:
    known = load("errno")["errno"]
    if result in known:
        entry = known[result]
        places = " and ".join(map(_platform, _alike(entry["numbers"], reading)))
        where = f", {places}" if places else ""
        number = reading.number if reading.number is not None else entry["numbers"].get("linux")
        text = entry.get(load("errno")["texts"].get(reading.platform)) or entry["text"]
        return f'{result} ({number}{where}: "{text}")'
    return f"{load('errno_notes')['results'][result]['title']}, no errno"


def _alike(numbers: dict[str, int], reading: LogLine) -> Iterable[str]:
    """The platform of a line, and those that print the same number and the same text for it."""
    kinds = load("errno")["texts"]
    if reading.platform not in kinds:
        return [reading.platform] if reading.platform else []
    kind = kinds[reading.platform]
    alike = [on for on in kinds if kinds[on] == kind and numbers.get(on) == reading.number]
    return sorted(alike, key=load("errno")["platforms"].index)


def errno_lines(name: str, rules: Sequence[Rule], platform: str = "") -> Iterable[str]:
    """An errno in full: its numbers, or that of one platform, and what makes it."""
    entry = load("errno")["errno"][name]
    yield f"{name}: {entry['text']}"
    yield ""
    numbers: dict[int, list[str]] = {}
    for known, number in entry["numbers"].items():
        if platform in ("", known):
            numbers.setdefault(number, []).append(_platform(known))
    told = "; ".join(f"{number} {', '.join(platforms)}" for number, platforms in numbers.items())
    yield from labelled("number", told or _instead(name, platform))
    calls = load("errno_notes")["errno"].get(name, {}).get("calls", [])
    yield from labelled(
        "calls", ", ".join("any call" if call == "any" else call_name(call) for call in calls)
    )
    yield from _behind(name, rules, ())


def _instead(name: str, platform: str) -> str:
    """What is said of an errno that a platform does not have."""
    known, winsock = load("errno")["errno"], load("errno")["winsock"]
    told = f"none: {_platform(platform)} does not have it"
    other = winsock["instead_of"].get(name) if platform == winsock["platform"] else None
    if other is None:
        return told
    return f"{told}; {winsock['prefix']}{other} ({known[other]['numbers'][platform]}) stands for it"


def foreign_lines(name: str, number: int, text: str, platform: str) -> Iterable[str]:
    """An errno that no socket of TCP or UDP gives."""
    yield f"{name}: {text}"
    yield ""
    yield from labelled("number", f"{number} {_platform(platform)}")
    yield from labelled("calls", FOREIGN)
    yield ""
    yield from labelled("wire", "nothing: it never shows in a capture")
    yield from labelled(
        "do", "look which call gave it, and to what: the words before it in the line say so, or"
    )
    yield from labelled("", "strace -f -y -e trace=file,network,process -p PID", whole=True)


def elsewhere_line(number: int, platform: str, platforms: dict[str, str]) -> str:
    """What a number is that this platform does not have, and what number it has for that."""
    name = next(iter(platforms.values()))
    own = load("errno")["errno"][name]["numbers"].get(platform)
    prefix = load("errno")["winsock"]["prefix"] if platform == load("errno")["winsock"]["platform"] else ""
    there = f"where {prefix}{name} is {own}" if own else f"where there is no {name}"
    line = number_line(number, platforms)
    return f"{line}, and no error of sockets on {_platform(platform)}, {there}"


def number_line(number: int, platforms: dict[str, str]) -> str:
    """What a number is where."""
    names: dict[str, list[str]] = {}
    for platform, name in platforms.items():
        names.setdefault(name, []).append(_platform(platform))
    return f"{number} is " + "; ".join(f"{name} on {', '.join(where)}" for name, where in names.items())


def topic_lines(topic: dict[str, Any]) -> Iterable[str]:
    """A word that is neither errno nor rule."""
    yield topic["title"]
    yield ""
    for line in wrapped(topic["text"], 75):
        yield INDENT + line
    if "errno" in topic:
        yield ""
        yield from labelled("more", f"errnoscope explain {topic['errno']}", whole=True)


def _behind(
    result: str, rules: Sequence[Rule], calls: Sequence[str], *, heading: bool = False
) -> Iterable[str]:
    """What makes it, which rules find it, and where books differ."""
    notes = load("errno_notes")
    entry = notes["errno"].get(result) or notes["results"].get(result) or {}
    yield ""
    if heading:
        yield result if result not in notes["results"] else notes["results"][result]["title"]
    causes = entry.get("wire", [])
    if not causes:
        yield from labelled("wire", "nothing: it never shows in a capture")
    for index, cause in enumerate(causes):
        yield from labelled("wire" if index == 0 else "", cause)
    if "host" in entry:
        yield from labelled("host", entry["host"])
    if "apart" in entry:
        yield from labelled("apart", entry["apart"])
    if "books" in entry:
        yield from labelled("but", entry["books"])
    giving = rules_giving(result, rules, calls)
    for index, rule in enumerate(giving[:_RULES]):
        yield from labelled("rules" if index == 0 else "", f"{rule.name}: {rule.title}")
    for index, rule in enumerate(giving[:_RULES]):
        if len(giving) <= 2:
            yield from labelled("do", rule.fix)
        elif index == 0:
            yield from labelled(
                "do", f"find out which: errnoscope explain {rule.name} (and so on) says what to do"
            )


def _capture(reading: LogLine) -> Iterable[str]:
    yield ""
    yield from labelled("capture", tcpdump(reading), whole=True)
    yield from labelled("", "errnoscope analyze trace.pcap --log LOGFILE", whole=True)


def tcpdump(reading: LogLine) -> str:
    """A command that records what the line speaks of."""
    hosts = [address for address in reading.addresses if address not in ("0.0.0.0", "::")]  # noqa: S104
    parts = [f"host {hosts[0]}"] if len(hosts) == 1 else []
    if len(hosts) > 1:
        parts = ["(" + " or ".join(f"host {host}" for host in hosts[:4]) + ")"]
    lasting = [port for port in reading.ports if port < FIRST_LOCAL_PORT] or reading.ports
    if lasting:  # a client's port will be another one the next time
        ports = " or ".join(f"port {port}" for port in lasting[:4])
        parts.append(f"({ports})" if len(lasting) > 1 and parts else ports)
    where = " and ".join(parts)
    wanted = f"({where}) or icmp or icmp6 or arp" if where else "tcp or icmp or icmp6 or arp"
    return f"tcpdump -i any -w trace.pcap {shlex.quote(wanted)}"


def _platform(platform: str) -> str:
    system, _, machine = platform.partition("/")
    name = _PLATFORMS.get(system, system.replace("windows_crt", "Windows' C runtime"))
    return f"{name} on {machine}" if machine else name


def plain_line(reading: LogLine, rules: Sequence[Rule]) -> dict[str, Any]:
    """A log line as dictionaries and lists."""
    return {
        "line": reading.line,
        "program": reading.program or None,
        "calls": list(reading.calls),
        "results": [plain_errno(result, rules, reading.calls) for result in reading.results],
        "number": reading.number,
        "platform": reading.platform or None,
        "means": reading.means,
        "trap": reading.trap,
        "evidence": reading.evidence,
        "capture": tcpdump(reading),
    }


def plain_errno(
    name: str, rules: Sequence[Rule], calls: Sequence[str] = (), platform: str = ""
) -> dict[str, Any]:
    """An errno, or EOF, BLOCKS, OWN, as dictionaries and lists; its numbers, or that of one platform."""
    notes = load("errno_notes")
    entry = notes["errno"].get(name) or notes["results"].get(name) or {}
    known = load("errno")["errno"].get(name, {})
    return {
        "name": name,
        "errno": name in load("errno")["errno"],
        "text": known.get("text", entry.get("title", "")),
        "numbers": {on: n for on, n in known.get("numbers", {}).items() if platform in ("", on)},
        "calls": entry.get("calls", []),
        "wire": entry.get("wire", []),
        "host": entry.get("host", ""),
        "apart": entry.get("apart", ""),
        "books": entry.get("books", ""),
        "rules": [rule.name for rule in rules_giving(name, rules, calls)],
    }
