"""The own decoder, tshark and scapy read the same in generated frames of every link type and tunnel.

What one of the other two cannot read is named here, and tested to be so: whatever it learns is noticed.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import scapy.layers.dot11
import scapy.layers.ppp  # noqa: F401 - registers itself
from scapy.contrib.erspan import ERSPAN, ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS  # noqa: F401 - registers itself
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from analyzer.decode import decode
from analyzer.model.columns import ROW_FIELDS
from analyzer.model.tunnel import tunnel_text
from analyzer.sources.open import open_capture
from tests.decode.frames import (
    LINK_TYPES,
    erspan,
    ethernet,
    framed,
    geneve,
    gre,
    in_ip,
    in_udp,
    mpls,
    ppp,
    pppoe,
    snap,
    v4,
    v6,
    vxlan,
    wrapped,
)
from tests.sources.build import Frame, pcapng
from tests.test_tshark import FIELDS, Row, number, our_row, scapy_row, tshark_row

SEED = 20_260_101
EACH = 4
"""Packets of a kind inside of each link type and tunnel."""

Wrap = Callable[[bytes], bytes]


class Case(NamedTuple):
    """Frames of a kind: what they are called, their link type, and how a packet is wrapped."""

    name: str
    link_type: int
    wrap: Wrap


def of_both(*names: str) -> set[str]:
    return {f"{name}, IPv{version}" for name in names for version in (4, 6)}


TSHARK_LACKS = of_both("link 166")
"""tshark 4.0 takes LINKTYPE_PPP_PPPD for another link type."""
SCAPY_LACKS = of_both("link 104", "link 166", "link 226", "old QinQ", "MPLS multicast")
SCAPY_LACKS |= {"link 0, IPv6", "link 108, IPv6"}


def kind_of(ip: bytes) -> int:
    return 0x0800 if ip[0] >> 4 == 4 else 0x86DD


def linked(link_type: int) -> Wrap:
    """As ``wrapped``, with nothing about it that is odd."""
    if link_type in (0, 108):
        order = "<" if link_type == 0 else "!"
        return lambda ip: struct.pack(order + "I", 2 if ip[0] >> 4 == 4 else 24) + ip
    if link_type == 50:
        return lambda ip: ppp(ip, framed=1)
    if link_type == 127:
        return lambda ip: struct.pack("<BBHI", 0, 0, 8, 0) + wrapped(ip, 105)
    return lambda ip: wrapped(ip, link_type)


def tagged(*tags: int) -> Wrap:
    return lambda ip: ethernet(ip, kind_of(ip), tags)


BESIDE_IP: dict[str, Wrap] = {
    "VLAN": tagged(0x8100),
    "QinQ": tagged(0x88A8, 0x8100),
    "old QinQ": tagged(0x9100, 0x8100),
    "three tags": tagged(0x88A8, 0x8100, 0x8100),
    "MPLS": lambda ip: ethernet(mpls(ip), 0x8847),
    "MPLS, three labels, VLAN": lambda ip: ethernet(mpls(ip, 3), 0x8847, (0x8100,)),
    "MPLS multicast": lambda ip: ethernet(mpls(ip), 0x8848),
    "PPPoE": lambda ip: ethernet(pppoe(ip), 0x8864),
    "PPPoE, VLAN": lambda ip: ethernet(pppoe(ip), 0x8864, (0x8100,)),
    "SNAP": lambda ip: ethernet(snap(ip), len(ip) + 8),
}
OPTION = b"\x01\x02\x80\x01abcd"
"""Of Geneve: class, type, and the length of its data in words."""


def with_option(inside: bytes, kind: int) -> bytes:
    return struct.pack("!BBHI", len(OPTION) // 4, 0, kind, 7 << 8) + OPTION + inside


IN_IP: dict[str, tuple[int, Wrap]] = {
    "GRE": (47, lambda ip: gre(ip, kind_of(ip))),
    "GRE with a key": (47, lambda ip: gre(ip, kind_of(ip), 0x2000)),
    "GRE, all fields": (47, lambda ip: gre(ip, kind_of(ip), 0xB000)),
    "GRE, frames": (47, lambda ip: gre(framed(ip), 0x6558, 0x2000)),
    "ERSPAN I": (47, lambda ip: gre(framed(ip), 0x88BE)),
    "ERSPAN II": (47, lambda ip: gre(erspan(framed(ip)), 0x88BE, 0x1000)),
    "ERSPAN III": (47, lambda ip: gre(erspan(framed(ip), 3), 0x22EB, 0x1000)),
    "ERSPAN III, subheader": (47, lambda ip: gre(erspan(framed(ip), 3, subheader=True), 0x22EB, 0x1000)),
    "GRE, VLAN": (47, lambda ip: gre(tagged(0x8100)(ip), 0x6558)),
}
IN_UDP: dict[str, tuple[int, Wrap]] = {
    "VXLAN": (4789, lambda ip: vxlan(framed(ip))),
    "VXLAN, VLAN": (4789, lambda ip: vxlan(tagged(0x8100)(ip), 0xFFFFFF)),
    "VXLAN GPE": (4790, lambda ip: vxlan(ip, flags=12, protocol=1 if ip[0] >> 4 == 4 else 2)),
    "VXLAN as Linux": (8472, lambda ip: vxlan(framed(ip))),
    "Geneve": (6081, lambda ip: geneve(framed(ip), first=0)),
    "Geneve, IP": (6081, lambda ip: geneve(ip, kind=kind_of(ip), first=0)),
    "Geneve with an option": (6081, lambda ip: with_option(framed(ip), 0x6558)),
}


def tunnels() -> Iterator[tuple[str, Wrap]]:
    """Every tunnel over both IP versions, to be framed."""
    for version in (4, 6):
        over = f" over IPv{version}"
        yield "IP in IP" + over, lambda ip, v=version: in_ip(ip, 4 if ip[0] >> 4 == 4 else 41, v)
        for name, (protocol, wrap) in IN_IP.items():
            yield name + over, lambda ip, v=version, p=protocol, w=wrap: in_ip(w(ip), p, v)
        for name, (port, wrap) in IN_UDP.items():
            yield name + over, lambda ip, v=version, p=port, w=wrap: in_udp(w(ip), p, v)


def cases() -> list[Case]:
    """All of them."""
    found = [Case(f"link {link_type}", link_type, linked(link_type)) for link_type in LINK_TYPES]
    found += [Case(name, 1, wrap) for name, wrap in BESIDE_IP.items()]
    return found + [Case(name, 1, lambda ip, w=wrap: framed(w(ip))) for name, wrap in tunnels()]


def transport(chance: random.Random) -> Packet:
    """TCP or UDP between ports that no protocol is known by, with random values."""
    ports = {"sport": chance.randrange(40_000, 45_000), "dport": chance.randrange(45_000, 50_000)}
    data = Raw(b"x" * chance.choice((0, 1, 2, 5, 40)))
    if chance.random() < 0.2:
        return UDP(**ports) / data
    options = [
        ("MSS", chance.randrange(1, 65_536)),
        ("WScale", chance.randrange(15)),
        ("Timestamp", (chance.getrandbits(32), chance.getrandbits(32))),
        ("SAckOK", b""),
        ("NOP", None),
    ]
    flags = chance.choice(("S", "SA", "A", "PA", "FA", "R", "RA", "PAE", "FPUA"))
    if "S" not in flags:
        options = options[2:]
    values = {"seq": chance.getrandbits(32), "ack": chance.getrandbits(32), "window": chance.getrandbits(16)}
    chosen = chance.sample(options, chance.randrange(len(options)))
    return TCP(**ports, flags=flags, options=chosen, **values) / data


def address(version: int, chance: random.Random) -> str:
    if version == 4:
        return f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    return f"2001:db8::{chance.getrandbits(16):x}:{chance.getrandbits(16):x}"


def packet(version: int, chance: random.Random) -> bytes:
    ends = {"src": address(version, chance), "dst": address(version, chance)}
    ttl = chance.randrange(2, 256)
    if version == 4:
        return v4(transport(chance), ttl=ttl, id=chance.getrandbits(16), **ends)
    return v6(transport(chance), hlim=ttl, **ends)


def error(version: int, chance: random.Random) -> bytes:
    """An ICMP error about such a packet; short enough that no one takes a part of it for another layer."""
    about = packet(version, chance)
    kind, code = chance.choice(((3, 1), (11, 0)) if version == 4 else ((1, 3), (3, 0)))
    message = Raw(struct.pack("!BBHI", kind, code, 0xABCD, 0) + about[: 28 if version == 4 else None])
    if version == 4:
        return v4(message, proto=1, src=address(4, chance), dst=".".join(map(str, about[12:16])))
    return v6(message, nh=58, src=address(6, chance), dst=str(ip_address(about[8:24])))


@cache
def generated() -> list[tuple[Case, bytes]]:
    """The same frames whenever it is asked."""
    chance = random.Random(SEED)
    found = []
    for case in cases():
        kinds = [packet] if " over IPv" in case.name else [packet, error]
        versions = {228: (4,), 229: (6,)}.get(case.link_type, (4, 6))
        inside = [kind(version, chance) for kind in kinds for version in versions for _ in range(EACH)]
        found += [(case, case.wrap(ip)) for ip in inside]
    return found


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decoders") / "generated.pcapng"
    frames = [Frame(data, len(data), turn, case.link_type) for turn, (case, data) in enumerate(generated())]
    path.write_bytes(pcapng(frames))
    return path


Told = dict[int, tuple[Row, str]]
"""By the frame's number: what is read in it, and the tunnel around that."""


