"""Frames of every kind that the decoder knows, built once with scapy."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache

from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

LINK_TYPES = (0, 1, 9, 50, 51, 101, 104, 105, 108, 113, 127, 166, 204, 226, 228, 229, 276)
KNOWN_AND_UNKNOWN = (*LINK_TYPES, 147, 65535)

V4 = {"src": "10.1.2.3", "dst": "192.0.2.77", "ttl": 61, "id": 0xBEEF}
V6 = {"src": "2001:db8:1::a", "dst": "fe80::1234:5678:9abc:def0", "hlim": 57}

NOP, TS = ("NOP", None), ("Timestamp", (0xDEADBEEF, 0x01020304))
OPTIONS = (
    [],
    [NOP, NOP, TS],
    [TS, NOP, NOP],
    [NOP, NOP, TS, NOP, NOP, ("SAck", (1, 2))],
    [NOP, NOP, TS, ("Timestamp", (7, 8)), NOP, NOP],
    [NOP, NOP, ("SAck", (1, 2, 3, 4))],
    [("MSS", 1460), ("SAckOK", b""), TS, NOP, ("WScale", 7)],
    [("MSS", 8961), NOP, ("WScale", 200), NOP, NOP, ("SAckOK", b"")],
    [("MSS", 536), ("MSS", 1220)],
    [NOP] * 40,
    [("EOL", None), ("MSS", 1460), NOP, NOP, NOP],
)
RAW_OPTIONS = (
    b"\x02\x03\xff\x00",  # an MSS of a wrong size
    b"\x08\x0a\x01\x02",  # timestamps that do not fit
    b"\x01\x01\x08\x0a\x01\x02\x03\x04",
    b"\x1e\x00\x02\x04",  # length 0
    b"\x1e\x01\x02\x04",  # length 1
    b"\x01\x01\x01\x03",  # a kind without a length
    b"\x03\x03\xff\x08\x0a\x00\x00\x00\x01\x00\x00\x00",
    b"\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02" * 3,
    b"\x05\x1a" + b"\0\0\0\1\0\0\0\x05" + b"\xff\xff\xff\0\xff\xff\xff\x09" + b"\0\0\0\x20\0\0\0\x30",
    b"\x05\x0a\0\0\0\1\0\0\0\x05\x05\x0a\0\0\0\1\0\0\0\x02",  # twice
    b"\x05\x02\x05\x06\0\0\0\1\x05\x09\0\0\0\1\0\0\0",  # no whole block
    b"\x1c\x04\x80\x3c\x22\x02\x22\x0a12345678",  # user timeout, fast open
    b"\x1e\x0c\x70\0abcdefgh",  # MP_FASTCLOSE
    *(b"\x1e\x04\x80" + bytes([reason]) for reason in (0, 6, 15, 200)),  # MP_TCPRST
    b"\x1e\x02\x1e\x03\x80",
    b"\x13\x12" + bytes(16),
    b"\x1d\x10" + bytes(14),
)


def ethernet(ip: bytes, kind: int = 0x0800, tags: tuple[int, ...] = ()) -> bytes:
    """An Ethernet frame with VLAN tags of these types."""
    tagged = b"".join(struct.pack("!HH", tag, 0x2064) for tag in tags)
    return b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02" + tagged + struct.pack("!H", kind) + ip


def wrapped(ip: bytes, link_type: int) -> bytes:
    """An IP packet in a frame of this link type."""
    is4 = ip[0] >> 4 == 4
    kind = struct.pack("!H", 0x0800 if is4 else 0x86DD)
    if link_type == 1:
        return ethernet(ip, 0x0800 if is4 else 0x86DD)
    if link_type == 113:
        return bytes(14) + kind + ip
    if link_type == 276:
        return kind + b"\xaa" * 18 + ip
    if link_type in (9, 50, 166, 204):
        return b"\1" * (link_type == 204) + ppp(ip, len(ip) % 2 * (1 + (link_type == 166)), len(ip) // 2 % 2)
    if link_type == 51:
        return pppoe(ip)
    if link_type == 104:
        return b"\x0f\0" + kind + ip
    if link_type == 105:
        return wireless(ip, control=0x08 | 0x80 * (len(ip) % 2), flags=len(ip) % 4)
    if link_type == 127:
        return radiotap(wireless(ip))
    if link_type == 226:
        return bytes([1, 2 if is4 else 26, 0, 1]) + struct.pack("!I", len(ip)) + b"\xaa" * 16 + ip
    if link_type in (0, 108):
        order = "<" if link_type == 0 and len(ip) % 2 else "!"
        return struct.pack(order + "I", 2 if is4 else (24, 28, 30)[len(ip) % 3]) + ip
    return ip


def ppp(ip: bytes, framed: int = 0, short: int = 0) -> bytes:
    protocol = 0x21 if ip[0] >> 4 == 4 else 0x57
    return (b"", b"\xff\3", b"\0\3")[framed] + struct.pack("!B" if short else "!H", protocol) + ip


def pppoe(ip: bytes, code: int = 0, kind: int = 0x11, protocol: int = 0) -> bytes:
    protocol = protocol or (0x21 if ip[0] >> 4 == 4 else 0x57)
    return struct.pack("!BBHHH", kind, code, 0xBEEF, len(ip) + 2, protocol) + ip


def snap(ip: bytes, oui: bytes = b"\0\0\0", kind: int = 0) -> bytes:
    kind = kind or (0x0800 if ip[0] >> 4 == 4 else 0x86DD)
    return b"\xaa\xaa\3" + oui + struct.pack("!H", kind) + ip


def wireless(ip: bytes, control: int = 0x08, flags: int = 1, fragment: int = 0, qos: int = 0) -> bytes:
    """An 802.11 frame; LLC and SNAP begin the payload."""
    header = bytes([control, flags]) + b"\x55" * 20 + bytes([0x70 | fragment, 9])
    header += b"\x66" * 6 * (flags & 3 == 3)
    if control & 0x80:
        header += bytes([qos, 0]) + b"\x77" * (4 * bool(flags & 0x80))
    return header + snap(ip)


def radiotap(frame: bytes, version: int = 0, length: int = 13) -> bytes:
    return struct.pack("<BBH", version, 0, length) + b"\x99" * (length - 4) + frame


def mpls(ip: bytes, labels: int = 1) -> bytes:
    stack = [struct.pack("!I", 77 << 12 | (place == labels - 1) << 8 | 64) for place in range(labels)]
    return b"".join(stack) + ip


def tcp(flags: str = "PA", **fields: object) -> Packet:
    return TCP(sport=40000, dport=443, seq=0xFFFFFF00, ack=0x12345678, window=0xFACE, flags=flags, **fields)


def v4(rest: Packet, **fields: object) -> bytes:
    return bytes(IP(**(V4 | fields)) / rest)


def v6(rest: Packet, **fields: object) -> bytes:
    return bytes(IPv6(**(V6 | fields)) / rest)


def icmp4(kind: int, code: int, quote: bytes) -> bytes:
    return v4(
        Raw(struct.pack("!BBHI", kind, code, 0xABCD, 1500) + quote), proto=1, src="198.51.100.9", ttl=250
    )


def icmp6(kind: int, code: int, quote: bytes, rest: Packet | None = None) -> bytes:
    message = Raw(struct.pack("!BBHI", kind, code, 0xABCD, 1280) + quote)
    if rest is None:
        return v6(message, nh=58, src="2001:db8:ffff::9", hlim=250)
    return v6(rest / message, src="2001:db8:ffff::9", hlim=250)


def raw_tcp(options: bytes, flags: int = 0x02) -> Raw:
    """A TCP header with these bytes as options, filled up with 0xEE."""
    padded = options + b"\xee" * (-len(options) % 4)
    offset = (20 + len(padded)) // 4 << 4
    return Raw(struct.pack("!HHIIBBHHH", 1, 2, 3, 4, offset, flags, 5, 6, 0) + padded + b"data")


def transports() -> Iterator[bytes]:
    """TCP with all kinds of options, and UDP, in plain IP."""
    for options in OPTIONS:
        for flags in ("S", "SA", "PA", "FSRPAUEC"):
            yield v4(tcp(flags, options=options) / b"hello")
            yield v6(tcp(flags, options=options) / b"hello")
    for raw in RAW_OPTIONS:
        yield v4(raw_tcp(raw), proto=6)
        yield v6(raw_tcp(raw), nh=6)
    for offset in (0, 4, 6, 15):
        yield v4(tcp(dataofs=offset) / b"12345678")
    for length in (0, 3, 8, 9, 100):
        yield v4(UDP(sport=5353, dport=53, len=length) / b"question")
        yield v6(UDP(sport=5353, dport=53, len=length) / b"question")


def internets() -> Iterator[bytes]:
    """IP headers of all kinds around TCP."""
    payload = tcp() / b"hello"
    yield v4(payload, options=[IPOption_RR(), IPOption_NOP()])
    yield v4(payload, options=[IPOption_NOP()] * 40)
    for fields in ({"ihl": 4}, {"ihl": 15}, {"version": 6}, {"proto": 47}, {"flags": "MF"}, {"frag": 1}):
        yield v4(payload, **fields)
    for length in (0, 19, 20, 39, 40, 41, 44, 65535):
        yield v4(payload, len=length)
        yield v6(payload, plen=length)
    yield v4(Raw(b"later"), frag=100, proto=17)
    yield v4(Raw(b"later"), frag=100, proto=47)
    for chain in extensions():
        yield v6(chain / payload)
        yield v6(chain / UDP(sport=1, dport=2) / b"x")
    yield v6(payload, version=4)
    for kind in (0, 41, 43, 44, 50, 51, 59, 60, 135):
        yield v6(payload, nh=kind)


def fragments(flags: str = "PAF", size: int = 200, ident: int = 77, **fields: object) -> list[bytes]:
    """A TCP segment in IPv4 fragments of 64 bytes and what is left; the header takes 20 of the first."""
    data = v4(tcp(flags) / bytes(size), **fields)[20:]
    parts = [(place, data[place : place + 64]) for place in range(0, len(data), 64)]
    return [
        v4(Raw(part), proto=6, id=ident, frag=place // 8, flags=place + 64 < len(data), **fields)
        for place, part in parts
    ]


def fragments6(size: int = 100, ident: int = 77) -> list[bytes]:
    data = v6(tcp() / bytes(size))[40:]
    parts = [(place, data[place : place + 64]) for place in range(0, len(data), 64)]
    return [
        v6(IPv6ExtHdrFragment(nh=6, id=ident, offset=place // 8, m=place + 64 < len(data)) / Raw(part), nh=44)
        for place, part in parts
    ]


def broken_up() -> Iterator[bytes]:
    """Datagrams in fragments, in order and not, inside of tunnels, of another datagram in between."""
    for flags in ("S", "PAF", "R"):
        yield from fragments(flags)
    yield from reversed(fragments(ident=78))
    for one, other in zip(fragments(ident=79), fragments(ident=79, dst="10.9.9.9"), strict=True):
        yield from (one, other)
    yield from fragments6()
    yield from fragments6(ident=1 << 31)[::-1]
    for turn, ip in enumerate([*fragments(ident=80), *fragments6(ident=81)]):
        yield in_udp(vxlan(framed(ip), vni=1 + (turn == 2)), 4789)
    yield v4(Raw(bytes(64)), proto=6, id=77, frag=1)  # begins inside of the TCP header
    yield v4(Raw(bytes(64)), proto=17, id=77, frag=8)
    for length in (0, 8, 20, 9000):
        yield v4(UDP(sport=5353, dport=53, len=length) / bytes(64), flags="MF")
        yield v6(IPv6ExtHdrFragment(id=9, m=1) / UDP(sport=5353, dport=53, len=length) / bytes(64))


def extensions() -> Iterator[Packet]:
    """IPv6 extension headers in many combinations."""
    options = {"options": [PadN(optdata=b"\0" * 20)]}
    yield IPv6ExtHdrHopByHop()
    yield IPv6ExtHdrHopByHop(**options) / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=["::1"])
    yield AH(icv=b"0123456789ab")
    yield IPv6ExtHdrFragment(id=9) / IPv6ExtHdrDestOpt()
    yield IPv6ExtHdrFragment(id=9, m=1)
    yield IPv6ExtHdrFragment(id=9, offset=4)
    yield IPv6ExtHdrFragment(id=9, offset=4) / IPv6ExtHdrDestOpt()
    yield IPv6ExtHdrFragment(id=9, offset=4, nh=47)
    yield IPv6ExtHdrHopByHop(len=200)
    yield IPv6ExtHdrHopByHop() / AH(payloadlen=255)
    for count in (7, 8, 9):
        chain = IPv6ExtHdrDestOpt()
        for _ in range(count - 1):
            chain = chain / IPv6ExtHdrDestOpt()
        yield chain


def errors() -> Iterator[bytes]:
    """ICMP messages: every error type and code, and quotes of all kinds."""
    quote4, quote6 = v4(tcp())[:28], v6(tcp())
    for code in range(17):
        for kind in (3, 4, 5, 11, 12):
            yield icmp4(kind, code, quote4)
        for kind in (1, 2, 3, 4):
            yield icmp6(kind, code, quote6)
    for kind in (0, 8, 13, 40, 255):
        yield icmp4(kind, 0, quote4)
    for kind in (0, 5, 128, 129, 135, 255):
        yield icmp6(kind, 0, quote6)
    yield icmp4(3, 1, quote6)
    yield icmp6(1, 1, quote4)
    yield icmp4(3, 1, icmp4(3, 1, quote4))
    yield icmp4(3, 4, quote4 + bytes(100))
    yield icmp6(1, 4, quote6, rest=IPv6ExtHdrDestOpt())
    for quote in (*internets(), *list(transports())[-14:]):
        yield (icmp4 if quote[0] >> 4 == 4 else icmp6)(3, 1, quote)
    for quote in (v4(tcp()), v6(tcp()), v6(IPv6ExtHdrDestOpt() / tcp()), v4(UDP(sport=1, dport=2, len=8))):
        for length in (0, 19, 20, 27, 28, 39, 40, 47, 48, 55, 56):
            yield (icmp4 if quote[0] >> 4 == 4 else icmp6)(3, 1, quote[:length])


def vlans() -> Iterator[bytes]:
    """Ethernet frames with tags, and with what is no IP."""
    ip = v4(tcp(options=OPTIONS[1]) / b"hello")
    tags = (0x8100, 0x88A8, 0x9100)
    for count in range(6):
        yield ethernet(ip, tags=(tags * 2)[:count])
        yield ethernet(v6(tcp()), 0x86DD, tags=(tags * 2)[:count])
    yield ethernet(ip, tags=(0x8100,) * 8)
    yield ethernet(ip, tags=(0x8100,) * 9)
    yield bytes(Ether() / ARP())
    yield ethernet(ip, kind=0x8847)
    for packet in (ip, v6(tcp())):
        for labels in (1, 2, 8, 9):
            for kind in (0x8847, 0x8848):
                yield ethernet(mpls(packet, labels), kind, tags=(0x8100,) * (labels % 2))
        yield ethernet(snap(packet), kind=len(packet))
        yield ethernet(pppoe(packet), kind=0x8864, tags=(0x8100,))
    yield ethernet(mpls(b"\0\0\0\0" + ethernet(ip)), 0x8847)  # Ethernet over MPLS is not read
    for kind in (0, 0x05FF, 0x0600):
        yield ethernet(snap(ip), kind)
        yield ethernet(snap(ip, kind=0x0100), kind)
    yield ethernet(snap(ip, oui=b"\0\0\x0c"), 100)
    yield ethernet(snap(ip, kind=0x8100), 100)
    yield ethernet(b"\x42\x42\3", 3)  # LLC that ends before SNAP would
    yield ethernet(pppoe(ip, code=9), kind=0x8864)
    yield ethernet(pppoe(ip, kind=0x21), kind=0x8864)
    for protocol in (0xC021, 0x57, 0x0281):
        yield ethernet(pppoe(mpls(ip) if protocol == 0x0281 else ip, protocol=protocol), kind=0x8864)
    yield ethernet(pppoe(ip), kind=0x8863)
    yield ethernet(ip, kind=0x86DD)  # says IPv6, is IPv4
    yield ethernet(ip, kind=len(ip))  # IEEE 802.3 with a length
    yield ethernet(v4(tcp(flags="A")) + b"\xff" * 6)  # padding


def vxlan(inside: bytes, vni: int = 42, flags: int = 8, protocol: int = 0) -> bytes:
    return struct.pack("!BHBI", flags, 0, protocol, vni << 8) + inside


def geneve(inside: bytes, vni: int = 7, kind: int = 0x6558, first: int = 2, flags: int = 0) -> bytes:
    """With as many words of options as ``first`` says."""
    return struct.pack("!BBHI", first, flags, kind, vni << 8) + b"\xee" * ((first & 0x3F) * 4) + inside


def gre(inside: bytes, kind: int = 0x0800, flags: int = 0) -> bytes:
    """With the fields that ``flags`` says; the key is 5."""
    fields = b"".join(
        word
        for bit, word in ((0x8000, b"\xcc" * 4), (0x2000, b"\0\0\0\5"), (0x1000, b"\xdd" * 4))
        if flags & bit
    )
    return struct.pack("!HH", flags, kind) + fields + inside


def erspan(
    inside: bytes, version: int = 2, session: int = 77, subheader: bool = False, kind: int = 0x80
) -> bytes:
    head = struct.pack("!HH", (version - 1) << 12 | 9, session)
    if version == 2:
        return head + bytes(4) + inside
    return head + b"\xee" * 6 + bytes([kind, 0xFE | subheader]) + b"\x0c" * (8 * subheader) + inside


def framed(ip: bytes) -> bytes:
    return ethernet(ip, 0x0800 if ip[0] >> 4 == 4 else 0x86DD)


def in_udp(inside: bytes, port: int, version: int = 4, **fields: object) -> bytes:
    return (v4 if version == 4 else v6)(UDP(sport=55555, dport=port) / inside, **fields)


def in_ip(inside: bytes, protocol: int, version: int = 4, **fields: object) -> bytes:
    if version == 4:
        return v4(Raw(inside), proto=protocol, **fields)
    return v6(Raw(inside), nh=protocol, **fields)


def carriers(ip: bytes, version: int = 4) -> Iterator[bytes]:
    """An IP packet in every tunnel that the decoder opens, over this IP version."""
    kind = 0x0800 if ip[0] >> 4 == 4 else 0x86DD
    frame = framed(ip)
    yield in_ip(ip, 4 if kind == 0x0800 else 41, version)
    yield in_udp(vxlan(frame), 4789, version)
    yield in_udp(vxlan(ip, flags=12, protocol=1 if kind == 0x0800 else 2), 4790, version)
    yield in_udp(vxlan(frame, vni=0xFFFFFF, flags=12, protocol=3), 8472, version)
    for first in (0, 1, 63):
        yield in_udp(geneve(frame, first=first), 6081, version)
    yield in_udp(geneve(ip, kind=kind), 6081, version)
    for flags in (0, 0x2000, 0xB000, 0x9000):
        yield in_ip(gre(ip, kind, flags), 47, version)
        yield in_ip(gre(frame, 0x6558, flags), 47, version)
    yield in_ip(gre(frame, 0x88BE), 47, version)
    yield in_ip(gre(erspan(frame), 0x88BE, 0x1000), 47, version)
    yield in_ip(gre(erspan(frame, 3), 0x22EB, 0x1000), 47, version)
    yield in_ip(gre(erspan(frame, 3, session=0xFFFF, subheader=True), 0x22EB), 47, version)


def no_tunnels(ip: bytes) -> Iterator[bytes]:
    """What looks like a tunnel, and is none, or cannot be opened."""
    frame = framed(ip)
    for flags in (0, 4, 0xF7):
        yield in_udp(vxlan(frame, flags=flags, protocol=3), 4789)
    yield in_udp(vxlan(frame, flags=12, protocol=9), 4789)
    yield in_udp(vxlan(frame), 4788)
    yield in_udp(vxlan(ip), 4789)
    yield in_udp(geneve(frame, first=0x42), 6081)
    yield in_udp(geneve(frame, flags=0x80), 6081)
    for kind in (0x0800, 0x86DD, 0x0806):
        yield in_udp(geneve(ip, kind=kind), 6081)
        yield in_udp(vxlan(ethernet(ip, kind)), 4789)
    for flags in (1, 2, 0x4000, 0x6001):
        yield in_ip(gre(ip, flags=flags), 47)
    yield in_ip(gre(erspan(ip, 3, kind=0x88), 0x22EB), 47)  # a packet without a frame
    for kind in (0x880B, 0x0806, 0x86DD):
        yield in_ip(gre(ip, kind), 47)
    yield in_ip(ip, 41 if ip[0] >> 4 == 4 else 4)
    for whole in (in_udp(vxlan(frame), 4789), in_ip(gre(frame, 0x6558, 0xB000), 47), in_ip(ip, 4)):
        for length in (*range(20, 76, 3), len(whole) - 1):
            yield whole[:2] + struct.pack("!H", length) + whole[4:]  # ends before the packet inside does


def tunnels() -> Iterator[bytes]:
    """Tunnels around packets of all kinds, around other tunnels, in fragments and with VLAN tags inside."""
    plain = [v4(tcp(options=OPTIONS[1]) / b"hello"), v6(tcp("S", options=OPTIONS[6]))]
    for ip in plain:
        for version in (4, 6):
            yield from carriers(ip, version)
        yield from no_tunnels(ip)
    inner = [*internets(), *errors(), *transports()][::7]
    for turn, ip in enumerate(inner):
        around = list(carriers(ip, 4 + turn % 2 * 2))
        yield around[turn % len(around)]
    for tags in ((0x8100,), (0x88A8, 0x8100)):
        yield in_udp(vxlan(ethernet(plain[0], tags=tags)), 4789)
        yield in_udp(geneve(ethernet(plain[1], 0x86DD, tags=tags)), 6081)
    yield in_udp(vxlan(bytes(Ether() / ARP())), 4789)
    for wrap in (
        lambda ip: in_ip(ip, 4),
        lambda ip: in_udp(vxlan(framed(ip)), 4789),
        lambda ip: in_ip(gre(ip), 47),
    ):
        ip = plain[0]
        for _ in range(6):
            ip = wrap(ip)
            yield ip
    long = v4(tcp() / bytes(64), len=9000)
    for more in ("MF", 0):
        yield in_udp(vxlan(framed(long)), 4789, flags=more)
        yield in_ip(gre(framed(long), 0x6558, 0x2000), 47, flags=more)
        yield in_ip(long, 4, flags=more)
    yield v6(IPv6ExtHdrFragment(id=9, m=1) / UDP(dport=6081) / geneve(framed(long)))
    for session in (1, 0x401):
        yield in_ip(gre(erspan(framed(long), session=session), 0x88BE, 0x1000), 47)
    for around in carriers(plain[0]):
        yield icmp4(3, 1, around)
        yield icmp4(3, 4, around[:28])


@cache
def packets() -> list[bytes]:
    """IP packets of all kinds."""
    return [*transports(), *internets(), *broken_up(), *errors(), *tunnels()]


@cache
def corpus() -> list[tuple[int, bytes]]:
    """(link type, frame) of all kinds: every IP packet on Ethernet, and a selection on every other link."""
    frames = [(1, frame) for frame in vlans()]
    frames += [(1, wrapped(ip, 1)) for ip in packets()]
    for link_type in (kind for kind in KNOWN_AND_UNKNOWN if kind != 1):
        step = 17 if link_type in LINK_TYPES else 60
        frames += [(link_type, wrapped(ip, link_type)) for ip in packets()[::step]]
    frames.append((113, bytes(14) + b"\x81\x00" + ethernet(packets()[0], tags=(0x8100,))[14:]))
    ip = packets()[0]
    for control in (0x08, 0x00, 0x48, 0x88, 0xC8, 0x0A, 0x84):
        for flags in (0, 1, 3, 0x41, 0x81, 0x83):
            frame = wireless(ip, control, flags)
            frames += [(105, frame), (127, radiotap(frame, length=8 + flags))]
    frames += [(105, wireless(ip, fragment=1)), (105, wireless(ip, 0x88, qos=0x80))]
    frames += [(127, radiotap(wireless(ip), version=1)), (127, b"\0\0\7\0" + wireless(ip))]
    frames += [(127, b"\0\0\xff\xff" + wireless(ip)), (50, b"\x8f\0\x08\0" + ip), (50, b"\x0f\0\x20\0" + ip)]
    frames += [(kind, b"\xff\3\xc0\x21\1\1\0\4") for kind in (9, 50, 166, 204)]
    frames += [(0, b"\x00\x00\x00\x07" + packets()[0]), (108, b"\x02\x00\x00\x00" + packets()[0])]
    return frames
