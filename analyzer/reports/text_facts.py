"""What all connections together say of a failure, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from analyzer.model.finding import FlowResult
from analyzer.model.report import Evidence, SeenTwice
from analyzer.model.times import duration
from analyzer.reports.groups import Group
from analyzer.reports.words import clock, count, noun

_HOSTS = 4


def who(group: Group) -> str:
    """``871 connections from 14 hosts (...) to 10.0.9.30:5432, 10:07:12 to 10:09:40 UTC.``"""
    flow, hosts = group.first.flow, group.hosts
    server = f"{flow.server} in {flow.tunnel}" if flow.tunnel else str(flow.server)
    first, last = group.times
    if len(group.members) == 1:
        return f"{flow.client} -> {server}, {clock(first)} UTC."
    origin = hosts[0]
    if len(hosts) > 1:
        more = " ..." if len(hosts) > _HOSTS else ""
        origin = f"{len(hosts):,} hosts ({' '.join(hosts[:_HOSTS])}{more})"
    span = clock(first) if clock(first) == clock(last) else f"{clock(first)} to {clock(last)}"
    return f"{count(len(group.members), noun(group.members))} from {origin} to {server}, {span} UTC."


def facts(group: Group) -> Iterable[tuple[str, str]]:
    """Label and text of what is known beyond the single connection."""
    if len(group.sure) > 1:
        yield "sure", ", ".join(f"{number:,} {word}" for word, number in group.sure.items())
    if group.incident:
        evidence = group.incident.evidence
        alone = len(group.members) == 1 and group.recovered
        if not alone and (told := _reached(group, evidence)):
            yield "others", told
        if evidence.follow:
            yield "cause", _cause(group, evidence)
        if evidence.idle_limit:
            yield "pauses", _pauses(group, evidence)
            if fits := _fits(evidence):
                yield "fits", fits
        if evidence.size_limit:
            yield "sizes", _sizes(evidence)
        # A reset without a SYN may be made by a firewall of the client's own host, which has its TTL, too.
        refused = group.incident.call == "connect" and not group.first.flow.client_guessed
        if evidence.reset_by_host is False or (refused and evidence.reset_by_host):
            yield "ttl", _ttls(group, evidence)
        yield from _timers(group, evidence)
        if evidence.client_answered:
            yield "partly", _partly(group, evidence)


def seen_twice(seen: SeenTwice) -> str:
    """How the capture shows the same connections twice."""
    inside, outside = seen.tunnels
    if inside != outside:
        ways = sorted((inside, outside))  # none is empty and sorts first
        around = f"inside of {ways[1]}" + (f" and of {ways[0]}" if ways[0] else " and without it")
        return f"seen twice, {around} ({seen.first})"
    if seen.first != seen.again:
        return f"also seen behind a NAT ({seen.first} = {seen.again})"
    return f"also seen behind a NAT, from another address or port of the client (to {seen.first})"


def also_as(result: FlowResult) -> str:
    """As what else the capture shows the connection; empty where it shows it once."""
    others = [
        f"{flow.client} -> {flow.server}{f' in {flow.tunnel}' if flow.tunnel else ''}"
        for flow in result.same_as
    ]
    return f"also captured as {', '.join(others)}: the same connection, counted once." if others else ""


def retried(group: Group) -> str:
    """Whether the clients got what they wanted all the same; empty where nothing says so."""
    verdicts = [v for member in group.members for v in member.verdicts if v.recovered]
    if not verdicts:
        return ""
    if len(group.members) == 1:
        after = duration(max(0, verdicts[0].recovered_at - verdicts[0].time))
        if verdicts[0].recovered_by:
            return f"It worked {after} later at another address: {verdicts[0].recovered_by} answered."
        return f"It worked {after} later: the client connected to the same service again and was answered."
    elsewhere = Counter(verdict.recovered_by for verdict in verdicts if verdict.recovered_by)
    if len(elsewhere) and sum(elsewhere.values()) == len(verdicts):
        others = " ".join(address for address, _ in elsewhere.most_common(_HOSTS))
        which = "All" if group.recovered == len(group.members) else f"{group.recovered:,}"
        return f"{which} of these clients connected to another address at once: {others}."
    if group.recovered == len(group.members):
        return "All of these clients tried again within seconds, and were answered."
    return f"{group.recovered:,} of these clients tried again within seconds, and were answered."


def _reached(group: Group, evidence: Evidence) -> str:
    """Whether the service answered others before, meanwhile and after."""
    before, after, meanwhile = evidence.reached_before, evidence.reached_after, evidence.reached_meanwhile
    parts = []
    if before:
        parts.append(f"before (last at {clock(before)} UTC)")
    if meanwhile:
        parts.append(f"meanwhile ({meanwhile:,})")
    if after:
        parts.append(f"afterwards (first at {clock(after)} UTC)")
    if parts:
        none = "" if meanwhile or len(group.members) == 1 else "; none meanwhile"
        return f"The same service answered other connections {_listed(parts)}{none}."
    if len(group.members) > 1:
        return "The service answered no other connection in this capture."
    return ""


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _pauses(group: Group, evidence: Evidence) -> str:
    died, lived = (f"{time / 1e9:,.1f} s" for time in (evidence.shortest_fatal, evidence.longest_survived))
    if not evidence.longest_survived:
        one = "It had been idle for" if len(group.members) == 1 else "All had been idle, for at least"
        return f"{one} {died}; no other connection was idle, so there is no comparison."
    among = f" (of {evidence.survivors:,} that were idle)" if evidence.survivors > 1 else ""
    ends = "forgets" if evidence.fell_silent else "ends"
    return (
        f"The longest that a connection survived {lived}{among}, the shortest that was fatal {died}. So "
        f"something {ends} connections that are idle for longer: a keepalive on the clients below {lived}, "
        "or an idle timeout of their own, avoids it."
    )


_FITS = 4


def _fits(evidence: Evidence) -> str:
    """Which known limits lie between the two pauses, where those are near enough to each other."""
    if not evidence.longest_survived:
        return ""
    if not evidence.idle_bracketed:
        return "The two are too far apart to compare them with the limits that are known."
    if not evidence.idle_fits:
        return "None of the known defaults lies between the two: it was set, or is another box's."
    more = " ..." if len(evidence.idle_fits) > _FITS else ""
    return f"{', or '.join(evidence.idle_fits[:_FITS])}{more}, by default. No packet names the box."


def _cause(group: Group, evidence: Evidence) -> str:
    """The failure on the other side of the proxy."""
    others = " ".join(evidence.follow_from[:_HOSTS]) + (" ..." if len(evidence.follow_from) > _HOSTS else "")
    proxy = group.first.follows
    if len(group.members) > 1 or not proxy:
        return (
            f"{evidence.follow:,} of these failed right after a connection of the same host with {others} "
            "had: it is a proxy. Look there; each pair is counted once."
        )
    return (
        f"The connection {proxy.client} -> {proxy.server} on the other side of the same proxy had failed "
        "right before. Look there; the two are counted once."
    )


def _ttls(group: Group, evidence: Evidence) -> str:
    host = group.first.flow.server.address
    resets = " and ".join(str(ttl) for ttl in evidence.reset_ttls)
    low, high = evidence.host_ttls
    others = f"{low}" if low == high else f"{low} to {high}"
    if evidence.reset_by_host:
        same = "like all else from that host" if low == high else f"all else from that host has {others}"
        return f"{resets}, {same}: most probably the host itself refused, no firewall between."
    return f"{resets} of the resets, {others} of all else from {host}: they are not from that host."


def _timers(group: Group, evidence: Evidence) -> Iterable[tuple[str, str]]:
    """Waits that many connections have in common."""
    if evidence.waited_flows:
        wait = f"{evidence.waited / 1e9:,.2f}".rstrip("0").rstrip(".")
        yield (
            "waits",
            f"{evidence.waited_flows:,} of {len(group.members):,} waited for {wait} s: a timer of the "
            'program. Its log says "timed out", and no kernel gave an errno.',
        )
    if evidence.idle_closes:
        low, high = (f"{time / 1e9:,.2f}" for time in evidence.idle_close)
        span = f"{low} s" if low == high else f"{low} to {high} s"
        yield (
            "idle",
            f"The server closes idle connections: its FIN came {span} after its last byte in "
            f"{evidence.idle_closes:,} that nobody was using. A client that keeps them for as long sends "
            "requests into their end: its own idle timeout must be shorter, by more than a round trip.",
        )
    if evidence.timer_fits:
        more = " ..." if len(evidence.timer_fits) > _FITS else ""
        yield (
            "fits",
            f"by default: {'; '.join(evidence.timer_fits[:_FITS])}{more}. No packet names the program.",
        )


def _partly(group: Group, evidence: Evidence) -> str:
    again = ""
    if evidence.ports_again:
        again = f" {evidence.ports_again:,} came from a port that had been used shortly before."
    return (
        f"In the same time the service answered {evidence.client_answered:,} connections of the same "
        f"clients, and left the SYNs of {len(group.members):,} unanswered: it is there.{again} Look for what "
        "tells these SYNs apart: a port that is still known from before (at the server, or at a NAT that "
        "gives it out twice), timestamps of several hosts behind one address, an accept queue that is full "
        "at times."
    )


def _sizes(evidence: Evidence) -> str:
    return (
        f"The largest payload that was acknowledged {evidence.largest_acknowledged:,} bytes, the smallest "
        f"that never was {evidence.smallest_lost:,}. So large packets get lost on this path (MTU): clamp the "
        'MSS, or let ICMP "fragmentation needed" (type 3 code 4; IPv6: "packet too big") through.'
    )
