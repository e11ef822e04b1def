"""The lines of a transcript as values."""

from __future__ import annotations

from dataclasses import dataclass

START = 1_700_000_000 * 10**9
"""Time of a transcript's beginning, in nanoseconds since the epoch."""

STEP = 10_000_000
"""Nanoseconds that pass between two lines where the second does not begin with a time."""

INITIAL = (1_000_000_000, 3_000_000_000)
"""Initial sequence numbers of client and server, unless others are asked for."""

ADDRESSES = {
    4: {"client": "192.0.2.1", "server": "192.0.2.2", "router": "192.0.2.254"},
    6: {"client": "2001:db8::1", "server": "2001:db8::2", "router": "2001:db8::fe"},
}
PORTS = {"client": 40001, "server": 80}

OTHER = {"client": "server", "server": "client"}
TTL, WINDOW, MTU = 64, 65_535, 1280
MODULUS = 1 << 32


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a sender: ``length`` from ``begin`` on, relative to its initial sequence number."""

    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class TcpOption:
    """An option as it is written (``mss``, ``TS`` ...); ``sack`` has relative begins and ends."""

    kind: str
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """A line with a TCP segment; ``time`` in nanoseconds since the transcript's beginning.

    ``text`` is what its payload begins with.
    """

    line: int
    time: int
    sender: str
    receiver: str
    flags: int
    span: Span
    ack: int | None = None
    window: int = WINDOW
    ttl: int = TTL
    ip_id: int | None = None
    options: tuple[TcpOption, ...] = ()
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Datagram:
    """A line with a UDP datagram of ``length`` bytes; ``time`` and ``text`` as in Segment."""

    line: int
    time: int
    sender: str
    receiver: str
    length: int
    ttl: int = TTL
    ip_id: int | None = None
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class IcmpError:
    """A line with an ICMP error; ``time`` as in Segment.

    ``quoted`` is a segment of its receiver, or the length of a datagram.
    """

    line: int
    time: int
    sender: str
    receiver: str
    type: int
    code: int
    quoted: Span | int
    mtu: int = 0
    ttl: int = TTL
    ip_id: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The line that says when the capture stops; ``time`` as in Segment."""

    line: int
    time: int


Step = Segment | Datagram | IcmpError | End


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcript says: one value a packet, in the order of the lines."""

    name: str
    version: int
    steps: tuple[Step, ...]
    initial: tuple[int, int] = INITIAL
    port: int = PORTS["server"]
