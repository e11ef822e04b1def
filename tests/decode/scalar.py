"""A decoder of one frame, as plain as can be: what the decoder of arrays is held against."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce

from analyzer.model.columns import UNKNOWN_END, Undecoded

Row = dict[str, int]

EXTENSIONS = {0, 43, 44, 51, 60}
ERRORS = {4: {3, 4, 5, 11, 12}, 6: {1, 2, 3, 4}}
ICMP = {4: 1, 6: 58}
CARRIERS = (4, 41, 47)


class RefusedError(Exception):
    def __init__(self, reason: Undecoded) -> None:
        self.reason = reason


@dataclass
class Packet:
    """An IP packet: its transport header begins at ``at``, the packet ends at ``stop`` on the wire."""

    version: int
    src: int
    dst: int
    ttl: int
    ip_id: int
    protocol: int
    at: int
    stop: int
    more: bool  # a fragment that others follow
    ident: int  # of the datagram


Known = dict[tuple[int, ...], tuple[int, Row, int]]
"""First fragments by their datagram: the time, the row, where in the datagram its payload begins."""


@dataclass
class LaterError(RefusedError):
    """A later fragment of TCP: of this datagram, where in it, how long, do others follow, the row's begin."""

    datagram: tuple[int, ...]
    offset: int
    length: int
    more: bool
    row: Row
    reason: Undecoded = Undecoded.LATER_FRAGMENT


def decode_frame(
    frame: bytes, original: int, link_type: int, time: int = 0, known: Known | None = None
) -> Row | Undecoded:
    """The row of a frame (without number and times), or why there is none. Notes fragments in ``known``."""
    known = {} if known is None else known
    try:
        end = max(original, len(frame))
        at, version = find_ip(frame, link_type, end)
        return read_packet(frame, at, version, end, (), time, known)
    except LaterError as later:
        began, first, data = known.get(later.datagram, (0, {}, 0))
        if not first or abs(time - began) > 30 * 10**9 or later.offset < data:
            return later.reason
        syn = first["flags"] >> 1 & 1
        return later.row | {
            **{name: first[name] for name in ("sport", "dport", "ack", "window")},
            "seq": (first["seq"] + syn + later.offset - data) % 2**32,
            "flags": first["flags"] & (0x10 if later.more else 0x11),
            "payload": later.length,
        }
    except RefusedError as refused:
        return refused.reason


def is_shortened(frame: bytes, original: int, link_type: int) -> bool:
    """Whether the frame was captured whole and its IP packet states more."""
    try:
        at, version = find_ip(frame, link_type, max(original, len(frame)))
        packet = read_ip(frame, at, version, max(original, len(frame)), quoted=False)
    except RefusedError:
        return False
    return original <= len(frame) < packet.stop


def read_packet(
    frame: bytes, at: int, version: int, end: int, tunnels: tuple[int, ...], time: int, known: Known
) -> Row:
    """The row of the IP packet at ``at``, which travels in these tunnels, the outermost first."""
    packet = read_ip(frame, at, version, end, quoted=False, tunnel=nested(tunnels))
    if packet.protocol in (4, 41, 47):
        demand(len(tunnels) < 4, Undecoded.OTHER_PROTOCOL)
        open_carrier = read_gre if packet.protocol == 47 else read_ip_in_ip
        inside = open_carrier(frame, packet)
        return read_inside(frame, packet, inside, tunnels, time, known)
    if packet.protocol == 17:
        row = read_udp(frame, packet)
        port = number(frame, packet.at + 2, 2)
        if len(tunnels) < 4 and port in UDP_TUNNELS:
            try:
                inside = UDP_TUNNELS[port](frame, packet)
                demand_sense(frame, packet, inside)
            except RefusedError:
                pass
            else:
                return read_inside(frame, packet, inside, tunnels, time, known)
    else:
        row = (read_tcp if packet.protocol == 6 else read_icmp)(frame, packet)
    row |= {"tunnel": nested(tunnels)}
    if packet.more and packet.protocol == 6:
        known.pop(datagram(packet, row["tunnel"]), None)
        known[datagram(packet, row["tunnel"])] = (time, row, (frame[packet.at + 12] >> 4) * 4)
        if len(known) > 4096:
            del known[next(iter(known))]
    return row


