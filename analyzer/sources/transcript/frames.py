"""The values of a transcript become Ethernet frames, built by scapy."""

from __future__ import annotations

import logging
import struct
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from analyzer.model.columns import TCP, UDP, Flag
from analyzer.sources.apart import use_scapy
from analyzer.sources.transcript.steps import (
    ADDRESSES,
    MODULUS,
    OTHER,
    PORTS,
    START,
    TTL,
    Datagram,
    End,
    IcmpError,
    Segment,
    Span,
    Step,
    TcpOption,
    Transcript,
)

_MACS = {"client": "02:00:00:00:00:01", "server": "02:00:00:00:00:02", "router": "02:00:00:00:00:fe"}
_FIRST_IDS = {"client": 10_000, "server": 20_000, "router": 30_000}
_ICMP = {4: 1, 6: 58}
_QUOTED = {4: 576 - 20 - 8, 6: 1280 - 40 - 8}  # bytes quoted at most: RFC 1812 section 4.3.2.3, RFC 4443


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame, the line that it comes from, and its time in nanoseconds since the epoch."""

    line: int
    time: int
    data: bytes


def build(transcript: Transcript) -> list[Frame]:
    """One frame for each step, ``end`` too. Imports scapy; raises UserError where that must not be."""
    use_scapy()
    with _quiet():
        builder = _Builder(transcript)
        return [Frame(step.line, START + step.time, builder.frame(step)) for step in transcript.steps]


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that scapy has to say, when it is imported too, reaches the user."""
    logger = logging.getLogger("scapy")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _Builder:
    """Builds frames one after the other, and remembers the segments that an ICMP error may quote."""

    def __init__(self, transcript: Transcript) -> None:
        self._version = transcript.version
        self._ports = {**PORTS, "server": transcript.port}
        self._addresses = ADDRESSES[transcript.version]
        self._initial = dict(zip(PORTS, transcript.initial, strict=True))
        self._counts: Counter[str] = Counter()
        self._sent: dict[tuple[str, Span], bytes] = {}
        # Any: not every scapy says what its types are.
        self._inet: Any = import_module("scapy.layers.inet")
        self._inet6: Any = import_module("scapy.layers.inet6")
        self._l2: Any = import_module("scapy.layers.l2")

    def frame(self, step: Step) -> bytes:
        """The Ethernet frame of a step."""
        if isinstance(step, End):
            return self._arp()
        packet = self._packet(step)
        kind = 0x0800 if self._version == 4 else 0x86DD
        return bytes(self._l2.Ether(src=_MACS[step.sender], dst=_MACS[step.receiver], type=kind)) + packet

    def _packet(self, step: Segment | Datagram | IcmpError) -> bytes:
        if isinstance(step, Segment):
            return self._segment(step)
        return self._datagram(step) if isinstance(step, Datagram) else self._icmp(step)

    def _arp(self) -> bytes:
        """A frame that belongs to no flow: the client asks for the router."""
        mac, addresses = _MACS["client"], ADDRESSES[4]
        ethernet = self._l2.Ether(src=mac, dst="ff:ff:ff:ff:ff:ff", type=0x0806)
        ends = {"psrc": addresses["client"], "pdst": addresses["router"]}
        return bytes(ethernet / self._l2.ARP(op=1, hwsrc=mac, hwdst="00:00:00:00:00:00", **ends))

    def _segment(self, step: Segment) -> bytes:
        """The IP packet of a segment, which can be quoted from now on."""
        header = self._ip(step.sender, step.receiver, TCP, step.ttl, self._id_of(step))
        packet = bytes(header / self._tcp(step))
        self._sent[step.sender, step.span] = packet
        return packet

    def _datagram(self, step: Datagram) -> bytes:
        """The IP packet of a datagram."""
        header = self._ip(step.sender, step.receiver, UDP, step.ttl, self._id_of(step))
        ports = {"sport": self._ports[step.sender], "dport": self._ports[step.receiver]}
        return bytes(header / self._inet.UDP(**ports) / step.text.ljust(step.length, b"x"))

    def _tcp(self, step: Segment) -> Any:
        """The TCP header and payload of a segment."""
        header = self._inet.TCP(
            sport=self._ports[step.sender],
            dport=self._ports[step.receiver],
            seq=self._number(step.sender, step.span.begin),
            ack=0 if step.ack is None else self._number(step.receiver, step.ack),
            flags=step.flags,
            window=step.window,
            options=[self._option(step.receiver, option) for option in step.options],
        )
        return header / step.text.ljust(step.span.length, b"x") if step.span.length else header

    def _icmp(self, step: IcmpError) -> bytes:
        """The IP packet of an ICMP error: 8 bytes of header, and the quote."""
        protocol = _ICMP[self._version]
        header = self._ip(step.sender, step.receiver, protocol, step.ttl, self._id_of(step))
        quote = self._quote(step.receiver, step.quoted)
        message = struct.pack("!BBHI", step.type, step.code, 0, step.mtu) + quote
        if self._version == 4:
            checksum = self._inet.checksum(message)
        else:
            checksum = self._inet6.in6_chksum(protocol, header / message, message)
        return bytes(header / (message[:2] + struct.pack("!H", checksum) + message[4:]))

    def _quote(self, sender: str, quoted: Span | int) -> bytes:
        """The last packet of this sender with these bytes, or one that was never sent; or a datagram."""
        if isinstance(quoted, int):
            sent = Datagram(0, 0, sender, OTHER[sender], quoted, ip_id=0)
            return self._datagram(sent)[: _QUOTED[self._version]]
        span, packet = quoted, self._sent.get((sender, quoted))
        if packet is None:
            flags = Flag.SYN if span == Span(0, 0) else Flag.ACK
            invented = Segment(0, 0, sender, OTHER[sender], flags, Span(span.begin, min(span.length, 1400)))
            packet = bytes(self._ip(sender, invented.receiver, TCP, TTL, 0) / self._tcp(invented))
        return packet[: _QUOTED[self._version]]

    def _ip(self, sender: str, receiver: str, protocol: int, ttl: int, ip_id: int) -> Any:
        """The IP header; scapy fills in lengths and checksums."""
        ends = {"src": self._addresses[sender], "dst": self._addresses[receiver]}
        if self._version == 6:
            return self._inet6.IPv6(**ends, nh=protocol, hlim=ttl)
        flags = "DF" if protocol == TCP else 0
        return self._inet.IP(**ends, proto=protocol, ttl=ttl, id=ip_id, flags=flags)

    def _id_of(self, step: Segment | Datagram | IcmpError) -> int:
        """The IP ID: given, or the next one of this sender, never 0."""
        if step.ip_id is not None:
            return step.ip_id
        self._counts[step.sender] += 1
        return (_FIRST_IDS[step.sender] + self._counts[step.sender] - 2) % 0xFFFF + 1

    def _number(self, sender: str, relative: int) -> int:
        """A sequence number of ``sender`` as it is on the wire."""
        return (self._initial[sender] + relative) % MODULUS

    def _option(self, receiver: str, option: TcpOption) -> tuple[str, Any]:
        """An option as scapy wants it."""
        match option.kind:
            case "nop" | "eol":
                return option.kind.upper(), None
            case "sackOK":
                return "SAckOK", b""
            case "TS":
                return "Timestamp", option.values
            case "sack":
                return "SAck", tuple(self._number(receiver, value) for value in option.values)
            case "mss":
                return "MSS", option.values[0]
        return "WScale", option.values[0]