def ours(path: Path) -> Told:
    found = {}
    with open_capture(str(path), 0) as source:
        for block in source.blocks():
            columns = decode(block)
            for row in range(len(columns)):
                told = {name: getattr(columns, name)[row].item() for name in ROW_FIELDS}
                found[told["number"]] = our_row(told), tunnel_text(told["tunnel"])
    return found


def test_every_frame_is_read(capture: Path) -> None:
    assert len(ours(capture)) == len(generated())


TUNNEL_FIELDS = ("vxlan.vni", "geneve.vni", "erspan.spanid", "gre.key")


def of_tshark(path: Path) -> Told:
    """What is innermost, but for ICMP errors, whose quotes tshark tells of in the same words."""
    names = (*FIELDS, "frame.protocols", *TUNNEL_FIELDS)
    fields = [part for name in names for part in ("-e", name)]
    line = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", *fields]
    switches = ["-o", "tcp.relative_sequence_numbers:FALSE", "-d", "udp.port==8472,vxlan"]
    done = subprocess.run([*line, *switches], capture_output=True, text=True, check=True)
    found = {}
    for text in done.stdout.splitlines():
        told = dict(zip(names, text.split("\t"), strict=True))
        protocols = told.pop("frame.protocols").split(":")
        if "icmp" not in protocols and "icmpv6" not in protocols:
            told = _innermost(told, protocols)
        if row := tshark_row(told):
            found[row.number] = row, tunnel_of_tshark(told, protocols)
    return found