def datagram(packet: Packet, tunnel: int) -> tuple[int, ...]:
    return (packet.version, tunnel, packet.src, packet.dst, packet.ident)


def nested(tunnels: tuple[int, ...]) -> int:
    value = 0
    for tunnel in tunnels:
        around = value * 0x9E3779B97F4A7C15 % 2**64 >> 48 | 1 if value else 0
        value = around << 48 | tunnel
    return value


def demand(condition: bool, reason: Undecoded) -> None:
    if not condition:
        raise RefusedError(reason)


def demand_bytes(frame: bytes, end: int) -> None:
    demand(end <= len(frame), Undecoded.TRUNCATED)


def number(frame: bytes, at: int, size: int) -> int:
    assert at + size <= len(frame)
    return int.from_bytes(frame[at : at + size], "big")


def find_ip(frame: bytes, link_type: int, end: int) -> tuple[int, int]:
    """Where the IP header of a frame of ``end`` bytes on the wire begins, and its version."""
    if link_type in ETHERTYPES:
        place, size = ETHERTYPES[link_type]
        demand_bytes(frame, size)
        return skip_shims(frame, size, number(frame, place, 2), end)
    if link_type in (0, 108):
        demand_bytes(frame, 4)
        families = {number(frame, 0, 4)}
        if link_type == 0:
            families.add(int.from_bytes(frame[:4], "little"))
        demand(bool(families & {2, 24, 28, 30}), Undecoded.OTHER_PROTOCOL)
        return 4, 4 if 2 in families else 6
    if link_type in (9, 50, 166, 204):
        return find_in_ppp(frame, link_type, end)
    if link_type == 51:
        return skip_shims(frame, 0, 0x8864, end)
    if link_type in (105, 127):
        return find_in_wireless(frame, link_type, end)
    if link_type == 101:
        demand_bytes(frame, 1)
        demand(frame[0] >> 4 in (4, 6), Undecoded.BAD_IP_HEADER)
        return 0, frame[0] >> 4
    if link_type == 226:
        demand_bytes(frame, 24)
        demand(frame[1] in (2, 26), Undecoded.OTHER_PROTOCOL)
        return 24, 4 if frame[1] == 2 else 6
    demand(link_type in (228, 229), Undecoded.UNKNOWN_LINK_TYPE)
    return 0, {228: 4, 229: 6}[link_type]


ETHERTYPES = {1: (12, 14), 104: (2, 4), 113: (14, 16), 276: (0, 20)}
PPP_TYPES = {0x21: 0x0800, 0x57: 0x86DD, 0x281: 0x8847}


def find_in_ppp(frame: bytes, link_type: int, end: int) -> tuple[int, int]:
    at = link_type == 204
    demand_bytes(frame, at + 4)
    if link_type == 50 and frame[0] in (0x0F, 0x8F):
        return skip_shims(frame, 4, number(frame, 2, 2), end)
    if frame[at] in (0xFF, 0, 1) and frame[at + 1] == 3:
        at += 2
    size = 1 if frame[at] % 2 else 2
    return skip_shims(frame, at + size, PPP_TYPES.get(number(frame, at, size), NO_IP), end)


