"""The decoder reads in every sample capture what tshark reads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from analyzer.decode import decode
from analyzer.model.columns import ROW_FIELDS, TCP, UDP
from analyzer.model.flow import address_text
from analyzer.model.tunnel import tunnel_text
from analyzer.sources.open import open_capture
from tests.captures import CAPTURES, capture_name, frames_of, to_pcapng
from tests.decode.frames import LINK_TYPES, carriers, framed, tcp, v4, v6, wrapped
from tests.sources.build import Frame, pcap, pcapng

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

TOLD_OTHERWISE = (
    "vxlan",
    "geneve",
    "gre",
    "ipip",
    "fragments",
    "fragments-ipv6",
    "too-long-default",
    "too-long-ipv6",
)
"""Of a tunnel tshark names all layers at once, of a fragment the length of the whole datagram."""

FIELDS = (
    "frame.number",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.ttl",
    "ipv6.hlim",
    "ip.id",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.len",
    "tcp.options.mss_val",
    "tcp.options.wscale.shift",
    "tcp.options.timestamp.tsval",
    "tcp.options.timestamp.tsecr",
    "udp.srcport",
    "udp.dstport",
    "udp.length",
    "icmp.type",
    "icmp.code",
    "icmpv6.type",
    "icmpv6.code",
)
ICMP_ERRORS = {"icmp": (3, 4, 5, 11, 12), "icmpv6": (1, 2, 3, 4)}


class Row(NamedTuple):
    """What both sides are asked for. ``source`` of an ICMP error is who sent it."""

    number: int
    source: str
    target: str
    ttl: int
    ip_id: int
    icmp: tuple[int, int] | None
    ports: tuple[int, int]
    seq: int
    ack: int
    flags: int
    window: int
    payload: int
    mss: int
    scale: int
    timestamps: tuple[int, int] | None


def number(text: str) -> int:
    """A field's first value, decimal or hexadecimal."""
    return int(text.split(",")[0], 0) if text else 0


def tshark_rows(path: Path) -> list[Row]:
    """One Row for each frame in which tshark sees TCP, UDP, or an ICMP error that quotes one of them."""
    fields = [part for name in FIELDS for part in ("-e", name)]
    line = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", *fields]
    switches = ["-o", "tcp.relative_sequence_numbers:FALSE", "-o", "ip.defragment:FALSE"]
    done = subprocess.run([*line, *switches], capture_output=True, text=True, check=True)
    told = [dict(zip(FIELDS, text.split("\t"), strict=True)) for text in done.stdout.splitlines()]
    return [row for one in told if (row := tshark_row(one))]


def tshark_row(told: dict[str, str]) -> Row | None:
    kind = "ip" if told["ip.src"] else "ipv6"
    icmp = "icmp" if kind == "ip" else "icmpv6"
    protocol = "tcp" if told["tcp.srcport"] else "udp"
    is_icmp = bool(told[f"{icmp}.type"])
    if not told[f"{protocol}.srcport"]:
        return None
    if is_icmp and number(told[f"{icmp}.type"]) not in ICMP_ERRORS[icmp]:
        return None
    is_tcp = protocol == "tcp" and not is_icmp
    return Row(
        number=number(told["frame.number"]),
        source=str(ip_address(told[f"{kind}.src"].split(",")[0])),
        target=str(ip_address(told[f"{kind}.dst"].split(",")[0])),
        ttl=number(told["ip.ttl" if kind == "ip" else "ipv6.hlim"]),
        ip_id=number(told["ip.id"]),
        icmp=(number(told[f"{icmp}.type"]), number(told[f"{icmp}.code"])) if is_icmp else None,
        ports=(number(told[f"{protocol}.srcport"]), number(told[f"{protocol}.dstport"])),
        seq=number(told["tcp.seq_raw"] or told["tcp.seq"]),  # tshark 4.0 has no raw one in a quote
        ack=number(told["tcp.ack_raw"]) if is_tcp else 0,
        flags=number(told["tcp.flags"]) & 0xFF if is_tcp else 0,
        window=number(told["tcp.window_size_value"]) if is_tcp else 0,
        payload=number(told["tcp.len"]) if is_tcp else udp_payload(told, is_icmp),
        mss=number(told["tcp.options.mss_val"]) if is_tcp else 0,
        scale=number(told["tcp.options.wscale.shift"] or "-1") if is_tcp else -1,
        timestamps=timestamps(told) if is_tcp else None,
    )


def udp_payload(told: dict[str, str], is_icmp: bool) -> int:
    return 0 if is_icmp else number(told["udp.length"]) - 8


