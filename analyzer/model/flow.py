"""A flow and its significant segments, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

MAX_FLOWS = 1_000_000
"""Flows that may be open at a time unless another number is given."""

CLIENT, SERVER = 0, 1
SIDES = ("client", "server")


class Endpoint(NamedTuple):
    """Address (text) and port of one end."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@lru_cache(maxsize=1 << 14)
def address_text(version: int, hi: int, lo: int) -> str:
    """An address from its two 64-bit halves, as people write it; few of them have most of the flows."""
    return str(IPv4Address(lo & 0xFFFFFFFF)) if version == 4 else str(IPv6Address(hi << 64 | lo))


@dataclass(frozen=True, slots=True)
class Flow:
    """All packets seen between two endpoints, until closed.

    ``client`` sent the first SYN (UDP: the first datagram); ``client_guessed`` where no SYN was seen.
    ``start`` is the time of the first packet in nanoseconds, ``capture`` the index of its file, ``tunnel``
    what its packets travel in, such as ``VXLAN 42``, empty for none.
    """

    id: int
    protocol: str
    version: int
    client: Endpoint
    server: Endpoint
    client_guessed: bool
    capture: int
    start: int
    tunnel: str = ""


class QuietFlow(NamedTuple):
    """A flow in which nothing significant happened: its last time (nanoseconds) and its packets."""

    flow: Flow
    end: int
    packets: int


class Kind:
    """Why a segment matters, as bits. A flow in which no rule's trigger occurs never leaves the arrays."""

    SYN = 0x01
    FIN = 0x02
    RST = 0x04
    ICMP = 0x08
    RESENT = 0x10  # carries nothing that was not sent before
    REPEATED = (
        0x20  # ... nor for the first time, and nothing was acknowledged in between; any SYN sent again;
    )
    # a probe after another one that nothing has answered
    RECOVERED = 0x40  # the first acknowledgement that moves on after that, or after a SYN or FIN sent again

    PROBE = 0x80  # asks whether the other end is there (keepalive), or whether its window is still closed
    ZERO_WINDOW = 0x100  # announces that it has no room, for the first time in a row
    UNANSWERED = 0x200  # the first FIN or RST that comes while an answer to the client was due

    CUT = 0x1000  # a FIN before all that its sender had said it would send

    ALL = 0x13FF

    SHOWN = 0x400  # wanted for a picture of its flow, whatever it carries
    COPY = 0x800  # a packet that the capture holds already


class Totals(NamedTuple):
    """What one end had sent, counted to just before a segment (or to the end of the flow).

    Sequence numbers are as on the wire; ``seq_end`` is the end of the highest one sent (what RFC 9293 calls
    SND.NXT) and means something only if ``has_seq``, ``ack`` the highest acknowledgement only if ``has_ack``.
    ``unseen`` counts its segments that acknowledged bytes which are not in the capture (``unseen_number`` is
    the last one: what the other end sent later was captured again), ``gaps`` those that
    began beyond ``seq_end``, so that something was lost, reordered or not captured; ``opened_time`` is that
    of its first segment without SYN.
    Times in nanoseconds, frame numbers from 1; both 0 where there was none. ``last`` is its last segment
    but RST (``last_ttl``: its TTL or hop limit), ``last_data`` the last that carried bytes never sent before,
    ``turn`` the first such one since the other end's, ``resent`` the last that carried nothing new.
    ``window`` is the last one announced, as in the header (not by a SYN or RST), ``probe`` its last probe,
    ``probes`` counts those since the other end sent anything but RST.
    """

    payload: int
    seq_end: int
    has_seq: bool
    ack: int
    has_ack: bool
    unseen: int
    unseen_number: int
    gaps: int
    opened_time: int
    last_number: int
    last_time: int
    last_ttl: int
    last_data_number: int
    last_data_time: int
    last_data_seq: int
    last_data_length: int
    turn_time: int
    resent_number: int
    resent_time: int
    resent_seq: int
    resent_length: int
    window: int
    window_number: int
    probe_number: int
    probe_time: int
    probes: int


NOTHING = Totals(0, 0, False, 0, False, *(0,) * 21)
"""Totals of an end that sent nothing."""


class Segment(NamedTuple):
    """One significant segment of a flow, or an ICMP message that quotes a packet of it.

    ``side`` is the index of its sender (of the quoted packet's for ICMP) in SIDES, ``clock`` the largest
    time in the capture up to this frame (nanoseconds), ``kinds`` Kind bits, ``window`` as in the header,
    ``mss`` 0 and ``scale`` -1 where the option is absent (``mss`` of ICMP: that of the SYN which it quotes),
    ``layout`` as in columns.Layout. ``client``
    and ``server``: totals just before it.
    """

    flow: int
    number: int
    capture: int
    time: int
    clock: int
    side: int
    kinds: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: int
    ttl: int
    ip_id: int
    has_ts: bool
    mss: int
    scale: int
    layout: int
    icmp_type: int
    icmp_code: int
    version: int
    reporter_hi: int
    reporter_lo: int
    client: Totals
    server: Totals

    def totals(self, side: int) -> Totals:
        """The totals of the end with that index."""
        return self.client if side == CLIENT else self.server


@dataclass(frozen=True, slots=True)
class FlowEnd:
    """The last word about a flow.

    ``end`` is the largest time of its packets, ``clock`` the capture's when it was let go (nanoseconds);
    ``closed`` says whether the flow ended by itself (both FIN, or RST and then silence) or the capture did.
    """

    flow: int
    packets: int
    end: int
    clock: int
    closed: bool
    client: Totals
    server: Totals

    def totals(self, side: int) -> Totals:
        """The totals of the end with that index."""
        return self.client if side == CLIENT else self.server