def find_in_wireless(frame: bytes, link_type: int, end: int) -> tuple[int, int]:
    at = 0
    if link_type == 127:
        demand_bytes(frame, 4)
        at = int.from_bytes(frame[2:4], "little")
        demand(frame[0] == 0 and at >= 8, Undecoded.OTHER_PROTOCOL)
    demand_bytes(frame, at + 2)
    control, flags = frame[at], frame[at + 1]
    demand(control & 0x4F == 0x08, Undecoded.OTHER_PROTOCOL)
    demand(not flags & 0x40, Undecoded.ENCRYPTED)
    qos = at + (30 if flags & 3 == 3 else 24)
    has_qos = bool(control & 0x80)
    behind = qos + has_qos * (6 if flags & 0x80 else 2)
    demand_bytes(frame, behind)
    demand(frame[at + 22] % 16 == 0, Undecoded.LATER_FRAGMENT)
    demand(not (has_qos and frame[qos] & 0x80), Undecoded.OTHER_PROTOCOL)
    return skip_shims(frame, behind, 0, end)


NO_IP = 0xFFFF


def skip_shims(frame: bytes, at: int, kind: int, end: int) -> tuple[int, int]:
    """Over VLAN tags, LLC, labels and PPPoE."""
    for _ in range(8):
        if kind in (0x8100, 0x88A8, 0x9100):
            demand_bytes(frame, at + 4)
            kind, at = number(frame, at + 2, 2), at + 4
        elif kind in (0x8847, 0x8848):
            demand_bytes(frame, at + 5)
            if frame[at + 2] & 1:
                kind = {4: 0x0800, 6: 0x86DD}.get(frame[at + 4] >> 4, NO_IP)
            at += 4
        elif kind == 0x8864:
            demand_bytes(frame, at + 8)
            known = number(frame, at, 2) == 0x1100
            kind, at = PPP_TYPES.get(number(frame, at + 6, 2), NO_IP) if known else NO_IP, at + 8
        elif kind < 0x600:
            demand(at + 8 <= len(frame) or end > len(frame), Undecoded.OTHER_PROTOCOL)
            demand_bytes(frame, at + 8)
            known = frame[at : at + 6] == b"\xaa\xaa\3\0\0\0"
            kind, at = number(frame, at + 6, 2) if known else NO_IP, at + 8
            demand(kind >= 0x600, Undecoded.OTHER_PROTOCOL)
        else:
            break
    demand(kind in (0x0800, 0x86DD), Undecoded.OTHER_PROTOCOL)
    return at, 4 if kind == 0x0800 else 6


@dataclass
class Inside:
    """What is in a tunnel: an IP header begins at ``at``; ``stop`` is where it ends at the latest."""

    tunnel: int
    at: int
    version: int
    stop: int


def read_inside(
    frame: bytes, packet: Packet, inside: Inside, tunnels: tuple[int, ...], time: int, known: Known
) -> Row:
    """What stands behind the end of the packet is padding."""
    tunnels = (*tunnels, inside.tunnel)
    return read_packet(frame[: packet.stop], inside.at, inside.version, inside.stop, tunnels, time, known)


def stop_inside(packet: Packet, is_part: bool = False) -> int:
    return packet.stop + (packet.more + is_part) * 16 * 65536


def demand_sense(frame: bytes, packet: Packet, inside: Inside) -> None:
    """An IP header, and the packet that it states fits in."""
    demand_bytes(frame[: packet.stop], inside.at + (20 if inside.version == 4 else 40))
    first, at, room = frame[inside.at], inside.at, inside.stop - inside.at
    demand(first >> 4 == inside.version, Undecoded.BAD_IP_HEADER)
    if inside.version == 4:
        size, total = (first & 15) * 4, number(frame, at + 2, 2)
        demand(20 <= size <= room and total <= room and not 0 < total < size, Undecoded.BAD_IP_HEADER)
    else:
        demand(40 + number(frame, at + 4, 2) <= room, Undecoded.BAD_IP_HEADER)


def read_ip_in_ip(frame: bytes, packet: Packet) -> Inside:
    return Inside(1 << 40, packet.at, 4 if packet.protocol == 4 else 6, stop_inside(packet))