def _innermost(told: dict[str, str], protocols: list[str]) -> dict[str, str]:
    """The last value of each field, and none of the layers around that."""
    outer = {"ip", "ipv6"} - {next((p for p in reversed(protocols) if p in ("ip", "ipv6")), "")}
    outer |= {"tcp", "udp"} - {next((p for p in reversed(protocols) if p in ("tcp", "udp")), "")}
    return {
        name: "" if name.split(".")[0] in outer else text.rpartition(",")[2] for name, text in told.items()
    }


def tunnel_of_tshark(told: dict[str, str], protocols: list[str]) -> str:
    for name, field in zip(("VXLAN", "Geneve", "ERSPAN"), TUNNEL_FIELDS[:3], strict=True):
        if told[field]:
            return f"{name} {number(told[field])}"
    if "erspan" in protocols:
        return "ERSPAN"
    if "gre" in protocols:
        return f"GRE {number(told['gre.key'])}" if told["gre.key"] else "GRE"
    is_error = "icmp" in protocols or "icmpv6" in protocols
    return "IPIP" if not is_error and sum(name in ("ip", "ipv6") for name in protocols) > 1 else ""


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_the_same(capture: Path) -> None:
    compare(ours(capture), of_tshark(capture), TSHARK_LACKS)


def compare(mine: Told, theirs: Told, lacks: set[str]) -> None:
    """Equal, but for cases that the other one lacks, of which it reads nothing."""
    unread = set()
    for place, (case, data) in enumerate(generated(), 1):
        if place in theirs:
            assert mine[place] == theirs[place], f"{case.name}: {data.hex()}"
        else:
            unread.add(f"{case.name}, IPv{6 if ':' in mine[place][0].source else 4}")
    assert unread == lacks


def of_scapy() -> Told:
    from scapy.config import conf

    found = {}
    for place, (case, data) in enumerate(generated(), 1):
        if layer := conf.l2types.num2layer.get(case.link_type):
            packet = layer(data)
            inner = packet if "over IPv" not in case.name else _last_ip(packet)
            if row := scapy_row(place, inner):
                found[place] = row, tunnel_of_scapy(packet, inner)
    return found


def _last_ip(packet: Any) -> Any:
    layers = [packet.getlayer(index) for index in range(len(packet.layers()))]
    return [layer for layer in layers if isinstance(layer, IP | IPv6)][-1]


def tunnel_of_scapy(packet: Any, inner: Any) -> str:
    if packet is inner:
        return ""
    for layer, name in ((VXLAN, "VXLAN"), (GENEVE, "Geneve")):
        if packet.haslayer(layer):
            return f"{name} {packet[layer].vni}"
    for layer in (ERSPAN_II, ERSPAN_III):
        if packet.haslayer(layer):
            return f"ERSPAN {packet[layer].session_id}"
    if packet.haslayer(ERSPAN):
        return "ERSPAN"
    if packet.haslayer(GRE):
        return f"GRE {packet[GRE].key}" if packet[GRE].key_present else "GRE"
    return "IPIP"


def test_scapy_reads_the_same(capture: Path) -> None:
    compare(ours(capture), of_scapy(), SCAPY_LACKS)
