"""A frame without what tells of people: other addresses, no payload, checksums that fit.

Nothing is kept that is not understood: the frame is cut behind the last header that is. The lengths in the
headers stay. Ports, sequence numbers, TTL, IP ID, timestamps, VLAN and tunnel ids stay as well, since
verdicts rest on them.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from analyzer.decode import ip
from analyzer.decode.ethertype import ETHERNET, IPV4, IPV6, PPPOE
from analyzer.decode.link import locate
from analyzer.decode.pseudonyms import Pseudonyms
from analyzer.decode.spans import Rejects
from analyzer.decode.tunnels import MAX_DEPTH
from analyzer.model.blocks import FrameBlock

_TAGS = (0x8100, 0x88A8, 0x9100)
_GROUPS = {1: ((0, 6), (6, 6)), 113: ((6, 8),), 276: ((12, 8),)}
"""Where link-layer addresses stand, by LINKTYPE_ value: offset and size."""
_RADIOTAP, _WIRELESS = 127, 105
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AH, _DESTINATION = 0, 43, 44, 51, 60
_VXLAN_PORTS, _GENEVE_PORT = (4789, 8472, 4790), 6081
_END, _NOP = 0, 1
_PLAIN_OPTIONS = (2, 3, 4, 5, 8)
"""TCP options that hold numbers only: MSS, window scale, SACK permitted, SACK, timestamps."""
_MPTCP = 30
_REDIRECT = 5


def ip_begins(block: FrameBlock) -> dict[int, int]:
    """Where in each frame of the block its first IP header begins, by index; others have none."""
    found: dict[int, int] = {}
    for spans, _ in locate(block, Rejects(len(block))):
        begins = spans.at - block.offsets[spans.index]
        found.update(zip(spans.index.tolist(), begins.tolist(), strict=True))
    return found


def anonymized(
    frame: bytes, link_type: int, begin: int, original: int, names: Pseudonyms
) -> tuple[bytes, int]:
    """The frame, whose IP header begins at ``begin``, and how many bytes it had on the wire.

    That is ``original``, but of a frame that something had cut without a note of it: that one stays so.
    """
    packet = frame[begin:]
    head = _link(bytearray(frame[:begin]), link_type, names)
    new = bytes(head + _Packet(names).rewritten(packet, original - begin))
    unnoted = original <= len(frame) and begin + _stated(packet) > original
    return new, len(new) if unnoted else original


def _stated(packet: bytes) -> int:
    """Bytes that an IP packet says it has; 0 where it does not."""
    if len(packet) < 6:
        return 0
    if packet[0] >> 4 == 4:
        return int.from_bytes(packet[2:4])
    return 40 + int.from_bytes(packet[4:6])


def _link(head: bytearray, link_type: int, names: Pseudonyms) -> bytearray:
    if link_type in (_RADIOTAP, _WIRELESS):
        at = int.from_bytes(head[2:4], "little") if link_type == _RADIOTAP else 0
        places = [(at + 4, 6), (at + 10, 6), (at + 16, 6)]
        if len(head) > at + 1 and head[at + 1] & 3 == 3:
            places.append((at + 24, 6))
    else:
        places = list(_GROUPS.get(link_type, ()))
    for at, size in places:
        if at + size <= len(head):
            head[at : at + size] = _hardware(bytes(head[at : at + size]), names)
    return head


def _hardware(address: bytes, names: Pseudonyms) -> bytes:
    """Of a field of 8 bytes the last two are padding."""
    return names.mac(address[:6]) + bytes(len(address) - 6)


class _Outer(NamedTuple):
    """What a transport checksum needs of the IP header."""

    addresses: bytes
    length: int
    """Bytes behind the IP header on the wire."""


class _Packet:
    """Rewrites an IP packet and what is in it."""

    def __init__(self, names: Pseudonyms, depth: int = 0) -> None:
        self._names = names
        self._depth = depth

    def rewritten(self, data: bytes, room: int, *, quoted: bool = False) -> bytearray:
        """The packet, which had ``room`` bytes on the wire at most; ``quoted``: only its begin is there."""
        if len(data) >= 20 and data[0] >> 4 == 4:
            return self._v4(data, room, quoted)
        if len(data) >= 40 and data[0] >> 4 == 6:
            return self._v6(data, room, quoted)
        return bytearray()

    def _v4(self, data: bytes, room: int, quoted: bool) -> bytearray:
        size = (data[0] & 15) * 4
        total, fragment = struct.unpack_from(">H2xH", data, 2)
        if size < 20 or size > len(data):
            return bytearray()
        head = bytearray(data[:size])
        head[12:16], head[16:20] = self._names.address(data[12:16]), self._names.address(data[16:20])
        head[20:] = bytes([_NOP]) * (size - 20)
        head[10:12] = bytes(2)
        struct.pack_into(">H", head, 10, _complement(_sum(head)))
        outer = _Outer(bytes(head[12:20]), (total or room) - size)
        if fragment & 0x1FFF:
            return head
        return head + self._inner(data[9], data[size : total or None], outer, 4, quoted)

    def _v6(self, data: bytes, room: int, quoted: bool) -> bytearray:
        length, protocol = struct.unpack_from(">HB", data, 4)
        head = bytearray(data[:40])
        head[1:4] = bytes([data[1] & 0xF0, 0, 0])  # the flow label may be made of the addresses
        head[8:24], head[24:40] = self._names.address(data[8:24]), self._names.address(data[24:40])
        end = 40 + length if length else len(data)
        at = 40
        while protocol in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AH, _DESTINATION):
            extension = _extension(data[at:end], protocol)
            if not extension:
                return head
            head += extension
            later = protocol == _FRAGMENT and struct.unpack_from(">H", extension, 2)[0] & 0xFFF8
            protocol, at = extension[0], at + len(extension)
            if later:
                return head
        outer = _Outer(bytes(head[8:40]), (40 + length if length else room) - at)
        return head + self._inner(protocol, data[at:end], outer, 6, quoted)

    def _inner(self, protocol: int, data: bytes, outer: _Outer, version: int, quoted: bool) -> bytearray:
        if protocol == ip.TCP:
            return _tcp(data, outer, quoted)
        if protocol == ip.UDP:
            return self._udp(data, outer, quoted)
        if protocol == ip.ICMP[version]:
            return self._icmp(data, outer, version, quoted)
        if protocol in (ip.IPV4, ip.IPV6):
            return self._inside(data, outer.length, IPV4 if protocol == ip.IPV4 else IPV6)
        return self._gre(data, outer.length) if protocol == ip.GRE else bytearray()

    def _udp(self, data: bytes, outer: _Outer, quoted: bool) -> bytearray:
        if len(data) < 8:
            return bytearray()
        _, port, length, checksum = struct.unpack_from(">HHHH", data)
        body = bytearray() if quoted else self._tunnel(data, port, outer.length)
        head = bytearray(data[:8])
        if checksum:
            _set_checksum(head, 6, body, outer, ip.UDP, length)
        return head + body

    def _tunnel(self, data: bytes, port: int, room: int) -> bytearray:
        """What a VXLAN or Geneve header leads to, with that header; nothing where there is none."""
        if len(data) < 16:
            return bytearray()
        if port in _VXLAN_PORTS and data[8] & 8:
            following = {1: IPV4, 2: IPV6}.get(data[11], ETHERNET) if data[8] & 4 else ETHERNET
            size = 8
        elif port == _GENEVE_PORT and not data[8] >> 6:
            following, size = struct.unpack_from(">H", data, 10)[0], 8 + (data[8] & 63) * 4
        else:
            return bytearray()
        inside = self._inside(data[8 + size :], room - 8 - size, following)
        options = bytes(min(size - 8, len(data) - 16))
        return bytearray(data[8:16] + options) + inside if inside else inside

    def _gre(self, data: bytes, room: int) -> bytearray:
        """RFC 2784 and 2890; its checksum is not kept, as nobody can check it without the payload."""
        if len(data) < 4:
            return bytearray()
        flags, following = struct.unpack_from(">HH", data)
        has_checksum, numbered = bool(flags & 0x8000), bool(flags & 0x1000)
        size = 4 + 4 * has_checksum + 4 * bool(flags & 0x2000) + 4 * numbered
        head = bytearray(data[:size])
        if has_checksum:
            head[4:6] = bytes(2)
        mirror = 0
        if following == 0x22EB and len(data) > size + 11:
            mirror = 12 + 8 * (data[size + 11] & 1)
        elif following == 0x88BE:
            mirror = 8 * numbered
        following = ETHERNET if following in (0x88BE, 0x22EB) else following
        inside = self._inside(data[size + mirror :], room - size - mirror, following)
        return head + data[size : size + mirror] + inside

    def _inside(self, data: bytes, room: int, kind: int) -> bytearray:
        """A packet or a frame in a tunnel."""
        head = bytearray()
        if kind == ETHERNET and len(data) >= 14:
            kind = struct.unpack_from(">H", data, 12)[0]
            head = _link(bytearray(data[:14]), 1, self._names)
            while kind in (*_TAGS, PPPOE) and len(data) >= len(head) + 8:
                at = len(head)
                if kind == PPPOE:
                    protocol = struct.unpack_from(">H", data, at + 6)[0]
                    kind, size = {0x21: IPV4, 0x57: IPV6}.get(protocol, 0), 8
                else:
                    kind, size = struct.unpack_from(">H", data, at + 2)[0], 4
                head += data[at : at + size]
        if kind not in (IPV4, IPV6) or self._depth >= MAX_DEPTH:
            return head
        deeper = _Packet(self._names, self._depth + 1)
        return head + deeper.rewritten(data[len(head) :], room - len(head))

    def _icmp(self, data: bytes, outer: _Outer, version: int, quoted: bool) -> bytearray:
        """The header, and of an error the quote; what routers add behind that (RFC 4884) is not kept."""
        if len(data) < 8:
            return bytearray()
        head = bytearray(data[:8])
        kind = data[0]
        quotes = kind in ((3, 4, 5, 11, 12) if version == 4 else (1, 2, 3, 4))
        if version == 4 and kind == _REDIRECT:
            head[4:8] = self._names.address(data[4:8])
        elif kind in ((3, 11) if version == 4 else (1, 3)):
            head[4:6] = bytes(2)
        body = _Packet(self._names, MAX_DEPTH).rewritten(data[8:], outer.length - 8, quoted=True)
        body = body if quotes and not quoted else bytearray()
        pseudo = outer if version == 6 else _Outer(b"", 0)
        _set_checksum(head, 2, body, pseudo, ip.ICMP[6], outer.length)
        return head + body


def _tcp(data: bytes, outer: _Outer, quoted: bool) -> bytearray:
    if len(data) < 20:
        head = bytearray(data if quoted else b"")  # the 8 bytes that RFC 792 promises, or some more
        if len(head) > 16:
            head[16:] = bytes(len(head) - 16)
        return head
    size = min(max(20, (data[12] >> 4) * 4), len(data))
    head = bytearray(data[:20] + _options(data[20:size]))
    _set_checksum(head, 16, b"", outer, ip.TCP, outer.length)
    return head


def _options(data: bytes) -> bytes:
    """Those that may hold a secret, an address or anything at all keep their length only."""
    kept, at = bytearray(), 0
    while at < len(data):
        kind = data[at]
        if kind in (_END, _NOP):
            kept.append(kind)
            at += 1
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        if size < 2 or at + size > len(data):
            break
        body = data[at + 2 : at + size]
        if kind == _MPTCP and body:  # the subtype, and the reason of a reset
            body = body[:2] + bytes(len(body) - 2) if body[0] >> 4 == 8 else body[:1] + bytes(len(body) - 1)
        elif kind not in _PLAIN_OPTIONS:
            body = bytes(len(body))
        kept += data[at : at + 2] + body
        at += size
    return bytes(kept) + bytes(len(data) - len(kept))


def _extension(data: bytes, kind: int) -> bytearray:
    """An IPv6 extension header without its options and addresses; empty where it is cut."""
    if len(data) < 8:
        return bytearray()
    size = 8 if kind == _FRAGMENT else (data[1] + 2) * 4 if kind == _AH else (data[1] + 1) * 8
    if size > len(data):
        return bytearray()
    if kind == _FRAGMENT:
        return bytearray(data[:size])
    head = bytearray(data[:2]) + bytes(size - 2)
    if kind == _ROUTING:
        head[2] = data[2]
    elif kind == _AH:
        head[4:8] = data[4:8]  # SPI
    return head  # options that are all zeros are padding


def _set_checksum(
    head: bytearray, at: int, body: bytes | bytearray, outer: _Outer, protocol: int, length: int
) -> None:
    """As if everything that is not there were zeros."""
    head[at : at + 2] = bytes(2)
    pseudo = outer.addresses + struct.pack(">II", max(0, length), protocol) if outer.addresses else b""
    checksum = _complement(_sum(pseudo) + _sum(bytes(head) + bytes(body)))
    struct.pack_into(">H", head, at, checksum or (0xFFFF if protocol == ip.UDP else 0))


def _sum(data: bytes | bytearray) -> int:
    padded = bytes(data) + bytes(len(data) % 2)
    return sum(struct.unpack(f">{len(padded) // 2}H", padded))


def _complement(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