def read_gre(frame: bytes, packet: Packet) -> Inside:
    at, stop, is_part = packet.at, stop_inside(packet), False
    demand(at + 4 <= packet.stop, Undecoded.BAD_TRANSPORT_HEADER)
    demand_bytes(frame, at + 4)
    flags, kind = number(frame, at, 2), number(frame, at + 2, 2)
    demand(not flags & 0x4007, Undecoded.OTHER_PROTOCOL)
    whole = frame[: packet.stop]
    try:
        at += 4 + 4 * bool(flags & 0x8000)
        tunnel = 2 << 40
        if flags & 0x2000:
            demand_bytes(whole, at + 4)
            tunnel |= 1 << 32 | number(whole, at, 4)
            at += 4
        at += 4 * bool(flags & 0x1000)
        if kind in (0x88BE, 0x22EB):
            tunnel, is_frame = 5 << 40, True
            if kind == 0x22EB or flags & 0x1000:
                size = 12 if kind == 0x22EB else 8
                demand_bytes(whole, at + size)
                session = number(whole, at + 2, 2)
                tunnel |= 1 << 32 | session & 0x3FF
                is_part = bool(session & 0x400)
                if kind == 0x22EB:
                    is_frame = not whole[at + 10] >> 2 & 0x1F
                    at += 8 * (whole[at + 11] & 1)
                at += size
            kind = 0x6558 if is_frame else NO_IP
        stop = stop_inside(packet, is_part)
        if kind == 0x6558:
            demand_bytes(whole, at + 14)
            kind, at = number(whole, at + 12, 2), at + 14
        demand_bytes(whole, at)
        at, version = skip_shims(whole, at, kind, stop)
    except RefusedError as refused:
        reason = refused.reason
        if reason == Undecoded.TRUNCATED and packet.stop <= len(frame):
            reason = Undecoded.BAD_TRANSPORT_HEADER
        raise RefusedError(reason) from refused
    return Inside(tunnel, at, version, stop)


def read_vxlan(frame: bytes, packet: Packet) -> Inside:
    at, whole = packet.at + 8, frame[: packet.stop]
    demand_bytes(whole, at + 8)
    demand(bool(whole[at] & 8), Undecoded.OTHER_PROTOCOL)
    kind = {1: 0x0800, 2: 0x86DD, 3: 0x6558}.get(whole[at + 3], NO_IP) if whole[at] & 4 else 0x6558
    return behind_vni(whole, packet, 3, number(whole, at + 4, 3), kind, at + 8)


def read_geneve(frame: bytes, packet: Packet) -> Inside:
    at, whole = packet.at + 8, frame[: packet.stop]
    demand_bytes(whole, at + 8)
    demand(whole[at] >> 6 == 0 and not whole[at + 1] & 0x80, Undecoded.OTHER_PROTOCOL)
    behind = at + 8 + 4 * (whole[at] & 0x3F)
    return behind_vni(whole, packet, 4, number(whole, at + 4, 3), number(whole, at + 2, 2), behind)


def behind_vni(whole: bytes, packet: Packet, tunnel: int, vni: int, kind: int, at: int) -> Inside:
    if kind == 0x6558:
        demand_bytes(whole, at + 14)
        kind, at = number(whole, at + 12, 2), at + 14
    at, version = skip_shims(whole, at, kind, stop_inside(packet))
    return Inside(tunnel << 40 | 1 << 32 | vni, at, version, stop_inside(packet))


UDP_TUNNELS = {4789: read_vxlan, 4790: read_vxlan, 8472: read_vxlan, 6081: read_geneve}


def read_ip(frame: bytes, at: int, version: int, end: int, quoted: bool, tunnel: int = 0) -> Packet:
    packet, offset = (read_ipv4 if version == 4 else read_ipv6)(frame, at, end, quoted, bool(tunnel))
    if offset:
        demand(packet.protocol == 6 and not quoted, Undecoded.LATER_FRAGMENT)
        row = blank(packet, packet) | {"protocol": 6, "tunnel": tunnel}
        of = datagram(packet, tunnel)
        raise LaterError(of, offset, packet.stop - packet.at, packet.more, row)
    return packet