def timestamps(told: dict[str, str]) -> tuple[int, int] | None:
    if not told["tcp.options.timestamp.tsval"]:
        return None
    return number(told["tcp.options.timestamp.tsval"]), number(told["tcp.options.timestamp.tsecr"])


def our_rows(path: Path) -> Iterator[Row]:
    """The same of the decoder's columns."""
    return (row for row, _ in our_rows_and_tunnels(path))


def our_rows_and_tunnels(path: Path) -> Iterator[tuple[Row, int]]:
    with open_capture(str(path), 0) as source:
        for block in source.blocks():
            columns = decode(block)
            for row in range(len(columns)):
                told = {name: getattr(columns, name)[row].item() for name in ROW_FIELDS}
                yield our_row(told), told["tunnel"]


def our_row(told: dict[str, int]) -> Row:
    version, is_icmp = told["version"], bool(told["is_icmp"])
    assert told["protocol"] in (TCP, UDP)
    source = ("reporter_hi", "reporter_lo") if is_icmp else ("src_hi", "src_lo")
    target = ("src_hi", "src_lo") if is_icmp else ("dst_hi", "dst_lo")  # an error goes to who is quoted
    return Row(
        number=told["number"],
        source=address_text(version, told[source[0]], told[source[1]]),
        target=address_text(version, told[target[0]], told[target[1]]),
        ttl=told["ttl"],
        ip_id=told["ip_id"],
        icmp=(told["icmp_type"], told["icmp_code"]) if is_icmp else None,
        ports=(told["sport"], told["dport"]),
        seq=told["seq"],
        ack=told["ack"],
        flags=told["flags"],
        window=told["window"],
        payload=told["payload"],
        mss=0 if is_icmp else told["mss"],  # that of a SYN in a quote is not compared
        scale=told["scale"],
        timestamps=(told["tsval"], told["tsecr"]) if told["has_ts"] else None,
    )


