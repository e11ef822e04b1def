"""All that was found in one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from analyzer.model.capture import Capture
from analyzer.model.filter import EVERYTHING, NONE_LEFT_OUT, Filter, LeftOut
from analyzer.model.finding import FlowResult
from analyzer.model.host import DEFAULT_HOST, Host

if TYPE_CHECKING:
    from analyzer.model.log_line import LogReport


@dataclass(slots=True)
class Totals:
    """Counts over all captures; ``undecoded`` by reason, other protocols (ARP ...) are not among them.

    ``harmless``: flows that look like a failure and are none, by what they are. ``rules``: how many were
    looked for. ``longest_pause``: nanoseconds, and the service at which a connection survived it. ``let_go``:
    flows that may have been counted more than once, as too many were open at a time.
    """

    packets: int = 0
    tcp_flows: int = 0
    udp_flows: int = 0
    other_packets: int = 0
    undecoded: dict[str, int] = field(default_factory=dict)
    harmless: dict[str, int] = field(default_factory=dict)
    rules: int = 0
    longest_pause: tuple[int, str] = (0, "")
    let_go: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the service's other connections say of a failure. Times in nanoseconds, 0 where there is none.

    ``reached_before``: start of the last connection before the first failure that the service answered,
    ``reached_after`` of the first one after the last failure, ``reached_meanwhile`` how many between. Resets
    or silence after a pause: ``longest_survived`` of all connections, of which ``survivors`` had a pause,
    ``shortest_fatal`` of these; ``fell_silent`` where no reset came, ``idle_fits`` the known limits between
    the two. Data that was never acknowledged: ``smallest_lost`` payload of these, ``largest_acknowledged`` of
    the others (bytes).

    ``reset_ttls``: TTLs of the resets that answered these, ``host_ttls`` lowest and highest of all else from
    the same host. ``waited``: how long ``waited_flows`` of these waited for an answer, where it is the same
    time for most (nanoseconds). ``idle_close``: shortest and longest time after its last byte at which the
    server closed ``idle_closes`` connections that were idle. ``timer_fits``: known timers of either length.
    ``client_answered``: how many connections of the same clients the service answered while it left SYNs of
    these unanswered, ``ports_again`` how many of these came from a port that had just been used. ``follow``:
    how many of these failed because a proxy had lost a connection, or its client; ``follow_from``: to whom.
    """

    reached_before: int = 0
    reached_after: int = 0
    reached_meanwhile: int = 0
    longest_survived: int = 0
    survivors: int = 0
    shortest_fatal: int = 0
    fell_silent: bool = False
    idle_fits: tuple[str, ...] = ()
    largest_acknowledged: int = 0
    smallest_lost: int = 0
    reset_ttls: tuple[int, ...] = ()
    host_ttls: tuple[int, ...] = ()
    waited: int = 0
    waited_flows: int = 0
    idle_close: tuple[int, ...] = ()
    idle_closes: int = 0
    timer_fits: tuple[str, ...] = ()
    client_answered: int = 0
    ports_again: int = 0
    follow: int = 0
    follow_from: tuple[str, ...] = ()

    @property
    def idle_limit(self) -> bool:
        """Whether the pauses explain the failures: all that died were longer than all that lived.

        A path may fall silent for many reasons, so that some must have lived.
        """
        compared = self.longest_survived > 0 or not self.fell_silent
        return compared and self.shortest_fatal > max(self.longest_survived, IDLE_NS)

    @property
    def reset_by_host(self) -> bool | None:
        """Whether the resets have the host's TTL; None where that is not known, or true of some."""
        if not self.reset_ttls or not self.host_ttls:
            return None
        low, high = self.host_ttls
        own = {low <= ttl <= high for ttl in self.reset_ttls}
        return own.pop() if len(own) == 1 else None

    @property
    def idle_bracketed(self) -> bool:
        """Whether the two are so near to each other that comparing them with known limits says anything."""
        return self.idle_limit and self.shortest_fatal <= BRACKET * self.longest_survived

    @property
    def size_limit(self) -> bool:
        """Whether the sizes explain the silence: all that got lost was larger than all that arrived."""
        return self.smallest_lost > self.largest_acknowledged > 0 and self.smallest_lost >= LARGE


IDLE_NS = 20 * 10**9
"""No box is known to forget a connection that was idle for less."""
BRACKET = 1.5
"""The shortest fatal pause may be so many times the longest one survived, for the two to tell a limit."""
LARGE = 1200
"""Bytes of payload that every path carries: IPv6 asks for packets of 1280 (RFC 8200 section 5)."""


@dataclass(frozen=True, slots=True)
class Incident:
    """The same failure between the same services, told once.

    ``id`` follows from rule, errno, call and service: it is the same in every run. ``service`` is the
    server's address and port, inside of ``tunnel`` where that is not empty, ``first`` and ``last`` the times
    of the first and last verdict (nanoseconds), ``recovered`` how many programs got what they wanted all the
    same, ``examples`` indices into the report's flows.
    """

    id: str
    rule: str
    errno: str
    call: str
    service: str
    tunnel: str
    clients: int
    flows: int
    recovered: int
    first: int
    last: int
    title: str
    evidence: Evidence
    examples: tuple[int, ...]


class SeenTwice(NamedTuple):
    """Connections that are in the capture twice: before and after a NAT, inside and outside of a tunnel.

    ``first`` and ``again`` are the servers' addresses and ports, as seen first and as seen again, ``tunnels``
    what each travelled in (empty: nothing), ``client_moved`` whether the client had another address or port.
    """

    first: str
    again: str
    tunnels: tuple[str, str]
    client_moved: bool
    flows: int


@dataclass(frozen=True, slots=True)
class Report:
    """What ``analyze`` returns. ``flows`` are those with a finding, by capture and time of their start.

    ``notes`` are sentences about what was left out of the input. Flows and incidents are those that pass
    the filter ``only``; totals are those of the captures. ``hosts`` are what was taken for known of client
    and server. With ``all_flows`` those without a finding are there as well. ``log`` is what the capture says
    about logs, None where none was given. Of connections that are there
    twice (``twice``) only the flow that was seen first is in ``flows`` and incidents.
    """

    captures: tuple[Capture, ...]
    totals: Totals
    flows: tuple[FlowResult, ...]
    incidents: tuple[Incident, ...]
    notes: tuple[str, ...] = ()
    only: Filter = EVERYTHING
    left_out: LeftOut = NONE_LEFT_OUT
    hosts: tuple[Host, Host] = (DEFAULT_HOST, DEFAULT_HOST)
    all_flows: bool = False
    log: LogReport | None = None
    twice: tuple[SeenTwice, ...] = ()