def ip_stop(at: int, stated: int, end: int, quoted: bool) -> int:
    """Where a packet ends that begins at ``at`` and states its length, in something that ends at ``end``."""
    if quoted:
        return end
    if stated:
        return at + stated
    demand(end - at <= 8 * 65536, Undecoded.BAD_IP_HEADER)
    return end


def demand_fits(frame: bytes, stop: int, end: int, quoted: bool, is_inside: bool) -> None:
    """A packet does not end behind its frame, unless all of that was captured: then a tool cut the frame."""
    believed = quoted or (not is_inside and end <= len(frame))
    demand(stop <= end or believed, Undecoded.LENGTH_BEYOND_FRAME)


def read_ipv4(frame: bytes, at: int, end: int, quoted: bool, is_inside: bool) -> tuple[Packet, int]:
    """The packet, and where in its datagram it begins."""
    demand_bytes(frame, at + 20)
    size = (frame[at] & 15) * 4
    demand(frame[at] >> 4 == 4 and size >= 20, Undecoded.BAD_IP_HEADER)
    stop = ip_stop(at, number(frame, at + 2, 2), end, quoted)
    demand(stop >= at + size, Undecoded.BAD_IP_HEADER)
    demand_bytes(frame, at + size)
    demand_fits(frame, stop, end, quoted, is_inside)
    protocol = frame[at + 9]
    demand(protocol in (1, 6, 17, *CARRIERS), Undecoded.OTHER_PROTOCOL)
    packet = Packet(
        version=4,
        src=number(frame, at + 12, 4),
        dst=number(frame, at + 16, 4),
        ttl=frame[at + 8],
        ip_id=number(frame, at + 4, 2),
        protocol=protocol,
        at=at + size,
        stop=stop,
        more=bool(number(frame, at + 6, 2) & 0x2000),
        ident=number(frame, at + 4, 2),
    )
    return packet, number(frame, at + 6, 2) % 0x2000 * 8


def read_ipv6(frame: bytes, at: int, end: int, quoted: bool, is_inside: bool) -> tuple[Packet, int]:
    demand_bytes(frame, at + 40)
    demand(frame[at] >> 4 == 6, Undecoded.BAD_IP_HEADER)
    length = number(frame, at + 4, 2)
    stop = ip_stop(at, 40 + length if length else 0, end, quoted)
    protocol, behind, offset, more, ident = skip_extensions(frame, at + 40, frame[at + 6], stop)
    demand_fits(frame, stop, end, quoted, is_inside)
    known = protocol in (6, 17, 58, *CARRIERS) or (offset and protocol in EXTENSIONS)
    demand(bool(known), Undecoded.OTHER_PROTOCOL)
    packet = Packet(
        version=6,
        src=number(frame, at + 8, 16),
        dst=number(frame, at + 24, 16),
        ttl=frame[at + 7],
        ip_id=0,
        protocol=protocol,
        at=behind,
        stop=stop,
        more=more,
        ident=ident,
    )
    return packet, offset


def skip_extensions(frame: bytes, at: int, kind: int, stop: int) -> tuple[int, int, int, bool, int]:
    """Protocol and place of what stands behind the extension headers; offset, MF and ident of a fragment."""
    steps, more, ident = 0, False, 0
    while kind in EXTENSIONS:
        steps += 1
        demand(steps <= 8 and at + 8 <= stop, Undecoded.BAD_IP_HEADER)
        demand_bytes(frame, at + 8)
        if kind == 44:
            offset, more = number(frame, at + 2, 2) & 0xFFF8, bool(frame[at + 3] & 1)
            ident = number(frame, at + 4, 4)
            if offset:
                return frame[at], at + 8, offset, more, ident
            size = 8
        elif kind == 51:
            size = (frame[at + 1] + 2) * 4
        else:
            size = (frame[at + 1] + 1) * 8
        demand(at + size <= stop, Undecoded.BAD_IP_HEADER)
        kind, at = frame[at], at + size
    return kind, at, 0, more, ident