@pytest.fixture(scope="module")
def all_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every frame of the samples in one file."""
    path = tmp_path_factory.mktemp("all") / "samples.pcapng"
    captures = [one for one in CAPTURES if one.suffix == ".pcap" and is_told_alike(one)]
    path.write_bytes(pcapng([frame for one in captures for frame in frames_of(one.read_bytes())]))
    return path


def is_told_alike(path: Path) -> bool:
    return not path.parent.name.endswith(TOLD_OTHERWISE)


def test_columns_are_what_tshark_reads(all_samples: Path) -> None:
    ours = list(our_rows(all_samples))
    theirs = tshark_rows(all_samples)
    assert len(ours) == len(theirs) > 5000
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other


def test_columns_are_what_scapy_reads(all_samples: Path) -> None:
    ours = list(our_rows(all_samples))
    theirs = [row for row in map(scapy_row, *numbered(all_samples)) if row]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other


def numbered(path: Path) -> tuple[range, list[Any]]:
    from scapy.layers import inet6, l2  # noqa: F401 - link types are known once these are imported
    from scapy.utils import rdpcap

    packets = list(rdpcap(str(path)))
    return range(1, len(packets) + 1), packets


def scapy_row(number: int, packet: Any) -> Row | None:
    """The same of a packet as scapy dissects it."""
    from scapy.layers.inet import ICMP, IP, TCPerror, UDPerror
    from scapy.layers.inet6 import IPerror6, IPv6

    ip = packet.getlayer(IP) or packet.getlayer(IPv6)
    if ip is None:
        return None
    error = packet.getlayer(ICMP) or (ip.payload if packet.haslayer(IPerror6) else None)
    carried = packet.getlayer(TCPerror) or packet.getlayer(UDPerror) if error else ip.payload
    if carried is None or carried.name.split()[0] not in ("TCP", "UDP"):
        return None
    is_tcp = carried.name.startswith("TCP") and not error
    options = dict(carried.options) if is_tcp else {}
    return Row(
        number=number,
        source=str(ip_address(ip.src)),
        target=str(ip_address(ip.dst)),
        ttl=ip.ttl if ip.version == 4 else ip.hlim,
        ip_id=ip.id if ip.version == 4 else 0,
        icmp=(error.type, error.code) if error else None,
        ports=(carried.sport, carried.dport),
        seq=carried.seq if carried.name.startswith("TCP") else 0,
        ack=carried.ack if is_tcp else 0,
        flags=int(carried.flags) & 0xFF if is_tcp else 0,
        window=carried.window if is_tcp else 0,
        payload=_payload(ip, carried, is_tcp=is_tcp) if not error else 0,
        mss=options.get("MSS", 0),
        scale=options.get("WScale", -1),
        timestamps=options.get("Timestamp"),
    )


def _payload(ip: Any, carried: Any, *, is_tcp: bool) -> int:
    """By the lengths that the headers state: frames may be cut."""
    inside = ip.len - 4 * ip.ihl if ip.version == 4 else ip.plen
    return int(inside - 4 * carried.dataofs if is_tcp else carried.len - 8)


INNERMOST = (
    "frame.number",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.ttl",
    "ipv6.hlim",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.len",
    "vxlan.vni",
    "geneve.vni",
    "gre.key",
    "erspan.spanid",
)


def innermost(path: Path) -> Iterator[tuple[object, ...]]:
    """Of each frame: number, addresses, TTL, ports, sequence number and payload inside, and the tunnel."""
    fields = [part for name in INNERMOST for part in ("-e", name)]
    line = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "occurrence=l"]
    switches = ["-d", "udp.port==8472,vxlan", "-o", "tcp.relative_sequence_numbers:FALSE"]
    done = subprocess.run([*line, *switches, *fields], capture_output=True, text=True, check=True)
    for text in done.stdout.splitlines():
        told = dict(zip(INNERMOST, text.split("\t"), strict=True))
        protocols = told["frame.protocols"].split(":")
        kind = next(name for name in reversed(protocols) if name in ("ip", "ipv6"))
        found = [number(told[name]) for name in INNERMOST[8:12]]
        ttl = number(told["ip.ttl" if kind == "ip" else "ipv6.hlim"])
        addresses = (str(ip_address(told[f"{kind}.{end}"])) for end in ("src", "dst"))
        yield (number(told["frame.number"]), *addresses, ttl, *found, tunnel_name(told, protocols))


def tunnel_name(told: dict[str, str], protocols: list[str]) -> str:
    for name, field in (("VXLAN", "vxlan.vni"), ("Geneve", "geneve.vni"), ("ERSPAN", "erspan.spanid")):
        if told[field]:
            return f"{name} {number(told[field])}"
    if "erspan" in protocols:
        return "ERSPAN"
    if "gre" in protocols:
        return f"GRE {number(told['gre.key'])}" if told["gre.key"] else "GRE"
    return "IPIP" if sum(name in ("ip", "ipv6") for name in protocols) > 1 else ""


def test_what_is_inside_of_tunnels_is_what_tshark_reads(tmp_path: Path) -> None:
    inner = (v4(tcp() / b"hello"), v6(tcp("S") / b"you"))
    around = [framed(ip) for packet in inner for version in (4, 6) for ip in carriers(packet, version)]
    path = tmp_path / "tunnels.pcap"
    path.write_bytes(pcap([Frame(frame, len(frame), turn) for turn, frame in enumerate(around)]))
    ours = [
        (
            row.number,
            *(row.source, row.target, row.ttl),
            *(*row.ports, row.seq, row.payload),
            tunnel_text(told),
        )
        for row, told in our_rows_and_tunnels(path)
    ]
    theirs = list(innermost(path))
    assert len(ours) == len(around)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other


ALSO_IN_TSHARK = [kind for kind in LINK_TYPES if kind not in (0, 1, 113, 276, 166)]
"""Not those that the samples have, nor LINKTYPE_PPP_PPPD, which tshark 4.0 cannot read."""


@pytest.mark.parametrize("link_type", ALSO_IN_TSHARK)
def test_other_links_are_what_tshark_reads(link_type: int, tmp_path: Path) -> None:
    packets = [v4(tcp("S") / bytes(size)) for size in range(6)] + [v6(tcp() / b"you")]
    if link_type == 228:
        packets.pop()
    elif link_type == 229:
        packets = packets[-1:]
    frames = [wrapped(ip, link_type) for ip in packets]
    path = tmp_path / "link.pcap"
    path.write_bytes(pcap([Frame(f, len(f), turn) for turn, f in enumerate(frames)], link_type=link_type))
    ours = list(our_rows(path))
    assert len(ours) == len(frames)
    assert ours == tshark_rows(path)


@pytest.mark.parametrize("path", [one for one in CAPTURES if one.suffix == ".pcap"][::60], ids=capture_name)
def test_tshark_reads_the_converted_capture_alike(path: Path, tmp_path: Path) -> None:
    """The pcapng files that these tests write are such files."""
    converted = tmp_path / "converted.pcapng"
    converted.write_bytes(to_pcapng(path.read_bytes()))
    assert tshark_rows(converted) == tshark_rows(path)