def blank(packet: Packet, carrier: Packet) -> Row:
    """A row with all that comes from IP: ``packet`` is whose flow it is, ``carrier`` what was captured."""
    low = 2**64 - 1
    return {
        "version": packet.version,
        "protocol": packet.protocol,
        "src_hi": packet.src >> 64,
        "src_lo": packet.src & low,
        "dst_hi": packet.dst >> 64,
        "dst_lo": packet.dst & low,
        "ttl": carrier.ttl,
        "ip_id": carrier.ip_id,
        "payload": 0,
        "seq": 0,
        "ack": 0,
        "flags": 0,
        "window": 0,
        "mss": 0,
        "scale": -1,
        "has_ts": 0,
        "tsval": 0,
        "tsecr": 0,
        "options": 0,
        "layout": 0,
        "sack_edge": 0,
        "is_icmp": 0,
        "icmp_type": 0,
        "icmp_code": 0,
        "reporter_hi": 0,
        "reporter_lo": 0,
        "tunnel": 0,
        "promised": 0,
    }


def read_tcp(frame: bytes, packet: Packet) -> Row:
    at = packet.at
    demand(at + 20 <= packet.stop, Undecoded.BAD_TRANSPORT_HEADER)
    demand_bytes(frame, at + 20)
    size = (frame[at + 12] >> 4) * 4
    demand(size >= 20 and at + size <= packet.stop, Undecoded.BAD_TRANSPORT_HEADER)
    row = blank(packet, packet) | {
        "sport": number(frame, at, 2),
        "dport": number(frame, at + 2, 2),
        "seq": number(frame, at + 4, 4),
        "ack": number(frame, at + 8, 4),
        "flags": frame[at + 13],
        "window": number(frame, at + 14, 2),
        "payload": packet.stop - at - size,
    }
    read_options(frame[at + 20 : at + size], row)
    end = promised_end(frame[at + size : packet.stop], row["payload"])
    row["promised"] = end if end > row["payload"] or end == UNKNOWN_END else 0
    return row


M = 2**32 - 1
OPTIONS = {
    2: (4, 1),
    3: (3, 2),
    4: (2, 4),
    8: (10, 0x10),
    19: (18, 0x20),
    28: (4, 0x40),
    29: (0, 0x20),
    30: (0, 0x100),
    34: (0, 0x80),
}
"""By kind: the size, 0 for any, and the bit."""


DIGITS = {0: "6", 1: "1", 2: "2", 3: "3", 4: "4", 8: "5"}


def read_options(options: bytes, row: Row) -> None:
    is_syn = row["flags"] & 2
    layout = ""
    while options and options[0] != 0:
        if options[0] == 1:
            layout += "1"
            options = options[1:]
            continue
        if len(options) < 2 or not 2 <= options[1] <= len(options):
            layout += "7"
            break
        layout += DIGITS.get(options[0], "7")
        kind, size = options[0], options[1]
        value, options = options[2:size], options[size:]
        if kind in OPTIONS and OPTIONS[kind][0] in (0, size):
            row["options"] |= OPTIONS[kind][1]
        if kind == 5 and size >= 10 and size % 8 == 2:
            edges = [number(value, place, 4) for place in range(4, len(value), 8)]
            row["options"] |= 8
            row["sack_edge"] = reduce(lambda one, other: other if 0 < other - one & M < 2**31 else one, edges)
        if kind == 30 and size >= 4:
            reason = min(value[1], 15) << 12
            row["options"] |= {7: 0x200, 8: 0x400 | reason}.get(value[0] >> 4, 0)
        if (kind, size) == (2, 4) and is_syn:
            row["mss"] = number(value, 0, 2)
        elif (kind, size) == (3, 3) and is_syn:
            row["scale"] = min(value[0], 14)
        elif (kind, size) == (8, 10):
            row |= {"has_ts": 1, "tsval": number(value, 0, 4), "tsecr": number(value, 4, 4)}
    if options and options[0] == 0:
        layout += "6"
    if is_syn:
        row["layout"] = int(layout[:10] or "0", 8)


def promised_end(payload: bytes, length: int) -> int:
    """Where what its sender is at ends, from the payload's begin on; ``length`` is that on the wire."""
    is_cut = len(payload) < length
    head, blank_line, _ = payload[:4096].partition(b"\r\n\r\n")
    if re.match(rb"HTTP/1\.[01] [2-5]\d\d[ \r]", payload) and blank_line:
        stated = re.search(rb"\n(?i:content-length)[ \t]*:[ \t]*(\d{1,15})[ \t]*\r?\n", head + b"\r\n")
        return len(head) + 4 + int(stated[1]) if stated else 0
    if re.match(rb"HTTP/1\.[01] [2-5]\d\d[ \r]", payload) and len(payload) < 4096:
        return UNKNOWN_END if is_cut else 0
    end = records = 0
    while end + 5 <= len(payload) and records < 16 and (end < length or not end):
        kind, major, minor = payload[end : end + 3]
        size = number(payload, end + 3, 2)
        if not 20 <= kind <= 23 or major != 3 or minor > 4 or size > 1 << 15:
            break
        if kind == 21 and size == 2 and end + 7 <= len(payload) and payload[end + 6]:
            return 1 << 20
        end, records = end + 5 + size, records + 1
        if is_cut and records <= 16 and len(payload) < end + 5 and end < length:
            return UNKNOWN_END
    return end


def read_udp(frame: bytes, packet: Packet) -> Row:
    at = packet.at
    demand(at + 8 <= packet.stop, Undecoded.BAD_TRANSPORT_HEADER)
    demand_bytes(frame, at + 8)
    stated = number(frame, at + 4, 2) if packet.more else 0
    return blank(packet, packet) | {
        "sport": number(frame, at, 2),
        "dport": number(frame, at + 2, 2),
        "payload": max(packet.stop - at, stated) - 8,
    }


def read_icmp(frame: bytes, packet: Packet) -> Row:
    at = packet.at
    demand(at + 8 <= packet.stop, Undecoded.BAD_TRANSPORT_HEADER)
    demand_bytes(frame, at + 8)
    demand(frame[at] in ERRORS[packet.version], Undecoded.OTHER_PROTOCOL)
    message = frame[: packet.stop]
    try:
        quoted = read_ip(message, at + 8, packet.version, packet.stop, quoted=True)
        demand(quoted.protocol in (6, 17), Undecoded.OTHER_PROTOCOL)
        demand_bytes(message, quoted.at + 8)
    except RefusedError as refused:
        reason = refused.reason
        is_whole = packet.stop <= len(frame)
        if reason == Undecoded.BAD_IP_HEADER or (reason == Undecoded.TRUNCATED and is_whole):
            reason = Undecoded.BAD_TRANSPORT_HEADER
        raise RefusedError(reason) from refused
    at_syn = message[quoted.at + 13 : quoted.at + 24]
    is_syn = quoted.protocol == 6 and len(at_syn) == 11 and at_syn[0] & 0x12 == 2 and at_syn[7:9] == b"\2\4"
    return blank(quoted, packet) | {
        "mss": number(message, quoted.at + 22, 2) if is_syn else 0,
        "sport": number(message, quoted.at, 2),
        "dport": number(message, quoted.at + 2, 2),
        "seq": number(message, quoted.at + 4, 4) if quoted.protocol == 6 else 0,
        "is_icmp": 1,
        "icmp_type": frame[at],
        "icmp_code": frame[at + 1],
        "reporter_hi": packet.src >> 64,
        "reporter_lo": packet.src & (2**64 - 1),
    }
